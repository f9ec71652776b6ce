"""What a server wrote to a socket, read as a client reads it: by the protocol of websockets, not by ours."""

import json

from websockets.frames import Opcode
from websockets.protocol import OPEN, Protocol, Side


class Reader:
    """Takes bytes, gives decoded frames; `closed` has the close code, once there is one."""

    def __init__(self):
        self._protocol = Protocol(Side.CLIENT, state=OPEN, max_size=None)

    def feed(self, data):
        self._protocol.receive_data(data)
        events = self._protocol.events_received()
        assert self._protocol.parser_exc is None
        return [json.loads(frame.data) for frame in events if frame.opcode is Opcode.TEXT]
