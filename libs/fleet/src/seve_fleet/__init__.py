"""Simulated devices and load for `make simulate`, benchmarks and tests: publishes samples and counts what arrives.

Uses the pipeline from outside only: MQTT in, WebSocket and table out. Knows no service and no NATS subject.
"""
