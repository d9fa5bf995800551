"""The people who judge: how good their work is, how far they agree, and whether they hold one view or several."""
