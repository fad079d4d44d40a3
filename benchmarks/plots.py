"""Pictures of results as SVG, readable on light and dark pages, without a library."""

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import TypeAlias, TypeVar

Row = TypeVar("Row")
Draw: TypeAlias = Callable[[Mapping[str, Row], float, float], list[str]]

_STYLE = """<style>
text { font: 12px system-ui, sans-serif; fill: #333 }
.title { font-size: 14px; font-weight: 600 }
.other { fill: #9aa5b1 } .mine { fill: #2f6fde }
.whisker { stroke: #555; stroke-width: 1.5 } .grid { stroke: #8886; stroke-width: 1 }
@media (prefers-color-scheme: dark) { text { fill: #ddd } .whisker { stroke: #ccc } }
</style>"""
_COLOURS = ("#2f6fde", "#d9663d", "#3d9a5f", "#9556c9", "#c2a21c", "#4aa5b5", "#b5486f", "#777777")
_PANEL, _LABEL, _BAR = 430, 70, 16


def bars(title: str, panels: Mapping[str, Mapping[str, tuple[float, ...]]], *, highlighted: str) -> str:
    """A panel a name; in it a bar for each median, with a whisker from the least to the most."""
    most = max(highest for found in panels.values() for _, _, highest in found.values())
    scale = (_PANEL - _LABEL - 60) / most

    def draw(found: Mapping[str, tuple[float, ...]], left: float, top: float) -> list[str]:
        drawn = []
        for place, (name, (median, least, highest)) in enumerate(found.items()):
            y = top + place * _BAR
            start = left + _LABEL
            kind = "mine" if name == highlighted else "other"
            drawn += [
                _text(start - 6, y + 11, name, anchor="end"),
                f'<rect class="{kind}" x="{start}" y="{y + 2}" width="{median * scale:.1f}" height="{_BAR - 5}"/>',
                _line(start + least * scale, y + 7.5, start + highest * scale, y + 7.5, "whisker"),
                _text(start + highest * scale + 5, y + 11, f"{median:.2f}"),
            ]
        return drawn

    return _panels(title, panels, draw)


def spans(title: str, panels: Mapping[str, Mapping[str, tuple[float, float, float]]], *, highlighted: str) -> str:
    """A panel a name; in it, on one logarithmic scale, three marks a row with a line through them."""
    values = [value for found in panels.values() for row in found.values() for value in row]
    least, most = math.log10(min(values)), math.log10(max(values))
    width = _PANEL - _LABEL - 140

    def draw(found: Mapping[str, tuple[float, float, float]], left: float, top: float) -> list[str]:
        drawn = []
        for place, (name, row) in enumerate(found.items()):
            y = top + place * _BAR + 8
            xs = [left + _LABEL + 4 + (math.log10(value) - least) / (most - least or 1) * width for value in row]
            kind = "mine" if name == highlighted else "other"
            drawn += [
                _text(left + _LABEL - 6, y + 4, name, anchor="end"),
                _line(xs[0], y, xs[-1], y, "whisker"),
                *(f'<circle class="{kind}" cx="{x:.1f}" cy="{y}" r="4"/>' for x in xs),
                _text(xs[-1] + 8, y + 4, " / ".join(f"{value:.3g}" for value in row)),
            ]
        return drawn

    return _panels(title, panels, draw)


def _panels(title: str, panels: Mapping[str, Mapping[str, Row]], draw: Draw[Row]) -> str:
    """Panels in two columns."""
    rows = max(len(found) for found in panels.values())
    height = 34 + rows * _BAR
    drawn = [_text(10, 20, title, kind="title")]
    for place, (name, found) in enumerate(panels.items()):
        left, top = 10 + place % 2 * _PANEL, 40 + place // 2 * height
        drawn += [_text(left, top + 12, name, kind="title"), *draw(found, left, top + 18)]
    return _svg(2 * _PANEL + 20, 40 + math.ceil(len(panels) / 2) * height, drawn)


def lines(title: str, series: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Lines over logarithmic scales, named at their right end."""
    points = [point for row in series.values() for point in row]
    (left, right), (low, high) = (
        (math.floor(math.log10(min(values))), math.ceil(math.log10(max(values))))
        for values in ([x for x, _ in points], [y for _, y in points])
    )

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            60 + (math.log10(x) - left) / (right - left) * 520,
            40 + (high - math.log10(y)) / (high - low or 1) * 300,
        )

    drawn = [_text(10, 20, title, kind="title")]
    for power in range(low, high + 1):
        _, y = place(10**left, 10**power)
        drawn += [_line(60, y, 580, y, "grid"), _text(54, y + 4, f"{10**power:,g}", anchor="end")]
    for power in range(left, right + 1):
        x, _ = place(10**power, 10**low)
        drawn += [_line(x, 40, x, 340, "grid"), _text(x, 358, f"{10**power:,}", anchor="middle")]
    last = 355.0
    for name in sorted(series, key=lambda name: series[name][-1][1]):
        colour = _COLOURS[list(series).index(name) % len(_COLOURS)]
        path = " ".join("{:.1f},{:.1f}".format(*place(x, y)) for x, y in series[name])
        _, y = place(*series[name][-1])
        last = min(y + 4, last - 15)  # names do not lie on each other
        drawn += [
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
            f'<text x="590" y="{last:.1f}" style="fill: {colour}">{escape(name)}</text>',
        ]
    return _svg(840, 370, drawn)


def _text(x: float, y: float, text: str, *, anchor: str = "start", kind: str = "") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _svg(width: float, height: float, drawn: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}">'
    return "\n".join([head, _STYLE, *drawn, "</svg>\n"])
