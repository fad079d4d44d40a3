"""Every contender side by side: `python -m benchmarks.bench` (`make bench`). benchmarks/README.md tells how and why."""

import argparse
import gc
import itertools
import json
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from benchmarks import environments, machine, report
from benchmarks.client import FORM, log_in, post
from benchmarks.database import BenchDatabase, fill, let_log_in, postgresql, words_of_titles
from benchmarks.load import closed_loop, open_loop
from benchmarks.operations import Material, Operation, compare, operations
from benchmarks.servers import CONTENDERS_BY_NAME, Contender, Server

PEOPLE = 64
WARM_UP_SECONDS = 0.5
LATENCY_OPERATIONS = ("v2_post", "v2_list", "v1_post")
LATENCY_SECONDS = 3.0
SHARE_OF_SLOWEST, SHARE_OF_OWN = 0.5, 0.7

console = Console(stderr=True)


@dataclass(frozen=True)
class Slot:
    """One turn of a contender at an operation. Times in microseconds of processor a request."""

    rate: float  # requests a second
    server_us: float
    database_us: float
    busy: float  # share of its core that the server had: near 1, or something else held it up


def main() -> None:
    arguments = _arguments()
    started = time.monotonic()
    tell = console.print
    environments.python(tell)
    chosen = _contenders(arguments.only, node=environments.node(tell) is not None)
    machine.take_place()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="tandem-bench-")))
        database = stack.enter_context(postgresql())
        data = fill(database, tell)
        reference = stack.enter_context(Server(CONTENDERS_BY_NAME["tandem"], database.url, folder))
        material = prepare(database, reference)
        wanted = _operations(operations(material), arguments.operations)
        servers = [reference]
        for contender in chosen:
            if contender.name != "tandem":
                servers.append(stack.enter_context(Server(contender, database.url, folder)))
                compare(reference, servers[-1], wanted, material)
                database.put_back()
        tell(f"{len(servers)} contenders give the same replies, and refuse the same")
        speed = _Speed(database, servers, wanted, arguments.rounds, arguments.seconds)
        slots = speed.run()
        latencies = speed.latencies(slots) if arguments.latency else {}
        result = {
            "data": data,
            "rounds": arguments.rounds,
            "seconds": arguments.seconds,
            "minutes": round((time.monotonic() - started) / 60, 1),
            "machine": machine.description(),
            "contenders": {server.contender.name: server.contender.title for server in servers},
            "peers": [server.contender.name for server in servers if server.contender.peer],
            "operations": {operation.name: operation.title for operation in wanted},
            "measured": slots,
            "latency": latencies,
            "memory_mb": {server.contender.name: round(server.megabytes(), 1) for server in servers},
        }
    whole = not arguments.only and not arguments.operations
    report.publish("speed", result, keep=whole)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each contender has its turn")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a turn")
    parser.add_argument("--only", type=_names, default=[], help="contenders, comma separated")
    parser.add_argument("--operations", type=_names, default=[], help="operations, comma separated")
    parser.add_argument("--no-latency", dest="latency", action="store_false", help="leave the open loop out")
    return parser.parse_args()


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def _contenders(only: Sequence[str], *, node: bool) -> list[Contender]:
    if unknown := set(only) - set(CONTENDERS_BY_NAME):
        sys.exit(f"no such contender: {', '.join(sorted(unknown))}; there are {', '.join(CONTENDERS_BY_NAME)}")
    chosen = [it for it in CONTENDERS_BY_NAME.values() if not only or it.name in only]
    if not node:
        console.print("Node is not installed: Fastify is left out")
        chosen = [it for it in chosen if it.name != "fastify"]
    return chosen


def _operations(known: Sequence[Operation], names: Sequence[str]) -> list[Operation]:
    if unknown := set(names) - {operation.name for operation in known}:
        sys.exit(
            f"no such operation: {', '.join(sorted(unknown))}; there are {', '.join(known.name for known in known)}"
        )
    return [operation for operation in known if not names or operation.name in names]


def prepare(database: BenchDatabase, tandem: Server) -> Material:
    """Log people in, and note what requests are made of."""
    *people, (_, author) = let_log_in(database, PEOPLE + 1)
    tokens = [(email, log_in(tandem, email)) for _, email in people]
    authors = log_in(tandem, author)
    draft = json.dumps({"title": "A draft", "content": "Notes.", "published": False}).encode()
    created = post(tandem, "/v2/posts", draft, "application/json", authors)
    posts = [int(post_id) for (post_id,) in database.run("SELECT id FROM posts WHERE published ORDER BY id")]
    ended = log_in(tandem, people[0][1])
    post(tandem, "/v2/auth/revoke", urlencode({"token": ended}).encode(), FORM)
    database.remember()
    return Material(posts, tokens, words_of_titles(database, 8), int(created["id"]), ended)


class _Speed:
    """The turns. Every round visits every operation, and at each every contender, another one first each time."""

    def __init__(
        self,
        database: BenchDatabase,
        servers: Sequence[Server],
        wanted: Sequence[Operation],
        rounds: int,
        seconds: float,
    ) -> None:
        self.database = database
        self.servers = servers
        self.wanted = wanted
        self.rounds = rounds
        self.seconds = seconds

    def run(self) -> dict[str, dict[str, list[dict[str, float]]]]:
        """The turns' results: by operation, by contender, one a round."""
        found: dict[str, dict[str, list[dict[str, float]]]] = {
            operation.name: {server.contender.name: [] for server in self.servers} for operation in self.wanted
        }
        with _progress() as progress:
            task = progress.add_task("", total=(self.rounds + 1) * len(self.wanted) * len(self.servers))
            for round_ in range(self.rounds + 1):
                warm_up = round_ == 0
                for place, operation in enumerate(self.wanted):
                    for server in _rotated(self.servers, round_ + place):
                        what = "warming up" if warm_up else f"round {round_} of {self.rounds}"
                        progress.update(task, description=f"{what}: {operation.title}: {server.contender.name}")
                        progress.refresh()
                        slot = self._slot(server, operation, WARM_UP_SECONDS if warm_up else self.seconds)
                        progress.advance(task)
                        if not warm_up:
                            found[operation.name][server.contender.name].append(vars(slot))
        return found

    def _slot(self, server: Server, operation: Operation, seconds: float) -> Slot:
        gc.collect()
        gc.disable()
        server_before, database_before = server.cpu_seconds(), self.database.cpu_seconds()
        closed = closed_loop(server.port, operation.requests, operation.status, seconds)
        server_time = server.cpu_seconds() - server_before
        database_time = self.database.cpu_seconds() - database_before
        gc.enable()
        if operation.writes:
            self.database.put_back()
        return Slot(
            rate=round(closed.requests / closed.seconds, 1),
            server_us=round(server_time / closed.requests * 1e6, 1),
            database_us=round(database_time / closed.requests * 1e6, 1),
            busy=round(server_time / closed.seconds, 3),
        )

    def latencies(
        self, slots: dict[str, dict[str, list[dict[str, float]]]]
    ) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
        """Percentiles of an open loop, in milliseconds: by operation, by kind of rate, by contender.

        `same`: everybody at the same rate, half of what the slowest answers. `own`: each at 70 % of its own.
        """
        chosen = [operation for operation in self.wanted if operation.name in LATENCY_OPERATIONS]
        found: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
        with _progress() as progress:
            task = progress.add_task("", total=len(chosen) * 2 * len(self.servers))
            for operation in chosen:
                capacity = {
                    name: statistics.median(slot["rate"] for slot in turns)
                    for name, turns in slots[operation.name].items()
                }
                rates = {
                    "same": dict.fromkeys(capacity, min(capacity.values()) * SHARE_OF_SLOWEST),
                    "own": {name: rate * SHARE_OF_OWN for name, rate in capacity.items()},
                }
                found[operation.name] = {}
                for kind, server in itertools.product(rates, self.servers):
                    name = server.contender.name
                    progress.update(task, description=f"open loop: {operation.title}: {name}")
                    progress.refresh()
                    measured = self._open(server, operation, rates[kind][name])
                    found[operation.name].setdefault(kind, {})[name] = measured
                    progress.advance(task)
        return found

    @staticmethod
    def _open(server: Server, operation: Operation, rate: float) -> dict[str, float]:
        gc.collect()
        gc.disable()
        opened = open_loop(server.port, operation.requests, operation.status, rate=rate, seconds=LATENCY_SECONDS)
        gc.enable()
        latencies = sorted(latency * 1000 for latency in opened.latencies)
        return {
            "rate": round(rate),
            "p50": round(_percentile(latencies, 0.5), 2),
            "p90": round(_percentile(latencies, 0.9), 2),
            "p99": round(_percentile(latencies, 0.99), 2),
            "max": round(latencies[-1], 2),
            "sent_p99": round(_percentile(sorted(opened.delays), 0.99) * 1000, 2),
            "unanswered": opened.unanswered,
        }


def _rotated(servers: Sequence[Server], by: int) -> list[Server]:
    start = by % len(servers)
    return [*servers[start:], *servers[:start]]


def _percentile(ascending: Sequence[float], share: float) -> float:
    return ascending[min(int(len(ascending) * share), len(ascending) - 1)]


def _progress() -> Progress:
    """Drawn between turns only: drawing would cost the core of the load."""
    columns = (BarColumn(), TimeElapsedColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    return Progress(*columns, console=console, auto_refresh=False)


if __name__ == "__main__":
    main()
