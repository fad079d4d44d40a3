"""Schemathesis against every version of the service: whatever it asks, the replies are those the documents promise."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from schemathesis import checks

from app.api import VERSIONS
from app.db import Database
from app.versioning import ApiVersion
from app.versioning.contract import golden
from contract_tests import conformance
from contract_tests.golden.replay import recordings
from contract_tests.promised import NOT_RECORDED, PROMISED, UNDOCUMENTED

ARCHIVES = conformance.ROOT / "build" / "contract"
SEED = 1
MAX_EXAMPLES = 25
MINIMUM_CASES = 500  # a run that reaches fewer has lost its way
GIVEN = re.compile(r"2\d{3}-\d\d-\d\dT[\d:.A%]+Z|[\w-]{40,}")
OF_REPLIES = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
versions = pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)


@pytest.mark.parametrize("way", ["over-http", "in-process"])
@versions
def test_the_service_keeps_the_document(
    request: pytest.FixtureRequest,
    version: ApiVersion,
    way: str,
    database: Database,
    database_url: str,
    documents: dict[str, Path],
    tmp_path: Path,
):
    """Every check and every phase passes on the version, on either database, over HTTP and in process."""
    # What was asked and answered, for `tandem contract report`.
    archive = ARCHIVES / f"{version.name}-{database.engine.dialect.name}-{way}.har"
    archive.parent.mkdir(parents=True, exist_ok=True)
    options = (
        *("--seed", str(SEED), "--max-examples", str(MAX_EXAMPLES)),
        *("--report", "har", "--report-har-path", str(archive)),
    )
    if way == "in-process":
        run = conformance.run(version, database_url, tmp_path, *options, document=documents[version.name])
    else:
        run = conformance.run(version, request.getfixturevalue("live_server").url, tmp_path, *options)
    assert run.returncode == 0, f"{run.stdout}\n{run.stderr}"
    cases = re.search(r"(\d+) generated, \1 passed", run.stdout)
    assert cases, run.stdout
    assert int(cases[1]) > MINIMUM_CASES, run.stdout
    for phase in ("Examples", "Coverage", "Fuzzing", "Stateful"):
        assert f"✅ {phase}" in run.stdout, run.stdout
    links = re.search(r"(\d+) covered / (\d+) selected / \2 total", run.stdout)
    assert links, run.stdout
    assert int(links[1]) > int(links[2]) // 2, run.stdout


@versions
def test_a_run_can_be_repeated(version: ApiVersion, documents: dict[str, Path], tmp_path: Path):
    """The same seed on an empty database asks the same again, in the same order, and gets the same statuses.

    But for what it was given and sends back: moments, tokens and cursors.
    """
    asked = []
    for name in ("once", "again"):
        folder = tmp_path / name  # of its own: Schemathesis keeps there what it has found, and begins with it
        folder.mkdir()
        archive = folder / "asked.har"
        target = conformance.migrated(f"sqlite:///{folder}/tandem.db")
        options = ("--seed", str(SEED), "--max-examples", "1", "--report", "har", "--report-har-path", str(archive))
        conformance.run(version, target, folder, *options, document=documents[version.name])
        asked.append(list(_asked(archive)))
    assert len(asked[0]) > MINIMUM_CASES // 2
    assert asked[0] == asked[1]


def _asked(archive: Path) -> Iterator[tuple[str, int]]:
    for entry in json.loads(archive.read_text(encoding="utf-8"))["log"]["entries"]:
        request = entry["request"]
        text = f"{request['method']} {request['url']} {request.get('postData', {}).get('text')}"
        yield GIVEN.sub("given", text), entry["response"]["status"]


@pytest.mark.parametrize("version", PROMISED, ids=lambda version: version.name)
def test_every_recorded_reply_is_documented(version: ApiVersion, documents: dict[str, Path]):
    """Schemathesis finds each recorded reply documented; and each documented status, 5xx too, is that of a reply.

    The recordings are what the service answers, byte for byte, on either database: see test_golden.py.
    """
    schema: Any = schemathesis.openapi.from_path(str(documents[version.name]))
    document = schema.raw_schema
    reached = set()
    for path in recordings(version).values():
        for exchange in golden.load(path):
            label = golden.operation_of(
                document, exchange.request, ignores_trailing_slash=version.ignores_trailing_slash
            )
            if label is None or (version.name, label, str(exchange.reply.status)) in UNDOCUMENTED:
                continue
            case = schema.find_operation_by_label(label).Case(
                path_parameters=dict.fromkeys(re.findall("{(.*?)}", label), 1)
            )
            case.validate_response(_reply(exchange), checks=OF_REPLIES)
            reached.add((label, str(exchange.reply.status)))
    documented = {
        (f"{method.upper()} {path}", status)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        for status in operation["responses"]
    }
    excused = {(operation, status) for name, operation, status in NOT_RECORDED if name == version.name}
    assert sorted(documented - reached) == sorted(excused), "documented, but no recorded exchange shows it"


def _reply(exchange: golden.Exchange) -> schemathesis.Response:
    reply = exchange.reply
    return schemathesis.Response(
        reply.status,
        {name: [value] for name, value in reply.headers.items()},
        reply.body.encode("utf-8", "surrogateescape"),
        requests.Request(exchange.request.method, conformance.IN_PROCESS).prepare(),
        elapsed=0,
        verify=True,
    )
