"""A fleet that behaves as devices do, a screen that watches it, and the tally of a run."""
