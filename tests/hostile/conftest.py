"""An honest device beside each attacker."""

import uuid

import pytest
from support import clients
from support.attacker import attacking


@pytest.fixture
def module():
    """A module name that no other test uses."""
    return f"m-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def publish(stack):
    """`publish(topic, payload)` of an honest device, acknowledged at QoS 1 when it returns."""
    with clients.device(stack.mqtt_url) as publish:
        yield publish


@pytest.fixture
def attacker(stack):
    """A client with what every device has, and no more."""
    with attacking(stack.mqtt_url) as attacker:
        yield attacker
