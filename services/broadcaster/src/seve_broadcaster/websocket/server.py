"""The WebSocket server: connects clients to the hub, and does everything between them that needs a clock or a socket.

Leaves decisions to `fanout`, `protocol` and `auth`.
"""

import asyncio
import contextlib
import functools
import random
import time
from collections import Counter
from collections.abc import Sequence
from typing import Final, cast
from urllib.parse import urlsplit

import structlog
from seve_runtime.errors import SettingsError
from seve_runtime.health import Health
from seve_runtime.lifecycle import Stop, pause
from seve_runtime.rate_limit import TokenBucket
from seve_runtime.units import split_listen
from seve_schema.position import end_of
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request
from websockets.typing import Subprotocol

from seve_broadcaster.auth.jwt import SUBPROTOCOL
from seve_broadcaster.fanout import slow_client, subscriptions
from seve_broadcaster.fanout.hub import Hub
from seve_broadcaster.fanout.subscriber import Pace, Subscriber
from seve_broadcaster.protocol import frames
from seve_broadcaster.protocol.close_codes import GOING_AWAY, POLICY, TRY_AGAIN
from seve_broadcaster.protocol.requests import Refusal, Subscribe, parse, parse_query
from seve_broadcaster.settings import Settings
from seve_broadcaster.snapshot.silence import Silence
from seve_broadcaster.websocket.catchup_tasks import CatchupTasks
from seve_broadcaster.websocket.connection import CLOSE_SECONDS, OPEN_SECONDS, Peer
from seve_broadcaster.websocket.descriptors import reserve
from seve_broadcaster.websocket.journal_replay import JournalReplay
from seve_broadcaster.websocket.limits import Sockets, check_names
from seve_broadcaster.websocket.router import Router
from seve_broadcaster.websocket.tls import Certificate
from seve_broadcaster.websocket.turn import Turn

log = structlog.get_logger()

CONDITION: Final = "websocket"
"""The readiness condition that the gateway sets."""

SWEEP_SECONDS: Final = 1.0
BACKLOG: Final = 4096
"""Connections that may wait to be accepted: after a restart all clients reconnect at once."""

BURST_SECONDS: Final = 10
"""A client may accumulate its rate for this many seconds."""

BESIDE: Final = 32
"""Sockets that an address may have besides its clients': for handshakes, the page and its files."""

MIN_RETRY_MS: Final = 250
RETRY_MS_A_CLIENT: Final = 2
"""Milliseconds per client over which reconnects spread after a stop: 500 clients per second return."""


class Gateway:
    """The connections of one hub. `refused` counts refused requests by reason, `ended` ended connections."""

    def __init__(self, settings: Settings, hub: Hub, replay: JournalReplay, router: Router, health: Health) -> None:
        self.hub = hub
        self.peers: set[Peer] = set()
        self._router = router
        self.refused = self._router.refused
        self.ended: Counter[str] = Counter()
        self.port = 0
        self._health = health
        self._catchup = CatchupTasks(hub, replay)
        self._keys = router.keys
        self._silence = Silence(hub.latest, settings.module_silent_after)
        self._settings = settings
        self._addresses: Counter[str] = Counter()
        cert_file, key_file = settings.ws_tls_cert_file, settings.ws_tls_key_file
        self._certificate = Certificate(cert_file, key_file) if cert_file and key_file else None
        self._clients, sockets = reserve(settings.ws_max_clients)
        self._sockets = Sockets(sockets, settings.ws_max_clients_per_address + BESIDE)
        self._open_peers: set[Peer] = set()

    @property
    def failed_handshakes(self) -> Counter[str]:
        """The number of failed TLS handshakes, by reason."""
        return self._certificate.failures if self._certificate else Counter()

    async def serve(self, stop: Stop) -> None:
        """Serve until `stop`, then close every connection. Raises SettingsError if the address cannot be bound."""
        self._turn = Turn(asyncio.get_running_loop())
        try:
            server = await self._open()
        except OSError as error:
            raise SettingsError([f"WS_LISTEN = {self._settings.ws_listen!r}: {error.strerror}"]) from error
        self.port = server.sockets[0].getsockname()[1]
        log.info("listening", address=self._settings.ws_listen, port=self.port)
        self._health.holds(CONDITION)
        while not await pause(stop, SWEEP_SECONDS):
            self._sweep(asyncio.get_running_loop().time(), time.time())
        await self._close_all(server)

    async def _open(self) -> Server:
        host, port = split_listen(self._settings.ws_listen)
        bound, tls = self._settings.ws_buffer_bytes, self._certificate
        return await serve(
            self._handle,
            host,
            port,
            process_request=self._router.answer,
            create_connection=cast("type[ServerConnection]", functools.partial(Peer, self)),
            backlog=BACKLOG,
            ssl=tls and tls.context,
            ssl_handshake_timeout=OPEN_SECONDS if tls else None,
            select_subprotocol=_select,
            compression=None,
            server_header=None,
            open_timeout=None,  # a connection has deadlines of its own: answers may take longer than requests
            ping_interval=None,
            close_timeout=CLOSE_SECONDS,
            max_size=self._settings.ws_max_message_bytes,
            max_queue=4,
            write_limit=(bound, bound // 4),
        )

    # the connection

    async def _handle(self, connection: ServerConnection) -> None:
        peer = cast("Peer", connection)
        peer.opened()
        address = peer.address
        if len(self.peers) >= self._clients:
            self._end(peer, TRY_AGAIN, "full", "this server has as many clients as it accepts")
        elif self._addresses[address] >= self._settings.ws_max_clients_per_address:
            self._end(peer, POLICY, "address", "too many connections from this address")
        else:
            with contextlib.suppress(ConnectionClosed):  # the way every connection ends
                await self._serve(peer, address)

    async def _serve(self, peer: Peer, address: str) -> None:
        self._addresses[address] += 1
        peer.serve(Subscriber(peer, peer.grant, end_of(self.hub.head)), self._turn)
        self.peers.add(peer)
        self.hub.join(peer.client)
        try:
            await self._listen(peer)
        finally:
            self.hub.leave(peer.client)
            self.peers.discard(peer)
            self._addresses[address] -= 1
            if not self._addresses[address]:
                del self._addresses[address]
            if peer.pump is not None:
                peer.pump.cancel()

    async def _listen(self, peer: Peer) -> None:
        assert peer.request is not None  # noqa: S101  (the handshake is over)
        query = urlsplit(peer.request.path).query
        peer.request = Request("/ws", Headers())  # the headers are no longer needed; thousands of clients have them
        self._act(peer, query, query=True)
        async for request in peer:
            await peer.room()  # every request has an answer: add none while unread answers fill the buffer
            if not peer.open:
                return
            self._act(peer, request, query=False)

    def _act(self, peer: Peer, request: str | bytes, *, query: bool) -> None:
        try:
            action = parse_query(str(request)) if query else parse(request)
            if isinstance(action, Subscribe):
                check_names(peer.client.subscriptions, action)
                subscriptions.subscribe(self.hub, peer.client, action)
            elif action is not None:
                subscriptions.unsubscribe(self.hub, peer.client, action)
        except Refusal as refusal:
            self.refused[refusal.code] += 1
            peer.write(frames.error(refusal.code, refusal.explanation))
        self._catchup.advance(peer)
        self._bound(peer)

    def _bound(self, peer: Peer) -> None:
        """Disconnect a client with too many pending answers: one that sends requests while no journal can be read."""
        pending = sum(len(owed) for owed in peer.client.pending if isinstance(owed, bytes))
        if pending > self._settings.ws_buffer_bytes:
            self._end(peer, TRY_AGAIN, "pending", "too many answers are pending")

    # callbacks of connections

    def admits(self, peer: Peer) -> bool:
        """Return whether one more socket may be open, whatever it will be used for."""
        admitted = self._sockets.admits(peer.address)
        if admitted:
            self._open_peers.add(peer)
        else:
            self.refused["sockets"] += 1
        return admitted

    def gone(self, peer: Peer) -> None:
        """Forget a socket that is closed."""
        self._open_peers.discard(peer)
        self._sockets.gone(peer.address)

    def cut(self, peer: Peer, reason: str) -> None:  # noqa: ARG002  (of any client)
        """Count a socket that is cut before it becomes a client."""
        self.ended[reason] += 1

    def rate(self, now: float) -> TokenBucket:
        """Return the rate limit for the frames of a new connection."""
        per_second = self._settings.ws_max_message_rate
        return TokenBucket(per_second, per_second * BURST_SECONDS, now)

    def flooded(self, peer: Peer) -> None:
        """End a client that sends more frames than its rate allows."""
        self._end(peer, POLICY, "rate", "too many messages")

    def full(self, peer: Peer) -> None:
        """Make a client whose buffer is full slow, or disconnect it if it asked for that."""
        slow_client.overflow(self.hub, peer.client)
        if peer.client.slow == "disconnect" and peer.client.pace is Pace.SLOW:
            loop = asyncio.get_running_loop()
            loop.call_soon(self._end, peer, TRY_AGAIN, "slow", "too slow for what was asked")

    def drained(self, peer: Peer) -> None:
        """Let a client whose buffer drained catch up."""
        slow_client.relieve(self.hub, peer.client)
        self._catchup.advance(peer)

    # ending connections

    def _end(self, peer: Peer, code: int, reason: str, text: str) -> None:
        if peer.open:
            self.ended[reason] += 1
            peer.end(code, text)

    def _sweep(self, now: float, wall: float) -> None:
        """Ping idle clients; end those that stay idle or whose token is no longer valid; reload changed keys and
        certificates; tell of modules that fell silent.
        """
        self._keys.fresh()
        if self._certificate is not None:
            self._certificate.fresh()
        for module, silent in self._silence.changes(wall):
            self.hub.tell_silence(module, silent)
        interval = self._settings.ws_ping_interval
        for peer in list(self.peers):
            peer.judge(now)
            self._bound(peer)
            idle = now - peer.heard
            if peer.grant.expires is not None and peer.grant.expires < wall:
                self._end(peer, POLICY, "expired", "the token has expired")
            elif not self._keys.hold(peer.grant):
                self._end(peer, POLICY, "withdrawn", "the key of the token was withdrawn")
            if idle > 2 * interval:
                self.ended["ping"] += 1
                peer.transport.abort()
            elif idle > interval and peer.asked < peer.heard and not peer.paused:
                peer.ask(now)

    async def _close_all(self, server: Server) -> None:
        """Tell each client when to reconnect, each at another time, and close. Connections with full buffers are
        cut.
        """
        spread = MIN_RETRY_MS + 1000 + RETRY_MS_A_CLIENT * len(self.peers)
        for peer in list(self.peers):
            self.ended["stop"] += 1
            if peer.paused:
                peer.transport.abort()
            else:
                peer.write(frames.closing(random.randint(MIN_RETRY_MS, spread)))  # noqa: S311  (a jitter)
                peer.flush()
        for peer in self._open_peers - self.peers:  # unfinished requests and answers
            peer.transport.abort()
        server.close(code=GOING_AWAY, reason="the server stops")
        await server.wait_closed()


def _select(_: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Choose `seve` if it is offered; never echo a token."""
    return Subprotocol(SUBPROTOCOL) if SUBPROTOCOL in offered else None
