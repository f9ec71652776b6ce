"""The supervisor's configuration, read by its own parser."""

import pytest
from seve_embedded.plan import Program
from seve_embedded.supervision import config
from supervisor.datatypes import RestartUnconditionally, RestartWhenExitUnexpected
from supervisor.options import ServerOptions

PROGRAMS = [
    Program(name="nats", command=("nats",), environment={"PASSWORD": "hunter2"}, priority=20, stop_seconds=7),
    Program(name="ingest", command=("python",), priority=50, admin_port=9101),
    Program(name="watchdog", command=("python",), priority=60),
]


@pytest.fixture(params=["plain", "with a space", "50% off; #1 'quoted' %(x)s"])
def options(request, tmp_path, monkeypatch):
    """The configuration as the supervisor parses it, in folders with various names."""
    folder = tmp_path / request.param
    (folder / "logs").mkdir(parents=True)
    (folder / "run").mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SEVE_SOCKET", str(folder / "run" / "supervisor.sock"))
    path = folder / "supervisord.conf"
    path.write_text(config.render(PROGRAMS, root=False, files=1024))
    read = ServerOptions()
    read.realize(args=["-c", str(path)])
    return folder, read


def test_keeps_its_logs_and_socket_in_the_state_folder(options):
    """Whatever characters its path has; the supervisor runs in that folder."""
    folder, read = options
    assert read.logfile == str(folder / "logs" / "supervisor.log")
    assert [config["file"] for config in read.server_configs] == [str(folder / "run" / "supervisor.sock")]
    logs = {config.stdout_logfile for group in read.process_group_configs for config in group.process_configs}
    assert logs == {"logs/nats.log", "logs/ingest.log", "logs/watchdog.log"}


def test_programs_that_die_are_restarted_unless_their_settings_are_bad(options):
    """A service ends with 2 if its settings cannot be used; a server may end with any code."""
    _, read = options
    found = {config.name: config for group in read.process_group_configs for config in group.process_configs}
    assert (found["ingest"].autorestart, found["ingest"].exitcodes) == (RestartWhenExitUnexpected, [2])
    assert found["nats"].autorestart is RestartUnconditionally
    assert (found["nats"].priority, found["nats"].stopwaitsecs, found["nats"].killasgroup) == (20, 7, True)


def test_only_servers_start_with_the_supervisor(options):
    """Services and the watchdog are started when `setup` is done."""
    _, read = options
    found = {config.name: config for group in read.process_group_configs for config in group.process_configs}
    starts = {name: config.autostart for name, config in found.items()}
    assert starts == {
        "nats": True,
        "ingest": False,
        "watchdog": False,
    }


def test_the_configuration_contains_no_secret():
    """The programs' environments are in another file, which only its owner can read."""
    assert "hunter2" not in config.render(PROGRAMS, root=True, files=1024)
