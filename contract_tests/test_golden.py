"""Recorded exchanges: what the service answers today is, byte for byte, what it answered when it was recorded."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.api import VERSIONS
from app.main import create_app
from app.versioning import ApiVersion
from app.versioning.contract import golden
from app.versioning.contract.golden import Exchange, Reply, Request
from contract_tests.golden import SCENARIOS
from contract_tests.golden.replay import RECORDINGS, Stage, advice, recordings
from contract_tests.record import NotRecorded, record
from tests.conftest import make_settings

LEAST = {"v1": 250, "v2": 100}
# (version, operation, status) that is documented and cannot be recorded: why not.
NOT_RECORDED: dict[tuple[str, str, str], str] = {}
RECORDED = [
    pytest.param(version, path, id=f"{version.name}/{name}")
    for version in VERSIONS
    for name, path in recordings(version).items()
]
versions = pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)


@pytest.fixture(scope="module")
def stage(database_url: str) -> Iterator[Stage]:
    with Stage(database_url) as stage:
        yield stage


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Every version's OpenAPI document. Nothing is asked of the database."""
    app = create_app(make_settings(f"sqlite:///{tmp_path_factory.mktemp('described')}/none.db"))
    return dict(app.state.documents)


def exchanges_of(version: ApiVersion) -> list[Exchange]:
    return [exchange for path in recordings(version).values() for exchange in golden.load(path)]


@pytest.mark.parametrize(("version", "path"), RECORDED)
def test_the_service_answers_as_recorded(stage: Stage, version: ApiVersion, path: Path):
    """Status, chosen headers and body of every exchange of a scenario are as recorded, on either database."""
    complaints = stage.replay(golden.load(path))
    if complaints:
        pytest.fail(advice(version, path, complaints), pytrace=False)


@versions
def test_there_are_enough_exchanges(version: ApiVersion):
    """So many that a change of behaviour hardly passes between them, and each has a name of its own."""
    assert len(exchanges_of(version)) >= LEAST.get(version.name, 100)
    for name, path in recordings(version).items():
        names = [exchange.name for exchange in golden.load(path)]
        assert len(set(names)) == len(names), name


@versions
def test_recordings_and_scenarios_agree(version: ApiVersion):
    """What is recorded is what the scenarios ask: a scenario is neither forgotten nor changed behind its recording."""
    recorded, scenarios = recordings(version), SCENARIOS[version.name]
    missing, left = sorted(set(scenarios) - set(recorded)), sorted(set(recorded) - set(scenarios))
    assert not missing, f"not recorded: {missing}. Run python -m contract_tests.record {version.name}"
    assert not left, f"recorded, but no scenario any more: {left}. A promise is not taken back: restore the scenario"
    for name, path in recorded.items():
        asked = {exchange.name: exchange.request for exchange in golden.load(path)}
        again = f"python -m contract_tests.record {version.name} --overwrite {name}"
        assert list(asked.items()) == list(scenarios[name].items()), f"{name} was changed after its recording: {again}"


@pytest.mark.parametrize(("version", "path"), RECORDED)
def test_recordings_are_canonical(version: ApiVersion, path: Path, tmp_path: Path):
    """Writing a recording again gives the same bytes, so that a diff shows only what has changed."""
    golden.save(tmp_path / version.name / path.name, golden.load(path))
    assert (tmp_path / version.name / path.name).read_bytes() == path.read_bytes()


@versions
def test_every_documented_status_is_recorded(version: ApiVersion, documents: dict[str, Any]):
    """Each operation is recorded with each status below 500 that its document promises, and with no other."""
    document, slash = documents[version.name], version.ignores_trailing_slash
    documented = {
        (f"{method.upper()} {path}", status)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        for status in operation["responses"]
    }
    reached = {
        (operation, str(exchange.reply.status))
        for exchange in exchanges_of(version)
        if (operation := golden.operation_of(document, exchange.request, ignores_trailing_slash=slash))
    }
    excused = {(operation, status) for name, operation, status in NOT_RECORDED if name == version.name}
    wanted = {(operation, status) for operation, status in documented if int(status) < 500}
    assert sorted(wanted - excused - reached) == [], "documented, but no exchange shows it"
    assert sorted(excused & reached) == [], "excused, and recorded after all"
    assert sorted(reached - documented) == [], "recorded, but not documented"


def test_recording_adds_and_does_not_overwrite(tmp_path: Path):
    """A scenario without a recording gets one, with the bytes that are kept; one that has is left alone until named."""
    version = VERSIONS[0]
    folder = tmp_path / "golden"
    shutil.copytree(RECORDINGS / version.name, folder / version.name)
    (gone, changed), kept = list(recordings(version, folder).values())[:2], recordings(version)
    gone.unlink()
    changed.write_bytes(exchange_with_another_status(changed))
    assert record(version, folder=folder) == [gone]
    assert gone.read_bytes() == kept[gone.stem].read_bytes()
    assert changed.read_bytes() != kept[changed.stem].read_bytes()
    assert record(version, folder=folder) == []
    assert record(version, [changed.stem], folder) == [changed]
    assert changed.read_bytes() == kept[changed.stem].read_bytes()
    with pytest.raises(NotRecorded, match="no scenario nothing"):
        record(version, ["nothing"], folder)


def exchange_with_another_status(path: Path) -> bytes:
    return path.read_bytes().replace(b'"status": ', b'"status": 1')


REPLY = Reply(
    200,
    {"content-type": "application/json", "link": "<a>"},
    '{"id":1,"at":"2026-01-31T12:00:00Z","note":null,"on":true,"tags":["a","b"],"owner":{"id":2,"email":"é@x"}}',
)


@pytest.mark.parametrize(
    ("was", "now", "place", "kind"),
    [
        ('"id":1,', '"id":2,', "body #/id", "number"),
        ('"id":1,', '"id":1.0,', "body #/id", "number format"),
        ('"id":1,', '"id":"1",', "body #/id", "type"),
        ('"id":1,', "", "body #/id", "member missing"),
        ('"id":1,', '"id":1,"more":2,', "body #/more", "member added"),
        ('"id":1,', '"id":1,"more":null,', "body #/more", "null for absent"),
        ('"id":1,', '"id":null,', "body #/id", "null"),
        ('"note":null,', "", "body #/note", "absent for null"),
        ('"note":null,', '"note":"",', "body #/note", "null"),
        ('"on":true', '"on":false', "body #/on", "true or false"),
        ("12:00:00Z", "12:00:00+00:00", "body #/at", "time format"),
        ("12:00:00Z", "12:00:00.000Z", "body #/at", "time format"),
        ("12:00:00Z", "12:00:00", "body #/at", "time format"),
        ("12:00:00Z", "12:00:01Z", "body #/at", "time"),
        ('"2026-01-31T12:00:00Z"', "1769860800", "body #/at", "type"),
        ('["a","b"]', '["a"]', "body #/tags", "number of items"),
        ('["a","b"]', '["b","a"]', "body #/tags/0", "text"),
        ('"email":"é@x"', '"email":"e@x"', "body #/owner/email", "text"),
        ('"id":2,"email":"é@x"', '"email":"é@x","id":2', "body #/owner", "key order"),
        ("é", r"\u00e9", "body, character 100", "spelling"),
        ('"id":1,"at"', '"id": 1, "at"', "body, character 6", "spelling"),
        ("{", "", "body", "text"),
    ],
)
def test_a_difference_in_the_body_is_named(was: str, now: str, place: str, kind: str):
    """Each way in which two bodies can differ is told as what it is, where it is, and with what to do."""
    changed = REPLY.body.replace(was, now, 1)
    assert changed != REPLY.body
    first = golden.compare(REPLY, Reply(200, REPLY.headers, changed))[0]
    assert (first.place, first.kind) == (place, kind)
    assert str(first).endswith(".")


@pytest.mark.parametrize(
    ("reply", "place", "kind"),
    [
        (Reply(201, REPLY.headers, REPLY.body), "status", "status"),
        (Reply(200, {"content-type": "application/json"}, REPLY.body), "header link", "header missing"),
        (Reply(200, {**REPLY.headers, "etag": "x"}, REPLY.body), "header etag", "header added"),
        (Reply(200, {**REPLY.headers, "link": "<b>"}, REPLY.body), "header link", "header value"),
    ],
)
def test_a_difference_around_the_body_is_named(reply: Reply, place: str, kind: str):
    """Status and headers are compared as well; the same reply has no difference."""
    assert [(found.place, found.kind) for found in golden.compare(REPLY, reply)] == [(place, kind)]
    assert golden.compare(REPLY, REPLY) == []


@pytest.mark.parametrize(
    "body",
    [
        "",
        " ",
        "text",
        "null",
        '{"b":1,"a":1.0}',
        '{"a": 1}',
        '{"a":1,"a":2}',
        "1e400",
        "NaN",
        "[" * 3000,
        "\x00\udcff\u2028",
    ],
    ids=ascii,
)
def test_a_file_gives_back_every_byte(body: str, tmp_path: Path):
    """Whatever a body holds comes back from the file as it was, JSON or not."""
    request = Request("POST", "/{token:x}", {"A": "\udcff"}, body, "2026-01-01T00:00:00Z", "given", {"token:x": "/a"})
    exchanges = [Exchange("é", request, Reply(200, {"a": "b"}, body)), Exchange("b", Request("GET", "/"), REPLY)]
    golden.save(tmp_path / "file.json", exchanges)
    assert golden.load(tmp_path / "file.json") == exchanges
    assert (tmp_path / "file.json").read_bytes().decode().endswith("}\n")


def test_placeholders_stand_for_what_is_random():
    """A captured value is remembered if it has the right shape, masked in replies, and put into requests."""
    request = Request("GET", "/", captures={"token:a": "/list/0/t", "token:b": "/list/1/t", "token:c": "/no/9"})
    values = golden.capture(request, '{"list":[{"t":"abc"},{"t":"ABC"}]}', {"token": "[a-z]+"})
    assert values == {"token:a": "abc"}
    assert golden.mask("<abc>; ABC", values) == "<{token:a}>; ABC"
    assert golden.expand('{token:a} {repeat:x\u00fc:3} {"a":1}', values) == 'abc xüxüxü {"a":1}'
    with pytest.raises(KeyError, match="token:none"):
        golden.expand("{token:none}", values)
