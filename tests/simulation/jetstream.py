"""A model of nats-server with JetStream: streams, consumers, and what of them a kill leaves.

A stream is written before anything is acknowledged, so a kill takes no message that is in it. What consumers were told
is saved now and then: after a kill, acknowledgements since then are forgotten, and those messages are delivered again.
Consumers in memory are gone.
"""

from collections.abc import Callable
from random import Random
from typing import Any

import msgspec
from nats.js.errors import APIError, NotFoundError
from seve_runtime.nats.pull import PullRequest, parse_ack_subject
from seve_schema.times import format_time

from simulation.clock import VirtualLoop
from simulation.consumer import Consumer, Waiting
from simulation.stream import Stored, Stream

_pull = msgspec.json.Decoder(PullRequest).decode


class Server:
    """One nats-server. `watch` is told of what is stored and purged."""

    def __init__(self, loop: VirtualLoop, rng: Random) -> None:
        self._loop = loop
        self._rng = rng
        self._number = 0
        self._saved: dict[tuple[str, str], Any] = {}
        self.alive = True
        self.streams: dict[str, Stream] = {}
        self.on_stored: Callable[[Stream, Stored], None] = lambda *_: None
        self.on_purged: Callable[[Stream, list[int]], None] = lambda *_: None

    # what lasts, and what does not

    def save(self) -> None:
        """Write down what the durable consumers were told so far."""
        for stream in self.streams.values():
            for consumer in stream.consumers.values():
                if consumer.explicit:
                    self._saved[stream.name, consumer.name] = consumer.saved()

    def kill(self) -> None:
        self.alive = False
        for stream in self.streams.values():
            for name, consumer in list(stream.consumers.items()):
                consumer.close()
                if not consumer.explicit:
                    del stream.consumers[name]
                elif self._rng.random() < 0.5:
                    consumer.restore(self._saved.get((stream.name, name), (1, {}, {})))

    def start(self) -> None:
        self.alive = True

    # what clients ask

    def add_consumer(self, stream: Stream, **options: Any) -> Consumer:
        self._number += 1
        consumer = Consumer(self._loop, stream, options.pop("name", f"c{self._number}"), **options)
        stream.consumers[consumer.name] = consumer
        return consumer

    def delete(self, name: str) -> None:
        """Delete a stream, its consumers, and what they were asked."""
        stream = self.streams.pop(name)
        for consumer in stream.consumers.values():
            consumer.delete()
            self._saved.pop((name, consumer.name), None)

    def stream(self, name: str) -> Stream:
        """Raises NotFoundError."""
        if name not in self.streams:
            raise NotFoundError(code=404, err_code=10059, description="stream not found")
        return self.streams[name]

    def stream_of(self, subject: str) -> Stream | None:
        kind = subject.partition(".")[0]
        name = {"telemetry": "TELEMETRY", "latest": "LATEST", "deadletter": "DEADLETTER"}.get(kind)
        return self.streams.get(name) if name else None

    def publish(self, subject: str, data: bytes, headers: bytes) -> int:
        """Store a message, and return its sequence. Raises APIError."""
        stream = self.stream_of(subject)
        if stream is None:
            raise APIError(code=503, err_code=0, description="no stream takes the subject")
        sequence, stored = stream.store(subject, data, headers, self._loop.micros() * 1000)
        if stored is not None:
            self.on_stored(stream, stored)
        return sequence

    def purge(self, name: str, before: int) -> None:
        stream = self.stream(name)
        self.on_purged(stream, stream.purge(before))

    def acknowledge(self, subject: str, word: bytes) -> None:
        _, _, name, consumer, *_ = subject.split(".")
        if name in self.streams and consumer in self.streams[name].consumers:
            self.streams[name].consumers[consumer].acknowledge(parse_ack_subject(subject).sequence, word)

    def ask(self, subject: str, data: bytes, inbox: str, send: Callable[..., None], alive: Callable[[], bool]) -> None:
        """A pull request."""
        *_, name, consumer_name = subject.split(".")
        consumer = self.streams[name].consumers.get(consumer_name) if name in self.streams else None
        if consumer is None:
            send(inbox, "", b"", b"NATS/1.0 503\r\n\r\n")
            return
        asked = _pull(data)
        most = asked.max_bytes or None
        request = Waiting(inbox, send, alive, asked.batch, most, asked.no_wait, asked.idle_heartbeat / 1e9, [])
        consumer.ask(request, asked.expires / 1e9)

    def info(self, name: str) -> bytes:
        """What STREAM.INFO answers."""
        if name not in self.streams:
            return msgspec.json.encode({"error": {"description": "stream not found"}})
        stream = self.streams[name]
        first = stream.messages.get(stream.first)
        state = {
            "messages": len(stream.messages),
            "first_seq": stream.first,
            "last_seq": stream.last,
            "first_ts": format_time(first.stored_ns // 1000 if first else stream.created),
            "bytes": stream.size,
        }
        return msgspec.json.encode({"created": format_time(stream.created), "state": state})
