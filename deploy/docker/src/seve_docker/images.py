"""Provides the images: upstream images are pulled unless present, this project's own are built, and stand-ins replace
upstream images on machines that reach no registry.
"""

import subprocess
import sys

from seve_docker.compose import Compose, docker
from seve_docker.errors import CommandFailed

UPSTREAM = ("MOSQUITTO_IMAGE", "POSTGRES_IMAGE", "NATS_IMAGE", "PYTHON_IMAGE")
STANDINS = ".ci/standin-images"
LOOKING_ON = {"prometheus": "PROMETHEUS_IMAGE", "grafana": "GRAFANA_IMAGE"}
"""The additional Compose profiles of OBSERVABILITY=1, each with the setting of its image."""


def missing(compose: Compose) -> str | None:
    """Return the first upstream image that is neither present nor can be pulled."""
    cluster = "cluster" in compose.environ.get("COMPOSE_FILE", "")
    names = [compose.default(variable) for variable in (*UPSTREAM, *(["HAPROXY_IMAGE"] if cluster else []))]
    return next((name for name in names if not _had(name)), None)


def choose(compose: Compose) -> None:
    """Use the upstream images or, if one is not available, stand-ins built on this machine. Raises CommandFailed."""
    name = missing(compose)
    if name is None:
        return
    if not standins():
        raise CommandFailed(f"the image {name} can be neither found nor pulled")
    print(
        f"The image {name} can be neither found nor pulled: this runs on stand-ins (seve-standin/...).", file=sys.stderr
    )
    listing = subprocess.run([STANDINS, "env"], check=True, cwd=compose.root, capture_output=True, text=True).stdout
    compose.environ = {**dict(line.split("=", 1) for line in listing.splitlines()), **compose.environ}


def choose_observability(compose: Compose) -> list[str]:
    """Return the profiles of OBSERVABILITY=1; one whose image is not available is left out with a message."""
    if compose.environ.get("OBSERVABILITY", "").lower() not in ("1", "true"):
        return []
    profiles = []
    for profile, variable in LOOKING_ON.items():
        if _had(name := compose.default(variable)):
            profiles.append(profile)
        else:
            print(f"The image {name} can be neither found nor pulled: this runs without {profile}.", file=sys.stderr)
    return profiles


def standins() -> bool:
    """Return whether this machine has stand-ins."""
    return subprocess.run([STANDINS, "have"], check=False, capture_output=True).returncode == 0


def build(compose: Compose) -> None:
    """Build this project's images, and remove those that they replace. Raises CommandFailed."""
    compose.environ["REVISION"] = _revision(compose)
    compose.need("--profile", "tools", "build", "--quiet", fault="the images could not be built")
    docker("image", "prune", "--force", "--filter", "label=dev.seve.image")


def _revision(compose: Compose) -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    try:
        done = subprocess.run(command, check=False, cwd=compose.root, capture_output=True, text=True)
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"


def _had(name: str) -> bool:
    return docker("image", "inspect", name) or docker("pull", "--quiet", name)
