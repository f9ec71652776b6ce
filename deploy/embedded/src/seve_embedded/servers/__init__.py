"""The servers that the embedded stack runs: NATS and PostgreSQL."""
