"""The WebSocket protocol: requests of clients and frames to them. Pure."""
