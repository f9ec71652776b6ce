"""The routes that ship: `native`, always last. Data only; each comment names the firmware's own words for it."""

from typing import Final

from seve_ingest.routes import Route

NATIVE: Final = (
    Route(topic="{module}/system", kind="system.status"),
    Route(topic="{module}/system/config", kind="system.config"),
    Route(topic="{module}/hardware/config", kind="hardware.config"),
    Route(topic="{module}/sensors/status", kind="sensors.status"),
    Route(topic="{module}/sensors/config", kind="sensors.config"),
    Route(topic="{module}/status", kind="presence"),
    Route(topic="{module}/logs", kind="log"),
    Route(topic="{module}/system/#", kind="other"),
    Route(topic="{module}/hardware/#", kind="other"),
    Route(topic="{module}/sensors/#", kind="other"),
    Route(topic="{module}/status/#", kind="other"),
    Route(topic="{module}/logs/#", kind="other"),
    Route(topic="{module}/{sensor}", kind="measurement"),
    Route(topic="{module}/{hardware}/{sensor}", kind="measurement"),
    Route(topic="{module}/#", kind="other"),
)

PRESETS: Final[dict[str, tuple[Route, ...]]] = {"native": NATIVE}
