"""PostgreSQL, read only: connections, consistent reads, and their queries."""
