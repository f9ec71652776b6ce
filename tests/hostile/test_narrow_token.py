"""A WebSocket client whose token names one module: whatever it says, it learns nothing of another."""

import base64
import itertools
import json
import time
import urllib.error
import urllib.request

import jwt
import pytest
from support import clients
from support.conditions import wait_until
from support.honest import honest as beside
from support.kinds import KINDS, running
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

SECRET = "a-secret-of-thirty-two-bytes-or-more"
ITS = "spys-own"
"""The one module that the spy's token names."""


@pytest.fixture(scope="module", params=KINDS)
def stack(request, tmp_path_factory):
    """A pipeline of this file's own, which asks for tokens."""
    with running(request.param, tmp_path_factory.mktemp("tokens"), JWT_SECRET=SECRET) as one:
        yield one


def bearer(modules, **claims):
    words = {"modules": modules, "exp": int(time.time()) + 600, **claims}
    return {"Authorization": f"Bearer {jwt.encode(words, SECRET, algorithm='HS256')}"}


@pytest.fixture
def honest(stack, module):
    """An honest screen shows the token of all modules."""
    with beside(stack, module, **bearer("*")) as honest:
        yield honest


def unsigned():
    """A token that says of itself that nobody signed it."""
    parts = ({"alg": "none", "typ": "JWT"}, {"modules": "*", "exp": int(time.time()) + 600})
    head, body = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)
    return {"Authorization": f"Bearer {head}.{body}."}


REFUSED = {
    "no token": dict,
    "no signature": unsigned,
    "another secret": lambda: {"Authorization": f"Bearer {jwt.encode({'modules': '*'}, SECRET[::-1])}"},
    "too old": lambda: bearer("*", exp=int(time.time()) - 3600),
    "without an end": lambda: {"Authorization": f"Bearer {jwt.encode({'modules': '*'}, SECRET)}"},
    "names that are no list": lambda: bearer({"all": True}),
}


@pytest.mark.parametrize("token", REFUSED.values(), ids=REFUSED)
def test_without_a_token_that_holds_nobody_comes_in(stack, honest, token):
    with pytest.raises(InvalidStatus) as caught, connect(stack.ws_url, additional_headers=token()):
        pass
    assert caught.value.response.status_code == 401
    with pytest.raises(urllib.error.HTTPError, match="401"):
        modules(stack, token())
    honest.lost_nothing()


def modules(stack, headers):
    """What the page asks for first."""
    url = stack.ws_url.replace("ws://", "http://").replace("/ws", "/api/modules")
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        error.close()
        raise


def wishes(names, positions):
    """Subscriptions to what the token does not name: outright, by a star, hidden, and resumed from somebody's place."""
    for asked in (*([name] for name in names), list(names), [*names, ITS], "*", names[0]):
        yield {"action": "subscribe", "modules": asked}
        yield {"action": "subscribe", "modules": asked, "batch": True, "grant": "*"}
        for since in positions:
            yield {"action": "subscribe", "modules": asked, "since": since}
    yield {"action": "subscribe", "modules": [ITS], "sensors": ["*"], "module": names[0]}


def test_a_token_of_one_module_shows_one(stack, honest, module):
    """Live, in snapshots, replays and lists, also by resume tokens of the honest screen."""
    names = (module, module.upper(), f"{module} ", f"{ITS}/../{module}", f"{ITS}\0{module}", "*", f"{ITS},{module}")
    wait_until(lambda: len(honest.frames) > 10, "frames whose positions a spy may know")
    positions = ["0-0-0", *(frame["seq"] for frame in itertools.islice(honest.frames, 10) if "seq" in frame)]
    heard = []
    with clients.device(stack.mqtt_url) as publish:
        for number, wish in enumerate(wishes(names, positions), 1):
            heard += said_to(stack, publish, number, f"?module={module}&module={ITS}", wish)

    of = {one["moduleId"] for frame in heard for one in data(frame)}
    assert of == {ITS}
    assert {frame["module"] for frame in heard if "module" in frame} <= {ITS}
    assert module not in json.dumps([frame for frame in heard if frame["event"] != "error"])
    assert [one["module"] for one in modules(stack, bearer([ITS]))["modules"]] == [ITS]
    honest.lost_nothing()


def data(frame):
    found = frame.get("data", [])
    return found if isinstance(found, list) else [found]


def said_to(stack, publish, number, query, wish):
    """All that the spy is sent for one wish: up to a sample of its own module that was published after it."""
    frames = []
    with connect(stack.ws_url + query, additional_headers=bearer([ITS])) as spy:
        spy.send(json.dumps(wish))
        spy.send(json.dumps({"action": "subscribe", "modules": [ITS], "batch": False}))
        while not frames or frames[-1]["event"] != "live":
            frames.append(json.loads(spy.recv(timeout=20)))
        publish(f"{ITS}/co2", number)
        while not any(one.get("value") == number for one in data(frames[-1])):
            frames.append(json.loads(spy.recv(timeout=20)))
    return frames
