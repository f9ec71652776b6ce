"""The errors a service may end with. Each carries its reason as a value."""


def describe(error: BaseException) -> str:
    """Return the text of an error in one line, or its class name if it has no text."""
    return " ".join(str(error).split()) or type(error).__name__


class SeveError(Exception):
    """Base class of the errors that Sève raises."""


class SettingsError(SeveError):
    """Settings that cannot be used. `faults` has one line per fault, which names the variable."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


class Stopped(SeveError):
    """A stop was requested during a wait."""


class ShutdownTimeout(SeveError):
    """Workers that did not drain within the grace period and were cancelled; `workers` has their names."""

    def __init__(self, workers: list[str]) -> None:
        super().__init__(f"cancelled after the grace period: {', '.join(workers)}")
        self.workers = workers


class TopologyError(SeveError):
    """A stream or consumer that is missing, or that `setup` cannot create or update. `name` is its name, `fault` the
    reason.
    """

    def __init__(self, name: str, fault: str) -> None:
        super().__init__(f"{name}: {fault}")
        self.name = name
        self.fault = fault
