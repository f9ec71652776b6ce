"""The errors of this service."""

from seve_runtime.errors import SeveError


class Refused(SeveError):
    """A refused query. `status` is an HTTP status, `reason` one line for the client."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status}: {reason}")
        self.status = status
        self.reason = reason


class SchemaError(SeveError):
    """The database has a schema that this service cannot read; `found` is its version, None if it has none."""

    def __init__(self, found: int | None, expected: int) -> None:
        super().__init__(f"the database has version {found}, this service needs {expected}: run `seve-writer setup`")
        self.found = found
        self.expected = expected
