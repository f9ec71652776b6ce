"""Bodies of the kinds that describe a device rather than a sample, as `Envelope.metadata` holds them.

Every field may be absent (`UNSET`), which leaves the stored value as it is, or null: the device does not know the
value. Unknown keys are not decoded here; they stay in the metadata for screens. Integers fit their columns; ingest
ensures that.
"""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

Int32 = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]

Text = str | None | UnsetType
Integer = Int32 | None | UnsetType
Long = Int64 | None | UnsetType
Number = float | None | UnsetType
Flag = bool | None | UnsetType


class StatusMemory(Struct, frozen=True, rename="camel"):
    """`memory` of a system status, KiB."""

    heap_free_kb: Integer = UNSET
    heap_min_free_kb: Integer = UNSET


class SystemStatus(Struct, frozen=True, rename="camel"):
    """`{module}/system`; rssi in dBm."""

    rssi: Integer = UNSET
    memory: StatusMemory | None | UnsetType = UNSET


class Flash(Struct, frozen=True, rename="camel"):
    """`flash` of a system config, KiB."""

    used_kb: Integer = UNSET
    free_kb: Integer = UNSET
    system_kb: Integer = UNSET


class ConfigMemory(Struct, frozen=True, rename="camel"):
    """`memory` of a system config, KiB."""

    heap_total_kb: Integer = UNSET


class SystemConfig(Struct, frozen=True, rename="camel"):
    """`{module}/system/config`; `uptime_start` is the origin of the firmware's uptime (usually in seconds since 1970).

    `chip_id` is the serial number of the chip, as the firmware writes it. A different one under the same module means a
    second device, or a new board.
    """

    chip_id: Text = UNSET
    ip: Text = UNSET
    mac: Text = UNSET
    uptime_start: Long = UNSET
    flash: Flash | None | UnsetType = UNSET
    memory: ConfigMemory | None | UnsetType = UNSET


class Chip(Struct, frozen=True, rename="camel"):
    """`chip` of a hardware config: MHz, KiB."""

    model: Text = UNSET
    rev: Integer = UNSET
    cpu_freq_mhz: Integer = UNSET
    flash_kb: Integer = UNSET
    cores: Integer = UNSET


class HardwareConfig(Struct, frozen=True, rename="camel"):
    """`{module}/hardware/config`."""

    chip: Chip | None | UnsetType = UNSET


class SensorStatus(Struct, frozen=True, rename="camel"):
    """One sensor of `{module}/sensors/status`; the body is a mapping of sensor type to this."""

    status: Text = UNSET
    value: Number = UNSET


class SensorConfig(Struct, frozen=True, rename="camel"):
    """One sensor of `{module}/sensors/config`; interval in seconds."""

    interval: Integer = UNSET
    model: Text = UNSET
    enabled: Flag = UNSET


class Presence(Struct, frozen=True, rename="camel"):
    """`{module}/status`: birth and last will, `online` or `offline`, or a word of the device's own."""

    status: Text = UNSET
