"""What could not be used: how a dead letter is built, read back, retried and dropped."""
