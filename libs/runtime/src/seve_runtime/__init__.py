"""The common base of every service: settings, logs, metrics and health, lifecycle, NATS connection and topology.

Knows no service, no broker and no database.
"""
