"""`seve-simulate`: lets simulated modules publish to a running stack, and prints an account at the end.

Exit code 0 if the account closes, 1 if something is missing or cannot be reached, 2 for faulty settings or arguments.
"""

import argparse
import asyncio
import csv
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from seve_runtime.errors import SettingsError
from seve_runtime.service import load_or_exit, parser, report_faults

from seve_fleet.settings import FleetSettings
from seve_fleet.simulate.fleet import Workload
from seve_fleet.simulate.mqtt import BrokerRefused
from seve_fleet.simulate.result import Outcome
from seve_fleet.simulate.run import Run, Shape

T = TypeVar("T", int, float)
STAYING: Final = "Simulated modules stay until `./seve forget --simulated` removes them, as do those of earlier runs."


def main() -> int:
    """Run the command."""
    arguments = _arguments().parse_args()
    workload = Workload(arguments.rate, arguments.seconds, arguments.report_every)
    connections = 0 if arguments.devices else arguments.connections
    shape = Shape(arguments.modules, arguments.clockless, connections, workload, arguments.devices)
    settings = load_or_exit(FleetSettings)
    try:
        code, outcome = asyncio.run(_run(settings, shape))
    except* (ConnectionError, BrokerRefused) as group:
        print(f"cannot simulate: {'; '.join(map(str, group.exceptions))}", file=sys.stderr)
    except* KeyboardInterrupt:
        print("\ninterrupted: there is no account", file=sys.stderr)
        print(STAYING, file=sys.stderr)
    else:
        print(STAYING)
        if arguments.account:
            arguments.account.write_bytes(msgspec.json.encode(outcome))
        return code
    return 1


async def _run(settings: FleetSettings, shape: Shape) -> tuple[int, Outcome | None]:
    try:
        run = Run(settings, shape, _print)
    except SettingsError as error:
        report_faults(error)
    return await run.go(), run.outcome


def _arguments() -> argparse.ArgumentParser:
    options = parser(
        "seve-simulate",
        "Simulated modules publish to a running stack; the account at the end says whether everything arrived.",
        FleetSettings,
    )
    options.add_argument("--modules", type=_positive(int), default=50, help="how many modules (50)")
    options.add_argument("--rate", type=_positive(float), default=500, help="samples per second of all modules (500)")
    options.add_argument("--seconds", type=_positive(float), default=20, help="how long samples are sent (20)")
    options.add_argument(
        "--report-every", type=_positive(float), default=10, help="seconds between reports of a module (10)"
    )
    options.add_argument("--clockless", type=int, default=0, help="modules without a clock, at QoS 0 (0)")
    options.add_argument("--connections", type=int, default=0, help="MQTT connections the modules share (0: one each)")
    options.add_argument(
        "--devices",
        metavar="FILE",
        type=_devices,
        default=(),
        help="instead: new modules with identities, from a file that `./seve device add --out FILE` wrote; - is stdin",
    )
    options.add_argument("--account", type=Path, help="a file for the closing account in JSON, sample by sample")
    return options


def _devices(file: str) -> list[tuple[str, str]]:
    """Return the names and passwords in a file of `./seve device add`; `-` is standard input."""
    try:
        rows = list(csv.reader(sys.stdin if file == "-" else Path(file).read_text(encoding="utf-8").splitlines()))
    except OSError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if rows[:1] != [["module", "password"]] or {len(row) for row in rows} != {2}:
        raise argparse.ArgumentTypeError(f"{file} has no lines module,password, as `./seve device add --out` writes")
    return [(module, password) for module, password in rows[1:]]


def _positive(kind: type[T]) -> Callable[[str], T]:
    def convert(text: str) -> T:
        number = kind(text)
        if number <= 0:
            raise argparse.ArgumentTypeError(f"{text} is not above zero")
        return number

    return convert


def _print(line: str) -> None:
    print(line, end="" if line.startswith("\r") else "\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
