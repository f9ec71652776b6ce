"""Clients with equal subscriptions get the same bytes, encoded once."""

from seve_broadcaster.protocol import frames
from seve_schema.position import WHOLE, Position, Token
from support.broadcasting import envelope
from support.frames import Reader

from .offline import Sink, a_client, a_hub, events, say, subscribe, values


def test_a_batch_is_one_frame_per_message():
    """It contains the bytes that arrived."""
    hub = a_hub()
    client = a_client(hub)
    subscribe(hub, client, "*", batch=True)
    say(hub, envelope("a", 1.0), envelope("a", 2.0))
    assert (events(client)[-1], values(client)) == ("mqtt-batch", [1.0, 2.0])


def test_frames_are_built_once_per_audience():
    """All clients of an audience get the very same bytes object."""
    hub = a_hub()

    class Keeping(Sink):
        def write(self, data):
            self.last = data

    clients = [a_client(hub) for _ in range(3)]
    for client in clients:
        client.sink = Keeping()
        subscribe(hub, client, "a")
    say(hub, envelope("a", 1.0))
    assert len({id(client.sink.last) for client in clients}) == 1


def test_the_token_of_a_part_of_a_message_does_not_pass_over_its_rest():
    """In single frames and in batches: a client that resumes from it may have subscribed to more by then."""
    parts = [b"1", b"2", b"3"]
    (single,) = Reader().feed(frames.messages(Position(1, 2), [1], parts))
    (batch,) = Reader().feed(frames.batch(Position(1, 2), [0, 1], parts))
    (whole,) = Reader().feed(frames.batch(Position(1, 2), [1, 2], parts))
    assert [Token.parse(frame["seq"]).place for frame in (single, batch, whole)] == [1, 1, WHOLE]
    assert batch["data"] == [1, 2]
