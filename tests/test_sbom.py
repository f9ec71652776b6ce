"""`deploy/sbom.py`: the SBOM names what the locks install, no more and no less."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SPEC = importlib.util.spec_from_file_location("sbom", ROOT / "deploy" / "sbom.py")
sbom = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(sbom)


@pytest.mark.parametrize("name", ["services", "embedded"])
def test_every_locked_package_is_listed_with_all_its_hashes(name):
    """Counted in the lock's own text, by another way than the script reads it."""
    lock = (ROOT / "locks" / f"{name}.lock").read_text()
    listed = [component for component in sbom.document(name)["components"] if "purl" in component]
    assert {f"{component['name']}=={component['version']}" for component in listed} == set(
        re.findall(r"^[\w.-]+==[^\s;]+", lock, re.MULTILINE)
    )
    assert sum(len(component["hashes"]) for component in listed) == lock.count("--hash=sha256:")


def test_our_packages_have_the_licence_and_lead_to_what_they_require():
    """The graph starts at the application and reaches the database driver through the writer."""
    document = sbom.document("services")
    edges = {entry["ref"]: entry["dependsOn"] for entry in document["dependencies"]}
    writer = next(component for component in document["components"] if component["name"] == "seve-writer")
    assert writer["licenses"] == [{"license": {"id": "Apache-2.0"}}]
    assert writer["bom-ref"] in edges[document["metadata"]["component"]["bom-ref"]]
    assert any(ref.startswith("pkg:pypi/psycopg@") for ref in edges[writer["bom-ref"]])


def test_every_reference_is_to_a_component_of_the_document():
    """As CycloneDX demands: bom-refs are unique, and edges lead to them."""
    document = sbom.document("embedded")
    refs = [document["metadata"]["component"]["bom-ref"], *(part["bom-ref"] for part in document["components"])]
    assert len(refs) == len(set(refs))
    for entry in document["dependencies"]:
        assert {entry["ref"], *entry["dependsOn"]} <= set(refs)


def test_the_same_locks_give_the_same_document():
    """No clock and no chance in it, so that two builds can be compared."""
    assert sbom.document("services") == sbom.document("services")


def test_a_package_without_hashes_is_refused():
    """What is not pinned with hashes would be listed as something that nobody can check."""
    with pytest.raises(ValueError, match=r"not a pinned and hashed package: thing==1\.0"):
        sbom.components("thing==1.0\n")


def test_an_environment_marker_is_kept():
    """A package for one platform is listed, and says for which."""
    [component] = sbom.components(f"Some_Thing==1.0 ; sys_platform == 'win32' \\\n    --hash=sha256:{'a' * 64}\n")
    assert component["name"] == "some-thing"
    assert component["properties"] == [{"name": "seve:environment-marker", "value": "sys_platform == 'win32'"}]
    assert component["hashes"] == [{"alg": "SHA-256", "content": "a" * 64}]
