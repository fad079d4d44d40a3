"""Asking the service what the recordings ask, and comparing what it says."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import time_machine
from fastapi.testclient import TestClient

from app.api import VERSIONS
from app.versioning import ApiVersion
from app.versioning.contract import golden, released
from app.versioning.contract.golden import Exchange, Reply, Request
from contract_tests.golden import seed

RECORDINGS = Path(__file__).parents[2] / "contracts" / "golden"
_SHOWN = 8
_LIST_INDEX = re.compile(r"/\d+(?=[/:])")


class Deviation(NamedTuple):
    """What was asked, and one thing that is not as recorded, with what to do about it."""

    asked: str
    difference: str


class Stage:
    """The service over a database that scenarios may do with as they like, for the length of a `with` block."""

    def __init__(self, database_url: str) -> None:
        self.app = seed.app_for(database_url)

    def __enter__(self) -> Self:
        self._client = TestClient(self.app)
        self._client.__enter__()
        return self

    def __exit__(
        self, type_: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._client.__exit__(type_, error, traceback)

    def record(self, scenario: Mapping[str, Request]) -> list[Exchange]:
        """Ask all of a scenario, from the seed on; gives what was answered."""
        values = seed.plant(self.app)
        return [Exchange(name, request, self._ask(request, values)) for name, request in scenario.items()]

    def replay(self, exchanges: Iterable[Exchange]) -> list[Deviation]:
        """Ask again what was recorded, from the seed on; gives what is otherwise now."""
        values = seed.plant(self.app)
        found = []
        for exchange in exchanges:
            try:
                reply = self._ask(exchange.request, values)
            except KeyError as missing:
                told = [f"not asked, for nothing gave {missing}: see what is otherwise before it."]
            else:
                told = [str(difference) for difference in golden.compare(exchange.reply, reply)]
            found += [Deviation(self._where(exchange), difference) for difference in told]
        return found

    def _where(self, exchange: Exchange) -> str:
        """What was asked, and the file and line of what serves it."""
        request, source = exchange.request, None
        for version in (version for version in VERSIONS if version.owns(request.path)):
            document, slash = self.app.state.installed.documents[version.name], version.ignores_trailing_slash
            if operation := golden.operation_of(document, request, ignores_trailing_slash=slash):
                method, _, path = operation.partition(" ")
                source = released.source_of(version, f"#/paths/{path.replace('/', '~1')}/{method.lower()}")
        return f"{exchange.name} ({request.method} {request.path[:100]}{f', {source}' if source else ''})"

    def _ask(self, request: Request, values: dict[str, str]) -> Reply:
        """The reply, with placeholders for what is random in it; `values` gains what the request captures."""
        sent = {**seed.USUAL_HEADERS, **request.headers}
        headers = [(name.encode(), _bytes(golden.expand(value, values))) for name, value in sent.items()]
        path, body = golden.expand(request.path, values), _bytes(golden.expand(request.body, values))
        circumstances = seed.CIRCUMSTANCES[request.given]
        with (
            circumstances(self.app.state.services.database) as other,
            time_machine.travel(request.at or seed.NOW, tick=False),
        ):
            client = other or self._client
            got = client.request(request.method, path, content=body or None, headers=headers, follow_redirects=False)
        text = got.content.decode("utf-8", "surrogateescape")
        values.update(golden.capture(request, text, seed.SHAPES))
        chosen = {name: golden.mask(got.headers[name], values) for name in seed.HEADERS if name in got.headers}
        return Reply(got.status_code, chosen, golden.mask(text, values))


def recordings(version: ApiVersion, folder: Path = RECORDINGS) -> dict[str, Path]:
    """The recorded scenarios of a version, by name."""
    return {path.stem: path for path in sorted((folder / version.name).glob("*.json"))}


def advice(version: ApiVersion, found: Mapping[str, Sequence[Deviation]]) -> str:
    """What to tell whoever made a version answer otherwise than recorded: `found` is by scenario."""
    broken = [name for name, deviations in found.items() if deviations]
    named = broken if len(broken) <= _SHOWN else ["'*'"]  # those that have not changed get the same bytes
    again = " ".join([f"tandem contract record {version.name}", *(f"--overwrite {name}" for name in named)])
    if version.frozen:
        todo = f"{version.name} is frozen: its clients cannot be changed, so change the code back."
    else:
        todo = f"Change the code back; if no client can mind the difference, record it anew: {again}"
    return "\n\n".join([*differences(version, found), todo])


def differences(version: ApiVersion, found: Mapping[str, Sequence[Deviation]]) -> list[str]:
    """A paragraph a difference, with where it was seen: one change of the code is often seen in a hundred places.

    Those that differ only in their place within a list count as one. What is of a kind of its own comes first.
    """
    seen: dict[str, tuple[str, list[str]]] = {}
    for name, deviations in found.items():
        for asked, difference in deviations:
            place = f"contracts/golden/{version.name}/{name}.json: {asked}"
            seen.setdefault(_LIST_INDEX.sub("/", difference), (difference, []))[1].append(place)
    alike = Counter[str]()
    told = []
    for key, (difference, places) in seen.items():
        kind = key.partition(": recorded ")[0]
        more = f", and {len(places) - 1} times more" if len(places) > 1 else ""
        told.append((alike[kind], f"{difference}\n  {places[0]}{more}"))
        alike[kind] += 1
    shown = [text for _, text in sorted(told, key=itemgetter(0))][:_SHOWN]
    return [*shown, *([f"… and {len(told) - _SHOWN} other differences"] if len(told) > _SHOWN else [])]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
