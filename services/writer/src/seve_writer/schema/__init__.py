"""Tables: migrations, layouts for plain PostgreSQL and TimescaleDB, and the `setup` command."""
