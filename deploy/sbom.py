"""Writes CycloneDX 1.6 documents (JSON) of what a lock installs: `python deploy/sbom.py`, or `make sbom`.

A document lists every package of one lock with its version and the SHA-256 of each file that may be installed, and
Sève's own packages with their licence and direct dependencies. It depends only on `locks/` and the packages'
`pyproject.toml`, so that the same commit yields the same bytes. It does not list what no lock decides: Python itself,
the operating system, container images.
"""

import argparse
import json
import re
import tomllib
import uuid
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = {
    "services": [
        "libs/schema",
        "libs/runtime",
        "services/ingest",
        "services/writer",
        "services/history",
        "services/broadcaster",
    ],
    "embedded": [
        *[
            "libs/schema",
            "libs/runtime",
            "services/ingest",
            "services/writer",
            "services/history",
            "services/broadcaster",
        ],
        *["libs/fleet", "deploy/embedded"],
    ],
}
"""Sève's own packages beside each lock, as `deploy/lock` compiles it."""


def document(name: str) -> dict:
    """Return the CycloneDX document of `locks/{name}.lock`.

    Raises ValueError if the lock has an unknown line, or lacks a package that one of ours requires.
    """
    locked = components((ROOT / "locks" / f"{name}.lock").read_text(encoding="utf-8"))
    own = [_project(ROOT / folder) for folder in PACKAGES[name]]
    refs = {component["name"]: component["bom-ref"] for component in [*locked, *(part for part, _ in own)]}
    graph = [{"ref": "root", "dependsOn": sorted(part["bom-ref"] for part, _ in own)}]
    for part, required in own:
        if missing := required - set(refs):
            raise ValueError(f"locks/{name}.lock lacks what {part['name']} requires: {', '.join(sorted(missing))}")
        graph.append({"ref": part["bom-ref"], "dependsOn": sorted(refs[requirement] for requirement in required)})
    first = own[0][0]
    stack = {"type": "application", "bom-ref": "root", "name": f"seve-{name}"}
    bom = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": stack | {"version": first["version"], "licenses": first["licenses"]}},
        "components": [part for part, _ in own] + locked,
        "dependencies": graph,
    }
    bom["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(bom, sort_keys=True))}"
    return bom


def components(lock: str) -> list[dict]:
    """Return one component per package of a lock: pinned, with its hashes, and its environment marker if it has one."""
    found = []
    for entry in lock.replace("\\\n", " ").splitlines():
        if not entry.strip() or entry.startswith("#"):
            continue
        match = re.fullmatch(
            r"([\w.-]+)(?:\[[\w,.-]+\])?==([^\s;]+)(?:\s*;\s*(.*?))?((?:\s+--hash=sha256:[0-9a-f]{64})+)\s*", entry
        )
        if match is None:
            raise ValueError(f"not a pinned and hashed package: {entry.strip()[:100]}")
        name, version, marker, hashes = match.groups()
        purl = f"pkg:pypi/{_normalised(name)}@{version}"
        component = {
            "type": "library",
            "bom-ref": purl,
            "name": _normalised(name),
            "version": version,
            "purl": purl,
            "hashes": [{"alg": "SHA-256", "content": digest} for digest in re.findall(r"sha256:(\w+)", hashes)],
        }
        if marker:
            component["properties"] = [{"name": "seve:environment-marker", "value": marker}]
        found.append(component)
    return found


def _project(folder: Path) -> tuple[dict, set[str]]:
    """Return the component of one of our packages, and the names that it requires."""
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    component = {
        "type": "library",
        "bom-ref": f"{project['name']}@{project['version']}",
        "name": project["name"],
        "version": project["version"],
        "licenses": [{"license": {"id": project["license"]}}],
    }
    names = (re.match(r"[\w.-]+", requirement) for requirement in project["dependencies"])
    return component, {_normalised(match.group()) for match in names if match}


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> None:
    """Write `seve-{lock}.cdx.json` for each lock that users install."""
    parser = argparse.ArgumentParser(description="Write a CycloneDX SBOM of each lock")
    parser.add_argument("--output", type=Path, default=ROOT / "dist", metavar="FOLDER", help="default: dist")
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    for name in PACKAGES:
        path = folder / f"seve-{name}.cdx.json"
        path.write_text(json.dumps(document(name), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main()
