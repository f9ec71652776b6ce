"""The form of an answer: its bounds and its buckets. Reads nothing."""
