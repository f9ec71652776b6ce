"""A real Mosquitto as a child process of the test run, if the program is installed."""

import os
import pwd
import re
import shutil
import signal
from pathlib import Path

from seve_docker.prepare import prepare

from support.embedded import Server

CONFIG = """\
listener {port} 127.0.0.1
allow_anonymous {anonymous}
user {user}
persistence true
persistence_location {folder}/
autosave_on_changes false
autosave_interval 1
max_inflight_messages {inflight}
max_queued_messages 0
queue_qos0_messages true
sys_interval 1
set_tcp_nodelay true
{extra}
"""


def program() -> str | None:
    """Return the path of Mosquitto, or None."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


DEPLOYED = Path(__file__).parents[2] / "deploy/docker/mosquitto"


class DeployedMosquitto(Server):
    """Mosquitto with the configuration, users and rights that `prepare` makes for containers of these settings."""

    def __init__(self, folder: Path, **settings: str) -> None:
        super().__init__(folder)
        self.settings = settings
        self.secrets = folder / ".seve/docker/seve"
        self.access = prepare(folder, settings)["MQTT_ACCESS"]

    @property
    def pipeline(self) -> tuple[str, str]:
        """Ingest's user and password."""
        return "pipeline", (self.secrets / "mqtt_pipeline").read_text()

    def reload(self) -> None:
        """Replace the files and signal the process, as `device` does in containers."""
        prepare(self.folder, self.settings)
        self._take_files()
        self.process.send_signal(signal.SIGHUP)

    @property
    def mqtt_url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        self._take_files()
        self._write("access.conf", self._moved(self.secrets / "tls/mosquitto/access" / self.access / "access.conf"))
        main = self._write("main", self._moved(DEPLOYED / "mosquitto.conf"))
        return [str(program()), "-c", str(main)]

    def _take_files(self) -> None:
        for name in ("mqtt_passwords", "mqtt_acl"):
            self._write(name, (self.secrets / name).read_text())

    def _moved(self, file: Path) -> str:
        """Return a configuration with the container's paths and port replaced by those of the test."""
        text = re.sub(r"/mosquitto/(access|data)|/tmp/", f"{self.folder}/", file.read_text())
        text = text.replace("/run/tls", str(self.secrets / "tls/mosquitto"))
        user = pwd.getpwuid(os.getuid()).pw_name
        return text.replace("listener 1883", f"user {user}\nlistener {self.port} 127.0.0.1")

    def _write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o600)
        return path


class Mosquitto(Server):
    """Mosquitto with persistence; `extra` is appended to its configuration."""

    def __init__(self, folder: Path, *, inflight: int = 5000, extra: str = "", anonymous: bool = True) -> None:
        super().__init__(folder)
        self.inflight = inflight
        self.extra = extra
        self.anonymous = anonymous

    @property
    def mqtt_port(self) -> int:
        return self.port

    @property
    def mqtt_url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        path = self.folder / "mosquitto.conf"
        path.write_text(
            CONFIG.format(
                port=self.port,
                folder=self.folder,
                user=pwd.getpwuid(os.getuid()).pw_name,
                inflight=self.inflight,
                extra=self.extra,
                anonymous=str(self.anonymous).lower(),
            )
        )
        return [str(program()), "-c", str(path)]
