"""The files that `certs` makes: read, written, and what a person is told. Standard library only, for both modes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from seve_embedded.shared.links import FOLDER


def held(root: Path) -> dict[str, str]:
    """Return the text of every certificate and key that is there, by its name below the folder."""
    folder = root / FOLDER
    paths = [*folder.glob("*.pem"), *folder.glob("*.key"), *folder.glob("devices/*")]
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def write(root: Path, files: Mapping[str, str]) -> None:
    """Write each file in one step; a key, and every folder, is for its owner alone."""
    folder = root / FOLDER
    for inner in (folder.parent, folder, folder / "devices"):
        inner.mkdir(mode=0o700, exist_ok=True)
    for name, text in sorted(files.items()):  # a key before the certificate that needs it
        path = folder / name
        fresh = path.with_name(f"{path.name}.new")
        fresh.unlink(missing_ok=True)
        fresh.touch(0o600)
        fresh.write_text(text, encoding="utf-8")
        if path.suffix == ".pem":
            fresh.chmod(0o644)
        fresh.replace(path)


def told(written: Mapping[str, str], names: Sequence[str], devices: Sequence[str], *, on: bool) -> str:
    """Return what was made, how it is used, and what a device needs; `on` is whether TLS is set already."""
    made = ", ".join(sorted(name for name in written if name.endswith(".pem"))) or "none: all are good"
    use = (
        "  TLS is on. A running stack uses them from now on."
        if on
        else "  TLS=on in .env uses them; then: make down up"
    )
    new_ca = (
        ["  The CA is new: the stack needs `make down up`, and every device this ca.pem."]
        if "ca.pem" in written
        else []
    )
    return "\n".join(
        [
            f"Certificates are in {FOLDER}. Made now: {made}",
            use,
            *(new_ca if on else []),
            "",
            "  A device needs:",
            f"    {FOLDER}/ca.pem     to verify the broker; it is no secret",
            f"    the address   {' or '.join(names) or 'one given by ./seve certs --name ADDRESS'}",
            "    the time      by NTP, say: a certificate has dates",
            *(
                f"    {FOLDER}/devices/{name}.pem and .key   its own, where MQTT_TLS_CLIENT_CA_FILE asks for one"
                for name in devices
            ),
        ]
    )
