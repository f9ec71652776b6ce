"""Certificates as `./seve certs` makes them, in a folder of the test."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from seve_embedded.certificates.issue import issue
from seve_embedded.shared import certificate_files
from seve_embedded.shared.links import FOLDER


def certify(root: Path, *, names: tuple[str, ...] = (), devices: tuple[str, ...] = (), days_ago: int = 0) -> Path:
    """Make the missing certificates, dated `days_ago`; return their folder."""
    now = datetime.now(UTC) - timedelta(days=days_ago)
    folder = root / FOLDER
    held = certificate_files.held(folder)
    certificate_files.write(folder, issue(held, names=names, devices=devices, now=now))
    return folder
