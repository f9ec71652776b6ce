"""The stream from NATS: one subscription on `live.>`, in the order of the journal. Serves no client."""

import structlog
from msgspec import DecodeError
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from seve_runtime.health import Health
from seve_runtime.topology import JOURNAL
from seve_schema.position import Position
from seve_schema.subjects import SubjectError, parse_subject
from seve_schema.times import to_micros

from seve_broadcaster.hub import Hub
from seve_broadcaster.message import Message

log = structlog.get_logger()

LIVE = "live.>"
SEQUENCE = "Nats-Sequence"


class Feed:
    """What comes from `live.>` into the hub."""

    def __init__(self, client: Client, js: JetStreamContext, hub: Hub, health: Health) -> None:
        self._client = client
        self._js = js
        self._hub = hub
        self._health = health
        self.malformed = 0

    async def start(self) -> None:
        """Subscribe, at the journal's present end."""
        await self._client.subscribe(LIVE, cb=self._take)
        self._health.holds("stream")

    async def _take(self, message: Msg) -> None:
        sequence = int((message.headers or {}).get(SEQUENCE, 0))
        if sequence <= self._hub.head.sequence:
            return
        position = Position(self._hub.head.journal, sequence)
        try:
            module, kind = parse_subject(message.subject)
            self._hub.publish(Message(position, module, kind, message.data))
        except (DecodeError, SubjectError, UnicodeError):
            self.malformed += 1


async def journal_end(js: JetStreamContext) -> Position:
    """The position of the newest message of the journal."""
    info = await js.stream_info(JOURNAL)
    assert info.created is not None  # noqa: S101  (every stream has a time of creation)
    return Position(to_micros(info.created), info.state.last_seq)
