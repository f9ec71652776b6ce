"""The bounds of an answer and its buckets. Reads nothing."""
