"""Normalises a given number of arbitrary messages: `make fuzz`. Prints its seed, with which a run can be repeated.

Takes messages that devices send and breaks them: flips, cuts, doubles and splices bytes, inserts tokens of JSON. Every
message must end in one verdict whose envelopes encode, decode to themselves and hold only finite numbers.
"""

import argparse
import math
import random
import time

from seve_ingest.normalise.normaliser import Normaliser
from seve_ingest.normalise.samples import MAX_SAMPLES
from seve_ingest.routing.routes import PRESETS, RouteTable
from seve_schema.codec import encode

SEEDS = [
    (b"croissance/co2", b'{"value": 450.5, "time": "2025-11-30T19:00:00Z"}'),
    (b"croissance/co2", b"450.5"),
    (b"croissance/co2", b'[{"value": 1, "time": "2025-11-30T18:59:00Z"}, {"value": 2, "time": -1}]'),
    (b"croissance/co2", b'{"values": [[1764529140, 1], [1764529141000, 2], ["2025-11-30T18:59:02Z", null]]}'),
    (b"croissance/co2", b'{"t0": 1764529140, "dt": 0.5, "v": [1, 2, 3]}'),
    (b"croissance/senml", b'[{"bn":"dht22:","bt":1764529140,"bu":"Cel","n":"t","v":23.1},{"n":"h","t":-5,"vs":"67"}]'),
    (b"croissance/dht22/temperature", b"21,5"),
    (b"croissance/system", b'{"rssi": -45, "memory": {"heapFreeKb": 123, "heapMinFreeKb": 45}}'),
    (b"croissance/system/config", b'{"ip": "192.168.1.100", "uptimeStart": 1234567890, "flash": {"usedKb": 500}}'),
    (b"croissance/hardware/config", b'{"chip": {"model": "ESP32", "rev": 3, "cores": 2}}'),
    (b"croissance/sensors/status", b'{"sensors": {"co2": {"status": "ok", "value": 450}}}'),
    (b"croissance/sensors/config", b'{"co2": {"interval": 60, "model": "MH-Z14A", "enabled": true}}'),
    (b"croissance/status", b"online"),
    (b"croissance/logs", b'{"level": "info", "msg": "up", "time": 1764529200123}'),
    (b"living/sensor/temperature/state", b"nan"),
    (b"tele/plug/SENSOR", b'{"Time":"2025-11-30T19:59:52","DHT11":{"Temperature":23.0,"Humidity":null},"Id":"03"}'),
    (b"tele/plug/STATE", b'{"Heap":28,"Wifi":{"RSSI":30,"Signal":-85}}'),
    (b"zigbee2mqtt/kitchen", b'{"temperature":27.34,"battery":"100.00","state":"ON","update":{}}'),
    (b"zigbee2mqtt/kitchen/availability", b'{"state":"online"}'),
]
TOKENS = [b"NaN", b"1e999", b"-Infinity", b"\\ud800", b"\\u0000", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b'""', b"null"]
TOKENS += [
    b"{}",
    b"[]",
    b'{"value":',
    b"9" * 400,
    b"-",
    b"e",
    b"true",
    b'"ON"',
    b"/",
    b"$SYS/",
    b"[" * 2000,
    b"\xed\xa0\x80",
]
NOW = 1_764_529_200_012_345


def broken(random_, data):
    """Return `data` after up to six random changes."""
    for _ in range(random_.randrange(7)):
        at, end = sorted((random_.randint(0, len(data)), random_.randint(0, len(data))))
        match random_.randrange(5):
            case 0:
                data = data[:at] + random_.randbytes(random_.randrange(1, 4)) + data[at:]
            case 1:
                data = data[:at] + data[end:]
            case 2:
                data = data[:end] + data[at:]
            case 3:
                data = data[:at] + random_.choice(TOKENS) + data[end:]
            case _:
                data = data[:at] + random_.choice(TOKENS) + data[at:]
    return data


def check(normalise, topic, payload, retained):
    """Normalise one message. Raises AssertionError, or the error that the normalisation should not have raised."""
    verdict = normalise(topic, payload, received_at=NOW, retained=retained, key="k")
    assert verdict.envelopes or (verdict.rejection is None) != (verdict.ignored is None)
    if verdict.envelopes:
        assert tuple(map(encode, verdict.envelopes)) == verdict.encoded
        assert {each.kind for each in verdict.envelopes} == {verdict.kind}
        assert len({each.delivery_key for each in verdict.envelopes}) == len(verdict.encoded) <= MAX_SAMPLES
        assert all(each.value is None or math.isfinite(each.value) for each in verdict.envelopes)


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--inputs", type=int, default=1_000_000, help="how many messages [1000000]")
    options.add_argument("--seed", type=int, default=time.time_ns() % 2**32, help="repeat the run of this seed")
    chosen = options.parse_args()
    print(f"fuzz: {chosen.inputs} inputs, seed {chosen.seed}", flush=True)
    random_ = random.Random(chosen.seed)
    routes = [(name, route) for name in ("esphome", "tasmota", "zigbee2mqtt", "native") for route in PRESETS[name]]
    normalise = Normaliser(RouteTable(routes), retention=90 * 86400.0, ranges={"co2": (0.0, 5000.0)})
    started = time.monotonic()
    for number in range(chosen.inputs):
        topic, payload = random_.choice(SEEDS)
        topic = broken(random_, topic) if random_.random() < 0.2 else topic
        payload = broken(random_, payload) if random_.random() < 0.9 else random_.randbytes(random_.randrange(200))
        try:
            check(normalise, topic, payload, random_.random() < 0.1)
        except BaseException:
            print(f"fuzz: input {number} of seed {chosen.seed}: topic {topic!r}, payload {payload!r}", flush=True)
            raise
    print(f"fuzz: {chosen.inputs} inputs, each ended in one verdict, {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
