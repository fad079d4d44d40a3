"""Where the marks of a picture are. Places are percent of its width and height, so that it fits a phone as it is."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from app.versioning import ApiVersion
from app.versioning.brownouts import Schedule

_MARGIN = 0.07  # of the time shown, before and after what is marked
_ALONE = timedelta(days=365)  # shown around now when no version has dates
_PLOT = 88.0  # percent of a chart's height; below it are the dates
_GAP = 0.15  # of a day's width, between two days


class Life(NamedTuple):
    """A version in the timeline: where it is deprecated, where it ends (None: neither), and its brownouts."""

    version: ApiVersion
    deprecated: float | None
    sunset: float | None
    brownouts: list[tuple[float, float]]  # place and width


class Timeline(NamedTuple):
    now: float
    lives: list[Life]


class Bar(NamedTuple):
    """One version's calls on one day; `series` is the version's number among those shown."""

    series: int
    x: float
    y: float
    width: float
    height: float
    says: str


class Chart(NamedTuple):
    """Bars, one on top of the other; `marks` are the heights to read it by, with their number of calls."""

    bars: list[Bar]
    marks: list[tuple[float, int]]


def timeline(versions: Sequence[ApiVersion], schedule: Schedule, now: datetime) -> Timeline:
    """The lives of the versions, on one scale of time."""
    moments = [now] + [
        moment for version in versions for moment in (version.deprecated, version.sunset) if moment is not None
    ]
    first, last = min(moments), max(moments)
    margin = (last - first) * _MARGIN or _ALONE
    begin, length = first - margin, last - first + 2 * margin

    def place(moment: datetime) -> float:
        return round((moment - begin) / length * 100, 2)

    lives = [
        Life(
            version,
            place(version.deprecated) if version.deprecated else None,
            place(version.sunset) if version.sunset else None,
            [
                # One of an hour would be too narrow to be seen.
                (place(window.starts), max(round((window.ends - window.starts) / length * 100, 2), 0.6))
                for window in schedule.windows(version.name)
                if window.client is None  # one client's own is nobody else's business
            ],
        )
        for version in versions
    ]
    return Timeline(place(now), lives)


def stacked(days: Sequence[date], series: Mapping[str, Mapping[date, int]]) -> Chart:
    """The calls of each series on each day, the first series at the bottom."""
    most = max(sum(calls.get(day, 0) for calls in series.values()) for day in days)
    top = _round_number(most)
    step = 100 / len(days)
    bars = []
    for at, day in enumerate(days):
        level = 0.0
        for number, (name, calls) in enumerate(series.items()):
            count = calls.get(day, 0)
            height = count / top * _PLOT
            level += height
            if count:
                says = f"{day}: {name} {count:,}"
                x, width = (at + _GAP / 2) * step, (1 - _GAP) * step
                bars.append(Bar(number, round(x, 2), round(_PLOT - level, 2), round(width, 2), round(height, 2), says))
    return Chart(bars, [(_PLOT, 0), (_PLOT / 2, top // 2), (0.0, top)])


def _round_number(least: int) -> int:
    """A number of two digits and noughts that is even, as its half is read as well, and not less."""
    power: int = 10 ** (len(str(least)) - 1)
    step = max(2, power // 5)
    return max(step, -(-least // step) * step)
