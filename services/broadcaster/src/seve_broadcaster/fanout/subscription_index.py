"""Who receives a module: an index from module and lane to clients, kept up to date as they come, change and go."""

from collections.abc import Iterator

from seve_broadcaster.fanout.subscriber import Client
from seve_broadcaster.protocol.requests import EVERYTHING
from seve_broadcaster.stream.message import Lane

Lanes = dict[Lane, set[Client]]


class Routes:
    """Clients by module and lane. One that named a module is not reached a second time by its `*`."""

    def __init__(self) -> None:
        self._by_name: dict[str, Lanes] = {}
        self._by_star: Lanes = {}
        self._named: dict[str, set[Client]] = {}
        self.subscriptions = 0

    def add(self, client: Client, name: str) -> None:
        """A client has a subscription `name`, which may be `*`. It must be taken out before its lane changes."""
        lanes = self._by_star if name == EVERYTHING else self._by_name.setdefault(name, {})
        lanes.setdefault(client.lane(client.subscriptions[name]), set()).add(client)
        if name != EVERYTHING:
            self._named.setdefault(name, set()).add(client)
        self.subscriptions += 1

    def remove(self, client: Client, name: str) -> None:
        """The subscription `name` of a client, as it was added, is over."""
        lanes = self._by_star if name == EVERYTHING else self._by_name[name]
        lane = client.lane(client.subscriptions[name])
        lanes[lane].discard(client)
        if not lanes[lane]:
            del lanes[lane]
        if name != EVERYTHING:
            self._named[name].discard(client)
            if not lanes:
                del self._by_name[name], self._named[name]
        self.subscriptions -= 1

    def of(self, module: str) -> Iterator[tuple[Lane, set[Client]]]:
        """The clients that receive a module, by lane; each once."""
        yield from self._by_name.get(module, {}).items()
        named = self._named.get(module)
        for lane, clients in self._by_star.items():
            yield lane, clients - named if named else clients
