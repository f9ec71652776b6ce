"""Errors that end a writer or make it wait. Each carries its reason as a value."""

from seve_runtime.errors import SeveError
from seve_schema.times import format_time


class SchemaError(SeveError):
    """The database has a schema that this writer cannot use; `version` and `expected` are migration numbers."""

    def __init__(self, version: int | None, expected: int, advice: str) -> None:
        super().__init__(f"schema version {version}, expected {expected}: {advice}")
        self.version = version
        self.expected = expected


class JournalReplaced(SeveError):
    """The journal was recreated under a running writer, so sequences name other messages now. `before` and `now` are
    the creation times of both, microseconds since 1970.
    """

    def __init__(self, before: int, now: int) -> None:
        super().__init__(
            f"the journal created at {format_time(before)} was replaced by one created at {format_time(now)}"
        )
        self.before = before
        self.now = now


class MigrationError(SeveError):
    """A migration could not be applied. The database is as the previous migration left it."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"migration {name} was not applied: {reason}")
        self.name = name
        self.reason = reason
