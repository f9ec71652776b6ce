"""JetStream to WebSocket: the present on subscribing, then every message after it."""
