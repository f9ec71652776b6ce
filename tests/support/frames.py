"""Decodes frames that a server wrote to a socket, by the protocol of the library websockets instead of our own."""

import json

from websockets.frames import Opcode
from websockets.protocol import OPEN, Protocol, Side


class Reader:
    """Turns bytes into decoded frames; `closed` has the close code once there is one."""

    def __init__(self):
        self._protocol = Protocol(Side.CLIENT, state=OPEN, max_size=None)

    def feed(self, data):
        self._protocol.receive_data(data)
        events = self._protocol.events_received()
        assert self._protocol.parser_exc is None
        return [json.loads(frame.data) for frame in events if frame.opcode is Opcode.TEXT]
