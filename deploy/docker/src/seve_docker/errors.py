"""Errors of the commands of the containers."""


class CommandFailed(RuntimeError):
    """A command failed; the text says why."""


class NotUp(CommandFailed):
    """A command needs a running stack."""

    def __init__(self) -> None:
        super().__init__("Sève is not up: `make up` starts it")
