"""The README's table of settings, made from the code: `python tests/settings_table.py` writes it."""

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

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- settings: made by tests/settings_table.py -->\n", "<!-- end of settings -->\n"


class Common(msgspec.Struct):
    """What every service reads."""

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


def table():
    """Every setting once in each section that it belongs to; what every service reads stands apart."""
    common = {row.name for row in describe(Common)}
    parts = []
    for title, cls in SECTIONS.items():
        rows = [row for row in describe(cls) if cls is Common or row.name not in common]
        lines = [f"| `{row.name}` | {_default(row)} | {_words(row.description)} |" for row in rows]
        head = f"<details><summary><b>{_html(title)}</b></summary>\n\n| setting | default | what for |\n|---|---|---|\n"
        parts.append(head + "\n".join(lines) + "\n\n</details>\n")
    return "\n".join(parts)


def _default(row):
    if row.default is None:
        return "must be set"
    return f"`{row.default}`" if row.default else ""


def _words(text):
    return text.replace("|", "\\|")


def _html(title):
    before, code, after = [*title.split("`"), "", ""][:3]
    return f"{before}<code>{code}</code>{after}" if code else title


def in_readme():
    """The table as the README has it."""
    return README.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]


if __name__ == "__main__":
    before, rest = README.read_text(encoding="utf-8").split(BEGIN)
    README.write_text(before + BEGIN + table() + END + rest.split(END)[1], encoding="utf-8")
