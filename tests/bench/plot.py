"""Line plots as SVG, by plain functions: no library, no style sheet, readable on white and in a README."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 170, 40, 50
PANEL, BETWEEN = 110, 34
"""Height of a panel, and of what is between two."""
COLOURS = ("#1f6fb4", "#d1571b", "#2f8f46", "#8648a8", "#b8860b", "#c2335d", "#4a5568", "#0f8b8d")
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0} {1}" font-family="sans-serif" font-size="12" fill="#222">'
    '<rect width="{0}" height="{1}" fill="#fff"/>'
)
Point = tuple[float | str, float | None]


class Axis(NamedTuple):
    """What is shown along an axis: logarithmic or not."""

    title: str
    log: bool = False


class Scale:
    """Places of values between two ends; words stand side by side in their order."""

    def __init__(self, values: Sequence[float | str], low: float, high: float, *, log: bool) -> None:
        self._low, self._high = low, high
        self.words = list(dict.fromkeys(v for v in values if isinstance(v, str)))
        numbers = [v for v in values if not isinstance(v, str)]
        self.log = log and not self.words and min(numbers, default=0) > 0
        if self.words:
            self._from, self._to = -0.5, len(self.words) - 0.5
        elif self.log:
            self._from, self._to = math.floor(math.log10(min(numbers))), math.ceil(math.log10(max(numbers)) + 1e-9)
        else:
            self._from, self._to = 0.0, max(numbers, default=1.0) * 1.05 or 1.0
        if self._to <= self._from:
            self._to = self._from + 1

    def at(self, value: float | str) -> float:
        """The place of a value."""
        number = self.words.index(value) if isinstance(value, str) else math.log10(value) if self.log else value
        return self._low + (number - self._from) / (self._to - self._from) * (self._high - self._low)

    def ticks(self) -> list[tuple[float, str]]:
        """Places to mark, with their labels."""
        if self.words:
            return [(self.at(word), word) for word in self.words]
        if self.log:
            values = [10.0**power for power in range(int(self._from), int(self._to) + 1)]
        else:
            step = _round_step(self._to / 5)
            values = [step * n for n in range(int(self._to / step) + 1)]
        return [(self.at(value), _label(value)) for value in values]


def line_plot(title: str, x: Axis, y: Axis, series: dict[str, Sequence[Point]]) -> str:
    """An SVG of one line per series. A point without a value is left out; so is a value that a logarithm has not."""
    kept = _drawable(y, series)
    points = [point for line in kept.values() for point in line]
    across = Scale([a for a, _ in points], LEFT, WIDTH - RIGHT, log=x.log)
    up = Scale([b for _, b in points], HEIGHT - BOTTOM, TOP, log=y.log)
    parts = [*_frame(title, x.title, y.title), *_grid(across, up, TOP, HEIGHT - BOTTOM)]
    for number, (name, line) in enumerate(kept.items()):
        parts += _line(name, line, number, across, up, TOP)
        parts += [
            f'<circle cx="{across.at(a):.1f}" cy="{up.at(b):.1f}" r="3" fill="{_colour(number)}"/>' for a, b in line
        ]
    return "\n".join([SVG.format(WIDTH, HEIGHT), *parts, "</svg>\n"])


def panels(
    title: str,
    x: Axis,
    shown: Sequence[tuple[Axis, Mapping[str, Sequence[Point]]]],
    marks: Sequence[tuple[float, str]],
) -> str:
    """An SVG of several plots of the same stretch, one below the other; a point without a value interrupts its line.
    `marks` are places along the stretch, with their words.
    """
    most = [point[0] for _, series in shown for line in series.values() for point in line]
    across = Scale(most, LEFT, WIDTH - RIGHT, log=False)
    head = TOP + 85 if marks else TOP
    height = head + len(shown) * (PANEL + BETWEEN) + 16
    parts = [_text(LEFT, 22, title, size=14), _text((LEFT + WIDTH - RIGHT) / 2, height - 8, x.title, anchor="middle")]
    for number, (y, series) in enumerate(shown):
        top = head + number * (PANEL + BETWEEN)
        parts += _panel(y, series, across, top, last=number == len(shown) - 1)
    for at, words in marks:
        place = across.at(at)
        parts.append(f'<path d="M{place:.1f} {head}V{height - BETWEEN - 16}" stroke="#c2335d" stroke-dasharray="2 3"/>')
        turned = f'transform="translate({place + 3:.1f} {head - 18}) rotate(-60)"'
        parts.append(f'<text {turned} font-size="10">{escape(words)}</text>')
    return "\n".join([SVG.format(WIDTH, height), *parts, "</svg>\n"])


def _panel(y: Axis, series: Mapping[str, Sequence[Point]], across: Scale, top: float, *, last: bool) -> list[str]:
    up = Scale([b for line in _drawable(y, series).values() for _, b in line], top + PANEL, top, log=y.log)
    parts = [*_grid(across, up, top, top + PANEL, labelled=last), _text(LEFT, top - 6, y.title)]
    for number, (name, line) in enumerate(series.items()):
        parts += _line(name, [(a, b if _drawn(y, b) else None) for a, b in line], number, across, up, top, width=1)
    return parts


def _drawn(y: Axis, value: float | None) -> bool:
    return value is not None and (value > 0 or not y.log)


def _drawable(y: Axis, series: Mapping[str, Sequence[Point]]) -> dict[str, list[tuple[float | str, float]]]:
    return {name: [(a, b) for a, b in points if b is not None and _drawn(y, b)] for name, points in series.items()}


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def _frame(title: str, across: str, up: str) -> list[str]:
    middle = (LEFT + WIDTH - RIGHT) / 2
    return [
        _text(LEFT, 22, title, size=14),
        _text(middle, HEIGHT - 10, across, anchor="middle"),
        f'<text transform="translate(16 {HEIGHT / 2}) rotate(-90)" text-anchor="middle">{escape(up)}</text>',
    ]


def _grid(across: Scale, up: Scale, top: float, bottom: float, *, labelled: bool = True) -> list[str]:
    parts = []
    for place, label in across.ticks():
        parts.append(f'<path d="M{place:.1f} {top}V{bottom}" stroke="#e5e5e5"/>')
        parts += [_text(place, bottom + 18, label, anchor="middle")] if labelled else []
    for place, label in up.ticks():
        parts.append(f'<path d="M{LEFT} {place:.1f}H{WIDTH - RIGHT}" stroke="#e5e5e5"/>')
        parts.append(_text(LEFT - 8, place + 4, label, anchor="end"))
    return parts


def _line(
    name: str,
    line: Sequence[Point],
    number: int,
    across: Scale,
    up: Scale,
    top: float,
    width: int = 2,
) -> list[str]:
    colour, legend = _colour(number), top + 10 + (20 if width > 1 else 14) * number
    steps, step = [], "M"
    for a, b in line:
        steps += [] if b is None else [f"{step}{across.at(a):.1f} {up.at(b):.1f}"]
        step = "M" if b is None else "L"
    way = " ".join(steps)
    return [
        *([f'<path d="{way}" fill="none" stroke="{colour}" stroke-width="{width}"/>'] if way else []),
        f'<rect x="{WIDTH - RIGHT + 14}" y="{legend - 9}" width="10" height="10" fill="{colour}"/>',
        _text(WIDTH - RIGHT + 30, legend, name),
    ]


def _text(x: float, y: float, words: str, *, anchor: str = "start", size: int = 12) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{escape(words)}</text>'


def _round_step(step: float) -> float:
    """1, 2 or 5 times a power of ten, not below `step`."""
    power = 10 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * 0.999)


def _label(value: float) -> str:
    for limit, unit in ((1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:g}{unit}"
    return f"{value:g}"
