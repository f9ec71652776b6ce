"""Deliveries until they are acknowledged, the queues in front of JetStream, and what a restart reads back."""
