"""The closing account of a run as a value, for programs. Names samples; decides nothing."""

import msgspec

from seve_fleet.simulate.account import Account, Key
from seve_fleet.simulate.ws import Missed, Screen


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of a run's samples and of its reports (all other messages). A sample is identified by its topic and its
    time (microseconds since 1970). `strange` counts rows of the run's modules that are no sample of the run. Names of
    modules begin with `run` unless they were given.
    """

    run: str
    sent: int
    acknowledged: int
    seen: int
    repeated: int
    strange: int
    unstored: list[Key]
    unseen: list[Key]
    reports: int
    reports_unacknowledged: int
    reports_unseen: int
    missing_rows: list[str]
    connections: int
    gaps: list[Missed]
    unreadable: str | None
    """Why the database could not be read, so that its contents are unknown. None if it was read."""


def outcome(
    account: Account, screen: Screen, keys: list[Key], missing_rows: list[str], unreadable: str | None, *, run: str
) -> Outcome:
    """Return the account, compared with the database's rows."""
    return Outcome(
        run=run,
        sent=account.sent,
        acknowledged=account.acknowledged,
        seen=account.seen,
        repeated=account.repeated,
        strange=account.strange(keys),
        unstored=account.unstored(keys),
        unseen=account.unseen,
        reports=account.reports_sent,
        reports_unacknowledged=account.reports_sent - account.reports_acknowledged,
        reports_unseen=max(0, account.reports_sent - account.reports_seen),
        missing_rows=missing_rows,
        connections=screen.connections,
        gaps=screen.gaps,
        unreadable=unreadable,
    )
