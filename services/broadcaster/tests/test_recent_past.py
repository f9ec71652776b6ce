"""An opening page gets the snapshot, and a token for the last ten minutes."""

import json

from seve_broadcaster.auth.grants import Grant
from seve_broadcaster.fanout.hub import Hub
from seve_broadcaster.snapshot.snapshot import LatestValues
from seve_broadcaster.stream.message import Message
from seve_broadcaster.stream.replay_buffer import ReplayBuffer
from seve_broadcaster.websocket import http
from seve_schema.codec import encode
from seve_schema.position import Position, Token
from seve_schema.times import MICROS, format_time
from support.broadcasting import envelope

NOW = 1_767_225_600 * MICROS
START = Position(1, 0)


def a_hub(*ages, limit=1 << 20):
    """Return a hub that received one message of each age, in seconds before NOW."""
    hub = Hub(START, LatestValues(), ReplayBuffer(limit, START))
    for sequence, age in enumerate(ages, start=1):
        said = envelope("a", sequence, received_at=format_time(NOW - age * MICROS))
        hub.publish(Message.decode(Position(1, sequence), "measurement", encode([said])))
    return hub


def since(hub):
    return Token.parse(json.loads(http.modules(hub, Grant(), NOW))["since"]).position


def test_a_page_that_opens_may_go_back_ten_minutes():
    """Older samples are left out."""
    assert since(a_hub(1200, 700, 500, 1)) == Position(1, 2)


def test_a_page_that_opens_goes_back_no_further_than_memory():
    """If memory begins later, so does the token."""
    assert since(a_hub(500, 400, 300)) == START
    assert since(a_hub(500, 400, 300, limit=1)) == Position(1, 2)
