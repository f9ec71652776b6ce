"""`make bench`: what the pipeline carries on this machine and what that costs. Measures and prints; asserts no timing.

Only the public surface is used: MQTT, WebSocket, PostgreSQL, the services' processes and their admin ports.
"""
