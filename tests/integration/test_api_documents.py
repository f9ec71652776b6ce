"""docs/openapi.json and docs/asyncapi.json are what the running server says and understands."""

import json
import re
import urllib.error
import urllib.request
import uuid
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, urlencode

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from seve_broadcaster.protocol import history_query
from seve_broadcaster.protocol.requests import KEYS
from support.clients import device
from support.conditions import wait_until
from websockets.sync.client import connect

DOCS = Path(__file__).parents[2] / "docs"
OPENAPI = json.loads((DOCS / "openapi.json").read_text(encoding="utf-8"))
ASYNCAPI = json.loads((DOCS / "asyncapi.json").read_text(encoding="utf-8"))
RECENT = {"from": "36500d"}
TEXT = "text/plain; charset=utf-8"


def validate(document, schema, value):
    """Raise unless `value` is as a schema of a document says."""
    whole = {**schema, "components": document["components"]}
    jsonschema.Draft202012Validator.check_schema(whole)
    jsonschema.Draft202012Validator(whole).validate(value)


def parameters(path):
    return {one["name"]: one for one in OPENAPI["paths"][path]["get"].get("parameters", ()) if one["in"] == "query"}


def ask(stack, path, question=(), **within):
    """Ask, and hold the answer against the document; gives status and body."""
    for name, value in within.items():
        place = path.replace(f"{{{name}}}", quote(value, safe=""))
    url = stack.ws_url.replace("ws:", "http:").removesuffix("/ws") + (place if within else path)
    try:
        with urllib.request.urlopen(f"{url}?{urlencode(question)}" if question else url) as told:
            status, kind, body = told.status, told.headers["Content-Type"], told.read()
    except urllib.error.HTTPError as error:
        status, kind, body = error.code, error.headers["Content-Type"], error.read()
    content = OPENAPI["paths"][path]["get"]["responses"][str(status)]["content"][kind]
    body = body.decode() if kind == TEXT else json.loads(body)
    validate(OPENAPI, content["schema"], body)
    assert kind != TEXT or body.count("\n") == 1
    return status, body


@pytest.fixture(scope="module")
def module(stack):
    """A module that said something of every kind, and whose samples are stored."""
    name = f"documented-{uuid.uuid4().hex[:8]}"
    with device(stack.mqtt_url) as say:
        for value in range(20):
            say(f"{name}/co2", json.dumps({"value": value}))
        say(f"{name}/dht22/temperature", "nothing")
        say(f"{name}/system", json.dumps({"rssi": -45}))
        say(f"{name}/system/config", json.dumps({"ip": "10.0.0.7"}))
        say(f"{name}/hardware/config", json.dumps({"chip": {"model": "ESP32"}}))
        say(f"{name}/sensors/status", json.dumps({"co2": {"status": "ok", "value": 1}}))
        say(f"{name}/sensors/config", json.dumps({"co2": {"interval": 10}}))
        say(f"{name}/logs", json.dumps({"level": "warn", "msg": "warm"}))
    wait_until(lambda: stack.query("SELECT count(*) FROM measurements WHERE module_id = %s", name) == [(21,)], "stored")
    wait_until(lambda: stack.query("SELECT FROM sensor_config WHERE module_id = %s", name), "configured")
    return name


def test_the_documents_are_of_their_formats():
    """As far as it matters here: their versions, and that every reference leads somewhere."""
    assert (OPENAPI["openapi"], ASYNCAPI["asyncapi"]) == ("3.1.0", "3.0.0")
    for document in (OPENAPI, ASYNCAPI):
        for target in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document)):
            place = document
            for step in target.split("/"):
                place = place[step.replace("~1", "/")]


def test_every_parameter_is_documented():
    assert set(parameters("/api/history")) == set(history_query.PARAMETERS)
    assert set(parameters("/api/logs")) == set(history_query.OF_LOGS)
    assert set(ASYNCAPI["components"]["messages"]["subscribe"]["payload"]["properties"]) == set(KEYS)


def test_answers_are_as_the_document_says(stack, module):
    status, body = ask(stack, "/api/modules")
    assert (status, module in [one["module"] for one in body["modules"]]) == (200, True)
    status, body = ask(stack, "/api/modules/{module}", module=module)
    assert (status, body["system"]["rssi"], body["series"][0]["count"]) == (200, -45, 20)
    for points in (500, 3):
        status, body = ask(stack, "/api/history", {"module": module, "points": points})
        assert (status, [series["sensor"] for series in body["series"]]) == (200, ["co2", "temperature"])
        assert (body["series"][0]["width"] > 0) == (points == 3)
    status, body = ask(stack, "/api/logs", {"module": module})
    assert status == 200


@pytest.mark.parametrize(
    ("path", "question", "expected"),
    [
        ("/api/history", {}, 400),
        ("/api/history", {"module": ""}, 400),
        ("/api/history", {"module": "m", "points": "0"}, 400),
        ("/api/history", {"module": "m", "points": "1000000000"}, 400),
        ("/api/history", {"module": "m", "from": "1h", "to": "2h"}, 400),
        ("/api/history", {"module": "m", "from": "tomorrow"}, 400),
        ("/api/history", {"module": "m" * 300}, 400),
        ("/api/history", {"module": "m", "color": "red"}, 400),
        ("/api/history", {"module": "\0"}, 400),
        ("/api/history", {"module": "' OR 1=1 --", "sensor": "%", "hardware": "\\"}, 200),
        ("/api/logs", {}, 400),
        ("/api/logs", {"module": "m", "lines": "many"}, 400),
    ],
)
def test_refusals_are_as_the_document_says(stack, path, question, expected):
    """Whatever is asked; nothing is a fault of the server's."""
    assert ask(stack, path, question)[0] == expected


NUMBERS = st.integers().map(str) | st.sampled_from(["", "1.5", "1e3", "+1", "-0", "\u0661", " 1", "0x10", "1" * 200])
MOMENTS = st.sampled_from(
    [
        "0",
        "1h",
        "365d",
        "-1h",
        "1e400d",
        "99999999999d",
        "nan",
        "inf",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59-23:59",
    ]
) | st.datetimes(timezones=st.timezones()).map(lambda time: time.isoformat())
WORDS = st.text(max_size=300) | st.binary(max_size=40) | st.sampled_from(["co2", "", "%", "\\", "' OR 1=1 --", "*"])


def said_of(parameter):
    """Values of a parameter, as its schema has them or otherwise."""
    if parameter["schema"]["type"] == "integer":
        return NUMBERS | st.integers(1, parameter["schema"].get("maximum", 10_000)).map(str)
    return MOMENTS | WORDS if parameter["name"] in ("from", "to") else WORDS


def questions(path):
    """Questions: each parameter by itself or twice, or none, and sometimes one that nobody knows."""
    known = [st.tuples(st.just(name), said_of(one)) for name, one in parameters(path).items()]
    return st.lists(st.one_of(*known, st.tuples(st.text(max_size=8), WORDS)), max_size=5)


@pytest.mark.parametrize("path", ["/api/history", "/api/logs"])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_asked_is_answered_as_the_document_says(stack, module, path, data):
    """Of a module that is there or of any other: no status but those, no body but theirs."""
    named = data.draw(st.sampled_from([[("module", module)], []]))
    status, _ = ask(stack, path, named + data.draw(questions(path)))
    assert status in (200, 400)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(min_size=1, max_size=300) | st.binary(min_size=1, max_size=40))
def test_whatever_module_is_asked_for_is_answered_as_the_document_says(stack, name):
    assert ask(stack, "/api/modules/{module}", module=name)[0] in (400, 404)


def test_a_module_of_which_nothing_is_known_is_not_found(stack):
    assert ask(stack, "/api/modules/{module}", module="nobody/é")[0] == 404


def said(frame):
    """Which of the document's messages a frame is; it is exactly one."""
    found = []
    for operation in ASYNCAPI["operations"]["send"]["messages"]:
        name = operation["$ref"].rpartition("/")[2]
        with suppress(jsonschema.ValidationError):
            validate(ASYNCAPI, ASYNCAPI["components"]["messages"][name]["payload"], frame)
            found.append(name)
    assert len(found) == 1, frame
    return found[0]


def test_frames_are_as_the_document_says(stack, module):
    """And requests that are valid by it are understood."""
    requests = [
        {"action": "subscribe", "modules": [module]},
        {"action": "subscribe", "modules": module, "batch": True, "slow": "conflate", "sensors": ["co2"]},
        {"action": "unsubscribe", "modules": [module]},
        {"action": "subscribe", "modules": [module], "since": "0-0-ffff"},
        {"action": "dance"},
    ]
    payloads = ASYNCAPI["components"]["messages"]
    for request in requests[:-1]:
        validate(ASYNCAPI, payloads[request["action"]]["payload"], request)
    seen = set()
    with connect(stack.ws_url, max_size=None) as ws:
        for request in requests:
            ws.send(json.dumps(request))
        with device(stack.mqtt_url) as say:
            say(f"{module}/co2", "7")
        while "error" not in seen:
            seen.add(said(json.loads(ws.recv(timeout=20))))
    assert {"subscribed", "message", "batch", "live", "gap", "error"} <= seen
