"""The programs of the stack, and how they reach each other."""

import pytest
from seve_embedded import plan
from seve_embedded.logins import Logins
from seve_embedded.settings import StackSettings

LOGINS = Logins.of(lambda name: f"{name}/@pw", "seve-ingest-0123456789abcdef")


def planned(**settings):
    chosen = StackSettings(**settings)
    found = plan.addresses(chosen, LOGINS)
    return found, plan.programs(chosen, LOGINS, python="/v/python", postgres=["pg"], nats=["nats"])


def test_services_stop_before_the_servers_they_drain_into():
    """Priorities order the start; the stop is in reverse order: ingest first, the database last."""
    _, programs = planned(writers=2)
    assert [program.name for program in sorted(programs, key=lambda program: program.priority)] == [
        "postgres",
        "nats",
        "writer",
        "writer-2",
        "history",
        "broadcaster",
        "ingest",
        "watchdog",
    ]


def test_postgresql_is_stopped_without_waiting_for_its_sessions():
    """SIGINT ends sessions; SIGTERM would wait until the last psql is closed."""
    _, programs = planned()
    stops = {program.name: program.stop_signal for program in programs}
    assert (stops.pop("postgres"), set(stops.values())) == ("INT", {"TERM"})


def test_writers_count_their_admin_ports_up():
    """Each writer has a port of its own."""
    _, programs = planned(writers=3, writer_admin_port=9111)
    assert [program.admin_port for program in programs if program.name.startswith("writer")] == [9111, 9112, 9113]


def test_nats_is_told_how_much_memory_to_keep_to():
    _, programs = planned(nats_memory_bytes=900 << 20)
    [nats] = [program for program in programs if program.name == "nats"]
    assert nats.environment["GOMEMLIMIT"] == f"{900 << 20}B"


def test_passwords_are_escaped_in_urls():
    """A password may contain any character."""
    found, _ = planned()
    assert found.broker == "nats://broker:broker%2F%40pw@127.0.0.1:4222"
    assert found.database == "postgresql://seve_operator:postgres_operator%2F%40pw@127.0.0.1:5432/seve"


def test_a_service_has_its_own_passwords_and_no_other():
    """It gets neither the owner's nor another service's."""
    _, programs = planned()
    held = {program.name: " ".join(program.environment.values()) for program in programs}
    assert "nats_ingest/" in held["ingest"]
    assert "mqtt_pipeline/" in held["ingest"]
    assert "postgres" not in held["ingest"]
    assert "nats_writer/" in held["writer"]
    assert "seve_writer:" in held["writer"]
    assert "nats_ingest/" not in held["writer"]
    assert "nats_broadcaster/" in held["broadcaster"]
    assert "postgres" not in held["broadcaster"]
    assert "nats_history/" in held["history"]
    assert "seve_history:" in held["history"]
    assert "seve_writer:" not in held["history"]


@pytest.mark.parametrize(
    ("listen", "url"),
    [
        ("127.0.0.1:1883", "mqtt://127.0.0.1:1883"),
        ("0.0.0.0:1884", "mqtt://127.0.0.1:1884"),
        (":1883", "mqtt://127.0.0.1:1883"),
        ("192.168.1.5:1883", "mqtt://192.168.1.5:1883"),
        ("[::]:1883", "mqtt://[::1]:1883"),
    ],
)
def test_a_listener_on_every_address_is_reached_on_loopback(listen, url):
    """A listener on one address is reached on that one."""
    found, _ = planned(mqtt_listen=listen, mqtt_allow_anonymous=True, mqtt_allow_unencrypted=True)
    assert found.mqtt == url


def test_every_port_is_known_by_its_setting():
    """So that the setting of a taken port can be named, also of each writer."""
    assert [(setting, port) for setting, _, port in plan.listeners(StackSettings(writers=2))] == [
        ("MQTT_LISTEN", 1883),
        ("WS_LISTEN", 8080),
        ("NATS_PORT", 4222),
        ("POSTGRES_PORT", 5432),
        ("INGEST_ADMIN_PORT", 9101),
        ("BROADCASTER_ADMIN_PORT", 9102),
        ("HISTORY_ADMIN_PORT", 9103),
        ("WRITER_ADMIN_PORT", 9111),
        ("WRITER_ADMIN_PORT", 9112),
    ]


def whole(**settings):
    found, programs = planned(**settings)
    chosen = StackSettings(**settings)
    return plan.Plan(
        programs=programs,
        addresses=found,
        listeners=plan.listeners(chosen),
        stream_bytes=1,
        writers=chosen.writers,
        dotenv="digest",
    )


@pytest.mark.parametrize(("had", "wanted"), [(1, 3), (3, 1), (2, 2)])
def test_a_rescaled_plan_is_that_of_the_start_with_other_writers(had, wanted):
    """Ports, logins and the digest of `.env` stay as at the start, even if the settings have changed."""
    odd = {"writer_admin_port": 9200, "nats_port": 4300, "ws_listen": "127.0.0.1:8099"}
    assert plan.rescaled(whole(writers=had, **odd), wanted) == whole(writers=wanted, **odd)
