"""Frames of every length have headers that RFC 6455 readers understand."""

import pytest
from seve_broadcaster.protocol import frames
from seve_schema.position import Position
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader


def read(data):
    """Return the frames in `data`, as websockets parses them."""
    reader = StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    found = []
    while True:
        ended = reader.at_eof()
        try:
            next(ended)
        except StopIteration as end:
            if end.value:
                return found
        parsing = Frame.parse(reader.read_exact, mask=False)
        with pytest.raises(StopIteration) as parsed:
            next(parsing)
        found.append(parsed.value.value)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 70_000])
def test_a_frame_of_any_length_is_read_back(size):
    """Also at the lengths at which the header grows."""
    (frame,) = read(frames.text(b"x" * size))
    assert (frame.opcode, frame.fin, len(frame.data)) == (Opcode.TEXT, True, size)


@pytest.mark.parametrize("size", [*range(50, 70), 125, 126, *range(65_440, 65_480)])
def test_messages_of_any_length_are_read_back(size):
    """Each in a frame of its own; only the last has the token of the whole message."""
    parts = [b'"%s"' % (b"x" * size), b"1"]
    first, last = read(frames.messages(Position(1, 2), [0, 1], parts))
    head = b'{"event":"mqtt-message","seq":"'
    assert bytes(first.data) == head + b'1-2-0","data":' + parts[0] + b"}"
    assert bytes(last.data) == head + b'1-2-ffff","data":1}'
