"""The routes that ship, made of the topics in `layouts`. `native` is always last."""

from typing import Final

import msgspec

from seve_ingest.routing.layouts import LAYOUTS
from seve_ingest.routing.routes import Route

PRESETS: Final[dict[str, tuple[Route, ...]]] = {
    name: msgspec.convert(words, tuple[Route, ...]) for name, words in LAYOUTS.items()
}
NATIVE: Final = PRESETS["native"]
