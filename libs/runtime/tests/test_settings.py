"""Settings come from the environment, and every fault is told at once."""

from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import Meta
from seve_runtime.errors import SettingsError
from seve_runtime.settings import Bytes, Count, Listen, Seconds, Secret, describe, is_loopback, load, split_listen


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


GOOD = {"DATABASE_URL": "postgresql://x"}


def test_defaults_stand_where_nothing_is_said():
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
    said = {**GOOD, "FLUSH_INTERVAL": "500ms", "SIZE": "64MiB", "BATCH": "7", "TOPICS": "a/#, b/#", "MODE": "b"}
    settings = load(Example, said)
    assert (settings.flush_interval, settings.size, settings.batch) == (0.5, 64 << 20, 7)
    assert Group(topics=("a/#", "b/#"), mode="b") == settings.group


def test_all_faults_are_reported_together():
    """An operator mends the environment once."""
    wrong = {"FLUSH_INTERVAL": "soon", "BATCH": "0", "MODE": "c", "LISTEN": "nowhere", "SIZE": "-1"}
    with pytest.raises(SettingsError) as raised:
        load(Example, wrong)
    named = {fault.split()[0] for fault in raised.value.faults}
    assert {"DATABASE_URL", "FLUSH_INTERVAL", "BATCH", "MODE", "LISTEN", "SIZE"} == named


def test_a_secret_comes_from_a_file_and_shows_itself_nowhere(tmp_path):
    """`PASSWORD_FILE` is how containers hand over secrets."""
    (tmp_path / "password").write_text("hush\n")
    settings = load(Example, {**GOOD, "PASSWORD_FILE": str(tmp_path / "password")})
    assert settings.password.reveal() == "hush"
    assert "hush" not in f"{settings} {settings.password!r} {settings.password}"


def test_a_secret_given_twice_is_a_fault_without_its_value(tmp_path):
    """Which of two would win is nothing to guess."""
    with pytest.raises(SettingsError) as raised:
        load(Example, {**GOOD, "PASSWORD": "hush", "PASSWORD_FILE": str(tmp_path / "missing")})
    assert "PASSWORD_FILE" in str(raised.value)
    assert "hush" not in str(raised.value)


def test_every_setting_is_described_with_its_default():
    """What `--help` and the README show comes from the struct."""
    rows = {row.name: row for row in describe(Example)}
    assert list(rows) == ["TOPICS", "MODE", "DATABASE_URL", "FLUSH_INTERVAL", "SIZE", "BATCH", "PASSWORD", "LISTEN"]
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
    ],
)
def test_listen_addresses(listen, address, loopback):
    """Only loopback is served without a word."""
    assert address == split_listen(listen)
    assert loopback == is_loopback(listen)
