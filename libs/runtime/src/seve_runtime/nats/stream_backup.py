"""Saves a stream from JetStream and restores it, as the server's own snapshot, in chunks. Reads no messages.

A restored stream has the same messages and sequences, and a new creation time. Consumers are not saved: a new consumer
delivers everything again.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any, Final

from nats.aio.client import Client
from nats.errors import Error as NatsError

CHUNK: Final = 128 * 1024
_PATIENCE: Final = 30.0
"""Seconds that the server may take for one chunk, or to recover a restored stream."""


class SnapshotError(NatsError):
    """The server refused or aborted a snapshot or a restore."""

    def __init__(self, stream: str, reason: str) -> None:
        super().__init__(f"{stream}: {reason}")
        self.reason = reason

    def __str__(self) -> str:
        return str(self.args[0])


async def snapshot(client: Client, stream: str, write: Callable[[bytes], object]) -> dict[str, Any]:
    """Pass the chunks of a stream's snapshot to `write`; return its configuration and state, which `restore` needs.

    Raises SnapshotError and nats errors.
    """
    inbox = client.new_inbox()
    subscription = await client.subscribe(inbox)
    try:
        request = {"deliver_subject": inbox, "no_consumers": True, "chunk_size": CHUNK}
        about = await _ask(client, f"$JS.API.STREAM.SNAPSHOT.{stream}", request, stream)
        while (chunk := await subscription.next_msg(timeout=_PATIENCE)).data:
            write(chunk.data)
            if chunk.reply:
                await chunk.respond(b"")  # flow control: the server waits for it
        if chunk.headers and (status := chunk.headers.get("Status", "204")) != "204":
            raise SnapshotError(stream, f"snapshot aborted: {status} {chunk.headers.get('Description', '')}")
    finally:
        await subscription.unsubscribe()
    return {"config": about["config"], "state": about["state"]}


async def restore(client: Client, stream: str, about: dict[str, Any], chunks: Iterable[bytes]) -> None:
    """Create a stream, which must not exist, from the result and the chunks of `snapshot`. Raises SnapshotError and
    nats errors.
    """
    answer = await _ask(client, f"$JS.API.STREAM.RESTORE.{stream}", about, stream)
    for chunk in chunks:
        reply = await client.request(answer["deliver_subject"], chunk, timeout=_PATIENCE)
        if reply.data.strip() not in (b"", b"+OK"):
            raise SnapshotError(stream, reply.data.decode(errors="replace"))
    _checked(await client.request(answer["deliver_subject"], b"", timeout=_PATIENCE), stream)


async def _ask(client: Client, subject: str, request: dict[str, Any], stream: str) -> dict[str, Any]:
    return _checked(await client.request(subject, json.dumps(request).encode(), timeout=_PATIENCE), stream)


def _checked(answer: Any, stream: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(answer.data)
    if "error" in content:
        raise SnapshotError(stream, content["error"].get("description", "refused"))
    return content
