"""The whole pipeline in containers, by testcontainers: with the images, users, passwords and rights of `compose.yaml`,
on one network, and with every port on 127.0.0.1, so that tests can reach it.

A part keeps its ports. A restarted service is a new container; a restarted server keeps its container, and so its data.
Containers that a killed run left behind are removed by the next one.
"""

import gc
import os
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"  # its image may be unavailable; this module cleans up itself
os.environ["TESTCONTAINERS_HOST_OVERRIDE"] = "127.0.0.1"

import docker
import psycopg
from docker.errors import DockerException, NotFound
from seve_docker import images as docker_images
from seve_docker.commands import Containers
from seve_docker.compose import Compose
from seve_docker.prepare import prepare
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network

from support.compose import ROOT, TAG
from support.conditions import accepts, free_port, wait_until
from support.stack import QUICK, Stack

LABEL = "dev.seve.test-run"
HARDENED = {"read_only": True, "cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"]}
ADMIN_PORT = 9000


def impossible() -> str | None:
    """Return why this machine cannot run containers; None if it can."""
    if not _answers():
        return "no Docker engine answers"
    why = Containers(ROOT, os.environ).impossible()
    return why if why and not docker_images.standins() else None


def _answers() -> bool:
    """Return whether an engine answers. If none does, docker-py leaves its socket open: it is collected here, so that
    no test gets the warning.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            client = docker.from_env()
            client.ping()
            client.close()
        except DockerException:
            found = False
        else:
            found = True
        gc.collect()
    return found


@cache
def images() -> dict[str, str]:
    """Build the project's own images; return the names of the others by setting, stand-ins if necessary."""
    compose = Compose(ROOT, {**os.environ, "SEVE_TAG": TAG})
    docker_images.choose(compose)
    docker_images.build(compose)
    return {name: compose.default(name) for name in ("MOSQUITTO_IMAGE", "POSTGRES_IMAGE", "HAPROXY_IMAGE")}


def sweep() -> None:
    """Remove the containers and networks of runs whose process is gone."""
    client = docker.from_env()
    try:
        dead = {"filters": {"label": LABEL}}
        for one in [*client.containers.list(all=True, **dead), *client.networks.list(**dead)]:
            labels = getattr(one, "labels", None) or one.attrs.get("Labels") or {}
            if not Path(f"/proc/{labels.get(LABEL)}").exists():
                one.remove(**({"force": True, "v": True} if hasattr(one, "kill") else {}))
    finally:
        client.close()


class Part:
    """One container, recreated by `make`; `ports` maps its own ports to those of this machine."""

    def __init__(self, make: Callable[[], DockerContainer], ports: dict[int, int]) -> None:
        self.make = make
        self.ports = ports
        self.current: DockerContainer | None = None

    def create(self) -> None:
        """Replace the container by a new one."""
        self.remove()
        container = self.make()
        container.ports = {f"{inside}/tcp": ("127.0.0.1", outside) for inside, outside in self.ports.items()}
        self.current = container
        container.start()

    def start_again(self) -> None:
        self.wrapped.start()

    def remove(self) -> None:
        if self.current and self.current._container:
            self.current.stop()
        self.current = None

    @property
    def wrapped(self):
        return self.current.get_wrapped_container()

    @property
    def exited(self) -> bool:
        self.wrapped.reload()
        return self.wrapped.status in ("exited", "dead")

    def end(self, how: Callable[[], None]) -> int:
        """End the container, wait until it has stopped, and return its exit code."""
        if self.current and not self.exited:
            how()
        return self.wrapped.wait(timeout=60)["StatusCode"]

    def log(self) -> str:
        return self.wrapped.logs(tail=60).decode(errors="replace")


class ContainerStack(Stack):
    """The pipeline in containers. `environment` goes to every service, over the quick settings."""

    def __init__(self, folder: Path, *, writers: int = 1, **environment: str) -> None:
        self.images = images()
        sweep()
        self.secrets = folder / "secrets"
        self._make_secrets(folder)
        self.environment = {**QUICK, **environment}
        self.network = Network(docker_network_kw={"labels": {LABEL: str(os.getpid())}})
        self.nats = Part(self._nats, {4222: free_port()})
        self.postgres = Part(self._postgres, {5432: free_port()})
        self.mosquitto = Part(self._mosquitto, {1883: free_port()})
        self._services = {
            "ingest": self._service_part("ingest"),
            "broadcaster": self._service_part("broadcaster", 8080),
            "history": self._service_part("history"),
            **{f"writer-{n}" if n > 1 else "writer": self._service_part("writer") for n in range(1, writers + 1)},
        }
        operator, owner = self._secret("nats_operator"), self._secret("postgres_owner")
        self.mqtt_url = f"mqtt://127.0.0.1:{self.mosquitto.ports[1883]}"
        self.nats_url = f"nats://operator:{operator}@127.0.0.1:{self.nats.ports[4222]}"
        self.database_url = f"postgresql://postgres:{owner}@127.0.0.1:{self.postgres.ports[5432]}/seve"
        self.ws_url = f"ws://127.0.0.1:{self._services['broadcaster'].ports[8080]}/ws"

    def _make_secrets(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        prepare(folder, {"SECRETS": str(self.secrets)})

    def _secret(self, name: str) -> str:
        return (self.secrets / name).read_text()

    def _container(self, image: str, name: str, *secrets: str, **kwargs) -> DockerContainer:
        container = DockerContainer(image, labels={LABEL: str(os.getpid())}, **{**HARDENED, **kwargs})
        container.with_network(self.network).with_network_aliases(name)
        for secret in secrets:
            container.with_volume_mapping(self.secrets / secret, f"/run/secrets/{secret}")
        return container

    def _nats(self) -> DockerContainer:
        container = self._container(f"seve/nats:{TAG}", "nats", "nats_passwords")
        container.with_volume_mapping(self.secrets / "tls/nats", "/run/tls")
        return container.with_env("NATS_SYNC_INTERVAL", '"always"')

    def _postgres(self) -> DockerContainer:
        tmpfs = {"/tmp": "", "/var/run/postgresql": ""}
        image = self.images["POSTGRES_IMAGE"]
        names = [f"postgres_{role}" for role in ("owner", "writer", "history", "operator")]
        container = self._container(image, "postgres", *names, user="postgres", tmpfs=tmpfs, shm_size="256m")
        container.with_command("postgres -c fsync=off")
        roles = ROOT / "deploy/docker/postgres"
        container.with_volume_mapping(roles / "10-roles.sh", "/docker-entrypoint-initdb.d/10-roles.sh")
        container.with_volume_mapping(roles / "roles.sql", "/etc/seve/roles.sql")
        container.tmpfs = container._kwargs.pop("tmpfs")
        return container.with_envs(POSTGRES_DB="seve", POSTGRES_PASSWORD_FILE="/run/secrets/postgres_owner")

    def _mosquitto(self) -> DockerContainer:
        image, files = self.images["MOSQUITTO_IMAGE"], ("mqtt_passwords", "mqtt_acl")
        container = self._container(image, "mosquitto", *files, user="mosquitto")
        container.tmpfs = {"/tmp": "", "/mosquitto/log": ""}
        folder = ROOT / "deploy/docker/mosquitto"
        container.with_volume_mapping(folder / "mosquitto.conf", "/mosquitto/config/mosquitto.conf")
        container.with_volume_mapping(folder / "access/open", "/mosquitto/access")
        start = "umask 077 && cp /run/secrets/mqtt_passwords /run/secrets/mqtt_acl /tmp"
        return container.with_command(["sh", "-c", f"{start} && exec mosquitto -c /mosquitto/config/mosquitto.conf"])

    def _service_part(self, service: str, *ports: int) -> Part:
        return Part(lambda: self._service(service), {port: free_port() for port in (ADMIN_PORT, *ports)})

    def _service(self, service: str, user: str | None = None, **kwargs) -> DockerContainer:
        user = user or service
        own = {
            "ingest": ["mqtt_pipeline"],
            "writer": ["database_url"],
            "history": ["history_database_url"],
            "setup": ["migration_database_url"],
        }
        container = self._container(f"seve/{service}:{TAG}", service, f"nats_{user}", *own.get(user, []), **kwargs)
        container.tmpfs = {"/tmp": ""}
        return container.with_envs(**self.environment, **self._addresses(user))

    def _addresses(self, user: str) -> dict[str, str]:
        nats = {
            "NATS_URL": "nats://nats:4222",
            "NATS_USER": user,
            "NATS_INBOX_PREFIX": f"_INBOX_{user}",
            "NATS_PASSWORD_FILE": f"/run/secrets/nats_{user}",
        }
        broker = {
            "MQTT_BROKER": "mqtt://mosquitto:1883",
            "MQTT_USERNAME": "pipeline",
            "MQTT_PASSWORD_FILE": "/run/secrets/mqtt_pipeline",
        }
        special = {
            "ingest": broker,
            "writer": {"DATABASE_URL_FILE": "/run/secrets/database_url"},
            "setup": {"DATABASE_URL_FILE": "/run/secrets/migration_database_url"},
            "history": {"DATABASE_URL_FILE": "/run/secrets/history_database_url"},
            "broadcaster": {"WS_LISTEN": ":8080", "WS_ALLOW_UNAUTHENTICATED": "true", "WS_ALLOW_UNENCRYPTED": "true"},
        }
        return {**nats, **special[user]}

    def pid(self, part: str) -> int:
        """Return the pid of a part's process on this machine."""
        wrapped = self._part(part).wrapped
        wrapped.reload()
        return wrapped.attrs["State"]["Pid"]

    @property
    def services(self) -> list[str]:
        return list(self._services)

    def _part(self, part: str) -> Part:
        return {**self._servers, **self._services}[part]

    @property
    def _servers(self) -> dict[str, Part]:
        return {"nats": self.nats, "postgres": self.postgres, "mosquitto": self.mosquitto}

    def admin_url(self, part: str) -> str:
        return f"http://127.0.0.1:{self._services[part].ports[ADMIN_PORT]}"

    def gone(self, part: str) -> bool:
        return self._part(part).exited

    def start(self) -> None:
        self.network.create()
        for server in self._servers.values():
            server.create()
        wait_until(lambda: all(self._answers(name) for name in self._servers), "the servers answer", 60)
        self._set_up()
        for service in self._services.values():
            service.create()
        self.wait_ready()

    def _answers(self, name: str) -> bool:
        part = self._part(name)
        assert not part.exited, f"{name} ended\n{part.log()}"
        if name != "postgres":
            return all(map(accepts, part.ports.values()))
        try:
            psycopg.connect(self.database_url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _set_up(self) -> None:
        part = Part(lambda: self._service("writer", "setup").with_command("setup"), {})
        part.create()
        try:
            code = part.wrapped.wait(timeout=60)["StatusCode"]
            assert code == 0, part.log()
        finally:
            part.remove()

    def stop(self) -> None:
        for part in [*self._services.values(), *self._servers.values()]:
            part.remove()
        if self.network._network:
            with suppress(NotFound):
                self.network.remove()

    def kill(self, part: str) -> None:
        one = self._part(part)
        one.end(one.wrapped.kill)

    def terminate(self, part: str) -> int:
        one = self._part(part)
        return one.end(lambda: one.wrapped.stop(timeout=30))

    def launch(self, part: str) -> None:
        one = self._part(part)
        if part in self._services:
            one.create()
        else:
            one.start_again()

    def tail(self, part: str) -> str:
        one = self._part(part)
        return one.log() if one.current else "(no container)"
