"""JetStream to PostgreSQL: every message stored once."""
