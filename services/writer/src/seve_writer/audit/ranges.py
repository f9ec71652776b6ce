"""Sets of sequences as spans: pairs of first and last, both included, sorted and never adjacent. Pure.

A journal has millions of sequences and few spans. The cost of each function grows with the spans only.
"""

from collections.abc import Iterable, Iterator

Span = tuple[int, int]
Spans = tuple[Span, ...]


def united(*sets: Iterable[Span]) -> Spans:
    """Return the union of sets. Their spans may touch, overlap and come in any order."""
    whole: list[Span] = []
    for first, last in sorted(span for spans in sets for span in spans):
        if whole and first <= whole[-1][1] + 1:
            whole[-1] = (whole[-1][0], max(whole[-1][1], last))
        else:
            whole.append((first, last))
    return tuple(whole)


def without(spans: Spans, taken: Spans) -> Spans:
    """Return the sequences of `spans` that are not in `taken`."""
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
    """Yield the spans from index `place` on that begin no later than `last`."""
    while place < len(spans) and spans[place][0] <= last:
        yield spans[place]
        place += 1


def within(spans: Spans, first: int, last: int) -> Spans:
    """Return the part of `spans` between `first` and `last`, both included."""
    return tuple((max(a, first), min(b, last)) for a, b in spans if a <= last and b >= first)


def count(spans: Spans) -> int:
    """Return the number of sequences in `spans`."""
    return sum(last - first + 1 for first, last in spans)


def except_for(first: int, last: int, missing: Iterable[int]) -> Spans:
    """Return the sequences from `first` to `last` without `missing`, which are sorted."""
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
