"""Answers what PostgreSQL has of a module, up to a known position of the journal. Reads only."""
