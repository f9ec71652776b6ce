"""The command line of `./seve`: which arguments are accepted, and what becomes of them."""

import pytest
from seve_embedded.cli import arguments


def test_audit_psql_and_run_get_their_options_untouched():
    """`-c` belongs to psql."""
    assert arguments.parse(["psql", "-Atc", "SELECT 1"]).passed_on == ["-Atc", "SELECT 1"]
    assert arguments.parse(["audit", "--from", "7", "--json"]).passed_on == ["--from", "7", "--json"]
    assert arguments.parse(["run", "seve-simulate", "--help"]).passed_on == ["seve-simulate", "--help"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["croissance"], ["--", "croissance"]),
        (["--yes", "--", "-x"], ["--yes", "--", "-x"]),
        (["--simulated", "--yes"], ["--yes", "--simulated"]),
    ],
)
def test_forget_passes_its_arguments_to_the_writer(words, told):
    """Also a module whose name looks like an option."""
    assert arguments.forget_options(arguments.parse(["forget", *words])) == told


@pytest.mark.parametrize("text", ["3", "WRITERS=3"])
def test_scale_takes_writers_in_the_form_of_make(text):
    """In the same form with and without make."""
    assert arguments.parse(["scale", text]).writers == 3


@pytest.mark.parametrize(
    "words", [[], ["scale"], ["scale", "WRITERS=0"], ["scale", "many"], ["publish", "a/b"], ["forget"]]
)
def test_wrong_arguments_are_a_usage_error(words, capsys):
    """Exit code 2, with the usage."""
    with pytest.raises(SystemExit) as caught:
        arguments.parse(words)
    assert caught.value.code == 2
    assert "usage" in capsys.readouterr().err
