"""JetStream to WebSocket: a snapshot on subscribing, then every message."""
