"""What was released is kept: the documents of this service, and the machinery on a small API of its own."""

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from pydantic import BaseModel, create_model

from app.cli_contract import CONTRACTS
from app.versioning import ApiVersion
from app.versioning.contract import ContractError, golden, released, report
from app.versioning.openapi import build_document
from contract_tests.promised import NOT_RECORDED, PROMISED


class Kettle(BaseModel):
    litres: float
    colour: str


def served(*, frozen: bool = False, reply: type[BaseModel] = Kettle) -> tuple[ApiVersion, dict[str, Any]]:
    """A version with one operation, and its document."""
    router = APIRouter()
    router.get("/kettles", response_model=reply)(lambda: None)
    version = ApiVersion(
        name="v7",
        router=router,
        errors=PROMISED[0].errors,
        title="Kitchen",
        summary="Kettles.",
        description="Kettles.",
        revision="7.0.0",
        frozen=frozen,
    )
    app = FastAPI(openapi_url=None)
    app.include_router(router, prefix="/v7")
    return version, build_document(app, version, {})


@pytest.fixture
def changelog(tmp_path):
    file = tmp_path / "CHANGELOG.md"
    file.write_text("# Changelog\n\n## Unreleased\n\n- Something else.\n")
    return file


@pytest.mark.parametrize("version", PROMISED, ids=lambda version: version.name)
def test_the_documents_are_as_released(documents: dict[str, Path], version: ApiVersion):
    """Nothing differs between what the code serves and what was released; the message says what does."""
    drift = released.check(version, json.loads(documents[version.name].read_text()), CONTRACTS)
    assert drift is None, f"\n{released.describe(drift)}"


def test_a_released_document_is_in_its_one_form():
    """The committed files are what `release` writes, so that a change shows as a small difference."""
    for version in PROMISED:
        text = released.released_file(CONTRACTS, version).read_text()
        assert text == released.canonical(json.loads(text))


@pytest.mark.parametrize("frozen", [False, True])
def test_release_comes_first(tmp_path, changelog, frozen):
    """Whatever was never released is refused by check, released once, and as released from then on."""
    version, document = served(frozen=frozen)
    with pytest.raises(ContractError, match="never released"):
        released.check(version, document, tmp_path)
    assert released.release(version, document, tmp_path, changelog) is not None
    assert released.check(version, document, tmp_path) is None
    assert released.release(version, document, tmp_path, changelog) is None


def test_growth_is_released_and_noted(tmp_path, changelog):
    """A new member breaks nobody: check asks for a release, which notes it in the changelog, and is then content."""
    released.release(*served(), tmp_path, changelog)
    version, document = served(reply=create_model("Kettle", __base__=Kettle, material=(str, "steel")))
    drift = released.check(version, document, tmp_path)
    assert drift
    assert not drift.breaking
    assert "tandem contract release v7" in released.describe(drift)
    released.release(version, document, tmp_path, changelog)
    assert "## Unreleased\n\n- v7: GET /v7/kettles: " in changelog.read_text()
    assert "`.material` is new." in changelog.read_text()
    assert "- Something else." in changelog.read_text()
    assert released.check(version, document, tmp_path) is None


def test_what_breaks_a_client_is_not_released(tmp_path, changelog):
    """A member that goes away is told with whom it breaks and what to do instead, and changes no file."""
    released.release(*served(), tmp_path, changelog)
    before = {file: file.read_text() for file in tmp_path.iterdir()}
    version, document = served(reply=create_model("Kettle", litres=(float, ...)))
    drift = released.check(version, document, tmp_path)
    assert drift
    assert drift.breaking
    told = released.describe(drift)
    assert "BREAKS  GET /v7/kettles: reply 200 (application/json) can be an object without `colour`" in told
    assert "breaks who reads; instead: " in told
    with pytest.raises(ContractError, match="would break its clients"):
        released.release(version, document, tmp_path, changelog)
    assert {file: file.read_text() for file in tmp_path.iterdir()} == before


def test_a_wrong_document_is_corrected_with_a_reason(tmp_path, changelog):
    """With a reason what breaks by the document alone is taken in, and the changelog tells it beside what has grown."""
    released.release(*served(), tmp_path, changelog)
    reply = create_model("Kettle", litres=(float, ...), material=(str, "steel"))
    version, document = served(reply=reply)
    drift = released.check(version, document, tmp_path)
    assert drift
    assert "--correction REASON" in released.describe(drift)
    released.release(version, document, tmp_path, changelog, "colours were never sent")
    assert "- v7: a correction of the document: colours were never sent\n" in changelog.read_text()
    assert "`.material` is new." in changelog.read_text()
    assert released.check(version, document, tmp_path) is None


def test_a_correction_that_corrects_nothing_is_refused(tmp_path, changelog):
    """Neither compatible growth nor a frozen version takes a reason: the one needs none, the other never changes."""
    grown = create_model("Kettle", __base__=Kettle, material=(str, "steel"))
    for frozen, told in ((False, "nothing to correct"), (True, "frozen")):
        folder = tmp_path / told
        released.release(*served(frozen=frozen), folder, changelog)
        with pytest.raises(ContractError, match=told):
            released.release(*served(frozen=frozen, reply=grown), folder, changelog, "a reason")


def test_a_frozen_version_takes_no_addition(tmp_path, changelog):
    """What is harmless elsewhere drifts here: a client that refuses unknown members breaks on an added one."""
    released.release(*served(frozen=True), tmp_path, changelog)
    version, document = served(frozen=True, reply=create_model("Kettle", __base__=Kettle, material=(str, "steel")))
    drift = released.check(version, document, tmp_path)
    assert drift
    assert drift.breaking
    assert "v7 is frozen: put its document back" in released.describe(drift)
    with pytest.raises(ContractError, match="frozen"):
        released.release(version, document, tmp_path, changelog)


def test_a_frozen_version_keeps_its_words(tmp_path, changelog):
    """Descriptions and examples are part of a frozen document: a change of them is told by its place and both texts."""
    version, document = served(frozen=True)
    released.release(version, document, tmp_path, changelog)
    document["info"]["description"] = "Kettles and pots."
    drift = released.check(version, document, tmp_path)
    assert drift
    assert [found.pointer for found in drift.wording] == ["#/info/description"]
    assert 'was "Kettles.", now "Kettles and pots."' in released.describe(drift)


def test_a_change_names_the_line_of_its_model():
    """Where a member comes from a model of the version's own modules, its file and line are told."""
    v2 = PROMISED[1]
    place = released.source_of(v2, "#/components/schemas/Post/properties/my_vote/anyOf")
    assert place
    file, _, line = place.partition(":")
    assert "my_vote" in Path(file).read_text().splitlines()[int(line) - 1]
    operation = released.source_of(v2, "#/paths/~1v2~1posts~1{post_id}/get/responses")
    assert operation
    assert operation.startswith("app/api/v2/posts.py:")


def test_the_report_shows_what_was_reached_and_what_was_not():
    """The page holds every operation, fills the statuses that were met, leaves the others open, and loads nothing."""
    _, document = served()
    proof = report.prove(
        "v7",
        document,
        cases=[report.Observation("GET", "/v7/kettles", 200), report.Observation("GET", "/elsewhere", 200)],
        golden=[report.Observation("GET", "/v7/kettles", 503)],
        compatibility="As released.",
        holds=True,
    )
    (operation,) = proof.operations
    assert (operation.cases, operation.golden) == ({"200": 1}, {"503": 1})
    assert operation.reached == {"200", "503"}
    page = report.render([proof], "2026-01-31")
    assert "GET /v7/kettles" in page
    assert '<rect class="open"' in page
    assert "http://" not in page
    assert "https://" not in page


def test_every_status_below_500_is_recorded_for_the_report(documents: dict[str, Path]):
    """The recorded exchanges alone reach each documented status of each operation."""
    for version in PROMISED:
        files = sorted((CONTRACTS / "golden" / version.name).glob("*.json"))
        exchanges = [exchange for file in files for exchange in golden.load(file)]
        seen = [
            report.Observation(found.request.method, found.request.path.partition("?")[0], found.reply.status)
            for found in exchanges
        ]
        document = json.loads(documents[version.name].read_text())
        proof = report.prove(version.name, document, cases=[], golden=seen, compatibility="", holds=True)
        for operation in proof.operations:
            below_500 = {status for status in operation.documented if status < "500"}
            label = f"{operation.method} {operation.path}"
            excused = {status for name, excused, status in NOT_RECORDED if (name, excused) == (version.name, label)}
            assert below_500 - operation.reached == excused, label
