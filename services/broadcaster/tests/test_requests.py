"""Requests are parsed, or refused with an explanation."""

import json

import pytest
from seve_broadcaster.protocol.requests import Refusal, Subscribe, Unsubscribe, parse, parse_query
from seve_schema.position import Token

SEQ = "1-2-3"


def refused(request, read=parse):
    with pytest.raises(Refusal) as refusal:
        read(request if isinstance(request, str) else json.dumps(request))
    return refusal.value.code, refusal.value.explanation


def subscribing(**more):
    return {"action": "subscribe", "modules": ["a"], **more}


def test_every_key_of_a_request_is_parsed():
    """Every key; one module may be a text."""
    asked = parse(json.dumps(subscribing(sensors=["co2"], since=SEQ, slow="disconnect", batch=True)))
    assert asked == Subscribe(
        modules=frozenset({"a"}),
        sensors=frozenset({"co2"}),
        since=Token.parse(SEQ),
        slow="disconnect",
        batch=True,
    )
    assert parse('{"action":"unsubscribe","modules":"a"}') == Unsubscribe(modules=frozenset({"a"}))


def test_every_parameter_of_a_query_is_parsed():
    """Every parameter; without a module nothing is subscribed."""
    asked = parse_query(f"module=a&module=b%2F&sensor=co2&since={SEQ}&slow=conflate&batch=0")
    assert asked == Subscribe(
        modules=frozenset({"a", "b/"}),
        sensors=frozenset({"co2"}),
        since=Token.parse(SEQ),
        slow="conflate",
        batch=False,
    )
    assert parse_query("module=a&batch=1") == Subscribe(modules=frozenset({"a"}), batch=True)
    assert parse_query("") is None


@pytest.mark.parametrize(
    ("request_", "explanation"),
    [
        (subscribing(sinse=SEQ), "unknown key 'sinse'; did you mean `since`?"),
        (subscribing(module="b"), "unknown key 'module'; did you mean `modules`?"),
        ({"action": "unsubscribe", "modules": ["a"], "x": 1}, "unknown key 'x'; known are action, modules,"),
        (subscribing(since="abc"), "`since` = 'abc' is no `seq` of this server"),
        (subscribing(since="y" * 500), "`since` = '" + "y" * 80 + "…' is"),
        (subscribing(slow="never"), "expected conflate or disconnect"),
        ({"action": "fly"}, "'fly' - at `$.action`; expected subscribe or unsubscribe"),
        (subscribing(modules=[]), "no module is named"),
        (subscribing(modules=["é" * 129]), "longer than 256 bytes"),
    ],
)
def test_a_refusal_names_the_fault_and_the_nearest_name(request_, explanation):
    """With the sent value, which is cut if it is long."""
    code, told = refused(request_)
    assert code == "invalid"
    assert explanation in told
    assert len(told) < 300


@pytest.mark.parametrize(
    ("query", "explanation"),
    [
        ("modul=a", "unknown parameter 'modul'; did you mean `module`?"),
        ("module=a&sinse=1", "unknown parameter 'sinse'; did you mean `since`?"),
        ("module=a&since=abc", "`since` = 'abc' is no `seq` of this server"),
    ],
)
def test_a_query_that_is_not_understood_is_refused(query, explanation):
    """Otherwise a typing error would give a connection that stays silent."""
    assert refused(query, parse_query)[1].startswith(explanation)


def test_bytes_that_are_no_json_are_malformed():
    """Truncated JSON, and an empty message."""
    assert refused("{")[0] == "malformed"
    assert refused("")[0] == "malformed"


def test_nesting_without_end_is_refused():
    """It does not exhaust the interpreter's stack."""
    assert refused("[" * 100_000)[0] == "invalid"
    assert refused('{"action":"subscribe","x":' + "[" * 100_000)[0] in ("invalid", "malformed")


def test_names_of_256_bytes_are_allowed():
    """One more is not."""
    assert parse(json.dumps(subscribing(modules=["x" * 256])))
    assert refused(subscribing(modules=["x" * 257]))[0] == "invalid"
