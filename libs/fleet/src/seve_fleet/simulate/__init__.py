"""A fleet that behaves like devices, a WebSocket client that watches it, and the account of a run."""
