"""One MQTT connection of a load. It never connects again: a load that broke off is no measurement."""

import asyncio
from typing import Final, cast

from seve_fleet.load.packets import DISCONNECT, Answers, connect, publish

LAST_PACKET_ID: Final = 65535


class Tally:
    """What all connections of a load did together; `error` is that of the first one lost."""

    def __init__(self) -> None:
        self.sent = 0
        self.acknowledged = 0
        self.error: Exception | None = None

    @property
    def waiting(self) -> int:
        """How many messages wait for their PUBACK."""
        return self.sent - self.acknowledged


class Connection(asyncio.Protocol):
    """Publishes at QoS 0 or 1 and counts PUBACKs in the tally. The caller bounds how many wait."""

    def __init__(self, client_id: str, tally: Tally, username: str | None, password: str | None) -> None:
        self._hello = connect(client_id, username=username, password=password)
        self._answers = Answers()
        self._packet_id = 0
        self._tally = tally
        self.open = asyncio.get_running_loop().create_future()
        self._closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send CONNECT."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        self._transport.write(self._hello)

    def data_received(self, data: bytes) -> None:
        """Count what the broker acknowledged."""
        self._tally.acknowledged += len(self._answers.feed(data))
        if self._answers.refused is not None and not self.open.done():
            if code := self._answers.refused:
                self.open.set_exception(ConnectionRefusedError(f"the broker refused the connection with code {code}"))
            else:
                self.open.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        """Keep the reason for the caller, who ends the load."""
        if self._closing:
            return
        error = error or ConnectionResetError("the broker closed the connection")
        self._tally.error = self._tally.error or error
        if not self.open.done():
            self.open.set_exception(error)

    def send(self, messages: list[tuple[bytes, bytes]], qos: int, *, retain: bool = False) -> None:
        """Publish topics with payloads, in one write."""
        packets = []
        for topic, payload in messages:
            self._packet_id = self._packet_id % LAST_PACKET_ID + 1
            packets.append(publish(topic, payload, self._packet_id if qos else 0, retain=retain))
        self._transport.write(b"".join(packets))
        self._tally.sent += len(messages)
        if not qos:
            self._tally.acknowledged += len(messages)

    def close(self) -> None:
        """Send DISCONNECT; the loss that follows is none."""
        self._closing = True
        self._transport.write(DISCONNECT)
        self._transport.close()
