"""MQTT to JetStream: every message normalised into one counted outcome."""
