"""How soon the service answers, and how much room it takes: `python -m benchmarks.size` (`make bench-size`).

The first reply after `tandem serve`; the memory of a worker while it answers as many requests as come in an hour at 28
a second, reading, writing and refused ones mixed; and what is installed.
"""

import argparse
import itertools
import re
import statistics
import time
from contextlib import ExitStack
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from benchmarks import machine, report
from benchmarks.bench import prepare
from benchmarks.database import postgresql
from benchmarks.environments import ROOT
from benchmarks.growth import fill_by_sql
from benchmarks.load import closed_loop
from benchmarks.operations import operations
from benchmarks.servers import CONTENDERS_BY_NAME, Server

STARTS, REQUESTS, STEPS, POSTS = 5, 100_000, 5, 10_000

console = Console(stderr=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=REQUESTS, help="how many a worker answers")
    requests = parser.parse_args().requests
    machine.take_place()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="tandem-size-")))
        database = stack.enter_context(postgresql())
        fill_by_sql(database, POSTS)
        starts = []
        # As it is installed: compiled, whatever the environment of this program says; the first start does it.
        compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
        for number in range(STARTS + 1):
            console.print(f"start {number} of {STARTS}")
            began = time.perf_counter()
            with Server(CONTENDERS_BY_NAME["tandem"], database.url, folder, **compiled) as server:
                if server.get("/v2/posts?limit=1") != 200:
                    raise RuntimeError(server.log.read_text())
                starts.append((time.perf_counter() - began) * 1000)
        server = stack.enter_context(Server(CONTENDERS_BY_NAME["tandem"], database.url, folder))
        material = prepare(database, server)
        wanted = operations(material)
        memory = {"0": round(server.megabytes(), 1)}
        answered = 0
        for step in range(1, STEPS + 1):
            console.print(f"{answered:,} of {requests:,} requests")
            for operation in itertools.cycle(wanted):
                if answered >= requests * step // STEPS:
                    break
                answered += closed_loop(server.port, operation.requests, operation.status, 1.0).requests
            memory[str(answered)] = round(server.megabytes(), 1)
        packages, megabytes = _dependencies()
        result = {
            "machine": machine.description(),
            "first_reply_ms": round(statistics.median(starts[1:])),
            "starts": STARTS,
            "memory_mb": memory,
            "dependencies": packages,
            "dependencies_mb": round(megabytes, 1),
        }
    report.publish("size", result, keep=requests == REQUESTS)


def _dependencies() -> tuple[int, float]:
    """How many packages requirements.txt installs here, and their megabytes."""
    names = re.findall(r"^([A-Za-z0-9_.-]+)==", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    packages, size = 0, 0
    for name in names:
        try:
            files = distribution(name).files or []
        except PackageNotFoundError:  # for another system or another Python
            continue
        packages += 1
        size += sum(path.stat().st_size for file in files if (path := Path(str(file.locate()))).is_file())
    return packages, size / 1e6


if __name__ == "__main__":
    main()
