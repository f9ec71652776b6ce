"""A fleet that behaves like devices, a screen that watches it, and the account of a run."""
