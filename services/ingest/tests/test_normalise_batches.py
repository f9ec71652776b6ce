"""Many samples in one message, which a device stored while offline, in each form: all are read, or the message is a
dead letter that says why.
"""

import pytest
from seve_ingest.normalise.samples import MAX_SAMPLES
from seve_schema.times import format_time
from support.rules import NOW, normalise, only, rules


def samples(payload, topic="m/co2", **options):
    """Return hardware, sensor, seconds before the receipt, and value of each sample of a message."""
    verdict = normalise(topic, payload, **options)
    assert verdict.rejection is None, verdict.rejection
    return [(each.hardware_id, each.sensor_type, each.time[11:23], each.value) for each in verdict.envelopes]


CO2 = (None, "co2")


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (
            b'[{"value": 1, "time": "2025-11-30T18:59:00Z"}, {"value": "2,5", "time": 1764529141}]',
            [(*CO2, "18:59:00.000", 1.0), (*CO2, "18:59:01.000", 2.5)],
        ),
        (b'[{"value": 1}]', [(*CO2, "19:00:00.012", 1.0)]),
        (
            b'[{"value": 1, "time": -60}, {"value": null, "time": 0}]',
            [(*CO2, "18:59:00.012", 1.0), (*CO2, "19:00:00.012", None)],
        ),
        (
            b'{"values": [["2025-11-30T18:00:00Z", 1], [1764526801, 2], [1764526802000, null]]}',
            [(*CO2, "18:00:00.000", 1.0), (*CO2, "18:20:01.000", 2.0), (*CO2, "18:20:02.000", None)],
        ),
        (b'{"values": [[-20, 1], [-10.5, 2]]}', [(*CO2, "18:59:40.012", 1.0), (*CO2, "18:59:49.512", 2.0)]),
        (
            b'{"t0": "2025-11-30T18:00:00Z", "dt": 0.5, "v": [1, 2, 3]}',
            [(*CO2, "18:00:00.000", 1.0), (*CO2, "18:00:00.500", 2.0), (*CO2, "18:00:01.000", 3.0)],
        ),
        (b'{"t0": -30, "dt": 10, "v": [1, 2]}', [(*CO2, "18:59:30.012", 1.0), (*CO2, "18:59:40.012", 2.0)]),
        (b'{"dt": 10, "v": [1, 2]}', [(*CO2, "18:59:50.012", 1.0), (*CO2, "19:00:00.012", 2.0)]),
        (b'{"dt": 10, "v": [true]}', [(*CO2, "19:00:00.012", 1.0)]),
    ],
)
def test_each_form_gives_every_sample_its_own_time(payload, expected):
    """Absolute times in every form, relative ones as seconds before the sending, steps from `t0` or up to now."""
    assert samples(payload) == expected


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b'[{"v": 23.1}]', [(*CO2, "19:00:00.012", 23.1)]),
        (
            b'[{"bn": "urn:dev:mac:0024be:", "n": "temperature", "u": "Cel", "v": 23.1}, {"n": "humidity", "v": 67}]',
            [
                ("urn:dev:mac:0024be", "temperature", "19:00:00.012", 23.1),
                ("urn:dev:mac:0024be", "humidity", "19:00:00.012", 67.0),
            ],
        ),
        (
            b'[{"bn":"dht22/","bt":1764529140.25,"n":"t","v":1},{"n":"t","t":5,"v":2},{"n":"t","t":-1,"vb":false}]',
            [
                ("dht22", "t", "18:59:00.250", 1.0),
                ("dht22", "t", "18:59:05.250", 2.0),
                ("dht22", "t", "18:58:59.250", 0.0),
            ],
        ),
        (b'[{"bt":-100,"v":1},{"t":40,"v":2}]', [(*CO2, "18:58:20.012", 1.0), (*CO2, "18:59:00.012", 2.0)]),
        (b'[{"n":"probe/1:t","v":1,"t":1764529140}]', [("probe/1", "t", "18:59:00.000", 1.0)]),
        (
            b'[{"bn":"dht22","bv":20},{"v":1.5,"t":-1},{"v":-1,"t":-2},{"vs":"4"}]',
            [
                ("dht22", "co2", "18:59:59.012", 21.5),
                ("dht22", "co2", "18:59:58.012", 19.0),
                ("dht22", "co2", "19:00:00.012", 4.0),
            ],
        ),
        (b'[{"bver":10,"n":"a","v":null}]', [(None, "a", "19:00:00.012", None)]),
    ],
)
def test_a_senml_pack_is_resolved(payload, expected):
    """RFC 8428: base name, time and value hold for the records that follow; small times are relative to now."""
    assert samples(payload) == expected


def test_a_senml_unit_is_kept_for_screens():
    """That of the record, or of the base."""
    verdict = normalise("m/x", b'[{"bu":"%RH","n":"h","v":1},{"n":"t","u":"Cel","v":1}]')
    assert [each.metadata for each in verdict.envelopes] == [{"u": "%RH"}, {"u": "Cel"}]


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        (b"[1, 2, 3]", "no times"),
        (b"[[1764529140, 1]]", "no times"),
        (b'["a"]', "no times"),
        (b'[{"value": 1}, 2]', "no times"),
        (b'[{"value": 1, "time": -1}, {"co2": 2}]', "sample 1 has no 'value'"),
        (b'[{"value": 1}, {"value": 2}]', "several samples of co2 without a time"),
        (b'[{"value": 1, "time": 5}, {"value": 2, "time": 6}]', "several samples of co2 without a time"),
        (b'{"values": [[-5, 1], [-5, 2]]}', "several samples of co2 without a time"),
        (b'{"values": [[1764529140, 1], 5]}', "sample 1 is not [time, value]"),
        (b'{"values": [[1764529140, 1, 2]]}', "sample 0 is not [time, value]"),
        (b'{"t0": 5, "dt": 10, "v": [1, 2]}', "several samples of co2 without a time"),
        (b'{"t0": null, "dt": 10, "v": [1, 2]}', "several samples of co2 without a time"),
        (b'{"dt": 0, "v": [1]}', "dt is not a positive number"),
        (b'{"dt": "x", "v": [1]}', "dt is not a positive number"),
        (b'{"dt": 1e300, "v": [1]}', "dt is not a positive number"),
        (b'[{"n": "a", "v": 1}, {"n": "b"}]', "record 1: neither v, vs, vb nor vd"),
        (b'[{"n": "a", "s": 1}]', "record 0: neither v, vs, vb nor vd"),
        (b'[{"n": "a", "v": 1, "odd_": 1}]', "'odd_' must be understood"),
        (b'[{"bver": 11, "n": "a", "v": 1}]', "bver is not 10"),
        (b'[{"n": 5, "v": 1}]', "n is not a text"),
        (b'[{"bt": "x", "v": 1}]', "bt is not a number"),
        (b'[{"t": 1e13, "v": 1}]', "t is not a number"),
        (b'[{"bn": "%b", "n": "%b/x", "v": 1}]' % (b"x" * 100, b"y" * 100), "a name is longer than 128 bytes"),
        (b'[{"bn": "%b", "v": 1}]' % (b"x" * 129), "bn is not a text of at most 128 bytes"),
    ],
)
def test_a_malformed_sample_refuses_the_whole_message(payload, error):
    """All samples are read or none. The dead letter has the payload and says what is wrong with it."""
    verdict = normalise("m/co2", payload)
    assert (verdict.encoded, verdict.rejection.reason) == ((), "malformed")
    assert error in verdict.rejection.error


@pytest.mark.parametrize("count", [MAX_SAMPLES, MAX_SAMPLES + 1])
@pytest.mark.parametrize(
    "body",
    [
        lambda count: b"[%b]" % b",".join(b'{"value":1,"time":-%d}' % each for each in range(count)),
        lambda count: b'{"values":[%b]}' % b",".join(b"[-%d,1]" % each for each in range(count)),
        lambda count: b'{"dt":1,"v":[%b]}' % b",".join(b"1" for _ in range(count)),
        lambda count: b"[%b]" % b",".join(b'{"n":"s%d","v":1}' % each for each in range(count)),
    ],
)
def test_a_message_holds_256_samples_at_most(count, body):
    """In every form."""
    verdict = normalise("m/co2", body(count))
    assert len(verdict.encoded) == (count if count <= MAX_SAMPLES else 0)
    assert (verdict.rejection is None) == (count <= MAX_SAMPLES)


def test_ten_thousand_samples_in_a_hundred_messages_keep_their_own_times():
    """A day offline at one sample per 8.64 s: no two samples of a series share a time."""
    times = set()
    for message in range(100):
        values = b",".join(b"%d" % each for each in range(100))
        start = 1764529200 - 86_400 + message * 864
        verdict = normalise("m/co2", b'{"t0": %d, "dt": 8.64, "v": [%b]}' % (start, values))
        times |= {each.time for each in verdict.envelopes if each.clock == "device"}
    assert len(times) == 10_000


@pytest.mark.parametrize(
    "payload", [b"[]", b'{"values": []}', b'{"dt": 1, "v": []}', b'[{"bn": "dht22", "bt": 1764529140}]']
)
def test_an_empty_batch_is_ignored(payload):
    """It is ignored, not stored as null."""
    assert normalise("m/co2", payload).ignored == "empty"


def test_delivery_keys_count_the_samples():
    """Samples of a partly published message are recognised by their index."""
    verdict = normalise("m/co2", b'{"dt": 1, "v": [1, 2, 3]}', key="k")
    assert [each.delivery_key for each in verdict.envelopes] == ["k:0", "k:1", "k:2"]


def test_other_keys_of_a_batch_go_with_its_last_sample():
    """On every sample, they would multiply the size of a message by up to 256."""
    for payload in (b'{"dt": 1, "v": [1, 2], "unit": "ppm"}', b'{"values": [[-2, 1], [-1, 2]], "unit": "ppm"}'):
        assert [each.metadata for each in normalise("m/co2", payload).envelopes] == [None, {"unit": "ppm"}]
    verdict = normalise("m/co2", b'[{"value": 1, "time": -1, "unit": "ppm"}, {"value": 2}]')
    assert [each.metadata for each in verdict.envelopes] == [{"unit": "ppm"}, None]


@pytest.mark.parametrize(
    ("seconds", "clock", "time"),
    [
        (b"-60", "server", NOW - 60_000_000),
        (b'"-60"', "server", NOW - 60_000_000),
        (b"-0.25", "server", NOW - 250_000),
        (b"0", "server", NOW),
        (b"-1e300", "server", NOW),
        (b"-31622401", "server", NOW),
    ],
)
def test_a_time_of_zero_or_less_is_seconds_before_the_sending(seconds, clock, time):
    """For devices without a clock. More than 366 days is no valid time."""
    envelope = only(normalise("m/co2", b'{"value": 1, "time": %b}' % seconds))
    assert (clock, format_time(time)) == (envelope.clock, envelope.time)


def test_a_relative_time_says_nothing_in_a_retained_message():
    """The time of sending is unknown; samples with a device's absolute time are kept."""
    assert normalise("m/co2", b'{"value": 1, "time": -60}', retained=True).ignored == "retained"
    mixed = normalise("m/co2", b'{"values": [[-60, 1], [1764529140, 2]]}', retained=True, key="k")
    assert [(each.value, each.delivery_key) for each in mixed.envelopes] == [(2.0, "k:1")]


def test_samples_of_a_batch_are_refused_one_by_one_for_age_and_range():
    """The other samples are published; the dead letter keeps the message for the refused ones."""
    old = normalise("m/co2", b'{"values": [["2025-09-01T00:00:00Z", 1], ["2025-11-30T18:59:00Z", 2]]}')
    assert ([each.value for each in old.envelopes], old.rejection.reason) == ([2.0], "too_old")
    ranged = rules(ranges={"co2": (0.0, 5000.0)})
    out = ranged(b"m/co2", b'{"dt": 1, "v": [400, 9000, 401]}', received_at=NOW)
    assert ([each.value for each in out.envelopes], out.rejection.reason) == ([400.0, 401.0], "out_of_range")


@pytest.mark.parametrize(
    "payload",
    [
        *(b"warm", b'{"value": "warm"}', b'{"value": [1]}', b'{"value": {"deep": 1}}', b'{"temperature": 21}'),
        *(
            b'[{"value": "warm", "time": -1}, {"value": 1}]',
            b'[{"n": "co2", "vs": "warm"}]',
            b'{"dt": 1, "v": ["warm"]}',
        ),
    ],
)
def test_a_value_that_is_no_number_is_null_and_kept_as_a_dead_letter(payload):
    """The row shows that a sample came, the dead letter its content."""
    verdict = normalise("m/co2", payload)
    assert (verdict.envelopes[0].value, verdict.rejection.reason) == (None, "not_a_number")


@pytest.mark.parametrize(
    "payload",
    [
        *(b"nan", b"-inf", b"null", b"", b"unavailable", b"1e999", b'{"value": null}', b'{"value": ""}', b"{}"),
        *(b'{"value": []}', b'{"time": 1764529140}', b'{"value": NaN}', b'{"value": "N/A"}', b"--"),
    ],
)
def test_a_word_for_no_value_is_null_and_no_dead_letter(payload):
    """The message has nothing else that could be lost."""
    assert normalise("m/co2", payload).rejection is None


def test_an_array_on_a_route_of_bare_numbers_is_no_batch():
    """Only routes that read objects read batches."""
    verdict = rules("esphome")(b"m/sensor/t/state", b'[{"value": 1}]', received_at=NOW)
    assert (only(verdict).value, verdict.rejection.reason) == (None, "not_a_number")
