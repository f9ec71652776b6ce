"""Answers history queries from PostgreSQL, each up to a known position of the journal. Reads only."""
