"""What may be said on the command line."""

import pytest
from seve_embedded.cli import arguments


def test_audit_psql_and_run_get_their_options_untouched():
    """`-c` is psql's, not ours."""
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
def test_forget_tells_the_writer_what_it_was_told(words, told):
    """Also a module whose name looks like an option."""
    assert arguments.forget_options(arguments.parse(["forget", *words])) == told


@pytest.mark.parametrize("text", ["3", "WRITERS=3"])
def test_writers_are_counted_as_make_says_it(text):
    """The same words with and without make."""
    assert arguments.parse(["scale", text]).writers == 3


@pytest.mark.parametrize(
    "words", [[], ["scale"], ["scale", "WRITERS=0"], ["scale", "many"], ["publish", "a/b"], ["forget"]]
)
def test_what_makes_no_sense_is_a_usage_error(words, capsys):
    """Exit code 2, with the usage."""
    with pytest.raises(SystemExit) as caught:
        arguments.parse(words)
    assert caught.value.code == 2
    assert "usage" in capsys.readouterr().err
