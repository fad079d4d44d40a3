"""The ratios of `make bench` once more, by another tool and with other ids: `python -m benchmarks.outside`.

wrk (https://github.com/wg/wrk) asks each contender for a second, right before or after our own closed loop does, over
as many connections. What both find of a contender, as a share of the limit, stands side by side, and how far they
agree: what wrk finds to what the bench finds beside it, of the contender and of the limit. Nothing is kept.

When wrk stops it leaves the last request of each connection unanswered, though the server has worked for it: by
processor time it finds up to 8 % less of what is slowest.
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
function init(args)
  place = tonumber(args[1])
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
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("operations", nargs="*", help="all without any")
    arguments = parser.parse_args()
    rounds, wanted = arguments.rounds, arguments.operations or OPERATIONS
    if unknown := set(wanted) - set(OPERATIONS):
        parser.error(f"no operation {', '.join(sorted(unknown))}; there are {', '.join(OPERATIONS)}")
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed; Debian: apt install wrk")
    tell = Console(stderr=True).print
    environments.python(tell)
    machine.take_place()
    found: dict[str, dict[str, list[Told]]] = {name: {} for name in wanted}
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
        for name in wanted:
            script = folder / f"{name}.lua"
            script.write_text(_script(others[name].exchanges))
            place = 0  # in the script: whoever voted the same twice would have nothing to do
            for round_ in range(rounds + 1):
                tell(f"{others[name].title}: " + (f"round {round_} of {rounds}" if round_ else "warming up"))
                turn = round_ % len(servers)
                for server in [*servers.values()][turn:] + [*servers.values()][:turn]:
                    told, answered = _turn(server, database, ours[name], script, place, wrk_first=bool(round_ % 2))
                    place += answered + CONNECTIONS
                    if round_:
                        found[name].setdefault(server.contender.name, []).append(told)
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


def _turn(
    server: Server, database: BenchDatabase, operation: Operation, script: Path, place: int, *, wrk_first: bool
) -> tuple[Told, int]:
    """What both tools tell of the server, one right after the other, and how many requests of wrk it answered."""
    asked = {
        "bench": lambda: closed_loop(server.port, operation.requests, operation.status, 1.0),
        "wrk": lambda: _wrk(server.port, script, place),
    }
    rates, answered = {}, {}
    for tool in sorted(asked, reverse=wrk_first):
        answered[tool], rates[tool] = _asked(server, asked[tool])
        _put_back(database, operation)
    return Told(**rates), answered["wrk"]


def _asked(server: Server, ask: Callable[[], Closed]) -> tuple[int, Rates]:
    """How many requests were answered, and at which rates."""
    before = server.cpu_seconds()
    answered = ask()
    rates = Rates(answered.requests / answered.seconds, answered.requests / (server.cpu_seconds() - before))
    return answered.requests, rates


def _wrk(port: int, script: Path, place: int) -> Closed:
    """What is answered of the script from that place on; RuntimeError when any was refused or not answered."""
    command = [
        "wrk",
        "-t1",
        f"-c{CONNECTIONS}",
        "-d1s",
        "-s",
        str(script),
        f"http://127.0.0.1:{port}",
        "--",
        str(place),
    ]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(said)
    requests, rate = re.search(r"(\d+) requests in", said), re.search(r"Requests/sec:\s+([\d.]+)", said)
    assert requests is not None, said
    assert rate is not None, said
    return Closed(int(requests[1]), int(requests[1]) / float(rate[1]))


def _wrk_to_bench(told: Sequence[Told], by: int) -> float:
    """What wrk finds of a contender to what the bench finds right beside it: the machine's noise hits both."""
    return statistics.median(each.wrk[by] / each.bench[by] for each in told)


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
                bench = statistics.median(contender.bench[by] / limit.bench[by] for contender, limit in rounds)
                wrk = statistics.median(contender.wrk[by] / limit.wrk[by] for contender, limit in rounds)
                agreement = _wrk_to_bench(told[name], by) / _wrk_to_bench(told[BASE], by)
                furthest = max(furthest, abs(agreement - 1))
                cells.append(f"{bench:.2f}, {wrk:.2f}: {agreement:.2f}")
            table.add_row(title, *cells)
        Console(width=140).print(table)
        print(f"furthest apart: {furthest:.0%}, at most {AGREED:.0%} is agreement")


if __name__ == "__main__":
    main()
