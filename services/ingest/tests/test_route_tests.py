"""Tests in a route file: which pass, which fail, and with which text."""

import pytest
from seve_ingest.normalise.route_tests import failures
from seve_ingest.routing.route_file import parse
from support.rules import NOW, rules

ROUTES = """
[[route]]
topic = "meter/{module}/power"
kind = "measurement"
sensor = "power"
value = "watts"
time = ["ts"]
"""


def failed(test):
    """Return the failures of one test, which begins on line 9, with the native routes and one of the file."""
    file = parse(f"{ROUTES}\n[[test]]\n{test}", "r.toml")
    return failures(rules(file=file.routes), file.tests, now=NOW)


METER = 'topic = "meter/cellar/power"\npayload = \'{"watts": 12.5, "ts": 1764529140, "unit": "W"}\'\n'


@pytest.mark.parametrize(
    "expect",
    [
        '{ kind = "measurement", module = "cellar", sensor = "power", value = 12.5, clock = "device" }',
        '{ time = "2025-11-30T19:59:00+01:00", metadata = { unit = "W" } }',
        "[{ value = 12.5 }]",
        "{}",
    ],
)
def test_a_test_passes_if_each_field_that_it_names_is_equal(expect):
    assert failed(f"{METER}expect = {expect}") == []


@pytest.mark.parametrize(
    ("expect", "words"),
    [
        ("{ value = 13 }", "expected value = 13.0, got 12.5"),
        ('{ value = "null" }', "expected value = 'null', got 12.5"),
        ('{ hardware = "x" }', "expected hardware = 'x', got None"),
        ('{ time = "2025-11-30T19:00:00Z" }', "expected time = '2025-11-30T19:00:00Z'"),
        ('{ time = "soon" }', "expected time = 'soon'"),
        ('{ metadata = { unit = "kW" } }', "expected metadata"),
        ("[]", "expected 0 envelopes, got 1 envelopes of measurement"),
        ('"malformed"', "expected malformed, got 1 envelopes of measurement"),
    ],
)
def test_a_test_fails_with_line_topic_and_difference(expect, words):
    [failure] = failed(f"{METER}expect = {expect}")
    assert failure.startswith("9: test: meter/cellar/power")
    assert words in failure


@pytest.mark.parametrize(
    ("payload", "more", "expect"),
    [
        ("[1, 2]", "", '"malformed"'),
        ("", "", '"cleared"'),
        ("1", "retained = true", '"retained"'),
        ("warm", "", '"not_a_number"'),
        ("warm", "", '{ value = "null" }'),
        ('{"dt": 1, "v": [1, 2]}', "", "[{ value = 1 }, { value = 2 }]"),
        ("1", 'received_at = "2025-11-30T19:00:00Z"', '{ time = "2025-11-30T19:00:00Z" }'),
    ],
)
def test_a_test_may_expect_a_refusal_several_samples_or_a_time_of_receipt(payload, more, expect):
    assert failed(f"topic = 'm/co2'\npayload = '{payload}'\n{more}\nexpect = {expect}") == []


def test_a_time_of_receipt_that_is_none_is_a_failure():
    [failure] = failed("topic = 'm/co2'\npayload = '1'\nreceived_at = 'now'\nexpect = {}")
    assert failure.startswith("9: received_at: 'now'")


def test_an_unexpected_refusal_is_named():
    [failure] = failed("topic = 'm/co2'\npayload = '[1]'\nexpect = { value = 1 }")
    assert "expected 1 envelopes, got malformed, 0 envelopes" in failure
