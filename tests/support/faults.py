"""What may be done to a running part: killed with all its children, frozen, its connection made slow or cut.

Acts on processes that the stack started, by pid, and on their children.
"""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import Path

import psutil

from support.conditions import wait_until
from support.proxy import Proxy, proxied


def tree(pid: int) -> list[psutil.Process]:
    """A process and all that it started, itself first."""
    whole = psutil.Process(pid)
    return [whole, *whole.children(recursive=True)]


def tell(pid: int, number: signal.Signals) -> list[psutil.Process]:
    """A signal to a process and then to all that it started meanwhile as well."""
    told = tree(pid)
    for process in told:
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)
    return told


def kill_hard(process) -> None:
    """SIGKILL to a server (of `support.embedded`) and all of its children; over when none of them is left."""
    told = tell(process.process.pid, signal.SIGKILL)
    process.process.wait(30)
    wait_until(lambda: all(map(_over, told)), "all children gone")


def _over(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.status() == psutil.STATUS_ZOMBIE
    return True


def _stands(process: psutil.Process) -> bool:
    """Whether every thread of a process has stopped: on a busy machine the last one does milliseconds later."""
    if not (threads := list(Path(f"/proc/{process.pid}/task").glob("*/stat"))):
        return _over(process) or process.status() == psutil.STATUS_STOPPED
    with suppress(OSError):  # a thread that ended
        return all(thread.read_text().rpartition(")")[2].split()[0] in "Tt" for thread in threads)
    return False


@contextmanager
def frozen(process) -> Iterator[None]:
    """A server and all of its children do nothing while the context lasts, and their connections stay."""
    told = tell(process.process.pid, signal.SIGSTOP)
    try:
        wait_until(lambda: all(map(_stands, told)), "every thread stopped")
        yield
    finally:
        for one in reversed(told):
            with suppress(ProcessLookupError):
                os.kill(one.pid, signal.SIGCONT)


@contextmanager
def starved(process) -> Iterator[None]:
    """A server and its children get no more memory from the system while the context lasts: what they ask for is
    refused. If it ends of that, a new process has no such limit.
    """
    limited = tree(process.process.pid)
    for one in limited:
        with suppress(psutil.NoSuchProcess):
            one.rlimit(psutil.RLIMIT_AS, (1, psutil.RLIM_INFINITY))
    try:
        yield
    finally:
        for one in limited:
            with suppress(psutil.NoSuchProcess):
                one.rlimit(psutil.RLIMIT_AS, (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY))


class Wire:
    """A proxy that runs on a thread of its own. Its `target` may be set once that is known."""

    def __init__(self, loop: asyncio.AbstractEventLoop, proxy: Proxy) -> None:
        self._loop = loop
        self.proxy = proxy

    def cut_for(self, seconds: float, every: float) -> None:
        """All connections are cut again and again."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._loop.call_soon_threadsafe(self.proxy.cut)
            time.sleep(every)

    def slow_for(self, seconds: float, latency: float) -> None:
        """Every byte takes `latency` seconds longer, each way."""
        self.proxy.latency = latency
        time.sleep(seconds)
        self.proxy.latency = 0.0


@contextmanager
def wires(count: int) -> Iterator[list[Wire]]:
    """That many proxies, beside a program that has no event loop."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="wires")
    thread.start()
    held = AsyncExitStack()

    async def lay() -> list[Wire]:
        return [Wire(loop, await held.enter_async_context(proxied(0))) for _ in range(count)]

    try:
        yield asyncio.run_coroutine_threadsafe(lay(), loop).result(10)
    finally:
        asyncio.run_coroutine_threadsafe(held.aclose(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def kill_one(stack, dice, parts) -> str:
    """One kill, a pause as the dice fall, and the start; nothing else may have ended meanwhile. Gives the story."""
    part, down, up = dice.choice(parts), dice.choice([0, 0, 0.5, 1]), dice.uniform(0.2, 2)
    stack.kill(part)
    time.sleep(down)
    stack.launch(part)
    time.sleep(up)
    gone = [service for service in stack.services if stack.gone(service)]
    assert not gone, f"{gone} ended by themselves after {part} was killed\n{stack.tail(gone[0])}"
    return f"{part} for {down} s, then {up:.1f} s"
