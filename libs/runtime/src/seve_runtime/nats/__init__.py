"""NATS: the connection, a client with a short path for each message, and the streams with their readers."""
