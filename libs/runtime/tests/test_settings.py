"""Settings are read from the environment, and all faults are reported together."""

import json
import subprocess
import sys
from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import Meta
from seve_runtime.errors import SettingsError
from seve_runtime.settings import Bytes, Count, Listen, Seconds, Secret, describe, load
from seve_runtime.units import is_loopback, split_listen


class Group(msgspec.Struct, frozen=True, kw_only=True):
    topics: tuple[str, ...] = ("#",)
    mode: Literal["a", "b"] = "a"


class Example(msgspec.Struct, frozen=True, kw_only=True):
    group: Group
    database_url: Annotated[str, Meta(description="where rows go")]
    flush_interval: Annotated[Seconds, Meta(description="at most this long")] = 5.0
    size: Bytes = 2 << 30
    batch: Count = 100
    password: Secret | None = None
    listen: Listen = "127.0.0.1:8080"
    presets: tuple[Literal["esphome", "tasmota"], ...] = ()
    pause: Annotated[Seconds, Meta(gt=0)] = 1.0
    open: bool = False
    url: Annotated[str, Meta(pattern="^mqtt://", extra={"expected": "mqtt://host:1883"})] = "mqtt://a:1"


GOOD = {"DATABASE_URL": "postgresql://x"}


def test_defaults_apply_to_unset_variables():
    """An empty variable counts as unset, as Compose passes them."""
    settings = load(Example, {**GOOD, "BATCH": ""})
    assert (
        settings.flush_interval,
        settings.batch,
        settings.group.topics,
        settings.password,
    ) == (5.0, 100, ("#",), None)


def test_values_are_read_with_their_units():
    """Durations, sizes, numbers and lists as people write them."""
    environ = {**GOOD, "FLUSH_INTERVAL": "500ms", "SIZE": "64MiB", "BATCH": "7", "TOPICS": "a/#, b/#", "MODE": "b"}
    settings = load(Example, environ)
    assert (settings.flush_interval, settings.size, settings.batch) == (0.5, 64 << 20, 7)
    assert Group(topics=("a/#", "b/#"), mode="b") == settings.group


@pytest.mark.parametrize("text", ["90", "0.5", "1h30m", "5 sec", "10M"])
def test_a_duration_needs_its_unit(text):
    """Some would read `RETENTION=90` as 90 seconds, others as 90 days."""
    with pytest.raises(SettingsError) as raised:
        load(Example, {**GOOD, "FLUSH_INTERVAL": text})
    assert raised.value.faults == [
        f"FLUSH_INTERVAL = '{text}': expected a duration with its unit, such as 500ms, 5s, 10m, 2h or 90d"
    ]


@pytest.mark.parametrize("text", ["1024", "2G"])
def test_a_size_needs_its_unit(text):
    with pytest.raises(SettingsError) as raised:
        load(Example, {**GOOD, "SIZE": text})
    assert raised.value.faults == [f"SIZE = '{text}': expected a size with its unit, such as 64KiB, 256MiB or 2GiB"]


def test_zero_needs_no_unit():
    """0 means the same in every unit."""
    settings = load(Example, {**GOOD, "FLUSH_INTERVAL": "0", "SIZE": "0"})
    assert (settings.flush_interval, settings.size) == (0, 0)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("MODE", "c", "one of a, b"),
        ("PRESETS", "esphom", "some of esphome, tasmota, separated by commas"),
        ("BATCH", "0", "a whole number, at least 1"),
        ("BATCH", "many", "a whole number, at least 1"),
        ("PAUSE", "0", "a duration with its unit, such as 500ms, 5s, 10m, 2h or 90d, more than 0"),
        ("OPEN", "perhaps", "true or false"),
        ("URL", "here", "mqtt://host:1883"),
        ("LISTEN", "1883", "host:port, such as 127.0.0.1:1883, or 0.0.0.0:1883 for every address"),
        ("LISTEN", "127.0.0.1:99999", "a port is at most 65535"),
    ],
)
def test_a_fault_says_what_to_write(name, text, expected):
    with pytest.raises(SettingsError) as raised:
        load(Example, {**GOOD, name: text})
    [fault] = raised.value.faults
    assert fault.startswith(f"{name} = '{text}': expected ")
    assert expected in fault


def test_all_faults_are_reported_together():
    """An operator corrects all of them at once."""
    wrong = {"FLUSH_INTERVAL": "soon", "BATCH": "0", "MODE": "c", "LISTEN": "nowhere", "SIZE": "-1"}
    with pytest.raises(SettingsError) as raised:
        load(Example, wrong)
    named = {fault.split()[0] for fault in raised.value.faults}
    assert {"DATABASE_URL", "FLUSH_INTERVAL", "BATCH", "MODE", "LISTEN", "SIZE"} == named


def test_a_secret_is_read_from_a_file_and_not_shown(tmp_path):
    """`PASSWORD_FILE` is the way in which containers get secrets."""
    (tmp_path / "password").write_text("hush\n")
    settings = load(Example, {**GOOD, "PASSWORD_FILE": str(tmp_path / "password")})
    assert settings.password.reveal() == "hush"
    assert "hush" not in f"{settings} {settings.password!r} {settings.password}"


def test_no_conversion_shows_a_secret():
    """`str()`, `%s`, `+` and JSON encoders do not get the text; `+` and JSON would get that of a subclass of `str`."""
    secret = Secret("hush")
    assert not isinstance(secret, str)
    assert "hush" not in str(secret) + f"{secret}" + "%s" % secret + repr({"password": secret})  # noqa: UP031
    with pytest.raises(TypeError):
        json.dumps({"password": secret})
    with pytest.raises(TypeError):
        "password: " + secret


def test_a_secret_never_reaches_a_log_line():
    """With the logging of a service, as JSON."""
    program = (
        "import structlog; from seve_runtime import logs; from seve_runtime.settings import Secret; "
        "logs.configure('example', 'info', 'json'); structlog.get_logger().info('connected', password=Secret('hush'))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert json.loads(done.stderr)["event"] == "connected"
    assert "hush" not in done.stderr


def test_a_secret_given_twice_is_a_fault_without_its_value(tmp_path):
    """Neither of the two values takes precedence."""
    with pytest.raises(SettingsError) as raised:
        load(Example, {**GOOD, "PASSWORD": "hush", "PASSWORD_FILE": str(tmp_path / "missing")})
    assert "PASSWORD_FILE" in str(raised.value)
    assert "hush" not in str(raised.value)


def test_every_setting_is_described_with_its_default():
    """`--help` and the README's table are made from the struct."""
    rows = {row.name: row for row in describe(Example)}
    assert list(rows) == [
        "TOPICS",
        "MODE",
        "DATABASE_URL",
        "FLUSH_INTERVAL",
        "SIZE",
        "BATCH",
        "PASSWORD",
        "LISTEN",
        "PRESETS",
        "PAUSE",
        "OPEN",
        "URL",
    ]
    assert (
        rows["FLUSH_INTERVAL"].default,
        rows["SIZE"].default,
        rows["DATABASE_URL"].default,
        rows["FLUSH_INTERVAL"].description,
    ) == ("5s", "2GiB", None, "at most this long")
    assert rows["PASSWORD"].secret


@pytest.mark.parametrize(
    ("listen", "address", "loopback"),
    [
        ("127.0.0.1:1", ("127.0.0.1", 1), True),
        ("[::1]:2", ("::1", 2), True),
        (":3", ("0.0.0.0", 3), False),
        ("localhost:4", ("localhost", 4), True),
        ("127.9.9.9:5", ("127.9.9.9", 5), True),
        ("192.168.1.5:5", ("192.168.1.5", 5), False),
        ("127.evil.example:6", ("127.evil.example", 6), False),
        ("localhost.example:7", ("localhost.example", 7), False),
    ],
)
def test_listen_addresses(listen, address, loopback):
    """Only loopback addresses need no permission to be served."""
    assert address == split_listen(listen)
    assert loopback == is_loopback(listen)
