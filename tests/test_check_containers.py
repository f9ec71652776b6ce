"""`check` in Docker mode, as far as no engine is asked: on the settings, the passwords and the certificates."""

import pytest
from seve_docker import check, room, up
from seve_docker.compose import Compose
from seve_embedded.shared.disk import Room

GIB = 1 << 30


@pytest.fixture
def without_engine(monkeypatch):
    """A machine on which no engine answers."""
    monkeypatch.setattr(check, "engine_answers", lambda: False)


def found(folder, **environ):
    """The first finding of each area, but for the clock's keeper, which is this machine's."""
    findings, _ = check.gather(Compose(folder, environ), environ)
    return {one.area: f"{one.what} -> {one.mend}" for one in reversed(findings) if one.area != "clock"}


def test_without_an_engine_all_else_is_looked_at(tmp_path, without_engine):
    folder = tmp_path / ".seve/docker/seve"
    folder.mkdir(parents=True, mode=0o700)
    (tmp_path / ".seve").chmod(0o700)
    folder.chmod(0o750)
    told = found(tmp_path, MQTT_LISTEN="0.0.0.0:1883", WS_TLS_CERT_FILE="none.pem")
    assert told["settings"].startswith("MQTT_LISTEN = '0.0.0.0:1883' opens MQTT to the network")
    assert told["permissions"].startswith(f"{folder} can be read by others (mode 750) -> chmod 700 ")
    assert "none.pem': there is no such file" in told["certificates"]
    assert told["versions"] == "no Docker engine with Compose answers -> systemctl start docker"


def test_nothing_is_found_where_nothing_is_wrong(tmp_path, without_engine):
    assert found(tmp_path).keys() == {"versions"}
    assert found(tmp_path, START_TIMEOUT="3").keys() == {"versions", "settings"}


def measured(monkeypatch, **disks):
    """A project whose servers have these volumes: a device, its room, and what the volume holds."""
    monkeypatch.setattr(room, "_measured", lambda _, server: disks[server.replace("-", "_")])
    services = "\n".join(["ingest", *disks]).replace("_", "-")
    monkeypatch.setattr(Compose, "output", lambda *_: services)


def test_the_streams_have_to_fit_the_disk_of_their_volume(tmp_path, monkeypatch, capsys):
    """As without Docker: by the sizes of the settings, less what the volume holds already."""
    compose = Compose(tmp_path, {"JOURNAL_MAX_BYTES": "4GiB", "HISTORY_MAX_BYTES": "2GiB"})
    measured(monkeypatch, nats=("vda", Room(5 * GIB, 100 * GIB), GIB))
    [found], fact = check._disk(compose)
    assert found.what.startswith("the disk of nats in Docker has 5.0 GiB free, three quarters of it for streams")
    assert found.what.endswith("which may grow by 5.5 GiB")
    assert found.mend == "free some, or lower JOURNAL_MAX_BYTES and HISTORY_MAX_BYTES in .env"
    assert fact.startswith("disk (5.0 GiB free, sync")
    up._check_room(compose)
    assert "the streams may still take 5.5 GiB: make room, or lower JOURNAL_MAX_BYTES" in capsys.readouterr().out


def test_servers_of_a_cluster_share_a_disk_or_have_their_own(tmp_path, monkeypatch):
    measured(
        monkeypatch,
        nats_1=("vda", Room(8 * GIB, 100 * GIB), 0),
        nats_2=("vda", Room(8 * GIB, 100 * GIB), GIB),
        nats_3=("vdb", Room(8 * GIB, 100 * GIB), 0),
    )
    compose = Compose(tmp_path, {})
    assert [(one.servers, one.growth) for one in room.disks(compose)] == [
        (("nats-1", "nats-2"), 6 * GIB),
        (("nats-3",), 3.5 * GIB),
    ]
    assert not check._disk(compose)[0]


def test_what_cannot_be_measured_is_told(tmp_path, monkeypatch, capsys):
    compose = Compose(tmp_path, {})
    measured(monkeypatch, nats=None)
    assert check._disk(compose) == ([], "no disk (it is measured once `./seve up` has built the images)")
    up._check_room(compose)
    assert capsys.readouterr().out == "  the disk of NATS could not be measured\n"
    [found], _ = check._disk(Compose(tmp_path, {"LATEST_MAX_BYTES": "3"}))
    assert found.what.startswith("LATEST_MAX_BYTES = '3': expected a size")


def test_what_a_container_says_of_a_disk_is_read():
    said = """Filesystem 1024-blocks Used Available Capacity Mounted on
/dev/vda 1000 400 600 40% /data
12 /data
"""
    assert room.parsed(said) == ("/dev/vda", Room(600 << 10, 1000 << 10), 12 << 10)
    assert room.parsed("") is None
