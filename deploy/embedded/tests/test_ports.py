"""Taken ports are found before anything starts."""

import socket

import pytest
from seve_embedded.supervision import ports
from seve_runtime.errors import SettingsError
from support.conditions import free_port


def test_names_the_settings_of_all_ports_that_are_taken():
    """One error names all of them, and the process that has each port, if this user may see it."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        taken = [("NATS_PORT", "127.0.0.1", one.getsockname()[1]), ("WS_LISTEN", "127.0.0.1", two.getsockname()[1])]
        with pytest.raises(SettingsError) as caught:
            ports.check([*taken, ("POSTGRES_PORT", "127.0.0.1", free_port())])
    assert [fault.split(":")[0] for fault in caught.value.faults] == ["NATS_PORT", "WS_LISTEN"]
    assert "is taken" in caught.value.faults[0]


def test_a_port_given_twice_is_a_fault_of_the_second():
    """Otherwise two parts of the stack would use the same port."""
    port = free_port()
    with pytest.raises(SettingsError) as caught:
        ports.check([("NATS_PORT", "127.0.0.1", port), ("POSTGRES_PORT", "127.0.0.1", port)])
    assert caught.value.faults == [f"POSTGRES_PORT: port {port} is already given by NATS_PORT"]


def test_an_address_that_is_not_this_machines_is_a_fault():
    """192.0.2.0/24 belongs to nobody: RFC 5737."""
    with pytest.raises(SettingsError) as caught:
        ports.check([("MQTT_LISTEN", "192.0.2.1", free_port())])
    assert caught.value.faults[0].startswith("MQTT_LISTEN: 192.0.2.1:")
    assert "cannot be listened on" in caught.value.faults[0]


def test_a_name_that_no_address_has_is_a_fault():
    """A typing error is reported like any other fault."""
    with pytest.raises(SettingsError) as caught:
        ports.check([("MQTT_LISTEN", "no-such-host.invalid", free_port())])
    assert "cannot be listened on" in caught.value.faults[0]


def test_free_ports_pass():
    """They stay free: the check leaves nothing behind."""
    listener = ("NATS_PORT", "127.0.0.1", free_port())
    ports.check([listener])
    ports.check([listener])
    assert not ports.accepts("127.0.0.1", listener[2])
