"""The file `.env`: one parser for both modes of the stack. Reads `NAME=value` lines as a shell reads plain ones;
expands nothing and runs nothing.

Imports the standard library only: in Docker mode a bare Python loads this file before anything is installed.
"""

import re
from collections.abc import Mapping
from typing import Final

_LINE: Final = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*")
_SECRET: Final = re.compile(r"_(PASSWORD|SECRET|TOKEN)")
_COMMENT: Final = re.compile(r"(?:^|\s)#.*$")


class EnvFileError(ValueError):
    """A file with lines that are neither a variable nor a comment; `faults` has one text per line."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


def parse(text: str, name: str = ".env") -> dict[str, str]:
    """Return the variables of a file. Raises EnvFileError, which names lines by number and never shows their content.

    A comment starts at the line's start or after white space. Quotes around a value are removed; inside them `#` and
    white space are part of the value. No character escapes another.
    """
    variables: dict[str, str] = {}
    faults: list[str] = []
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            faults.append(f"file {name}, line {number}: expected NAME=value")
        else:
            variables[match[1]] = _value(match[2])
    if faults:
        raise EnvFileError(faults)
    return variables


def merged(environ: Mapping[str, str], text: str) -> dict[str, str]:
    """Return the environment with the file's variables added. A variable that is set, and not empty, wins."""
    return {**parse(text), **{name: value for name, value in environ.items() if value}}


def secrets(variables: Mapping[str, str]) -> list[str]:
    """Return the names of those variables whose values are secrets."""
    return [name for name, value in variables.items() if value and _SECRET.search(name) and not name.endswith("_FILE")]


def _value(raw: str) -> str:
    for quote in "\"'":
        end = raw.rfind(quote)
        if raw.startswith(quote) and end > 0 and not _COMMENT.sub("", raw[end + 1 :]).strip():
            return raw[1:end]
    return _COMMENT.sub("", raw).strip()
