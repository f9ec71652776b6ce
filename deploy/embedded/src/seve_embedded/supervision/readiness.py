"""Asks a service whether it is ready, and if not, what it waits for. Asks one port; decides nothing."""

import http.client
import json
from typing import NamedTuple


class Readiness(NamedTuple):
    """A service's answer; `waiting` has its reasons by condition, or under `admin port` why there is no answer."""

    ready: bool
    waiting: dict[str, str]

    def __str__(self) -> str:
        return "ready" if self.ready else "; ".join(f"{name}: {reason}" for name, reason in self.waiting.items())


def ask(port: int, seconds: float = 2.0) -> Readiness:
    """Ask `/health/ready` on a port of 127.0.0.1."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request("GET", "/health/ready")
        answer = connection.getresponse()
        body = json.loads(answer.read())
        return Readiness(answer.status == http.client.OK, dict(body.get("waiting", {})))
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Readiness(ready=False, waiting={"admin port": getattr(error, "strerror", None) or type(error).__name__})
    finally:
        connection.close()
