"""The supervisor, its processes, their ports and their readiness."""
