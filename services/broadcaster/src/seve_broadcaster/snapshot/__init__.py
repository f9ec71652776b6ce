"""The newest envelope of every series, and how it is saved and restored."""
