"""NATS: the connection, a client without detours for the hot path, streams and how they are read."""
