"""The stream of messages: decoding, the newest stretch in memory, and reading back."""
