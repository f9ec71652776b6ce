"""The load generator sends exactly the requested samples, each identified by its value."""

import asyncio
import json
import subprocess
import sys
from array import array

import pytest
from seve_fleet.load import arrival
from seve_fleet.load.publisher import Load, LoadPublisher
from seve_fleet.load.samples import Samples
from support.conditions import eventually

COMMAND = [sys.executable, "-m", "seve_fleet.load.publisher"]


def test_modules_take_turns_and_so_do_their_sensors():
    samples = Samples("load", 2, "bare", 100)
    assert [samples.topic(number) for number in range(3)] == [
        b"load-00000/temperature",
        b"load-00001/temperature",
        b"load-00000/humidity",
    ]


@pytest.mark.parametrize(("form", "expected"), [("bare", b"103"), ("value", b'{"value":103}')])
def test_a_sample_without_a_time_is_its_number(form, expected):
    assert Samples("load", 2, form, 100).payload(3, 0) == expected


def test_times_increase_although_the_clock_stands_still():
    samples = Samples("load", 2, "timed", 100)
    times = [json.loads(samples.payload(number, 1_764_500_000_000_000))["time"] for number in range(3)]
    assert sorted(set(times)) == times


def test_mixed_samples_take_the_forms_in_turn():
    """So does each module, unless their number is a multiple of three."""
    samples = Samples("load", 2, "mixed", 100)
    assert [samples.payload(number, 0)[:9] for number in (0, 1, 2, 3)] == [b"100", b'{"value":', b'{"value":', b"103"]
    assert [b"time" in samples.payload(number, 0) for number in range(4, 7)] == [False, True, False]


def test_an_unknown_form_is_named():
    with pytest.raises(ValueError, match="'xml'; use one of bare, value, timed, mixed"):
        Samples("load", 2, "xml", 0)


@pytest.mark.parametrize("qos", [0, 1])
async def test_the_whole_load_is_sent_and_acknowledged(nats_server, qos):
    publisher = LoadPublisher(Load(nats_server.mqtt_url, rate=2000, seconds=0.5, modules=5, connections=2, qos=qos))
    result = await publisher.run()
    assert (result.sent, result.acknowledged, len(publisher.log)) == (1000, 1000, 1000)


async def test_devices_that_arrive_introduce_themselves(nats_server):
    load = Load(nats_server.mqtt_url, rate=100, seconds=0.2, modules=3, connections=3, arrive=True)
    result = await LoadPublisher(load).run()
    assert (result.sent, result.acknowledged, result.reports) == (20, 20, 3 * 6)


async def test_devices_report_regularly_if_asked_to(nats_server):
    load = Load(nats_server.mqtt_url, rate=100, seconds=1, modules=2, connections=2, arrive=True, report_every=0.1)
    result = await LoadPublisher(load).run()
    assert (result.sent, result.acknowledged) == (100, 100)
    assert result.reports > 2 * 6 + 2


async def test_a_device_that_lost_its_connection_repeats_what_was_not_acknowledged(monkeypatch):
    """The broker takes the messages of the first connection and closes it; the next messages have the DUP flag."""
    monkeypatch.setattr(arrival, "BACK_AFTER", (0.0, 0.0))
    heard, serving = [], []

    async def broker(reader, writer):
        serving.append(asyncio.current_task())
        again = bool(heard)
        await reader.readexactly((await reader.readexactly(2))[1])
        writer.write(bytes.fromhex("20020000"))
        while head := await reader.read(1):
            size = shift = 0
            while (byte := (await reader.readexactly(1))[0]) > 127:
                size, shift = size | (byte & 127) << shift, shift + 7
            packet = await reader.readexactly(size | byte << shift)
            heard.append((again, head[0] & 8))
            if not again:
                break
            name = int.from_bytes(packet[:2], "big")
            writer.write(b"\x40\x02" + packet[2 + name : 4 + name])
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(broker, "127.0.0.1", 0) as server:
        url = f"mqtt://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        load = Load(url, rate=100, seconds=0.1, modules=1, connections=1, arrive=True, patience=10)
        result = await LoadPublisher(load).run()
        await asyncio.gather(*serving)
    assert (result.sent, result.acknowledged, result.reconnects) == (10, 10, 1)
    assert [dup for again, dup in heard if again][:6] == [8] * 6


def test_the_command_ends_with_its_result_and_a_log(nats_server, tmp_path):
    log = tmp_path / "sent"
    command = [*COMMAND, nats_server.mqtt_url, "--rate=1000", "--seconds=0.2", f"--log={log}"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)
    result = json.loads(done.stdout.splitlines()[-1])
    assert (result["sent"], result["acknowledged"]) == (200, 200)
    times = array("q", log.read_bytes())
    assert len(times) == 200
    assert list(times) == sorted(times)


def test_a_broker_that_does_not_answer_is_a_failure():
    command = [*COMMAND, "mqtt://127.0.0.1:1", "--seconds", "0.1"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    assert (done.returncode, "failed" in done.stderr) == (1, True)


class Held:
    """A connection that lasts until `lost` is set."""

    def __init__(self):
        self.lost = asyncio.get_running_loop().create_future()
        self.unacknowledged = []

    def send(self, *_):
        """Publish nothing."""

    def close(self):
        """Nothing to close."""


async def test_samples_wait_while_most_devices_are_disconnected():
    async def connect(_number):
        return Held()

    fleet = arrival.ArrivingFleet("load", connect)
    fleet.start(3)
    await fleet.complete()
    assert fleet.ready
    for _, connection in fleet.here[:2]:
        connection.lost.set_result(None)
    await eventually(lambda: len(fleet.here) == 1, "one device left", 10)
    assert not fleet.ready
    await fleet.close()
