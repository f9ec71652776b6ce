"""Batches to PostgreSQL: one transaction each, with COPY, retries and the ledger; and its maintenance."""
