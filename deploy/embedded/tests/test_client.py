"""The client of a supervisor that answers, is frozen, or is gone."""

import os
import signal
import subprocess
import sys

import pytest
from seve_embedded.supervision import client, config
from seve_embedded.supervision.client import NoSupervisor, Supervisor, SupervisorSilent
from support.conditions import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def supervisord(tmp_path):
    """A supervisor without programs; yields its process."""
    for folder in ("logs", "run"):
        (tmp_path / folder).mkdir()
    (tmp_path / "supervisord.conf").write_text(config.render([], root=os.geteuid() == 0, files=256))
    process = subprocess.Popen(
        [sys.executable, "-m", "seve_embedded.supervision.daemon", "-c", "supervisord.conf"],
        cwd=tmp_path,
        env={**os.environ, config.SOCKET_VARIABLE: str(tmp_path / "run" / "supervisor.sock")},
    )
    yield process
    process.kill()
    process.wait()


def test_a_frozen_supervisor_hangs_no_command(supervisord, tmp_path, monkeypatch):
    """The error says what to do; once the supervisor continues, it answers again."""
    supervisor = Supervisor(tmp_path / "run" / "supervisor.sock")

    def answers():
        try:
            return supervisor.states() == {}
        except NoSupervisor:
            return False

    wait_until(answers, "an answer")
    monkeypatch.setattr(client, "PATIENCE", 0.2)
    supervisord.send_signal(signal.SIGSTOP)
    with pytest.raises(SupervisorSilent, match=r"not answer within 0.2 s; `./seve down && ./seve up` replaces it"):
        supervisor.states()
    supervisord.send_signal(signal.SIGCONT)
    wait_until(answers, "an answer again")
    supervisord.kill()
    supervisord.wait()
    with pytest.raises(NoSupervisor, match=r"refused|No such file"):
        supervisor.states()
