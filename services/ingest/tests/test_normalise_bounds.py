"""Each bound of the normalisation, from both sides; and caches stay bounded whatever names devices use."""

import tracemalloc

import pytest
from seve_ingest.mqtt.framing import MAX_PAYLOAD, Cut
from seve_ingest.normalise import fast_path, topics
from seve_ingest.normalise.coerce import MAX_LEVEL_BYTES
from seve_ingest.normalise.lenient_json import MAX_DEPTH
from seve_ingest.normalise.reports import MAX_SENSORS
from seve_ingest.normalise.topics import MAX_CACHED_TOPIC, MAX_LEVELS, PLACE_BYTES, TEXT_COPIES
from seve_ingest.routing.routes import NATIVE, RouteTable
from seve_schema.times import format_time
from support.rules import NOW, RETENTION, normalise, only, rules

LONG = b" " * fast_path.MAX_PLAIN
"""Appended, it makes a payload too long for the fast path."""


def reason(verdict):
    return verdict.rejection and verdict.rejection.reason


@pytest.mark.parametrize("after", [b"", LONG])
@pytest.mark.parametrize(("micros", "expected"), [(NOW - RETENTION, None), (NOW - RETENTION - 1, "too_old")])
def test_a_sample_is_too_old_from_one_microsecond_past_the_retention(micros, expected, after):
    """On the fast path and on the other."""
    payload = b'{"value":1,"time":"%b"}' % format_time(micros).encode() + after
    assert reason(normalise("m/co2", payload)) == expected


@pytest.mark.parametrize("topic", ["m/status", "m/system"])
@pytest.mark.parametrize(("micros", "expected"), [(NOW - RETENTION, None), (NOW - RETENTION - 1, "too_old")])
def test_a_state_is_too_old_at_the_same_age(topic, micros, expected):
    """A state with a time of its own."""
    payload = b'{"status":"online","time":"%b"}' % format_time(micros).encode()
    assert reason(normalise(topic, payload)) == expected


@pytest.mark.parametrize("after", [b"", LONG])
@pytest.mark.parametrize(("ahead", "clock"), [(600_000_000, "device"), (600_000_001, "server")])
def test_a_clock_may_run_ten_minutes_ahead_and_no_longer(ahead, clock, after):
    """A time of exactly ten minutes ahead is used."""
    payload = b'{"value":1,"time":"%b"}' % format_time(NOW + ahead).encode() + after
    assert only(normalise("m/co2", payload)).clock == clock


@pytest.mark.parametrize("after", [b"", LONG])
@pytest.mark.parametrize(
    ("time", "expected"), [("2000-01-01T00:00:00Z", ()), ("1999-12-31T23:59:59.999999Z", ("time_before_2000",))]
)
def test_a_clock_that_was_never_set_is_before_2000(time, expected, after):
    """The first second of 2000 is used, the microsecond before is not."""
    kept_for_ever = rules()
    kept_for_ever._retention = kept_for_ever._fast_path._retention = 2**62
    verdict = kept_for_ever(b"m/co2", b'{"value":1,"time":"%b"}' % time.encode() + after, received_at=NOW)
    assert verdict.repairs == expected


@pytest.mark.parametrize("retained", [False, True])
@pytest.mark.parametrize("topic", ["m/co2", "m/status", "m/system", "m/logs", "m/x/y/z", "zigbee2mqtt/m"])
@pytest.mark.parametrize("begin", [b"1", b'{"value":1.5,"time":"2025-11-30T19:00:00Z"}'])
def test_a_payload_over_256_kib_is_too_large_on_every_path(topic, begin, retained):
    """Whatever it begins with, whether held whole or cut. A payload of exactly 256 KiB is read."""
    rule = rules("zigbee2mqtt")
    whole = begin + b" " * (MAX_PAYLOAD - len(begin))
    cut = Cut(whole + b" ")
    cut.size, cut.digest = 1_000_000, "d"
    verdicts = [rule(topic.encode(), each, received_at=NOW, retained=retained) for each in (whole, whole + b" ", cut)]
    assert [reason(each) == "too_large" for each in verdicts] == [False, True, True]
    assert verdicts[2].rejection.error.startswith("1000000 bytes")


def test_a_short_cut_payload_is_not_read():
    """The framing cuts a packet that is mostly properties; the rest of its payload is not read."""
    for begin in (b"450.5", b"450.5" + LONG):
        cut = Cut(begin)
        cut.size, cut.digest = 1000, "d"
        verdict = normalise("m/co2", cut)
        assert (reason(verdict), verdict.rejection.error) == ("too_large", "a packet of more than 393216 bytes")


@pytest.mark.parametrize(
    ("topic", "body"),
    [
        ("m/system", b'{"rssi": %d}'),
        ("m/system", b'{"memory": {"heapFreeKb": %d}}'),
        ("m/hardware/config", b'{"chip": {"flashKb": %d}}'),
    ],
)
@pytest.mark.parametrize("value", [2**31 - 1, -(2**31)])
def test_an_integer_fills_its_column(topic, body, value):
    """The least and the largest value of the column are kept, the next ones are null."""
    beyond = value + (1 if value > 0 else -1)
    assert normalise(topic, body % value).repairs == ()
    assert normalise(topic, body % beyond).repairs == ("out_of_column",)


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63)])
def test_a_long_integer_fills_its_column(value):
    """`uptimeStart` is a bigint."""
    verdict = normalise("m/system/config", b'{"uptimeStart": %d}' % value)
    assert (only(verdict).metadata, verdict.repairs) == ({"uptimeStart": value}, ())


@pytest.mark.parametrize(("depth", "expected"), [(MAX_DEPTH, None), (MAX_DEPTH + 1, "malformed")])
def test_a_body_is_32_levels_deep_at_most(depth, expected):
    """Deeper bodies are attacks on parsers."""
    assert MAX_DEPTH == 32
    inner = depth - 1
    assert reason(normalise("m/system", b'{"a":' + b"[" * inner + b"]" * inner + b"}")) == expected
    assert reason(normalise("m/system", b'{"a":' * depth + b"1" + b"}" * depth)) == expected


@pytest.mark.parametrize(("levels", "expected"), [(MAX_LEVELS, None), (MAX_LEVELS + 1, "bad_topic")])
def test_a_topic_has_32_levels_at_most(levels, expected):
    """Counted after the prefix."""
    assert MAX_LEVELS == 32
    assert reason(normalise("/".join(["m"] * levels), b"1")) == expected
    prefixed = rules(prefix="a/b")(("a/b/" + "/".join(["m"] * levels)).encode(), b"1", received_at=NOW)
    assert reason(prefixed) == expected


@pytest.mark.parametrize("topic", ["m/sensors/status", "m/sensors/config"])
@pytest.mark.parametrize(("count", "expected"), [(MAX_SENSORS, None), (MAX_SENSORS + 1, "malformed")])
def test_a_report_names_256_sensors_at_most(topic, count, expected):
    """Each sensor becomes a row."""
    assert MAX_SENSORS == 256
    sensors = b",".join(b'"s%d":{}' % each for each in range(count))
    assert reason(normalise(topic, b"{%b}" % sensors)) == expected
    assert reason(normalise(topic, b'{"sensors":{%b}}' % sensors)) == expected


def test_a_sensor_in_a_report_has_128_bytes_at_most():
    """As many as a level of a topic. A longer one is left out, with a note."""
    fits, too_long = "é" * 64, "é" * 64 + "x"
    assert len(fits.encode()) == MAX_LEVEL_BYTES
    verdict = normalise("m/sensors/status", f'{{"{fits}":{{}},"{too_long}":{{}}}}'.encode())
    assert (only(verdict).metadata, verdict.repairs) == ({fits: {}}, ("key_dropped",))


def names(count, begin="m"):
    return [f"{begin}{number:06d}/co2".encode() for number in range(count)]


def test_the_cache_of_topics_is_bounded():
    """A million invented names need no more memory than the bound: the older of two generations is dropped."""
    weight = PLACE_BYTES + TEXT_COPIES * len(names(1)[0])
    bounded = rules(cache_bytes=200 * weight)
    sizes = []
    for topic in names(1000):
        bounded(topic, b"1", received_at=NOW)
        sizes.append(bounded.topics_cached)
    assert (max(sizes), min(sizes[200:])) == (200, 101)


def test_an_active_topic_stays_cached_in_a_flood_of_new_names():
    """A topic that arrived since the last change of generations is not matched again."""
    bounded = rules(cache_bytes=200 * (PLACE_BYTES + TEXT_COPIES * 11))
    active = bounded.place(b"active/co2")
    for topic in names(1000):
        bounded(topic, b"1", received_at=NOW)
        assert bounded.place(b"active/co2") is active


def test_the_estimate_of_a_cached_topic_holds():
    """The cache takes no more memory than it counts."""
    cache = topics.Topics(RouteTable(("native", each) for each in NATIVE), ranged=frozenset(), prefix="")
    texts = [b"module-%06d/%b" % (number, b"s" * (number % 200)) for number in range(2000)]
    counted = sum(PLACE_BYTES + TEXT_COPIES * len(text) for text in texts)
    tracemalloc.start()
    for text in texts:
        cache[text]
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0.3 * counted < taken < 1.1 * counted


def test_a_long_topic_is_not_cached():
    """Its place would take as much memory as its length demands."""
    bounded = rules()
    longest = ("m/" + "/".join(["x" * 100] * 3))[:MAX_CACHED_TOPIC]
    bounded(longest.encode(), b"1", received_at=NOW)
    bounded(f"{longest}x".encode(), b"1", received_at=NOW)
    assert bounded.topics_cached == 1


def test_routes_are_kept_for_as_many_depths_as_routes_have():
    """Deeper topics all match the same routes."""
    table = RouteTable(("native", each) for each in NATIVE)
    for depth in range(1, 2000):
        table.match(["m"] * depth)
    assert len(table._by_depth) == 1 + max(each.topic.count("/") + 1 for each in NATIVE)
    assert table.match(["m"] * 1000).route.topic == "{module}/#"


def test_the_cache_of_parsed_seconds_is_bounded():
    """A device may name any second of ninety days."""
    normaliser = rules()
    for second in range(fast_path.MAX_SECONDS + 10):
        time = format_time(NOW - second * 1_000_000).encode()
        assert only(normaliser(b"m/co2", b'{"value":1,"time":"%b"}' % time, received_at=NOW)).clock == "device"
    assert len(normaliser._fast_path._seconds) == 10
