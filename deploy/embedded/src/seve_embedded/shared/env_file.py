"""The file `.env`: settings a person keeps beside the Makefile. Reads `NAME=value` lines as a shell would read plain
ones; expands nothing and runs nothing.
"""

import re
from collections.abc import Mapping
from typing import Final

from seve_runtime.errors import SettingsError

_LINE: Final = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*")
_COMMENT: Final = re.compile(r"(?:^|\s)#.*$")


def parse(text: str, name: str = ".env") -> dict[str, str]:
    """The variables of a file. Raises SettingsError with one fault for each line that is neither one nor a comment."""
    found: dict[str, str] = {}
    faults: list[str] = []
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            faults.append(f"file {name}, line {number}: expected NAME=value")
        else:
            found[match[1]] = _value(match[2])
    if faults:
        raise SettingsError(faults)
    return found


def merged(environ: Mapping[str, str], text: str) -> dict[str, str]:
    """The environment with what the file adds: a variable that is set already wins over the file."""
    return {**parse(text), **{name: value for name, value in environ.items() if value}}


def _value(raw: str) -> str:
    for quote in "\"'":
        end = raw.rfind(quote)
        if raw.startswith(quote) and end > 0 and not _COMMENT.sub("", raw[end + 1 :]).strip():
            return raw[1:end]
    return _COMMENT.sub("", raw).strip()
