"""Certificates as `./seve certs` makes them, in a folder of the test's own."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from seve_embedded.certificates.issue import issue
from seve_embedded.shared import certificate_files


def certify(root: Path, *, names: tuple[str, ...] = (), devices: tuple[str, ...] = (), days_ago: int = 0) -> Path:
    """Make those that lack, as of some days ago; give the folder that has them."""
    now = datetime.now(UTC) - timedelta(days=days_ago)
    held = certificate_files.held(root)
    (root / ".seve").mkdir(exist_ok=True)
    certificate_files.write(root, issue(held, names=names, devices=devices, now=now))
    return root / ".seve/tls"
