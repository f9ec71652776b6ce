"""Positions in the journal, and the opaque resume tokens for clients."""

from typing import Final, NamedTuple, Self

WHOLE: Final = 0xFFFF
"""The place in a token that comes after every envelope of its message."""

SEQUENCE_BITS: Final = 48
"""A row's position is one number: these lower bits are the sequence, the higher ones the number that the database gave
the journal.
"""


class PositionError(ValueError):
    """A token that no part of Sève wrote."""


class Position(NamedTuple):
    """A journal position: the journal's creation time (microseconds since 1970) and a sequence in it.

    Positions are ordered as tuples: a recreated journal comes after the one it replaces.
    """

    journal: int
    sequence: int

    def __str__(self) -> str:
        return f"{self.journal:x}-{self.sequence:x}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the position of a text that `str()` wrote. Raises PositionError."""
        journal, _, sequence = text.partition("-")
        return cls(_natural(journal, text), _natural(sequence, text))


class Token(NamedTuple):
    """A resume token: a position and the place (from 0) of an envelope in its NATS message. Opaque to clients."""

    position: Position
    place: int

    def __str__(self) -> str:
        return f"{self.position}-{self.place:x}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the token of a text that `str()` wrote. Raises PositionError."""
        position, _, place = text.rpartition("-")
        return cls(Position.parse(position), _natural(place, text))


def end_of(position: Position) -> Token:
    """Return the token of a client that has every message up to and including the one at `position`."""
    return Token(position, WHOLE)


def _natural(digits: str, token: str) -> int:
    if not digits or len(digits) > 16 or not all(digit in "0123456789abcdef" for digit in digits):
        raise PositionError(f"not a position: {token[:64]!r}")
    return int(digits, 16)
