"""`check` in Docker mode, as far as no engine is asked: on the settings, the passwords and the certificates."""

import pytest
from seve_docker import check
from seve_docker.compose import Compose


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
