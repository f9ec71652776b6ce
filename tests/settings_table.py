"""The tables of settings in docs/settings.md and the services' READMEs, made from the code:
`python tests/settings_table.py` writes them.
"""

from pathlib import Path

import msgspec
from seve_broadcaster.settings import Settings as BroadcasterSettings
from seve_embedded.settings import StackSettings
from seve_fleet.settings import FleetSettings
from seve_history.settings import HistorySettings
from seve_ingest.settings import Settings as IngestSettings
from seve_runtime.nats.connection import NatsSettings
from seve_runtime.service import ServiceSettings
from seve_runtime.settings import describe
from seve_writer.settings import WriterSettings

ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- settings: made by tests/settings_table.py -->\n", "<!-- end of settings -->\n"
HEAD = "| setting | default | what for |\n|---|---|---|\n"


class Common(msgspec.Struct):
    """The settings of every service."""

    service: ServiceSettings
    nats: NatsSettings


SECTIONS = {
    "The stack without Docker": StackSettings,
    "Every service": Common,
    "ingest": IngestSettings,
    "writer, and its `setup`": WriterSettings,
    "history": HistorySettings,
    "broadcaster": BroadcasterSettings,
    "`make simulate`": FleetSettings,
}

SERVICES = {
    "broadcaster": BroadcasterSettings,
    "history": HistorySettings,
    "ingest": IngestSettings,
    "writer": WriterSettings,
}


def tables():
    """The text between the markers of each page, by its path."""
    texts = {ROOT / "docs" / "settings.md": _sections()}
    for service, cls in SERVICES.items():
        texts[ROOT / "services" / service / "README.md"] = _rows(describe(cls))
    return texts


def in_page(page):
    """The text between the markers of a page as it is."""
    return page.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]


def _sections():
    """Every setting once in each section that it belongs to; the common ones have a section of their own."""
    common = {row.name for row in describe(Common)}
    parts = []
    for title, cls in SECTIONS.items():
        rows = [row for row in describe(cls) if cls is Common or row.name not in common]
        parts.append(f"## {title[0].upper()}{title[1:]}\n\n{_rows(rows)}")
    return "\n" + "\n".join(parts)


def _rows(rows):
    return HEAD + "".join(f"| `{row.name}` | {_default(row)} | {_words(row.description)} |\n" for row in rows)


def _default(row):
    if row.default is None:
        return "must be set"
    return f"`{row.default}`" if row.default else ""


def _words(text):
    return text.replace("|", "\\|")


if __name__ == "__main__":
    for page, table in tables().items():
        before, rest = page.read_text(encoding="utf-8").split(BEGIN)
        page.write_text(before + BEGIN + table + END + rest.split(END)[1], encoding="utf-8")
