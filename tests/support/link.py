"""A network between processes of this machine that loses, delays and cuts as networks do, each direction by itself.

Every address of NETWORK is this machine again: what is sent to one goes to a program here, which decides what becomes
of the packet, and gives it back from that address. A pair of processes has an address of its own, so that its packets
are told from all others. Takes a network namespace, and no module of the kernel's besides `tun`.
"""

import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

NETWORK, SELF = "10.99.0", "10.99.0.1"
MTU = 9000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000


class Fate(NamedTuple):
    """What becomes of the packets of one direction: the share that is lost, and how much later the others come."""

    loss: float = 0.0
    delay: float = 0.0


class Way(NamedTuple):
    """Of the packets of an address: from whoever connects to it, and back."""

    there: Fate = Fate()
    back: Fate = Fate()


class Network:
    """The addresses and what becomes of their packets; `ways` may be changed at any time."""

    def __init__(self, seed: int) -> None:
        self.ways: dict[str, Way] = {}
        self._dice = random.Random(seed)
        self._numbers = iter(range(11, 255))
        self._late: list[tuple[float, int, bytes]] = []
        self._count = 0
        self._over = threading.Event()
        self._device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(self._device, TUNSETIFF, struct.pack("16sH", b"seve0", IFF_TUN | IFF_NO_PI))
        for command in (
            ["ip", "link", "set", "lo", "up"],
            ["ip", "addr", "add", f"{SELF}/24", "dev", "seve0"],
            ["ip", "link", "set", "seve0", "mtu", str(MTU), "up"],
        ):
            subprocess.run(command, check=True, capture_output=True)

    def address(self) -> str:
        """A new address of this machine."""
        found = f"{NETWORK}.{next(self._numbers)}"
        self.ways[found] = Way()
        return found

    def run(self) -> None:
        """Carry packets until `stop`."""
        while not self._over.is_set():
            wait = min(0.05, max(0.0, self._late[0][0] - time.monotonic())) if self._late else 0.05
            if select.select([self._device], [], [], wait)[0]:
                self._take(os.read(self._device, MTU + 100))
            while self._late and self._late[0][0] <= time.monotonic():
                os.write(self._device, heapq.heappop(self._late)[2])
        os.close(self._device)

    def stop(self) -> None:
        """End of `run`."""
        self._over.set()

    def _take(self, packet: bytes) -> None:
        if packet[0] >> 4 != 4:  # IPv6 looks for neighbours
            return
        source, other = packet[12:16], packet[16:20]
        way = self.ways.get(".".join(map(str, other)), Way())
        ports = struct.unpack("!HH", packet[20:24])
        fate = way.there if ports[0] > ports[1] else way.back  # servers of tests listen below where clients begin
        if self._dice.random() < fate.loss:
            return
        self._count += 1
        # exchanging the addresses changes neither checksum
        turned = packet[:12] + other + source + packet[20:]
        heapq.heappush(self._late, (time.monotonic() + fate.delay, self._count, turned))


@contextmanager
def network(seed: int) -> Iterator[Network]:
    """A network that carries packets while the context lasts."""
    one = Network(seed)
    thread = threading.Thread(target=one.run, name="network")
    thread.start()
    try:
        yield one
    finally:
        one.stop()
        thread.join()
