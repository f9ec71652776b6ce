"""Deliveries until they are acknowledged, the queues before JetStream, and the recovery after a restart."""
