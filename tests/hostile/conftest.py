"""An honest device beside each attacker."""

import pytest
from support.attacker import attacking
from support.honest import honest as beside


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
