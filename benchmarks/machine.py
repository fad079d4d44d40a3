"""Which core does what, and what the machine is."""

import os
import platform
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Cores:
    """One core for the server that is measured and one for the load. PostgreSQL has what is left, and on a machine of
    two cores shares that of the load: so the server's core does nothing but serve, whoever is measured.
    """

    server: tuple[int, ...]
    load: tuple[int, ...]
    database: tuple[int, ...]


@cache  # what was there before this program took its own place
def cores() -> Cores:
    available = sorted(os.sched_getaffinity(0))
    if len(available) < 2:  # what the server and the load take from each other would be measured
        sys.exit("benchmarks need two cores: one for the server and one for the load")
    server, load = available[:1], available[1:2]
    return Cores(tuple(server), tuple(load), tuple(available[2:] or load))


def pin(process: psutil.Process, where: Sequence[int]) -> None:
    """Keep a process, and its children from now on, on these cores."""
    for each in (process, *process.children(recursive=True)):
        each.cpu_affinity(list(where))


def take_place() -> None:
    """Put this program on the load's core, and let SIGTERM end it in order, with all that it started."""
    pin(psutil.Process(), cores().load)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def cpu_seconds(process: psutil.Process) -> float:
    """The time that a process and its children, the ended ones too, have spent computing so far, to 10 ms."""
    seconds = 0.0
    for each in (*process.children(recursive=True), process):
        with suppress(psutil.NoSuchProcess):  # it has just ended: its parent, read after it, counts its time
            times = each.cpu_times()
            seconds += times.user + times.system + times.children_user + times.children_system
    return seconds


def megabytes(process: psutil.Process) -> float:
    """The memory of a process and its children; what they share is counted once (PSS)."""
    return sum(float(each.memory_full_info().pss) for each in (process, *process.children(recursive=True))) / 1e6


def description() -> dict[str, object]:
    """The machine, for the report."""
    names = [
        line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "name" in line
    ]
    return {
        "processor": names[0] if names else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "pinned": asdict(cores()),
    }
