"""Dead letters: how one is built, read back, retried and dropped."""
