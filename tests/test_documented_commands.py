"""Every command that the pages show is one that its program accepts. Runs none of them."""

import re
import shlex
from pathlib import Path

import pytest
from seve_embedded.cli.arguments import parser
from seve_ingest.__main__ import _parser as ingest_parser

ROOT = Path(__file__).parent.parent
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted(ROOT.glob("*/*/README.md")),
]

ANOTHER_PROGRAM = ("run", "psql")
"""Commands whose arguments are another program's."""

FENCED = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`((?:\./seve|make) [^`]+)`")


def commands(program):
    """Each use of a program in a page, as words; a shell's operators end it."""
    return list(_uses(program))


def _uses(program):
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        lines = [line for block in FENCED.findall(text) for line in block.splitlines()]
        for line in [*lines, *INLINE.findall(FENCED.sub("", text))]:
            words = shlex.split(line, comments=True)
            for start, word in enumerate(words):
                if word == program:
                    end = next((at for at in range(start, len(words)) if words[at] in ("|", "&&")), len(words))
                    yield pytest.param(words[start + 1 : end], id=f"{page.parent.name}-{page.stem}-{line}")


@pytest.mark.parametrize("words", commands("./seve"))
def test_seve_accepts_its_documented_arguments(words):
    """A mention without arguments, such as `./seve device`, has to name a command."""
    if words[0] == "COMMAND" or words == ["--help"]:
        return
    known = parser()._subparsers._group_actions[0].choices
    assert words[0] in known
    if words[0] == "deadletter":
        ingest_parser().parse_args(words)
    elif words[0] not in ANOTHER_PROGRAM and len(words) > 1:
        parser().parse_args(words)


@pytest.mark.parametrize("words", commands("make"))
def test_make_has_its_documented_targets_and_variables(words):
    """A variable is one that the Makefile names. Those of `bench` are the options of its scenarios."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").replace("$(VENV)", ".venv")
    for word in words:
        name, is_variable, _ = word.partition("=")
        if not is_variable:
            assert re.search(rf"^{re.escape(name)}:", makefile, re.MULTILINE), name
        elif "bench" not in words:
            assert re.search(rf"\b{name}\b", makefile), name
