"""Reads and writes the files that `certs` makes, and has its text for people. Standard library only, for both modes."""

from collections.abc import Mapping, Sequence
from pathlib import Path


def held(folder: Path) -> dict[str, str]:
    """Return the text of every existing certificate and key, by its name below the folder."""
    paths = [*folder.glob("*.pem"), *folder.glob("*.key"), *folder.glob("devices/*")]
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Write each file atomically; only the owner may read keys and enter folders."""
    (folder / "devices").mkdir(mode=0o700, parents=True, exist_ok=True)
    for inner in (folder, folder / "devices"):
        inner.chmod(0o700)
    for name, text in sorted(files.items()):  # writes a key before the certificate that needs it
        path = folder / name
        fresh = path.with_name(f"{path.name}.new")
        fresh.unlink(missing_ok=True)
        fresh.touch(0o600)
        fresh.write_text(text, encoding="utf-8")
        if path.suffix == ".pem":
            fresh.chmod(0o644)
        fresh.replace(path)


def told(folder: str, written: Mapping[str, str], names: Sequence[str], devices: Sequence[str], *, on: bool) -> str:
    """Return the text that says what was made, how to use it, and what a device needs; `on` is whether TLS is set
    already.
    """
    made = ", ".join(sorted(name for name in written if name.endswith(".pem")))
    used = "A running stack uses them from now on." if on else "TLS=on in .env uses them; then: make down up"
    if on and "ca.pem" in written:
        used = "The CA is new: the stack needs `make down up`, and every device this ca.pem."
    own = [f"    {folder}/devices/{name}.pem and .key, where MQTT_TLS_CLIENT_CA_FILE asks for them" for name in devices]
    lines = [
        f"Certificates are in {folder}. Made now: {made or 'none, all are good'}",
        f"  {used}",
        "",
        "  A device needs:",
        f"    {folder}/ca.pem, to verify the broker; it is no secret",
        f"    an address that is in the certificate: {' or '.join(names)}, or what --name adds",
        "    the time, by NTP, say: a certificate has dates",
    ]
    return "\n".join([*lines, *own])
