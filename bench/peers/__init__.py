"""Other ways to do the same work, where they can be had on the machine."""
