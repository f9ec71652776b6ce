"""The entry point of every service: `--help`, settings and their faults, logs, uvloop, exit code.

Exit code 0: stopped by a signal. 1: failed; the error is in the log. 2: settings cannot be used; each is named on
stderr.
"""

import argparse
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any, NoReturn, TypeVar

import msgspec
import structlog
import uvloop
from msgspec import Meta

from seve_runtime import errors, logs
from seve_runtime.errors import SettingsError, SeveError, Stopped
from seve_runtime.lifecycle import Stop, stop_on_signals
from seve_runtime.settings import Listen, Seconds, describe, load
from seve_runtime.units import is_loopback

log = structlog.get_logger()

T = TypeVar("T", bound=msgspec.Struct)


class ServiceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of every service. A service's own settings hold one of these in a field named `service`."""

    log_level: Annotated[logs.Level, Meta(description="debug, info, warning or error")] = "info"
    log_format: Annotated[logs.Format, Meta(description="json, console, or auto: console on a terminal")] = "auto"
    admin_listen: Annotated[Listen, Meta(description="address of health and metrics; port 0 takes a free one")] = (
        "127.0.0.1:0"
    )
    admin_hosts: Annotated[
        tuple[str, ...],
        Meta(description="host names of the admin port, besides `localhost` and literal addresses"),
    ] = ()
    admin_allow_unauthenticated: Annotated[
        bool, Meta(description="serve health and metrics to everyone who reaches an address beyond loopback")
    ] = False
    shutdown_grace: Annotated[Seconds, Meta(description="how long a stop may take before work is cancelled")] = 10.0

    def __post_init__(self) -> None:
        if not (is_loopback(self.admin_listen) or self.admin_allow_unauthenticated):
            raise ValueError(
                f"ADMIN_LISTEN = {self.admin_listen!r} is reachable from other machines, and everyone could read "
                "health and metrics in clear text; set ADMIN_ALLOW_UNAUTHENTICATED=true if that is meant"
            )


def settings_help(cls: type[msgspec.Struct]) -> str:
    """Return the table of settings at the end of `--help`."""
    rows = describe(cls)
    width = max(len(row.name) for row in rows)
    return "settings, from the environment:\n" + "\n".join(
        f"  {row.name:<{width}}  {row.description}" + (f" [{row.default}]" if row.default else "") for row in rows
    )


def parser(prog: str, summary: str, cls: type[msgspec.Struct]) -> argparse.ArgumentParser:
    """Return an argument parser whose `--help` lists the settings of `cls`."""
    whole = argparse.ArgumentParser(
        prog=prog, description=summary, epilog=settings_help(cls), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    whole.add_argument("--check", action="store_true", help="check the settings and the files they name, then exit")
    return whole


def load_or_exit(cls: type[T]) -> T:
    """Return the settings of this process. If there are faults, print each on stderr and exit with 2."""
    try:
        return load(cls, os.environ)
    except SettingsError as error:
        report_faults(error)


def check(cls: type[msgspec.Struct], uses: Mapping[type[Any], Callable[[Any], object]]) -> int:
    """Load the settings `cls` and open the files that they name, such as keys; start nothing. Return the exit code 0.

    `uses` has a function per group of settings, which runs even if another group has faults. If there are faults, print
    each on stderr and exit with 2.
    """
    faults: list[str] = []
    for group in (cls, *uses):
        try:
            settings = load(group, os.environ)
            if group in uses:
                uses[group](settings)
        except SettingsError as error:
            faults += error.faults
    if faults:
        report_faults(SettingsError(list(dict.fromkeys(faults))))
    return 0


def report_faults(error: SettingsError) -> NoReturn:
    """Print every fault on stderr and exit with 2."""
    for fault in error.faults:
        print(f"setting {fault}", file=sys.stderr)  # noqa: T201  (logs are not configured yet)
    sys.exit(2)


def run(name: str, settings: ServiceSettings, app: Callable[[Stop], Awaitable[None]]) -> int:
    """Run `app` on uvloop; return the exit code. `app` gets the event that SIGTERM or SIGINT sets."""
    logs.configure(name, settings.log_level, settings.log_format)

    async def main() -> None:
        async with stop_on_signals() as stop:
            await app(stop)

    try:
        uvloop.run(main())
    except Stopped:
        log.info("stopped before it was ready")
    except SettingsError as error:
        report_faults(error)
    except SeveError as error:
        log.error("failed", reason=errors.describe(error))  # noqa: TRY400  (it says all; a traceback would hide it)
        return 1
    except Exception:
        log.exception("failed")
        return 1
    else:
        log.info("stopped")
    return 0


def serve(
    prog: str,
    summary: str,
    cls: type[T],
    app: Callable[[T, Stop], Awaitable[None]],
    argv: Sequence[str],
    *,
    uses: Mapping[type[Any], Callable[[Any], object]],
) -> int:
    """Run a service without subcommands. `cls` has a field `service: ServiceSettings`; `uses` is that of `check`."""
    if parser(prog, summary, cls).parse_args(argv).check:
        return check(cls, uses)
    settings = load_or_exit(cls)
    return run(prog, settings.service, lambda stop: app(settings, stop))  # type: ignore[attr-defined]
