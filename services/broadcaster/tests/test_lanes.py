"""Clients that want the same get the same bytes, made once."""

from support.broadcasting import envelope

from .offline import Sink, a_client, a_hub, events, say, subscribe, values


def test_batches_are_one_frame_for_what_arrived_together():
    """The bytes that arrived, wrapped once."""
    hub = a_hub()
    client = a_client(hub)
    subscribe(hub, client, "*", batch=True)
    say(hub, envelope("a", 1.0), envelope("a", 2.0))
    assert (events(client)[-1], values(client)) == ("mqtt-batch", [1.0, 2.0])


def test_frames_are_made_once_for_all_clients_of_a_lane():
    """Nothing is encoded for each client: all of them get the very same bytes."""
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
