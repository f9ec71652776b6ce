"""Settings that contradict each other are refused at the start, by name."""

import pytest
from seve_runtime.errors import SettingsError

from .conftest import settings_for


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"batch_max": 50}, "BATCH_MAX = 50 is less than BATCH_SIZE = 100"),
        ({"max_ack_pending": 9_999}, "MAX_ACK_PENDING = 9999 is less than twice BATCH_MAX = 5000"),
        ({"ack_wait": "5s", "flush_interval": "5s"}, "ACK_WAIT = 5s is not longer than FLUSH_INTERVAL = 5s"),
        ({"batch_size": 0}, "BATCH_SIZE = '0'"),
    ],
)
def test_a_contradiction_is_named(variables, told):
    """Otherwise a batch could never fill, or messages would be redelivered for ever."""
    with pytest.raises(SettingsError) as raised:
        settings_for("nats://localhost", "postgresql://localhost/x", **variables)
    assert any(fault.startswith(told) for fault in raised.value.faults), raised.value.faults


def test_a_password_in_a_url_is_never_shown():
    """Not even in the settings' repr, which might be logged."""
    settings = settings_for("nats://localhost", "postgresql://writer:secret@localhost/x")
    assert "secret" not in repr(settings)
