"""`seve-ingest deadletter` on a real NATS server: dead letters can be listed, shown, retried and dropped."""

import asyncio
import subprocess
import sys

import nats
import pytest
from seve_ingest.deadletters.records import StoredDeadLetter, line, whole
from seve_runtime.nats import topology
from seve_schema.codec import encode
from seve_schema.deadletter import IngestDeadLetter, JournalDeadLetter, WriterDeadLetter
from seve_schema.envelope import Envelope
from support.conditions import free_port, wait_until
from support.ingest import drain
from support.mqtt_load import send

RECEIVED = "2025-11-30T19:00:00.000001Z"
ENVELOPE = Envelope(
    topic="m/co2",
    module_id="m",
    kind="measurement",
    sensor_type="co2",
    value=450.5,
    time=RECEIVED,
    clock="server",
    received_at=RECEIVED,
)


def refused(topic, payload, reason, **more):
    return IngestDeadLetter(
        topic=topic,
        payload=payload,
        size=more.pop("size", len(payload)),
        digest="d",
        reason=reason,
        error=more.pop("error", "as told"),
        received_at=RECEIVED,
        **more,
    )


LETTERS = [
    ("ingest", "malformed", refused("m/system", b"no json", "malformed")),
    ("ingest", "out_of_range", refused("m/co2", b"9000", "out_of_range", delivery_key="k")),
    ("ingest", "too_large", refused("m/big", b"x", "too_large", size=1_000_000)),
    ("ingest", "malformed", refused("n/system", b'{"rssi": -45}', "malformed")),
    (
        "writer",
        "22003",
        WriterDeadLetter(
            envelope=ENVELOPE, position="1-2", index=0, sqlstate="22003", error="too big", failed_at=RECEIVED
        ),
    ),
    (
        "writer",
        "undecodable",
        JournalDeadLetter(
            subject="telemetry.x.y", payload=b"?", size=1, position="1-3", index=0, error="no JSON", failed_at=RECEIVED
        ),
    ),
]


@pytest.fixture
async def letters(streams):
    """A stream with one dead letter of each sort, in sequences 1 to 6."""
    client = await nats.connect(streams.url)
    for service, reason, content in LETTERS:
        await client.jetstream().publish(f"deadletter.{service}.{reason}", encode(content))
    yield client.jetstream()
    await client.close()


@pytest.fixture
def tool(streams):
    """Runs `seve-ingest deadletter`; returns its exit code, the lines of stdout, and stderr."""

    async def run(*arguments, **environ):
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "seve_ingest", "deadletter", *arguments],
            env={"PATH": "/usr/bin:/bin", "NATS_URL": streams.url, **environ},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout.splitlines(), done.stderr

    return run


async def left(js):
    """Return the sequences that are still in the stream."""
    info = await js.stream_info(topology.DEADLETTER)
    return info.state.messages


@pytest.mark.parametrize(
    ("filters", "sequences"),
    [
        ([], ["1", "2", "3", "4", "5", "6"]),
        (["--service", "writer"], ["5", "6"]),
        (["--reason", "malformed"], ["1", "4"]),
        (["--topic", "m/*"], ["1", "2", "3", "5"]),
        (["--until", "2025-11-30T19:00:00Z"], []),
        (["--since", "2025-11-30T19:00:00Z", "--limit", "2"], ["1", "2"]),
        (["2", "5"], ["2", "5"]),
    ],
)
async def test_list_shows_the_filtered_dead_letters(letters, tool, filters, sequences):
    """One line each, with sequence, time, service, reason, topic and error."""
    code, lines, _ = await tool("list", *filters)
    assert (0, sequences) == (code, [line.split()[0] for line in lines if line[0].isdigit() and "  " in line])


async def test_show_prints_the_whole_dead_letter(letters, tool):
    """The payload as it came."""
    _, lines, _ = await tool("show", "1")
    assert any("b'no json'" in line for line in lines)


def test_no_dead_letter_sends_control_characters_to_the_terminal():
    """Its topic and its error contain text from the device."""
    dead_letter = StoredDeadLetter(1, "malformed", refused("odd\x1b[2J/co2", b"", "malformed", error="\x9b31m"))
    assert line(dead_letter).isprintable()
    assert all(each.isprintable() for each in whole(dead_letter).split("\n"))


async def test_retry_normalises_again_and_keeps_the_time_of_receipt(letters, tool, streams):
    """The range that refused the message was removed from the settings; the dead letter is deleted once JetStream holds
    the new envelope.
    """
    code, _, _ = await tool("retry", "2")
    [envelope] = await drain(streams)
    assert (code, envelope.value, envelope.received_at, envelope.delivery_key) == (0, 9000.0, RECEIVED, "k:0")
    assert await left(letters) == 5


async def test_retry_keeps_a_dead_letter_that_would_be_refused_again(letters, tool, streams):
    """Still malformed, or cut when it was kept, or no envelope at all. The exit code is then 1."""
    code, lines, _ = await tool("retry", "1", "3", "6")
    assert (code, await drain(streams), await left(letters)) == (1, [], 6)
    assert sum(line.startswith("kept") for line in lines) == 3


async def test_a_retried_state_never_replaces_a_newer_one(letters, tool, streams):
    """It is marked as retained, so that it never replaces a newer state."""
    await tool("retry", "4")
    [envelope] = await drain(streams)
    assert (envelope.kind, envelope.retained, envelope.received_at) == ("system.status", True, RECEIVED)


async def test_the_writer_s_envelope_is_published_as_it_is(letters, tool, streams):
    """Once, however often the retry is repeated before the dead letter is deleted."""
    await tool("retry", "--service", "writer", "--reason", "22003")
    assert await drain(streams) == [ENVELOPE]


async def test_a_dry_run_changes_nothing(letters, tool, streams):
    """It says what would be done."""
    _, retried, _ = await tool("retry", "--all", "--dry-run")
    _, dropped, _ = await tool("drop", "--all", "--dry-run")
    assert (
        sum(line.startswith("would retry") for line in retried),
        sum(line.startswith("would drop") for line in dropped),
    ) == (3, 6)
    assert (await drain(streams), await left(letters)) == ([], 6)


async def test_drop_deletes_the_filtered_dead_letters(letters, tool):
    """Others are kept."""
    await tool("drop", "--reason", "malformed")
    assert await left(letters) == 4


async def test_retry_and_drop_of_everything_need_all(letters, tool):
    """Without a filter, neither of them acts on everything by default."""
    code, _, _ = await tool("drop")
    assert (code, await left(letters)) == (2, 6)


async def test_a_refused_message_can_be_retried_after_the_routes_are_mended(broker, streams, ingest, tool, tmp_path):
    """The message goes from the device to the dead letters and, with a new route file, into the journal."""
    ingest.start()
    send(broker, ("m/system", b"21.5"))
    wait_until(lambda: ingest.count("outcomes_total", outcome="deadletter") == 1, "refused")
    ingest.stop()
    routes = tmp_path / "routes.toml"
    routes.write_text('[[route]]\ntopic = "{module}/system"\nkind = "measurement"\nsensor = "board"\n')
    code, _, _ = await tool("retry", "--reason", "malformed", ROUTES_FILE=str(routes))
    [envelope] = await drain(streams)
    assert (code, envelope.sensor_type, envelope.value) == (0, "board", 21.5)


async def test_an_unreachable_nats_is_reported_at_once(tool):
    """The error names the setting with its address."""
    code, _, told = await tool("list", NATS_URL=f"nats://127.0.0.1:{free_port()}")
    assert code == 1
    assert told.startswith("NATS does not answer (NATS_URL): ")
