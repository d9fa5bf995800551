"""People in the loop: what to ask them, where they answer, and how far to trust them."""
