"""A module and a device for stories of a whole pipeline."""

import uuid

import pytest
from support import clients


@pytest.fixture
def module():
    """A module name that no other test uses."""
    return f"m-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def publish(stack):
    """`publish(topic, payload, qos=1, retain=False)` of an honest device, acknowledged when it returns."""
    with clients.device(stack.mqtt_url) as publish:
        yield publish
