"""The supervisor, the processes it keeps, their ports and their readiness."""
