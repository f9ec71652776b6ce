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
    "seve_broadcaster": {"seve_schema", "seve_runtime"},
    "seve_embedded": {"seve_schema", "seve_runtime", "seve_fleet"},
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
IO |= {"nats", "paho", "prometheus_client", "psycopg", "structlog", "uvloop", "websockets", "yoyo"}
PURE_ALTHOUGH = {"urllib.parse"}


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


SOURCES = list(sources())


@pytest.mark.parametrize(("package", "path"), SOURCES, ids=lambda value: getattr(value, "stem", value))
def test_a_package_imports_only_what_lies_below_it(package, path):
    """No service imports another; the schema imports msgspec only."""
    ours = {name.split(".")[0] for name in imports(path) if name.startswith("seve_")} - {package}
    assert ours <= ALLOWED[package]


def declared_pure():
    """`pure` under `[tool.seve]` in a package's pyproject.toml: names of modules, or `*` for all."""
    for project in sorted(ROOT.glob("*/*/pyproject.toml")):
        names = tomllib.loads(project.read_text())["tool"].get("seve", {}).get("pure", [])
        folder = next(project.parent.glob("src/*/"))
        for name in names:
            yield from folder.glob("*.py") if name == "*" else [folder / f"{name}.py"]


@pytest.mark.parametrize("path", list(declared_pure()), ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_a_pure_module_imports_no_io(path):
    """Time, randomness and the environment come in as arguments."""
    assert {name for name in imports(path) if name.split(".")[0] in IO} <= PURE_ALTHOUGH
