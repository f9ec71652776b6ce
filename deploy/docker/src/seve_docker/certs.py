"""`certs` in containers: makes the certificates in the tools image, which has the library, and has the running servers
load them.
"""

import json
import socket
import subprocess
from collections.abc import Sequence
from typing import Final

from seve_embedded.shared import certificate_files, links

from seve_docker import images
from seve_docker.compose import DOCKER, Compose
from seve_docker.device import MosquittoBroker
from seve_docker.errors import CommandFailed

MODULE: Final = "deploy/embedded/src/seve_embedded"
NATS: Final = ("nats", "nats-1", "nats-2", "nats-3")
POSTGRES: Final = ("exec", "-T", "postgres", "sh", "-c", "umask 077 && cp /run/tls/* /tmp && kill -HUP 1")


def certs(compose: Compose, names: Sequence[str], devices: Sequence[str], *, renew: bool) -> None:
    """Make certificates that are missing or expire soon, and print where they are. Raises CommandFailed."""
    folder = compose.root / links.folder(compose.environ)
    images.choose(compose)
    images.build(compose)
    every = [socket.gethostname(), *names]
    request = {"held": certificate_files.held(folder), "names": every, "devices": devices, "renew": renew}
    image = f"seve/tools:{compose.environ.get('SEVE_TAG') or 'latest'}"
    module = ("-v", f"{compose.root / MODULE}:/opt/tools/seve_embedded:ro", "-e", "PYTHONPATH=/opt/tools")
    contained = ("--rm", "-i", "--network", "none", "--read-only", "--cap-drop", "ALL", *module)
    command = [DOCKER, "run", *contained, "--entrypoint", "python", image, "-m", "seve_embedded.certificates"]
    done = subprocess.run(
        command, check=False, env=compose.environ, input=json.dumps(request), capture_output=True, text=True
    )
    if done.returncode:
        raise CommandFailed(done.stderr.strip())
    written = json.loads(done.stdout)
    certificate_files.write(folder, written)
    print(
        certificate_files.told(
            links.folder(compose.environ), written, every, devices, on=bool(links.switched(compose.environ))
        ),
        flush=True,
    )


def take_up(compose: Compose) -> None:
    """Have the running servers reload their certificates; the broadcaster notices changed files itself.

    Raises CommandFailed, and DeviceError if Mosquitto could not reload without losing messages.
    """
    MosquittoBroker(compose).apply()
    for server in {one.service for one in compose.states() if one.state == "running"}:
        if server in NATS:
            compose.need("kill", "-s", "HUP", server, fault=f"{server} was not told of its new certificate")
        if server == "postgres":
            compose.need(*POSTGRES, fault="the database was not told of its new certificate")
