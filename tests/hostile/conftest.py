"""An honest device beside each attacker."""

import uuid

import pytest
from support import clients
from support.attacker import attacking
from support.honest import honest as beside


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
def honest(stack, module):
    """A device and a screen at work while the attack lasts; `honest.lost_nothing()` closes their account."""
    with beside(stack, module) as honest:
        yield honest


@pytest.fixture
def attacker(stack):
    """A client with what every device has, and no more."""
    with attacking(stack.mqtt_url) as attacker:
        yield attacker
