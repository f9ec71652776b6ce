"""The examples for devices: what they publish is understood, without a dead letter. The Arduino sketch and the
MicroPython program run here with stand-ins for their libraries; configurations are read for the topics they lead to.
"""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from seve_ingest.normalise.normaliser import Normaliser
from seve_ingest.routing.routes import PRESETS, RouteTable
from support import micropython

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
STUBS = Path(__file__).parent / "stubs"
STATES = {"croissance/status": "presence", "croissance/system/config": "system.config"}


def read(topic, payload, *presets):
    """The envelopes of a message that is neither refused nor ignored."""
    routes = [(name, route) for name in (*presets, "native") for route in PRESETS[name]]
    normalise = Normaliser(RouteTable(routes), retention=90 * 86400.0)
    verdict = normalise(topic.encode(), payload.encode(), received_at=time.time_ns() // 1000)
    assert verdict.rejection is None
    assert verdict.envelopes
    return verdict.envelopes


def published(messages):
    """Kind by topic of what a device said, and the samples; the last will is the retained opposite of the birth."""
    assert ("will", "croissance/status", "offline", True, 1) in messages
    assert ("publish", "croissance/status", "online", True, 1) in messages
    sent = [message for message in messages if message[0] == "publish"]
    assert all(qos == 1 for *_, qos in sent)
    return {topic: read(topic, payload)[0] for _, topic, payload, _, _ in sent}


def test_the_arduino_sketch_publishes_what_is_understood(tmp_path):
    """Compiled with stand-ins for its libraries, and run for two turns of its loop."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("needs g++")
    for name in ("MQTT.h", "WiFi.h"):
        (tmp_path / name).write_text('#include "sketch.h"\n')
    (tmp_path / "main.cpp").write_text(
        f'#include "sketch.h"\n#include "{EXAMPLES}/esp32_arduino/esp32_arduino.ino"\n'
        "int main() { setup(); loop(); clock_ms = INTERVAL_MS + 1; loop(); }\n"
    )
    command = [compiler, "-std=c++17", "-Wall", "-Werror", f"-I{STUBS}", f"-I{tmp_path}", "main.cpp", "-o", "sketch"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=120)
    output = subprocess.run([tmp_path / "sketch"], capture_output=True, text=True, check=True, timeout=60).stdout
    lines = [line.split("\t") for line in output.splitlines()]
    messages = [(what, topic, payload, bool(int(retained)), int(qos)) for what, topic, payload, retained, qos in lines]
    envelopes = published(messages)
    kinds = {topic: envelope.kind for topic, envelope in envelopes.items()}
    assert kinds == STATES | {"croissance/voltage": "measurement", "croissance/system": "system.status"}
    assert envelopes["croissance/voltage"].clock == "device"


def test_the_micropython_program_publishes_what_is_understood(monkeypatch):
    """Run by this Python with stand-ins for MicroPython's modules, until it has published two samples."""
    messages = []
    source = (EXAMPLES / "micropython" / "main.py").read_text(encoding="utf-8")
    code = compile(source, "main.py", "exec")
    with monkeypatch.context() as patch:
        for name, module in micropython.modules(messages).items():
            patch.setitem(sys.modules, name, module)
        with pytest.raises(micropython.Ended):
            exec(code, {"__name__": "__main__"})
    envelopes = published(messages)
    kinds = {topic: envelope.kind for topic, envelope in envelopes.items()}
    assert kinds == STATES | {"croissance/voltage": "measurement"}
    assert envelopes["croissance/voltage"].clock == "device"


class Loader(yaml.SafeLoader):
    """As ESPHome reads YAML: `!secret` stands for a value of another file."""


Loader.add_constructor("!secret", lambda loader, node: f"secret {loader.construct_scalar(node)}")


def test_the_esphome_node_leads_to_topics_that_are_understood():
    """Birth, last will, log, and the state topic that ESPHome makes of prefix, component and name."""
    node = yaml.load((EXAMPLES / "esphome.yaml").read_text(encoding="utf-8"), Loader)
    mqtt = node["mqtt"]
    for message in (mqtt["birth_message"], mqtt["will_message"]):
        assert (message["qos"], message["retain"]) == (1, True)
        [envelope] = read(message["topic"], message["payload"], "esphome")
        assert (envelope.kind, envelope.module_id) == ("presence", "croissance")
    assert read(mqtt["log_topic"]["topic"], "[W][dht:120]: no answer", "esphome")[0].kind == "log"
    dht = node["sensor"][0]
    for name in (dht["temperature"]["name"], dht["humidity"]["name"]):
        [envelope] = read(f"{mqtt['topic_prefix']}/sensor/{name.lower()}/state", "21.3", "esphome")
        assert (envelope.module_id, envelope.sensor_type, envelope.value) == ("croissance", name.lower(), 21.3)


def test_the_tasmota_lines_lead_to_topics_that_are_understood():
    """Each is a command with a value; `Time 2` makes Tasmota send an epoch beside its local time."""
    lines = (EXAMPLES / "tasmota.txt").read_text(encoding="utf-8").splitlines()
    commands = dict(line.split(" ", 1) for line in lines)
    assert commands["Time"] == "2"
    topic = commands["FullTopic"].replace("%prefix%", "tele").replace("%topic%", commands["Topic"])
    payload = {"Time": "2025-11-30T20:00:00", "Epoch": int(time.time()), "AM2301": {"Temperature": 21.3}}
    [envelope] = read(f"{topic}SENSOR", json.dumps(payload), "tasmota")
    assert (envelope.module_id, envelope.clock, envelope.value) == ("croissance", "device", 21.3)
    assert read(f"{topic}LWT", "Online", "tasmota")[0].kind == "presence"


def test_the_zigbee2mqtt_configuration_leads_to_topics_that_are_understood():
    """`last_seen` in ISO 8601 is the time of a sample; availability is presence."""
    configuration = yaml.safe_load((EXAMPLES / "zigbee2mqtt.yaml").read_text(encoding="utf-8"))
    assert configuration["advanced"] == {"last_seen": "ISO_8601", "output": "json"}
    assert configuration["device_options"]["retain"] is False
    base = configuration["mqtt"]["base_topic"]
    seen = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    [envelope] = read(f"{base}/kitchen", json.dumps({"temperature": 21.3, "last_seen": seen}), "zigbee2mqtt")
    assert (envelope.module_id, envelope.sensor_type, envelope.clock) == ("kitchen", "temperature", "device")
    assert read(f"{base}/kitchen/availability", '{"state": "online"}', "zigbee2mqtt")[0].kind == "presence"
