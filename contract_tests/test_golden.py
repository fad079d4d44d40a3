"""Recorded exchanges: what the service answers today is, byte for byte, what it answered when it was recorded."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.main import create_app
from app.versioning import ApiVersion, lifecycle
from app.versioning.contract import golden
from app.versioning.contract.golden import Exchange, Reply, Request
from contract_tests.golden.replay import RECORDINGS, Stage, advice, recordings
from contract_tests.promised import NOT_RECORDED, PROMISED, UNDOCUMENTED
from contract_tests.recordings import strays
from tests.conftest import make_settings
from tests.test_cli import tandem

LEAST = {"v1": 250, "v2": 100}
RECORDED = [
    pytest.param(version, path, id=f"{version.name}/{name}")
    for version in PROMISED
    for name, path in recordings(version).items()
]
versions = pytest.mark.parametrize("version", PROMISED, ids=lambda version: version.name)


@pytest.fixture(scope="module")
def stage(database_url: str) -> Iterator[Stage]:
    with Stage(database_url) as stage:
        yield stage


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Every version's OpenAPI document. Nothing is asked of the database."""
    app = create_app(make_settings(f"sqlite:///{tmp_path_factory.mktemp('described')}/none.db"))
    return dict(app.state.installed.documents)


def exchanges_of(version: ApiVersion) -> list[Exchange]:
    return [exchange for path in recordings(version).values() for exchange in golden.load(path)]


@pytest.mark.parametrize(("version", "path"), RECORDED)
def test_the_service_answers_as_recorded(stage: Stage, version: ApiVersion, path: Path):
    """Status, chosen headers and body of every exchange of a scenario are as recorded, on either database."""
    if found := stage.replay(golden.load(path)):
        pytest.fail(advice(version, {path.stem: found}), pytrace=False)


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
    assert not strays(version), "\n".join(strays(version))


@pytest.mark.parametrize(("version", "path"), RECORDED)
def test_recordings_are_canonical(version: ApiVersion, path: Path, tmp_path: Path):
    """Writing a recording again gives the same bytes, so that a diff shows only what has changed."""
    golden.save(tmp_path / version.name / path.name, golden.load(path))
    assert (tmp_path / version.name / path.name).read_bytes() == path.read_bytes()


@versions
def test_every_documented_status_is_recorded(version: ApiVersion, documents: dict[str, Any]):
    """Each operation is recorded with each status below 500 that its document promises, and with no other.

    But for what only conditional requests meet, which a frozen document cannot tell: that is recorded as well.
    """
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
    untold = {(operation, status) for name, operation, status in UNDOCUMENTED if name == version.name}
    assert sorted(reached - documented) == sorted(untold), "recorded, but not documented"


@versions
def test_every_recorded_reply_says_how_its_version_ends(version: ApiVersion):
    """Each operation, with each status it was recorded with, has the lifecycle headers of its version and no others."""
    wanted = {name.lower(): value for name, value in lifecycle.announcement(version).items()}
    for exchange in exchanges_of(version):
        headers = exchange.reply.headers
        if headers.get("api-version") == version.name:  # the others were asked of another version, or of none
            found = {name: headers[name] for name in ("api-version", "deprecation", "sunset") if name in headers}
            assert found == wanted, exchange.name
            links = [link for link in headers.get("link", "").split(", ") if 'rel="successor-version"' in link]
            assert len(links) == (version.successor is not None), exchange.name
        else:
            assert not exchange.request.path.startswith(f"{version.prefix}/"), exchange.name


@pytest.fixture
def contracts(tmp_path: Path) -> Path:
    """A copy of what was released and recorded, to spoil."""
    return Path(shutil.copytree(RECORDINGS.parent, tmp_path / "contracts"))


def test_check_says_that_all_is_as_released_and_recorded():
    """One line a version, which says how much was asked, and 0; the environment makes no difference to it."""
    lines = [f"{version.name}: as released; {len(exchanges_of(version))} exchanges as recorded" for version in PROMISED]
    done = tandem("contract", "check", MAX_BODY_BYTES="2048", DOCS_ENABLED="false")
    assert done == (0, "\n".join([*lines, ""]), "")


@pytest.mark.parametrize(
    ("name", "was", "now", "told"),
    [
        ("v1/posts-read.json", '"votes": 2', '"votes": 3', ("#/votes: number: recorded 3, now 2.", "v1 is frozen: ")),
        ("v2/tags.json", '"zoo"', '"zoos"', ('recorded "zoos", now "zoo".', "contract record v2 --overwrite tags")),
    ],
)
def test_check_names_what_is_not_as_recorded(contracts: Path, name: str, was: str, now: str, told: tuple[str, ...]):
    """One value that differs makes it 1: its place, both values, the exchange and what to do are told."""
    file = contracts / "golden" / name
    assert was in file.read_text()
    file.write_text(file.read_text().replace(was, now, 1))
    done = tandem("contract", "check", name[:2], "--contracts", contracts)
    assert done.code == 1
    assert done.out.startswith(f"{name[:2]}: as released; not as recorded\n")
    for text in (*told, f"contracts/golden/{name}: "):
        assert text in done.out


def test_check_tells_of_what_is_not_recorded(contracts: Path):
    """Fewer recordings than scenarios are no lesser check: what is missing, or asked otherwise or no more, is 1."""
    folder = contracts / "golden" / "v2"
    (folder / "votes.json").rename(folder / "ballots.json")
    (folder / "tags.json").write_text((folder / "tags.json").read_text().replace('"path": "', '"path": "/v2/..', 1))
    done = tandem("contract", "check", "v2", "--contracts", contracts)
    assert done.code == 1
    assert "votes: a scenario without a recording. Record it: tandem contract record v2" in done.out
    assert "ballots: recorded, but no scenario any more." in done.out
    assert "tags: the scenario was changed after its recording." in done.out


def test_one_difference_is_told_once(contracts: Path):
    """What has changed in every exchange is one paragraph with a count, and does not hide another difference."""
    for file in (contracts / "golden" / "v1").glob("*.json"):
        file.write_text(file.read_text().replace('"x-frame-options": "DENY"', '"x-frame-options": "ALLOW"'))
    file = contracts / "golden" / "v1" / "votes.json"
    file.write_text(file.read_text().replace("successfully added vote", "added", 1))
    told = tandem("contract", "check", "v1", "--contracts", contracts).out
    assert f"{len(exchanges_of(PROMISED[0])) - 1} times more" in told
    assert 'recorded "added", now "successfully added vote".' in told
    assert told.count("x-frame-options") == 1


def test_recording_adds_and_does_not_overwrite(contracts: Path):
    """A scenario without a recording gets one, with the bytes that are kept; one that has is left alone until named."""
    gone, changed = (contracts / "golden" / "v1" / f"{name}.json" for name in ("users-look-up", "votes"))
    kept = {file: file.read_bytes() for file in (gone, changed)}
    gone.unlink()
    changed.write_bytes(kept[changed].replace(b'"status": ', b'"status": 1'))
    spoiled = changed.read_bytes()
    done = tandem("contract", "record", "v1", "--contracts", contracts)
    assert (done.code, done.out.splitlines()[-1]) == (0, "v1: 1 scenarios recorded")
    assert (gone.read_bytes(), changed.read_bytes()) == (kept[gone], spoiled)
    assert tandem("contract", "record", "v1", "--contracts", contracts).out == "v1: 0 scenarios recorded\n"
    assert tandem("contract", "record", "v1", "--overwrite", "vot*", "--contracts", contracts).code == 0
    assert changed.read_bytes() == kept[changed]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["check", "v9"], "no version v9"),
        (["check", "--contracts", "nowhere"], "v1 was never released"),
        (["record", "v9"], "no version v9"),
        (["record", "v1", "--overwrite", "nothing"], "v1 has no scenario nothing"),
    ],
    ids=["check a version", "check a folder", "record a version", "record a scenario"],
)
def test_what_cannot_be_used_is_told(arguments: list[str], told: str):
    """A version, a folder or a scenario that is not there is wrong usage: 2, and never taken for a verdict."""
    done = tandem("contract", *arguments)
    assert (done.code, done.out) == (2, "")
    assert told in done.err


@pytest.mark.parametrize("text", ["", "[]", '{"headers of every reply": {}}', '{"exchanges": [{}]}'])
def test_a_file_that_is_no_recording_is_told(contracts: Path, text: str):
    """A recording that cannot be read is named, with 2."""
    (contracts / "golden" / "v2" / "tags.json").write_text(text)
    done = tandem("contract", "check", "v2", "--contracts", contracts)
    assert (done.code, done.out) == (2, "")
    assert "tags.json is no recording" in done.err


@pytest.mark.parametrize(
    ("arguments", "code", "out"),
    [
        (["check"], 2, "v1: as released\nv2: as released\n"),
        (["check", "--documents-only"], 0, "v1: as released\nv2: as released\n"),
        (["record", "v1"], 2, ""),
    ],
    ids=["check", "documents-only", "record"],
)
def test_without_the_tools_for_tests_nothing_looks_replayed(arguments: list[str], code: int, out: str):
    """Where they are not installed the documents are compared all the same, and it is 2 with what to do, not green."""
    program = "import sys; sys.modules['time_machine'] = None; from app.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, "contract", *arguments],
        cwd=RECORDINGS.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (code, out)
    missing = done.stderr.startswith("tandem: the recordings need the repository and its tools for tests (")
    assert (missing, done.stderr.count("\n")) == ((True, 1) if code else (False, 0))


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
        ('["a","b"]', '["b","a"]', "body #/tags", "order of items"),
        ('["a","b"]', '["a","c"]', "body #/tags/1", "text"),
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


POSTS = '[{"Post":{"id":1,"a":"x"},"votes":0},{"Post":{"id":2,"a":"y"},"votes":0}]'


@pytest.mark.parametrize(
    ("was", "now", "told"),
    [
        (
            '{"Post":{"id":1,"a":"x"},"votes":0},',
            "",
            "body #: number of items: recorded 2 items: 1, 2, now 1 items: 2.",
        ),
        (POSTS, "[]", "body #: number of items: recorded 2 items: 1, 2, now 0 items."),
        ('"id":2,"a":"y"', '"id":7,"a":"z"', "body #: other items: recorded 2 items: 1, 2, now 2 items: 1, 7."),
        ('{"id":1,"a":"x"}', '{"a":"x","id":1}', "body #/0/Post: key order: recorded id, a, now a, id."),
        ('"id":1', '"ID":1', "body #/0/Post/id: member missing: recorded 1, now absent."),
    ],
)
def test_other_items_are_one_difference(was: str, now: str, told: str):
    """A list with other items is told by what they are called, and not by every member that is therefore otherwise."""
    assert was in POSTS
    found = golden.compare(Reply(200, {}, POSTS), Reply(200, {}, POSTS.replace(was, now, 1)))
    assert str(found[0]).startswith(told)
    assert len(found) == (2 if "missing" in told else 1)


def test_another_status_is_one_difference():
    """A refusal has no member of what it takes the place of: both replies are shown, and nothing is listed."""
    found = golden.compare(REPLY, Reply(404, {}, '{"detail":"No such post"}'))
    assert len(found) == 1
    assert str(found[0]).startswith('status: recorded 200 `{"id":1,')
    assert 'now 404 `{"detail":"No such post"}`. Answer with' in str(found[0])


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
