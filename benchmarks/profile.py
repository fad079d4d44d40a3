"""Where one operation spends its time: `python -m benchmarks.profile v2_post [--postgresql] [--by calls]`.

The application runs in this process, asked as by the guard of costs (`benchmarks/cost.py`); cProfile looks at every
thread. It makes small functions look slower than they are: look for what to try, and measure that with `make bench`.
"""

import argparse
import cProfile
import json
import sys
import threading
from collections import defaultdict
from types import CodeType

from benchmarks.cost import BASELINE, ROOT
from benchmarks.in_process import WARM_UP, in_loop, operations, serving
from contract_tests.recordings import postgresql, sqlite

_WAITING = "<method 'acquire' of '_thread.lock' objects>"


async def _profile(database_url: str, name: str, requests: int) -> list[cProfile.Profile]:
    """Profiles, of each thread, of so many requests."""
    profiles: list[cProfile.Profile] = []
    asking = False

    def look(*_: object) -> None:
        """In a thread: have its work profiled from now on."""
        if asking:
            profiles.append(cProfile.Profile())
            profiles[-1].enable()

    if sys.version_info < (3, 12):  # newer Pythons have one profiler, which sees all threads
        threading.setprofile(look)
    async with serving(database_url) as served:
        make = (await operations(served))[name]
        for number in range(WARM_UP):
            await served.ask(make(number))
        exchanges = [make(number) for number in range(WARM_UP, WARM_UP + requests)]
        asking = True
        look()
        for exchange in exchanges:
            await served.ask(exchange)
        profiles[0].disable()
        asking = False
    return profiles


def _name(code: CodeType | str) -> str:
    if isinstance(code, str):
        return code
    path = code.co_filename.removeprefix(f"{ROOT}/").rpartition("site-packages/")[2]
    return f"{path}:{code.co_firstlineno} {code.co_qualname}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description="Profile one operation.")
    parser.add_argument("operation", choices=json.loads(BASELINE.read_text())["sqlite"])
    parser.add_argument("--postgresql", action="store_true", help="on PostgreSQL, not SQLite")
    parser.add_argument("--by", choices=("own", "calls"), default="own", help="what to sort by: own time, or calls")
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--lines", type=int, default=40)
    given = parser.parse_args()
    with (postgresql if given.postgresql else sqlite)() as url:
        profiles = in_loop(lambda _: _profile(url, given.operation, given.requests))
    found: dict[str, list[float]] = defaultdict(lambda: [0, 0])
    for entry in (entry for profile in profiles for entry in profile.getstats()):
        if (name := _name(entry.code)) != _WAITING:
            found[name][0] += entry.callcount / given.requests
            found[name][1] += entry.inlinetime / given.requests * 1e6
    calls, own = (sum(figures[place] for figures in found.values()) for place in (0, 1))
    print(f"{given.operation}, a request: {calls:,.0f} calls, also of C functions; {own:,.0f} µs under the profiler\n")
    print("   calls    own µs  function")
    order = sorted(found.items(), key=lambda item: -item[1][given.by == "own"])
    for name, (times, microseconds) in order[: given.lines]:
        print(f"{times:8.1f}  {microseconds:8.1f}  {name}")


if __name__ == "__main__":
    main()
