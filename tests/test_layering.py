"""The structure is held by a test: arrows point service -> runtime -> schema, and pure modules import no I/O."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ALLOWED = {
    "seve_schema": set(),
    "seve_runtime": {"seve_schema"},
    "seve_fleet": {"seve_schema", "seve_runtime"},
    "seve_ingest": {"seve_schema", "seve_runtime"},
    "seve_writer": {"seve_schema", "seve_runtime"},
    "seve_history": {"seve_schema", "seve_runtime"},
    "seve_broadcaster": {"seve_schema", "seve_runtime"},
    "seve_embedded": {"seve_schema", "seve_runtime", "seve_fleet", "seve_ingest"},
    "seve_docker": {"seve_runtime", "seve_embedded", "seve_ingest"},
}
IO = {
    "asyncio",
    "http",
    "os",
    "random",
    "secrets",
    "socket",
    "ssl",
    "subprocess",
    "threading",
    "time",
    "urllib",
    "uuid",
}
IO |= {"nats", "paho", "prometheus_client", "psycopg", "structlog", "uvloop", "websockets"}
PURE_ALTHOUGH = "urllib.parse"


def sources():
    for folder in sorted(ROOT.glob("*/*/src/*/")):
        for path in sorted(folder.rglob("*.py")):
            yield folder.name, path


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


SOURCES = list(sources())
SAME_MEANING = {"NotUp", "SchemaError", "Settings", "Unreachable"}
"""Classes that several packages define and mean the same by."""


@pytest.mark.parametrize(
    ("package", "path"), SOURCES, ids=lambda value: value if value in ALLOWED else module_name(value)
)
def test_a_package_imports_only_what_lies_below_it(package, path):
    """No service imports another; the schema imports msgspec only."""
    ours = {name.split(".")[0] for name in imports(path) if name.startswith("seve_")} - {package}
    assert ours <= ALLOWED[package]


def declared_pure():
    """`pure` under `[tool.seve]` in a package's pyproject.toml: patterns of modules below it, such as `mqtt/framing`,
    `routing/*` or `**/*`. A pattern that names no module is an error.
    """
    for project in sorted(ROOT.glob("*/*/pyproject.toml")):
        folder = next(project.parent.glob("src/*/"))
        for pattern in tomllib.loads(project.read_text())["tool"].get("seve", {}).get("pure", []):
            modules = sorted(folder.glob(f"{pattern}.py"))
            assert modules, f"{project}: no module is named {pattern}"
            yield from modules


def module_name(path):
    """Dotted name below the package: `mqtt.framing`; of a folder's `__init__`, the folder's."""
    inner = path.relative_to(next(parent for parent in path.parents if parent.parent.name == "src"))
    return ".".join(inner.with_suffix("").parts).removesuffix(".__init__")


def rooms(package):
    """What a package consists of at its top: its folders and its single files, with what each imports of the others."""
    arrows = {}
    for owner, path in SOURCES:
        if owner == package:
            room = module_name(path).split(".")[0]
            for name in imports(path):
                if name.startswith(f"{package}."):
                    arrows.setdefault(room, set()).add(name.split(".")[1])
    return {room: targets - {room} for room, targets in arrows.items()}


@pytest.mark.parametrize("package", ALLOWED)
def test_the_folders_of_a_package_form_no_circle(package):
    """Each folder or file at a package's top imports only what lies below it."""
    left = rooms(package)
    while floor := [room for room in left if not left[room] & set(left)]:
        for room in floor:
            del left[room]
    assert not left


@pytest.mark.parametrize("path", list(declared_pure()), ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_a_pure_module_imports_no_io(path):
    """Time, randomness and the environment come in as arguments."""
    assert not {name for name in imports(path) if name.split(".")[0] in IO and not name.startswith(PURE_ALTHOUGH)}


def test_a_name_of_a_class_means_one_thing():
    """A public class has a name of its own among all packages, so that a stranger needs no context to know it."""
    owners = {}
    for _, path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                owners.setdefault(node.name, []).append(module_name(path))
    assert {name: where for name, where in owners.items() if len(where) > 1 and name not in SAME_MEANING} == {}
