"""Stand-ins for the modules of MicroPython, so that a program for it runs here: publishes are listed, not sent."""

import json
import time
from types import ModuleType, SimpleNamespace

SAMPLES = 2


class Ended(Exception):
    """Ends the program's endless loop, at the first pause after `SAMPLES` samples."""


class MQTTClient:
    """umqtt.simple's client; `messages`, set by `modules`, is what the test reads."""

    messages: list

    def __init__(self, _name, _host, *, user, password, keepalive):
        self.options = (user, password, keepalive)

    def connect(self):
        assert all(self.options)

    def set_last_will(self, topic, payload, *, retain=False, qos=0):
        self.messages.append(("will", topic, payload, retain, qos))

    def publish(self, topic, payload, *, retain=False, qos=0):
        self.messages.append(("publish", topic, payload, retain, qos))


class Wlan:
    """A network that is joined."""

    def __init__(self, _interface):
        pass

    def active(self, _on):
        pass

    def isconnected(self):
        return True

    def ifconfig(self):
        return ("192.168.1.23", "255.255.255.0", "192.168.1.1", "192.168.1.1")


def modules(messages):
    """Modules by name; `messages` gets a tuple for each publish and last will."""

    class Client(MQTTClient):
        pass

    Client.messages = messages

    def sleep(_seconds):
        if sum("/voltage" in topic for _, topic, *_ in messages) >= SAMPLES:
            raise Ended

    contents = {
        "machine": {"ADC": lambda _: SimpleNamespace(read_u16=lambda: 32768), "Pin": lambda _: None},
        "network": {"WLAN": Wlan, "STA_IF": 0},
        "ntptime": {"settime": lambda: None},
        "umqtt": {},
        "umqtt.simple": {"MQTTClient": Client, "MQTTException": ValueError},
        "time": {"time": time.time, "gmtime": time.gmtime, "sleep": sleep},
        "json": {"dumps": json.dumps},
    }
    found = {}
    for name, attributes in contents.items():
        found[name] = ModuleType(name)
        vars(found[name]).update(attributes)
    return found
