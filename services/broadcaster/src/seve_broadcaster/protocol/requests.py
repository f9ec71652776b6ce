"""Parses requests of clients into actions, or refuses them. Grants nothing and knows no connection. The resume token in
`since` is parsed by `seve_schema.position.Token`.

Refuses a request with an unknown key or query parameter: to ignore it would do something else than the client asked.
"""

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Final, Literal
from urllib.parse import parse_qs

import msgspec
from seve_schema.position import PositionError, Token

Slow = Literal["conflate", "disconnect"]
EVERYTHING: Final = "*"
MAX_NAME_BYTES: Final = 256
"""Longest name of a module or sensor. Names from topics are shorter: a level of a topic has at most 128 bytes."""


class Refusal(Exception):
    """A request that cannot be served; `code` is for programs, `explanation` for people."""

    def __init__(self, code: str, explanation: str) -> None:
        super().__init__(f"{code}: {explanation}")
        self.code = code
        self.explanation = explanation


class Subscribe(msgspec.Struct, frozen=True, kw_only=True):
    """Subscribe to modules. `sensors` None means all; `slow` and `batch` None leave the connection's mode unchanged."""

    modules: frozenset[str]
    sensors: frozenset[str] | None = None
    since: Token | None = None
    slow: Slow | None = None
    batch: bool | None = None


class Unsubscribe(msgspec.Struct, frozen=True, kw_only=True):
    """Unsubscribe from modules; `*` is all of them."""

    modules: frozenset[str]


Action = Subscribe | Unsubscribe


class _Subscribe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="action", tag="subscribe"):
    modules: str | list[str]
    sensors: list[str] | None = None
    since: str | None = None
    slow: Slow | None = None
    batch: bool | None = None


class _Unsubscribe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="action", tag="unsubscribe"):
    modules: str | list[str]


KEYS: Final = ("action", *_Subscribe.__struct_fields__)
PARAMETERS: Final = ("module", "sensor", "since", "slow", "batch")
CHOICES: Final = {"$.action": ("subscribe", "unsubscribe"), "$.slow": ("conflate", "disconnect")}

_UNKNOWN: Final = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_SHOWN: Final = 80
"""Characters of a client's text that an explanation repeats."""

_decoder: Final = msgspec.json.Decoder(_Subscribe | _Unsubscribe)


def parse(text: str | bytes) -> Action:
    """Return the action of one client message. Raises Refusal."""
    try:
        request = _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        if isinstance(error, msgspec.ValidationError):
            raise Refusal("invalid", _explain(str(error))) from error
        raise Refusal("malformed", str(error) or "no JSON") from error
    if isinstance(request, _Unsubscribe):
        return Unsubscribe(modules=_names(request.modules))
    return Subscribe(
        modules=_names(request.modules),
        sensors=None if request.sensors is None else frozenset(request.sensors),
        since=_token(request.since),
        slow=request.slow,
        batch=request.batch,
    )


def parse_query(query: str) -> Subscribe | None:
    """Return the subscription in a URL's query: `module`, `sensor` (both repeatable), `since`, `slow`, `batch`.

    Returns None if the query names no module. Raises Refusal.
    """
    fields = parameters(query, PARAMETERS)
    if "module" not in fields:
        return None
    request: dict[str, object] = {"action": "subscribe", "modules": fields["module"], "sensors": fields.get("sensor")}
    request |= {name: fields[name][-1] for name in ("since", "slow") if name in fields}
    if "batch" in fields:
        request["batch"] = fields["batch"][-1] not in ("0", "false", "no")
    action = parse(msgspec.json.encode(request))
    assert isinstance(action, Subscribe)  # noqa: S101  (`request` is one)
    return action


def parameters(query: str, known: Sequence[str]) -> dict[str, list[str]]:
    """Return the parameters of a URL's query. Raises Refusal, also for a parameter that is not `known`."""
    try:
        fields = parse_qs(query, keep_blank_values=True, max_num_fields=4096)
    except ValueError as error:
        raise Refusal("invalid", str(error)) from error
    for name in fields:
        if name not in known:
            raise Refusal("invalid", f"unknown parameter {shown(name)}{_nearest(name, known)}")
    return fields


def _names(modules: str | list[str]) -> frozenset[str]:
    names = frozenset([modules] if isinstance(modules, str) else modules)
    if not names:
        raise Refusal("invalid", "no module is named")
    if any(not name or len(name.encode()) > MAX_NAME_BYTES for name in names):
        raise Refusal("invalid", f"a name is empty or longer than {MAX_NAME_BYTES} bytes")
    return names


def _token(since: str | None) -> Token | None:
    if since is None:
        return None
    try:
        return Token.parse(since)
    except PositionError as error:
        raise Refusal("invalid", f"`since` = {shown(since)} is no `seq` of this server") from error


def _explain(fault: str) -> str:
    """Return msgspec's message with the nearest known key, or with the allowed values."""
    if unknown := _UNKNOWN.match(fault):
        return f"unknown key {shown(unknown[1])}{_nearest(unknown[1], KEYS)}"
    choices = next((choices for place, choices in CHOICES.items() if f"`{place}`" in fault), None)
    return fault[:200] + (f"; expected {' or '.join(choices)}" if choices else "")


def _nearest(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name[:_SHOWN], known, n=1)
    return f"; did you mean `{near[0]}`?" if near else f"; known are {', '.join(known)}"


def shown(text: str) -> str:
    """Return a client's text as an explanation quotes it: escaped, and cut at 80 characters."""
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")
