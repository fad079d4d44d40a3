"""What a request costs, in figures that no machine's speed changes: `python -m benchmarks.cost` (`make cost-baseline`).

Of each operation, on both databases: the bytecode instructions that Python runs for a request and the functions that it
calls, in all threads; the statements and commits that its driver is given; and how often a thread hands something back
to the event loop. `tests/test_cost.py` holds them against `tests/cost_baseline.json`, which this program writes.
"""

import gc
import json
import os
import platform
import queue
import sqlite3
import statistics
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import psycopg2.extensions

from app.settings import Settings
from benchmarks import in_process
from benchmarks.in_process import WARM_UP, Loop, Served, in_loop, operations, serving
from benchmarks.operations import Exchange
from contract_tests.recordings import postgresql, sqlite

ROOT = Path(__file__).parents[1]
BASELINE = ROOT / "tests" / "cost_baseline.json"
PYTHON = ".".join(platform.python_version_tuple()[:2])

Costs = dict[str, dict[str, int]]  # by operation and figure

FIGURES = ("instructions", "calls", "queries", "commits", "hops")
# Figures that may be a little more than in the baseline, and how much; less, by LESS. All others are exact.
MORE = {"instructions": 0.005, "calls": 0.002}
LESS = 0.02
MORE_CALLS_ELSEWHERE = 0.02  # on another Python

_COUNTED = 3  # requests, of which the median counts
# A thread's way back to its queue, when the reply is out already; and what is ours.
_UNCOUNTED = frozenset({queue.__file__, threading.__file__, in_process.__file__, __file__})
_DRIVERS = (
    sqlite3.Connection,
    sqlite3.Cursor,
    psycopg2.extensions.connection,
    psycopg2.extensions.cursor,
)


class Work:
    """Counts what is done while it looks, in this thread and in those that begin after it is made."""

    def __init__(self) -> None:
        self._on = False
        threading.settrace(self._call)
        threading.setprofile(self._look)

    def begin(self) -> None:
        self._done: Counter[str] = Counter()
        sys.settrace(self._call)
        sys.setprofile(self._look)
        self._on = True

    def end(self) -> Counter[str]:
        """What was done since `begin`."""
        self._on = False
        sys.setprofile(None)
        sys.settrace(None)
        return self._done

    def _call(self, frame: FrameType, _event: str, _argument: object) -> Callable[..., Any] | None:
        if not self._on or frame.f_code.co_filename in _UNCOUNTED:
            return None
        self._done["calls"] += 1
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        return self._step

    def _step(self, _frame: FrameType, event: str, _argument: object) -> Callable[..., Any]:
        if self._on and event == "opcode":
            self._done["instructions"] += 1
        return self._step

    def _look(self, _frame: FrameType, event: str, function: Any) -> None:
        """Note what a driver is told, whoever tells it."""
        asked = getattr(function, "__self__", None) if self._on and event in ("c_call", "c_return") else None
        if not isinstance(asked, _DRIVERS):
            return
        if event == "c_call":
            self._done["queries"] += function.__name__.startswith("execute")
            self._done["commits"] += function.__name__ == "commit"
        else:
            self._done["commits"] += function.__name__ == "execute" and _has_committed(asked)


def _has_committed(asked: Any) -> bool:
    """Whether this cursor's last statement wrote something and was a transaction of its own."""
    if isinstance(asked, psycopg2.extensions.cursor):
        return asked.connection.autocommit and (asked.statusmessage or "").startswith(("INSERT", "UPDATE", "DELETE"))
    return isinstance(asked, sqlite3.Cursor) and asked.rowcount >= 0 and not asked.connection.in_transaction


async def _measure(database_url: str, loop: Loop, work: Work) -> Costs:
    """Each figure is the median of some requests, once all that is made or prepared for later requests is there."""
    costs: Costs = {}
    async with serving(database_url) as served:
        asking = await operations(served)
        gc.collect()
        gc.disable()  # what it calls, it calls at any moment
        for name, make in asking.items():
            for number in range(WARM_UP):
                await served.ask(make(number))
            seen = [await _cost(served, make(WARM_UP + number), loop, work) for number in range(_COUNTED)]
            costs[name] = {figure: int(statistics.median(done[figure] for done in seen)) for figure in FIGURES}
    return costs


async def _cost(served: Served, exchange: Exchange, loop: Loop, work: Work) -> Counter[str]:
    hops = loop.hops
    work.begin()
    await served.ask(exchange)
    done = work.end()
    done["hops"] = loop.hops - hops
    return done


def measured(database_url: str) -> Costs:
    """What each operation costs on a migrated, empty database: in a process of its own, where nothing else runs."""
    inherited = {name: value for name, value in os.environ.items() if name.lower() not in Settings.model_fields}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.cost", database_url],
        cwd=ROOT,
        env={**inherited, "PYTHONHASHSEED": "0"},  # the same order of sets each time
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    costs: Costs = json.loads(done.stdout)
    return costs


def departures(found: Costs, baseline: Costs, *, same_python: bool) -> list[str]:
    """A line for each figure that is not as the baseline has it.

    Calls were the same in every run, on a busy machine and on another patch release; instructions by 0.2 %, since a
    histogram is looked through up to the time that a request took. What is saved is told as well, or as much could be
    added again unseen. Of other Pythons it is only known that newer ones call less.
    """
    told = [f"{name}: in the baseline, but not measured" for name in baseline if name not in found]
    for name, figures in found.items():
        if name not in baseline:
            told.append(f"{name}: measured, but not in the baseline")
            continue
        for figure, number in figures.items():
            expected = baseline[name][figure]
            if figure not in MORE:
                fits = number == expected
            elif same_python:
                fits = expected * (1 - LESS) <= number <= expected * (1 + MORE[figure])
            else:
                fits = figure != "calls" or number <= expected * (1 + MORE_CALLS_ELSEWHERE)
            if not fits:
                change = f" ({number / expected - 1:+.1%})" if expected else ""
                told.append(f"{name}: {number:,} {figure}, not {expected:,}{change}")
    return told


def _tell(costs: Mapping[str, Costs]) -> str:
    """The baseline: a line for each operation, so that a diff shows what has changed."""
    parts = [f'  "python": "{PYTHON}"']
    for database, figures in costs.items():
        lines = [f"    {json.dumps(name)}: {json.dumps(each)}" for name, each in figures.items()]
        parts.append(f'  "{database}": {{\n' + ",\n".join(lines) + "\n  }")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main() -> None:
    if len(sys.argv) > 1:
        json.dump(in_loop(lambda loop: _measure(sys.argv[1], loop, Work())), sys.stdout)
        return
    with sqlite() as file, postgresql() as server:
        BASELINE.write_text(_tell({"sqlite": measured(file), "postgresql": measured(server)}))
    print(f"wrote {BASELINE.relative_to(ROOT)}, of Python {PYTHON}")


if __name__ == "__main__":
    main()
