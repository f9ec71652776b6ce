"""The MQTT connection: packets, the client that drives paho-mqtt, connecting and reconnecting."""
