"""A TCP proxy between a service and a server, which makes connections slow, stalls them or breaks them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from support.conditions import eventually


class Proxy:
    """Forwards `port` of 127.0.0.1 to `target`. `latency` is added each way, in seconds; it holds bytes back without
    limiting how many are on their way. Connections run in the caller's event loop.
    """

    def __init__(self, target: int, *, latency: float = 0.0) -> None:
        self.target = target
        self.latency = latency
        self.port = 0
        self.accepted = 0
        self._budget: int | None = None
        self._spent_then = self.cut
        self._flowing = _set()
        self._answering = _set()
        self._tasks: set[asyncio.Task] = set()
        self._transports: set[asyncio.Transport] = set()

    def cut(self) -> None:
        """Break every connection, like a reset."""
        for transport in list(self._transports):
            transport.abort()

    def cut_after(self, size: int) -> None:
        """Break every connection once clients have sent `size` more bytes."""
        self._budget, self._spent_then = size, self.cut

    def mute_after(self, size: int) -> None:
        """As `mute`, once clients have sent `size` more bytes."""
        self._budget, self._spent_then = size, self.mute

    def mute(self) -> None:
        """Hold back the server's answers on existing connections; the server still receives everything."""
        self._answering.clear()
        self._answering = _set()

    def stall(self) -> None:
        """Forward nothing from now on; the connections stay open."""
        self._flowing.clear()

    def flow(self) -> None:
        """End of `stall`."""
        self._flowing.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        pair = (writer.transport, there_writer.transport)
        self._transports.update(pair)
        tasks = [
            asyncio.create_task(self._pump(reader, there_writer, self._flowing, counted=True)),
            asyncio.create_task(self._pump(there_reader, writer, self._answering, counted=False)),
        ]
        self._tasks.update(tasks)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._tasks.difference_update(tasks)
            for transport in pair:
                transport.abort()
            self._transports.difference_update(pair)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gate: asyncio.Event, *, counted: bool
    ) -> None:
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def forward() -> None:
            while True:
                due, data = await queue.get()
                await asyncio.sleep(max(0.0, due - loop.time()))
                await self._flowing.wait()
                await gate.wait()
                writer.write(data)
                await writer.drain()

        forwarding = asyncio.create_task(forward())
        try:
            with contextlib.suppress(ConnectionError):
                while data := await reader.read(1 << 16):
                    if counted:
                        self._spend(len(data))
                    queue.put_nowait((loop.time() + self.latency, data))
                while not queue.empty() and not forwarding.done():
                    await asyncio.sleep(0.001)
        finally:
            forwarding.cancel()
            await asyncio.gather(forwarding, return_exceptions=True)

    def _spend(self, size: int) -> None:
        if self._budget is None:
            return
        self._budget -= size
        if self._budget <= 0:
            self._budget = None
            self._spent_then()


def _set() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@asynccontextmanager
async def proxied(target: int, **options) -> AsyncIterator[Proxy]:
    """A proxy to `target` while the context lasts."""
    proxy = Proxy(target, **options)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.cut()
        await eventually(lambda: not proxy._tasks, "the connections of the proxy closed")
        await server.wait_closed()
