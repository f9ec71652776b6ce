"""The MQTT wire: packets, the client that drives paho-mqtt, how a connection is opened and opened again."""
