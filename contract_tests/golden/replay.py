"""Asking the service what the recordings ask, and comparing what it says."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import time_machine
from fastapi.testclient import TestClient

from app.versioning import ApiVersion
from app.versioning.contract import golden
from app.versioning.contract.golden import Exchange, Reply, Request
from contract_tests.golden import seed

RECORDINGS = Path(__file__).parents[2] / "contracts" / "golden"
_SHOWN = 6


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

    def replay(self, exchanges: Iterable[Exchange]) -> list[str]:
        """Ask again what was recorded, from the seed on; gives a paragraph on each exchange that went otherwise."""
        values = seed.plant(self.app)
        complaints = []
        for exchange in exchanges:
            asked = f"{exchange.request.method} {exchange.request.path[:100]}"
            try:
                reply = self._ask(exchange.request, values)
            except KeyError as missing:
                complaints.append(f"{exchange.name} ({asked}): not asked, for nothing gave {missing}; see above")
                continue
            if found := golden.compare(exchange.reply, reply):
                complaints.append("\n  ".join([f"{exchange.name} ({asked})", *_first(map(str, found))]))
        return complaints

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


def advice(version: ApiVersion, path: Path, complaints: Iterable[str]) -> str:
    """What to tell whoever broke a recording."""
    what = f"{path.relative_to(RECORDINGS.parents[1])}: the service no longer answers as recorded"
    again = f"python -m contract_tests.record {version.name} --overwrite {path.stem}"
    if version.status == "frozen":
        todo = f"{version.name} is frozen: its clients cannot be changed, so change the code back."
    else:
        todo = f"Change the code back; if no client can mind the difference, record it anew: {again}"
    return "\n\n".join([what, *_first(complaints), todo])


def _first(lines: Iterable[str]) -> list[str]:
    """What fits a screen: one change of the code is often seen in a hundred places."""
    all_ = list(lines)
    more = len(all_) - _SHOWN
    return [*all_[:_SHOWN], f"… and {more} more"] if more > 0 else all_


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
