"""Sets of sequences as spans: pairs of first and last, both included; in order, none touching another. Pure.

A journal has millions of sequences and few spans, so that nothing here costs more than the spans do.
"""

from collections.abc import Iterable, Iterator

Span = tuple[int, int]
Spans = tuple[Span, ...]


def united(*sets: Iterable[Span]) -> Spans:
    """What is in any of them; these may touch, overlap and stand in any order."""
    whole: list[Span] = []
    for first, last in sorted(span for spans in sets for span in spans):
        if whole and first <= whole[-1][1] + 1:
            whole[-1] = (whole[-1][0], max(whole[-1][1], last))
        else:
            whole.append((first, last))
    return tuple(whole)


def without(spans: Spans, taken: Spans) -> Spans:
    """What is in `spans` and not in `taken`."""
    left: list[Span] = []
    place = 0
    for first, last in spans:
        start = first
        while place < len(taken) and taken[place][1] < start:
            place += 1
        for gone_first, gone_last in _from(taken, place, last):
            if start < gone_first:
                left.append((start, gone_first - 1))
            start = gone_last + 1
        if start <= last:
            left.append((start, last))
    return tuple(left)


def _from(spans: Spans, place: int, last: int) -> Iterator[Span]:
    """Those from `place` on that begin by `last`."""
    while place < len(spans) and spans[place][0] <= last:
        yield spans[place]
        place += 1


def within(spans: Spans, first: int, last: int) -> Spans:
    """What of them lies between `first` and `last`, both included."""
    return tuple((max(a, first), min(b, last)) for a, b in spans if a <= last and b >= first)


def count(spans: Spans) -> int:
    """How many sequences they are."""
    return sum(last - first + 1 for first, last in spans)


def except_for(first: int, last: int, missing: Iterable[int]) -> Spans:
    """All from `first` to `last` but the `missing`, which stand in order."""
    left: list[Span] = []
    start = first
    for sequence in missing:
        if sequence > last:
            break
        if start < sequence:
            left.append((start, sequence - 1))
        start = max(start, sequence + 1)
    if start <= last:
        left.append((start, last))
    return tuple(left)
