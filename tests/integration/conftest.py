"""A device and a screen of the pipeline under test."""

import uuid

import pytest
from servers import clients


@pytest.fixture
def module():
    """A module name that no other test uses."""
    return f"m-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def publish(stack):
    """`publish(topic, payload, qos=1, retain=False)`, acknowledged when it returns."""
    with clients.device(stack.mqtt_url) as publish:
        yield publish


@pytest.fixture
def watched(stack, module):
    """What a screen that subscribed to the test's module is sent."""
    with clients.screen(stack.ws_url, module) as watched:
        yield watched
