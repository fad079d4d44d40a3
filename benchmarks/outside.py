"""The ratios of `make bench` once more, by another tool and with other ids: `python -m benchmarks.outside`.

wrk (https://github.com/wg/wrk) asks each contender for two seconds, right after our own closed loop did for one, over
as many connections. What both find of a contender, as a share of the limit, stands side by side. Nothing is kept.

When wrk stops it leaves the last request of each connection unanswered, though the server has worked for it: by
processor time it finds up to 4 % less of what is slowest.
"""

import argparse
import json
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from operator import truediv
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks import environments, machine
from benchmarks.bench import prepare
from benchmarks.database import BenchDatabase, fill, postgresql
from benchmarks.load import CONNECTIONS, Closed, closed_loop
from benchmarks.operations import Exchange, Operation, compare, operations
from benchmarks.servers import CONTENDERS_BY_NAME, Server

BASE = "limit"
NAMES = ("tandem", BASE, "textbook", "cadwyn", "litestar")
OPERATIONS = ("v2_post", "v1_post", "v2_list", "v1_list", "search", "vote", "login")
OTHER_SEED = 20_000
AGREED = 0.15
_PAUSE = 0.2  # seconds: what wrk left unanswered when it stopped is not to be the next one's burden

_SCRIPT = """
local made, place = {}, 0
function init()
  for at, it in ipairs({ %s }) do made[at] = wrk.format(it[1], it[2], it[3], it[4]) end
end
function request()
  place = place %% #made + 1
  return made[place]
end
"""


class Rates(NamedTuple):
    """Requests in a second, and in a second of the server's processor time."""

    by_time: float
    by_processor_time: float


class Told(NamedTuple):
    """What either tool tells of a contender in a round."""

    bench: Rates
    wrk: Rates


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.outside", description="The ratios by wrk.")
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed; Debian: apt install wrk")
    tell = Console(stderr=True).print
    environments.python(tell)
    machine.take_place()
    found: dict[str, dict[str, list[Told]]] = {name: {} for name in OPERATIONS}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="tandem-outside-")))
        database = stack.enter_context(postgresql())
        fill(database, tell)
        servers = {"tandem": stack.enter_context(Server(CONTENDERS_BY_NAME["tandem"], database.url, folder))}
        material = prepare(database, servers["tandem"])
        ours = {operation.name: operation for operation in operations(material)}
        others = {operation.name: operation for operation in operations(material, seed=OTHER_SEED)}
        for name in NAMES[1:]:
            servers[name] = stack.enter_context(Server(CONTENDERS_BY_NAME[name], database.url, folder))
            compare(servers["tandem"], servers[name], list(ours.values()), material)
            database.put_back()
        for name in OPERATIONS:
            script = folder / f"{name}.lua"
            script.write_text(_script(others[name].exchanges))
            for round_ in range(rounds + 1):
                tell(f"{others[name].title}: " + (f"round {round_} of {rounds}" if round_ else "warming up"))
                turn = round_ % len(servers)
                for server in [*servers.values()][turn:] + [*servers.values()][:turn]:
                    bench = _rates(server, partial(_closed, server.port, ours[name]))
                    _put_back(database, ours[name])
                    wrk = _rates(server, partial(_wrk, server.port, script))
                    _put_back(database, ours[name])
                    if round_:
                        found[name].setdefault(server.contender.name, []).append(Told(bench, wrk))
    _show({others[name].title: told for name, told in found.items()})


def _put_back(database: BenchDatabase, operation: Operation) -> None:
    time.sleep(_PAUSE)
    if operation.writes:
        database.put_back()


def _script(exchanges: Sequence[Exchange]) -> str:
    """A script for wrk that sends these, round and round. A JSON string is a Lua string, for what is sent here."""
    lines = []
    for it in exchanges:
        fields = ", ".join(f"[{json.dumps(name)}] = {json.dumps(value)}" for name, value in it.headers)
        method, path, body = json.dumps(it.method), json.dumps(it.path), json.dumps(it.body.decode())
        lines.append(f"{{{method}, {path}, {{{fields}}}, {body}}}")
    return _SCRIPT % ",\n".join(lines)


def _rates(server: Server, ask: Callable[[], Closed]) -> Rates:
    before = server.cpu_seconds()
    answered = ask()
    return Rates(answered.requests / answered.seconds, answered.requests / (server.cpu_seconds() - before))


def _closed(port: int, operation: Operation) -> Closed:
    return closed_loop(port, operation.requests, operation.status, 1.0)


def _wrk(port: int, script: Path) -> Closed:
    """RuntimeError when any was refused or not answered."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", "-d2s", "-s", str(script), f"http://127.0.0.1:{port}"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(said)
    requests, rate = re.search(r"(\d+) requests in", said), re.search(r"Requests/sec:\s+([\d.]+)", said)
    assert requests is not None, said
    assert rate is not None, said
    return Closed(int(requests[1]), int(requests[1]) / float(rate[1]))


def _show(found: dict[str, dict[str, list[Told]]]) -> None:
    """Of each operation and contender: the share of the limit that the bench finds, that wrk finds, and the two."""
    contenders = [name for name in NAMES if name != BASE]
    for by, measure in enumerate(("requests a second", "requests in a second of processor time")):
        table = Table("operation", *contenders, title=f"{measure}: bench, wrk: wrk to bench")
        furthest = 0.0
        for title, told in found.items():
            cells = []
            for name in contenders:
                rounds = [*zip(told[name], told[BASE], strict=True)]
                bench = [contender.bench[by] / limit.bench[by] for contender, limit in rounds]
                wrk = [contender.wrk[by] / limit.wrk[by] for contender, limit in rounds]
                agreement = statistics.median(map(truediv, wrk, bench))
                furthest = max(furthest, abs(agreement - 1))
                cells.append(f"{statistics.median(bench):.2f}, {statistics.median(wrk):.2f}: {agreement:.2f}")
            table.add_row(title, *cells)
        Console(width=140).print(table)
        print(f"furthest apart: {furthest:.0%}, at most {AGREED:.0%} is agreement")


if __name__ == "__main__":
    main()
