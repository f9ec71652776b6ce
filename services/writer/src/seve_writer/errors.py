"""What a writer may end or wait with. Each error carries its reason as a value."""

from seve_runtime.errors import SeveError
from seve_schema.times import format_time


class SchemaError(SeveError):
    """The database's schema is not one this writer can use; `found` and `expected` are migration numbers."""

    def __init__(self, found: int | None, expected: int, advice: str) -> None:
        super().__init__(f"schema version {found}, expected {expected}: {advice}")
        self.found = found
        self.expected = expected


class JournalReplaced(SeveError):
    """The journal was made anew under a running writer: its sequences mean other messages now. Both in microseconds."""

    def __init__(self, before: int, now: int) -> None:
        super().__init__(
            f"the journal created at {format_time(before)} was replaced by one created at {format_time(now)}"
        )
        self.before = before
        self.now = now


class MigrationError(SeveError):
    """A migration that could not be applied. The database is as the migration before left it."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"migration {name} was not applied: {reason}")
        self.name = name
        self.reason = reason
