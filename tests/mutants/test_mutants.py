"""The catalogue of mutants keeps up with the code; `make mutants` runs it."""

import pytest

from mutants.catalogue import ROOT
from mutants.guarantees import MUTANTS


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_still_applies(mutant):
    """Its text stands once in its file, what comes of it is Python, and its tests are there."""
    source = (ROOT / mutant.file).read_text(encoding="utf-8")
    compile(mutant.applied(source), mutant.file, "exec")
    for test in mutant.tests:
        path, _, name = test.partition("::")
        assert not name or f"def {name}(" in (ROOT / path).read_text(encoding="utf-8")


def test_mutants_have_names_of_their_own():
    """A name is how one of them is run."""
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
