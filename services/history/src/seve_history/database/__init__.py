"""PostgreSQL, read only: connections, snapshots, and what is asked in them."""
