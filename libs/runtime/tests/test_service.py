"""The command of a service as a user sees it: help, faults of settings, exit codes, logs."""

import json
import os
import signal
import subprocess
import sys

import pytest
from seve_runtime.errors import SettingsError
from seve_runtime.service import ServiceSettings
from seve_runtime.settings import load

EXAMPLE = """
import sys
from typing import Annotated
import msgspec, structlog
from msgspec import Meta
from seve_runtime.lifecycle import supervise
from seve_runtime.service import ServiceSettings, serve

class Settings(msgspec.Struct, frozen=True, kw_only=True):
    service: ServiceSettings
    color: Annotated[str, Meta(description="of the sky")]

async def app(settings, stop):
    if settings.color == "red":
        password = "hush"
        raise RuntimeError("a red sky")
    async def worker(stop):
        structlog.get_logger().info("ready")
        await stop.wait()
    await supervise(stop, worker, grace=5)

sys.exit(serve("seve-example", "an example", Settings, app, sys.argv[1:], uses={}))
"""


def start(*arguments, **environ):
    return subprocess.Popen(
        [sys.executable, "-c", EXAMPLE, *arguments],
        env={"PATH": os.environ["PATH"], **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_help_lists_every_setting():
    """`--help` is enough to find a setting."""
    process = start("--help")
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "COLOR" in out
    assert "of the sky" in out
    assert "SHUTDOWN_GRACE" in out


def test_faults_of_settings_end_with_2_and_are_all_named():
    """The exit code tells a supervisor that a restart will not help."""
    process = start(LOG_LEVEL="loud")
    _, err = process.communicate(timeout=30)
    assert process.returncode == 2
    assert {"LOG_LEVEL", "COLOR"} == {line.split()[1] for line in err.splitlines()}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_a_service_cleanly(number):
    """The exit code is 0, and the last log line, in JSON, is `stopped`."""
    process = start(COLOR="blue")
    first = json.loads(process.stderr.readline())
    assert (first["event"], first["service"]) == ("ready", "seve-example")
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert json.loads(err.splitlines()[-1])["event"] == "stopped"


def test_a_failure_ends_with_1_and_is_logged():
    """A failure can be told from a clean stop."""
    process = start(COLOR="red")
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "a red sky" in err


def test_a_traceback_carries_no_values():
    """Local variables may contain passwords, so they are not logged."""
    process = start(COLOR="red")
    _, err = process.communicate(timeout=30)
    assert "hush" not in err


def test_an_admin_port_is_opened_to_the_network_only_if_that_is_allowed():
    """The port has neither TLS nor credentials."""
    opened = {"ADMIN_LISTEN": ":9000"}
    with pytest.raises(SettingsError, match=r"ADMIN_LISTEN = ':9000'.*ADMIN_ALLOW_UNAUTHENTICATED=true"):
        load(ServiceSettings, opened)
    assert load(ServiceSettings, {**opened, "ADMIN_ALLOW_UNAUTHENTICATED": "true"}).admin_listen == ":9000"
