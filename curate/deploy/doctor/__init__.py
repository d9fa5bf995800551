"""`curate doctor`: what this machine and this project lack, and how to mend it."""
