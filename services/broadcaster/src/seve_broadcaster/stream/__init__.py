"""The stream of messages: decoding, the newest messages in memory, and the extent of the journal."""
