"""What was measured, for people: tables on the terminal, pictures, and the summary in the project's README.

All of it is made from one file, results/report.json, with a section for each program: `speed` (bench), `growth`
and `size`. A program that ran in full replaces its section there; what a part of it found goes to results/partial.json.
"""

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import plots
from benchmarks.environments import ROOT

RESULTS = ROOT / "benchmarks" / "results"
BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"
# Tandem against the limit, with one worker.
TARGETS = {"v2_post": 0.30, "v2_list": 0.50, "v1_post": 0.25, "v1_list": 0.45}
AHEAD_OF_TEXTBOOK = 2.0
MOST_DELAY_MS = 5.0

_console = Console(width=max(Console().width, 200))  # wide tables, also where nobody looks at a terminal

Turns = Mapping[str, Sequence[Mapping[str, float]]]


def publish(section: str, result: dict[str, Any], *, keep: bool) -> None:
    """Show a section; keep it in the report, with pictures and the README, or in partial.json."""
    result = {"date": datetime.now(UTC).date().isoformat(), **result}
    RESULTS.mkdir(exist_ok=True)
    if not keep:
        _write_json("partial.json", {section: result})
        _SHOW[section](result)
        _console.print("only a part: kept in benchmarks/results/partial.json")
        return
    path = RESULTS / "report.json"
    sections = json.loads(path.read_text()) if path.exists() else {}
    sections[section] = result
    _write_json("report.json", sections)
    _SHOW[section](result)
    for name, picture in _pictures(sections).items():
        (RESULTS / name).write_text(picture)
    text = markdown(sections)
    print(f"\n{text}")
    _replace_in_readme(text)
    _console.print("kept in benchmarks/results and README.md")


def ratio(turns: Turns, name: str, base: str, value: Callable[[Mapping[str, float]], float]) -> tuple[float, ...]:
    """How a contender's value relates to that of `base` in the same round: median, least and most of the rounds."""
    found = [value(one) / value(other) for one, other in zip(turns[name], turns[base], strict=True)]
    return statistics.median(found), min(found), max(found)


def throughput(turn: Mapping[str, float]) -> float:
    """Requests a second."""
    return turn["rate"]


def thrift(turn: Mapping[str, float]) -> float:
    """Requests in a second of the server's processor time."""
    return 1 / turn["server_us"]


def base_of(names: Sequence[str]) -> str:
    """Whom the others are compared with: the limit, if it took part."""
    return "limit" if "limit" in names else names[0]


# The terminal


def _show_speed(speed: dict[str, Any]) -> None:
    measured, names = speed["measured"], list(speed["contenders"])
    base = base_of(names)

    def against_base(value: Callable[[Mapping[str, float]], float]) -> Callable[[Turns, str], str]:
        return lambda turns, name: "{:.2f} ({:.2f}-{:.2f})".format(*ratio(turns, name, base, value))

    spread = f"against {base}: median (least-most) of {speed['rounds']} rounds"
    _print_table(f"requests a second, {spread}", speed, against_base(throughput))
    _print_table(f"requests in a second of processor time, {spread}", speed, against_base(thrift))
    _print_table("requests a second", speed, lambda turns, name: f"{_median(turns[name], 'rate'):,.0f}")
    _print_table(
        "processor time a request, µs: server + database",
        speed,
        lambda turns, name: f"{_median(turns[name], 'server_us'):,.0f} + {_median(turns[name], 'database_us'):,.0f}",
    )
    _print_table(
        "share of its core that the server had", speed, lambda turns, name: f"{_median(turns[name], 'busy'):.2f}"
    )
    for kind, told in (("same", "everybody at the same rate"), ("own", "each at 70 % of what it can")):
        table = Table("operation", *names, title=f"latency, open loop, {told}: p50 / p90 / p99 ms (requests a second)")
        for operation, kinds in speed["latency"].items():
            cells = [
                "{p50:.1f} / {p90:.1f} / {p99:.1f} ({rate:,})".format(**kinds[kind][name])
                + (f", {kinds[kind][name]['unanswered']} unanswered" if kinds[kind][name]["unanswered"] else "")
                + ("*" if kinds[kind][name]["sent_p99"] > MOST_DELAY_MS else "")
                for name in names
            ]
            table.add_row(speed["operations"][operation], *cells)
        if table.row_count:
            _console.print(table)
    if speed["latency"]:
        _console.print(
            f"* the load itself was late: 1 % of the requests were sent {MOST_DELAY_MS:g} ms after their time"
        )
    _console.print("memory, MB: " + ", ".join(f"{name} {speed['memory_mb'][name]:.0f}" for name in names))
    if measured and "tandem" in names:
        for line in verdicts(speed):
            _console.print(line)


def _print_table(title: str, speed: dict[str, Any], cell: Callable[[Turns, str], str]) -> None:
    names = list(speed["contenders"])
    table = Table("operation", *names, title=title)
    for operation, turns in speed["measured"].items():
        table.add_row(speed["operations"][operation], *(cell(turns, name) for name in names))
    _console.print(table)


def _show_growth(growth: dict[str, Any]) -> None:
    sizes = [str(size) for size in growth["sizes"]]
    table = Table("operation", *(f"{int(size):,} posts" for size in sizes), "largest / smallest")
    for name, found in growth["milliseconds"].items():
        cells = (f"{found[size]:.2f} ms" if size in found else "" for size in sizes)
        table.add_row(name, *cells, f"{growth['ratios'][name]:.2f}")
    _console.print(table)
    for line in _growth_lines(growth):
        _console.print(line)


def _show_size(size: dict[str, Any]) -> None:
    for line in _size_lines(size):
        _console.print(line)


_SHOW: dict[str, Callable[[dict[str, Any]], None]] = {
    "speed": _show_speed,
    "growth": _show_growth,
    "size": _show_size,
}


# What it means


def verdicts(speed: dict[str, Any]) -> list[str]:
    """Whether the aims are reached, a line each."""
    measured, names = speed["measured"], list(speed["contenders"])
    lines = []
    if "limit" in names:
        for operation, aim in TARGETS.items():
            if operation in measured:
                rate, work = (ratio(measured[operation], "tandem", "limit", how)[0] for how in (throughput, thrift))
                # Where the database holds the limit up, its rate says little of what the server could do.
                met = "met" if min(rate, work) >= aim else "NOT met"
                title = speed["operations"][operation]
                lines.append(f"{title}: {rate:.2f} of the limit ({work:.2f} by processor time), aim {aim:.2f}: {met}")
    for peer in speed["peers"]:
        least = _least_ahead(measured, peer)
        if least is not None:
            aim = AHEAD_OF_TEXTBOOK if peer == "textbook" else 1
            operation, times = least
            met = "met" if times >= aim else "NOT met"
            where = speed["operations"][operation]
            lines.append(f"{times:.2f} times as quick as {peer} at least ({where}), aim {aim:g}: {met}")
    return lines


def _least_ahead(measured: Mapping[str, Turns], peer: str) -> tuple[str, float] | None:
    """The operation at which Tandem is least ahead of the peer, and by how many times."""
    found = {
        operation: ratio(turns, "tandem", peer, throughput)[0] for operation, turns in measured.items() if peer in turns
    }
    return min(found.items(), key=lambda item: item[1]) if found else None


def _growth_lines(growth: dict[str, Any]) -> list[str]:
    offset, votes, workers = growth["offset"], growth["hot_votes"], growth["workers"]
    return [
        (
            f"v1 `skip={offset['skip']}`: {offset['http_ms']:.1f} ms, {offset['ratio']:.2f} times PostgreSQL's own "
            f"index-only scan ({offset['index_only_ms']:.1f} ms)"
        ),
        (
            f"votes on one post from {votes['connections']} connections: {votes['http_per_s']:,.0f}/s, "
            f"{votes['share']:.2f} of plain SQL ({votes['sql_per_s']:,.0f}/s)"
        ),
        (
            f"two workers: {workers['ratio']:.2f} times the processor time of one for a request "
            f"({workers['one_us']:.0f} µs with one); {workers['rate_ratio']:.2f} times as many requests, "
            + ("a core each" if workers["cores"] > 1 else "on the same core")
        ),
    ]


def _size_lines(size: dict[str, Any]) -> list[str]:
    memory = size["memory_mb"]
    at = ", ".join(f"{megabytes:.0f} after {int(requests):,}" for requests, megabytes in memory.items())
    return [
        f"first reply {size['first_reply_ms']:,.0f} ms after `tandem serve` (median of {size['starts']})",
        f"memory of a worker, MB: {at} requests",
        f"dependencies: {size['dependencies']} packages, {size['dependencies_mb']:.0f} MB installed",
    ]


# Markdown


def markdown(sections: Mapping[str, dict[str, Any]]) -> str:
    """The summary for the README."""
    parts = []
    if "speed" in sections:
        parts.append(_speed_markdown(sections["speed"]))
    if "growth" in sections:
        parts.append("\n".join(_growth_markdown(sections["growth"])))
    if "size" in sections:
        parts.append("\n".join(f"- {line}" for line in _size_lines(sections["size"])))
    return "\n\n".join(parts)


def _speed_markdown(speed: dict[str, Any]) -> str:
    names = [name for name in speed["contenders"] if name != "limit"]
    machine = speed["machine"]
    lines = [
        (
            "Requests a second of one worker on one core, as a share of what raw ASGI, asyncpg and orjson reach "
            f"(`limit`): median of {speed['rounds']} rounds, {speed['date']}, {machine['cores']} cores of "
            f"{machine['processor']}, PostgreSQL beside it, {speed['data']}: 20,100 posts, 1,010,951 votes. Everybody "
            "does the same work and gives the same replies; Tandem does so with all it has switched on. In brackets "
            "the same by the server's processor time: where the database held the limit up, the rate is kinder. "
            "Passwords are hashed at 4 rounds; Tandem and Cadwyn, over its core, count guesses, too."
        ),
        "",
        "| | " + " | ".join(names) + " |",
        "|---|" + "---|" * len(names),
    ]
    for operation, turns in speed["measured"].items():
        cells = []
        for name in names:
            rate, work = (ratio(turns, name, "limit", how)[0] for how in (throughput, thrift))
            cells.append(f"**{rate:.2f}** ({work:.2f})" if name == "tandem" else f"{rate:.2f} ({work:.2f})")
        lines.append(f"| {speed['operations'][operation]} | {' | '.join(cells)} |")
    lines += [
        "| memory, MB | " + " | ".join(f"{speed['memory_mb'][name]:.0f}" for name in names) + " |",
        "",
        "![requests a second by operation](benchmarks/results/speed.svg)",
    ]
    return "\n".join(lines)


def _growth_markdown(growth: dict[str, Any]) -> list[str]:
    smallest, largest = (str(growth["sizes"][place]) for place in (0, -1))
    lines = [
        f"| milliseconds a request | {int(smallest):,} posts | {int(largest):,} posts | ratio |",
        "|---|---|---|---|",
    ]
    for name, found in growth["milliseconds"].items():
        lines.append(f"| {name} | {found[smallest]:.2f} | {found[largest]:.2f} | {growth['ratios'][name]:.2f} |")
    return [*lines, "", *(f"- {line}" for line in _growth_lines(growth))]


def _pictures(sections: Mapping[str, dict[str, Any]]) -> dict[str, str]:
    pictures = {}
    if "speed" in sections:
        speed = sections["speed"]
        base = base_of(list(speed["contenders"]))
        panels = {
            speed["operations"][operation]: {name: ratio(turns, name, base, throughput) for name in turns}
            for operation, turns in speed["measured"].items()
        }
        pictures["speed.svg"] = plots.bars(f"requests a second, {base} = 1", panels, highlighted="tandem")
        if speed["latency"]:
            spans = {
                f"{speed['operations'][operation]}, {told}": {
                    name: (found["p50"], found["p90"], found["p99"]) for name, found in kinds[kind].items()
                }
                for operation, kinds in speed["latency"].items()
                for kind, told in (("same", "same rate"), ("own", "70 % of its own"))
            }
            pictures["latency.svg"] = plots.spans("latency, ms: p50, p90, p99", spans, highlighted="tandem")
    if "growth" in sections:
        growth = sections["growth"]
        lines = {
            name: [(int(size), found[str(size)]) for size in growth["sizes"]]
            for name, found in growth["milliseconds"].items()
        }
        pictures["growth.svg"] = plots.lines("milliseconds a request, by number of posts", lines)
    return pictures


def _median(turns: Sequence[Mapping[str, float]], what: str) -> float:
    return statistics.median(turn[what] for turn in turns)


def _write_json(name: str, content: object) -> None:
    (RESULTS / name).write_text(json.dumps(content, indent=1) + "\n")


def _replace_in_readme(text: str) -> None:
    path = ROOT / "README.md"
    before, begin, rest = path.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if begin and end:
        path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")
