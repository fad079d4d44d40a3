"""The migration map and the guide, as they are served."""

import json
import re
from html.parser import HTMLParser
from typing import Any, cast

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.api import VERSIONS
from app.db import Database
from app.main import create_app
from app.versioning.examples import example_of
from app.versioning.migration import leaves, translate
from tests.conftest import empty, make_settings
from tests.steps import Steps

MAPPED = [version for version in VERSIONS if version.migration is not None]
mapped = pytest.mark.parametrize("version", MAPPED, ids=lambda version: version.name)
# Members whose values differ from run to run, or follow from what else is there.
ANY = {"access_token", "refresh_token", "created_at", "updated_at", "next_cursor", "prev_cursor", "limit", "bio"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    """An application for looking at: nothing is asked of its database."""
    return TestClient(create_app(make_settings(f"sqlite:///{tmp_path_factory.mktemp('guide')}/none.db")))


@mapped
def test_the_map_for_programs(served: TestClient, version: Any):
    """The JSON has the documented members, and names every operation of both versions once."""
    reply = served.get(f"/versions/{version.name}/migration.json")
    assert reply.headers["content-type"] == "application/json"
    found = reply.json()
    assert list(found) == ["from", "to", "everywhere", "operations", "added"]
    assert (found["from"], found["to"]) == (version.name, version.successor)
    for each in found["operations"]:
        assert list(each) == ["operation", "successors", "effort", "differences"]
        assert each["effort"] in ("trivial", "mechanical", "semantic")
    for entry in [*found["everywhere"], *(entry for each in found["operations"] for entry in each["differences"])]:
        assert list(entry) == ["place", "kind", "from", "to", "effort", "hits", "note"]
    paths = served.get(f"/{version.successor}/openapi.json").json()["paths"]
    names = {
        f"{method.upper()} {path[len(version.successor) + 1 :]}" for path, item in paths.items() for method in item
    }
    led_to = {name for each in found["operations"] for name in each["successors"]}
    assert led_to | set(found["added"]) == names
    assert not led_to & set(found["added"])


def test_a_version_without_a_migration_has_no_guide(served: TestClient):
    """Nothing is served for a version that nobody has to leave, or that is none."""
    for name in ("v2", "v9"):
        for path in (f"/versions/{name}/migration", f"/versions/{name}/migration.json"):
            assert served.get(path).status_code == 404


class Page(HTMLParser):
    """The ids, links, headings and text of a page, and what is nested wrongly."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.headings: list[int] = []
        self.tags: set[str] = set()
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        assert not self._open, self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.add(tag)
        self.ids += [given["id"] or ""] if "id" in given else []
        self.links += [given["href"] or ""] if "href" in given else []
        self.headings += [int(tag[1])] if re.fullmatch("h[1-6]", tag) else []
        if tag not in ("meta", "br", "link"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@mapped
def test_the_guide(served: TestClient, version: Any):
    """Every operation has an anchor that is linked to, every note is there, no script, and no link leads nowhere."""
    reply = served.get(f"/versions/{version.name}/migration")
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert "script" not in reply.headers["content-security-policy"]
    page = Page(reply.text)
    assert "script" not in page.tags
    assert len(set(page.ids)) == len(page.ids)
    assert page.headings[0] == 1
    assert all(level - before <= 1 for before, level in zip(page.headings, page.headings[1:], strict=False))
    text = " ".join(page.text.split())
    for each in version.migration.operations:
        assert each.anchor in page.ids
        assert f"#{each.anchor}" in page.links
        for entry in each.differences:
            assert entry.note.replace("`", "") in text, entry.note
    for link in set(page.links) - {"data:,"}:  # an icon of nothing, so that no browser asks for one
        assert link.removeprefix("#") in page.ids if link.startswith("#") else served.get(link).status_code == 200, link


@mapped
def test_examples_agree_with_the_map(served: TestClient, version: Any):
    """What the map makes of the old example is what the example beside it says."""
    old, new = (cast(FastAPI, served.app).state.installed.documents[name] for name in (version.name, version.successor))
    for each in version.migration.operations:
        before = example_of(old, version.prefix, each.operation, each.example).reply
        after = example_of(new, f"/{version.successor}", each.successors[0], each.example).reply
        for at, value in translate(each.differences, before).items():
            assert dict(leaves(after)).get(at) == value, f"{each.operation} {at}"


@mapped
@pytest.mark.parametrize("side", ["old", "new"])
def test_the_running_service_answers_as_the_examples_say(
    client: TestClient, database: Database, steps: Steps, version: Any, side: str
):
    """Sent to the service, each example is answered with its status, its members and, but for times, its values."""
    documents = cast(FastAPI, client.app).state.installed.documents
    name = version.name if side == "old" else version.successor
    for each in version.migration.operations:
        operation = each.operation if side == "old" else each.successors[0]
        example = example_of(documents[name], f"/{name}", operation, {**each.example, "skip": 0})
        headers = prepare(database, steps, signed_up=operation != "POST /users")
        headers |= {"Content-Type": example.media_type} if example.media_type else {}
        method, url = example.request.split(" ")
        reply = client.request(method, url, content=example.body, headers=headers)
        assert reply.status_code == int(example.status.split()[0]), f"{example.request}: {reply.text}"
        said, shown = dict(leaves(reply.json() if reply.content else None)), dict(leaves(example.reply))
        assert said.keys() == shown.keys(), example.request
        for at, value in shown.items():
            if operation in ("GET /posts", "GET /posts/{post_id}") and at.rpartition("/")[2] not in ANY:
                assert said[at] == value, f"{example.request} {at}"


def prepare(database: Database, steps: Steps, *, signed_up: bool) -> dict[str, str]:
    """Make the database as the examples take it to be; gives the headers of the one who asks."""
    empty(database)
    if not signed_up:
        return {}
    ada = steps.person("ada@example.com", display_name="Ada")
    steps.client.patch("/v2/users/me", json={"bio": "I write notes."}, headers=ada.headers)
    post = steps.post(ada, "On Engines", content="Notes.", tags=["engines"])
    for value in (1, 1, 1, -1):
        steps.vote(steps.person(), post["id"], value)
    return dict(ada.headers)


def test_what_documents_do_not_show(client: TestClient, steps: Steps):
    """The rules of the map, each in both versions."""
    ada, bob = steps.person(), steps.person()
    post = steps.post(ada, tags=["engines"])["id"]
    body = {"title": "t", "content": "c"}
    for path, status in (("/v1/posts/1/", 200), ("/v2/posts/1/", 404)):
        assert client.get(path, headers=ada.headers).status_code == status
    assert client.put(f"/v1/posts/{post}", json=body, headers=ada.headers).status_code == 200
    assert client.get(f"/v2/posts/{post}").json()["tags"] == ["engines"]
    assert client.put(f"/v2/posts/{post}", json=body, headers=ada.headers).json()["tags"] == []
    steps.vote(bob, post, -1)
    gone = client.post("/v1/vote", json={"post_id": post, "dir": 0}, headers=bob.headers)
    assert gone.status_code == 404
    assert client.get(f"/v2/posts/{post}", headers=bob.headers).json()["my_vote"] == -1
    for path, status in ((f"/v2/posts/{post}/vote", 204), (f"/v2/posts/{post}/vote", 204), ("/v2/posts/99/vote", 404)):
        assert client.delete(path, headers=bob.headers).status_code == status
    assert client.get(f"/v2/posts/{post}", headers=bob.headers).json()["my_vote"] == 0
    steps.post(ada)
    first, last = (client.get(path).json()["data"][0]["id"] for path in ("/v2/posts?sort=created_at", "/v2/posts"))
    assert (first, last) == (post, post + 1)
    for version, sent, kind, status in (
        ("v1", {**body, "x": 1}, "application/json", 201),
        ("v2", {**body, "x": 1}, "application/json", 422),
        ("v1", body, "application/vnd.api+json", 201),
        ("v2", body, "application/vnd.api+json", 415),
        ("v1", body, "text/plain", 422),
        ("v2", body, "text/plain", 415),
    ):
        headers = {**ada.headers, "Content-Type": kind}
        assert client.post(f"/{version}/posts", content=json.dumps(sent), headers=headers).status_code == status
