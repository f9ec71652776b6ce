"""`seve-ingest tap`: live messages as devices send them, in the journal, and refused. `lines` is pure."""
