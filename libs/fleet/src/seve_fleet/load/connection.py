"""One MQTT connection of a load. It does not reconnect by itself; the devices in `arrival` do."""

import asyncio
from typing import Final, NamedTuple, cast

from seve_fleet.load.packets import DISCONNECT, BrokerAnswers, connect, publish

LAST_PACKET_ID: Final = 65535


class LoadMessage(NamedTuple):
    """A message to publish; `number` is the sample's number, -1 for other messages."""

    topic: bytes
    payload: bytes
    number: int = -1
    retain: bool = False


class Tally:
    """Counts of all connections of a load together. `error` is the one of the first lost connection."""

    def __init__(self) -> None:
        self.sent = 0
        self.acknowledged = 0
        self.error: Exception | None = None

    @property
    def waiting(self) -> int:
        """Return how many messages wait for their PUBACK."""
        return self.sent - self.acknowledged


class Connection(asyncio.Protocol):
    """Publishes at QoS 0 or 1 and counts PUBACKs in the tally. The caller bounds how many messages wait.

    With `keep` it remembers the waiting messages, for a device that repeats them. Counting alone is cheaper.
    """

    def __init__(self, client_id: str, tally: Tally, credentials: tuple[str | None, str | None], *, keep: bool) -> None:
        self._hello = connect(client_id, username=credentials[0], password=credentials[1])
        self._answers = BrokerAnswers()
        self._packet_id = 0
        self._tally = tally
        self._keep = keep
        self._unacknowledged: dict[int, LoadMessage] = {}
        self._closing = False
        loop = asyncio.get_running_loop()
        self.open: asyncio.Future[None] = loop.create_future()
        self.lost: asyncio.Future[None] = loop.create_future()

    @property
    def unacknowledged(self) -> list[LoadMessage]:
        """Return the messages that wait for their PUBACK, in the order of sending."""
        return list(self._unacknowledged.values())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send CONNECT."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's class does not inherit from it
        self._transport.write(self._hello)

    def data_received(self, data: bytes) -> None:
        """Count PUBACKs."""
        acknowledged = self._answers.feed(data)
        self._tally.acknowledged += len(acknowledged)
        if self._keep:
            for packet_id in acknowledged:
                self._unacknowledged.pop(packet_id, None)
        if self._answers.refused is not None and not self.open.done():
            if code := self._answers.refused:
                self.open.set_exception(ConnectionRefusedError(f"the broker refused the connection with code {code}"))
            else:
                self.open.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        """Complete `lost`. Unless a device uses this connection and will reconnect, put the error into the tally."""
        if not self._closing and not self._keep:
            self._tally.error = self._tally.error or error or ConnectionResetError("the broker closed the connection")
        if not self.open.done():
            self.open.set_exception(error or ConnectionResetError("the broker closed the connection"))
        self.lost.set_result(None)

    def send(self, messages: list[LoadMessage], qos: int, *, again: bool = False) -> None:
        """Publish in one write. With `again` these are messages that an earlier connection published already."""
        packets = []
        for message in messages:
            self._packet_id = self._packet_id % LAST_PACKET_ID + 1
            if self._keep and qos:
                self._unacknowledged[self._packet_id] = message
            packet_id = self._packet_id if qos else 0
            packets.append(publish(message.topic, message.payload, packet_id, retain=message.retain, dup=again))
        if not self._transport.is_closing():  # lost a moment ago: kept messages are sent by the next connection
            self._transport.write(b"".join(packets))
        self._tally.sent += 0 if again else len(messages)
        if not qos:
            self._tally.acknowledged += len(messages)

    def close(self) -> None:
        """Send DISCONNECT; the loss of the connection that follows is not counted."""
        self._closing = True
        if not self._transport.is_closing():
            self._transport.write(DISCONNECT)
        self._transport.close()
