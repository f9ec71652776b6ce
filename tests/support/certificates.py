"""Certificates as `./seve certs` makes them, in a folder of the test's own."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from seve_embedded.certificates.issue import issue
from seve_embedded.shared import certificate_files
from seve_embedded.shared.links import FOLDER


def certify(root: Path, *, names: tuple[str, ...] = (), devices: tuple[str, ...] = (), days_ago: int = 0) -> Path:
    """Make those that lack, as of some days ago; give the folder that has them."""
    now = datetime.now(UTC) - timedelta(days=days_ago)
    folder = root / FOLDER
    held = certificate_files.held(folder)
    certificate_files.write(folder, issue(held, names=names, devices=devices, now=now))
    return folder
