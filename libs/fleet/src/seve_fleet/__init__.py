"""Simulated devices and load: what `make simulate`, the benches and the stories of the tests publish and count.

Speaks to the pipeline from outside only: MQTT in, WebSocket and table out. Knows no service and no NATS subject.
"""
