"""Laws across the versions: whatever two generations of clients do to one service, both read the same facts.

Hypothesis drives both versions at once and keeps a small model of what must be true. What the model says is allowed is
done through one version, drawn at random, and read through both; what it says is refused is tried through both.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from app.db import Database
from tests.conftest import empty

# The same histories every time. Short ones come first, and what they find is made as small as it goes; making a long
# one small would take minutes.
REPEATABLE = settings(derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
SHORT = settings(REPEATABLE, max_examples=40, stateful_step_count=8)
LONG = settings(REPEATABLE, max_examples=40, stateful_step_count=40, phases=[Phase.generate])
# What the long histories must have met, or they have lost their way.
MUST_MEET = {
    *(("v1", "GET", status) for status in (200, 401, 404)),
    *(("v1", "POST", status) for status in (200, 201, 401, 403, 404, 409)),
    *(("v2", "POST", status) for status in (200, 201, 400, 401, 409)),
    *(("v2", "GET", status) for status in (200, 401, 404)),
    *(("v2", "DELETE", status) for status in (204, 401, 403, 404)),
    *((version, "PUT", status) for version in ("v1", "v2") for status in (200, 401, 403, 404)),
    *((version, "PATCH", status) for version in ("v1", "v2") for status in (200, 401, 403, 404)),
    *(("v1", "DELETE", status) for status in (204, 401, 403, 404)),
}

Version = Literal["v1", "v2"]
VERSIONS: tuple[Version, Version] = ("v1", "v2")
NAMES = ("ada", "bob", "eve")  # whose e-mails people sign up with
PASSWORDS = ("correct horse", "battery staple")

# Few letters, so that searches find and titles tie; cases that databases fold differently; what LIKE takes for a sign.
_text = st.text("aAbBéÉßЖж%_\\ ", min_size=1, max_size=5)
_needle = st.text("aAbBéÉßЖж%_\\ ", max_size=2)
_tags = st.lists(st.sampled_from(("a", "b", "c-1")), max_size=4)
_v1_text = st.one_of(_text, st.sampled_from(("", "t" * 301, "t" * 300 + "a")))
_v1_fields: dict[str, Any] = {"title": _v1_text, "content": _v1_text, "published": st.booleans()}
_v2_fields: dict[str, Any] = {"title": _text, "content": _text, "published": st.booleans(), "tags": _tags}
_version = st.sampled_from(VERSIONS)
_whole = ("title", "content")


def _body(fields: dict[str, Any], *required: str) -> st.SearchStrategy[dict[str, Any]]:
    """A JSON object with the required members, and any of the others."""
    needed = {name: strategy for name, strategy in fields.items() if name in required}
    return st.fixed_dictionaries(needed, optional={n: s for n, s in fields.items() if n not in required})


@dataclass(eq=False)
class Person:
    id: int
    email: str
    password: str
    created_at: str
    chosen_name: str | None
    bio: str | None = None
    here: bool = True

    @property
    def display_name(self) -> str:
        return f"user-{self.id}" if self.chosen_name is None else self.chosen_name

    def in_v1(self) -> dict[str, Any]:
        return {"id": self.id, "email": self.email, "created_at": self.created_at}

    def in_v2(self) -> dict[str, Any]:
        return {"id": self.id, "display_name": self.display_name, "bio": self.bio, "created_at": self.created_at}


@dataclass(eq=False)
class Session:
    person: Person
    here: bool = True


@dataclass(eq=False)
class Login:
    """An access token, and where it came through version 2 the refresh token that nobody has used yet."""

    session: Session
    access_token: str
    refresh_token: str | None

    @property
    def person(self) -> Person:
        return self.session.person

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.access_token}"}


@dataclass(eq=False)
class Post:
    id: int
    owner: Person
    title: str
    content: str
    published: bool
    tags: list[str]
    created_at: str
    updated_at: str
    votes: dict[Person, int] = field(default_factory=dict)
    here: bool = True

    def seen_by(self, viewer: Person | None) -> bool:
        return self.here and (self.published or self.owner is viewer)

    def count(self, value: int) -> int:
        return list(self.votes.values()).count(value)

    @property
    def score(self) -> int:
        return self.count(1) - self.count(-1)

    def in_v1(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("id", "title", "content", "published", "created_at")}
        return {"Post": {**own, "owner_id": self.owner.id, "owner": self.owner.in_v1()}, "votes": self.count(1)}

    def in_v2(self, viewer: Person | None) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("id", "title", "content", "published", "tags")}
        return {
            **own,
            "author": {"id": self.owner.id, "display_name": self.owner.display_name},
            "votes": {"up": self.count(1), "down": self.count(-1), "score": self.score},
            "my_vote": None if viewer is None else self.votes.get(viewer, 0),
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


ORDERS: dict[str, Callable[[Post], tuple[Any, ...]]] = {
    "created_at": lambda post: (_moment(post.created_at), post.id),
    "score": lambda post: (post.score, post.id),
    "title": lambda post: (post.title[:300], post.id),
}
SORTS = [f"{sign}{name}" for name in ORDERS for sign in ("", "-")]


class TwoGenerations(RuleBasedStateMachine):
    """Clients of both versions at work on one service; `people` and `all_posts` are what must be true."""

    client: ClassVar[TestClient]
    database: ClassVar[Database]
    met: ClassVar[set[tuple[str, str, int]]]

    logins = Bundle("logins")
    posts = Bundle("posts")

    def __init__(self) -> None:
        super().__init__()
        empty(self.database)
        self.people: list[Person] = []
        self.all_posts: list[Post] = []
        self.all_logins: list[Login] = []
        self.viewer: Login | None = None  # who looks after the next step
        for version, name in (("v1", "ada"), ("v2", "bob"), ("v1", "dee")):
            login = self._join(version, name)  # type: ignore[arg-type]
            self._log_in("v2" if version == "v1" else "v1", login.person, login.person.email)
        ada, bob = self.all_logins[0], self.all_logins[2]
        self._write("v1", ada, {"title": "a", "content": "b"})
        self._write("v2", bob, {"title": "A", "content": "b", "tags": ["b", "a"]})
        self._write("v2", ada, {"title": "é", "content": "b", "tags": ["a"], "published": False})

    # What clients do: accounts and tokens

    @initialize(target=logins)
    def logins_at_first(self) -> MultipleResults[Login]:
        return multiple(*self.all_logins)

    @initialize(target=posts)
    def posts_at_first(self) -> MultipleResults[Post]:
        return multiple(*self.all_posts)

    @rule(
        target=logins,
        version=_version,
        email=st.sampled_from(NAMES),
        spelling=st.sampled_from((str.lower, str.upper)),
        name=st.none() | _text,
    )
    def sign_up(
        self, version: Version, email: str, spelling: Callable[[str], str], name: str | None
    ) -> Login | MultipleResults[Login]:
        """An e-mail is taken in both versions, in any case, as long as its account is there."""
        spelled = spelling(f"{email}@example.com")
        if any(person.here and person.email.lower() == spelled.lower() for person in self.people):
            for each in VERSIONS:
                body = {"email": spelled, "password": PASSWORDS[0]}
                self._expect(409, self._ask(each, "POST", "/users", json=body))
            return multiple()
        return self._join(version, email, spelled, name)

    @rule(
        target=logins,
        version=_version,
        login=logins,
        password=st.sampled_from(PASSWORDS),
        spelling=st.sampled_from((str.lower, str.upper)),
    )
    def log_in(
        self, version: Version, login: Login, password: str, spelling: Callable[[str], str]
    ) -> Login | MultipleResults[Login]:
        """One password opens both versions; a wrong one, or an account that is gone, opens neither."""
        email = spelling(login.person.email)
        holder = next((p for p in self.people if p.here and p.email.lower() == email.lower()), None)
        if holder is None or password != holder.password:
            self._expect(403, self._ask("v1", "POST", "/login", data={"username": email, "password": password}))
            form = {"grant_type": "password", "username": email, "password": password}
            self._expect(400, self._ask("v2", "POST", "/auth/token", data=form))
            return multiple()
        return self._log_in(version, holder, email)

    @rule(target=logins, login=logins)
    def refresh(self, login: Login) -> Login | MultipleResults[Login]:
        """A refreshed token belongs to the same session; a session that ended refreshes nothing."""
        if login.refresh_token is None:
            return multiple()
        form = {"grant_type": "refresh_token", "refresh_token": login.refresh_token}
        reply = self._ask("v2", "POST", "/auth/token", data=form)
        if not login.session.here:
            self._expect(400, reply)
            return multiple()
        self._expect(200, reply)
        login.refresh_token = None
        return self._remember(Login(login.session, reply.json()["access_token"], reply.json()["refresh_token"]))

    @rule(login=logins, by_refresh_token=st.booleans())
    def log_out(self, login: Login, by_refresh_token: bool) -> None:
        token = (login.refresh_token if by_refresh_token else None) or login.access_token
        self._expect(200, self._ask("v2", "POST", "/auth/revoke", data={"token": token}))
        login.session.here = False

    @rule(login=logins, current=st.sampled_from(PASSWORDS), new=st.sampled_from(PASSWORDS))
    def change_password(self, login: Login, current: str, new: str) -> None:
        """Every other token of the account ends, whichever version gave it."""
        body = {"current_password": current, "new_password": new}
        reply = self._ask("v2", "PUT", "/users/me/password", login, json=body)
        if not login.session.here:
            return self._expect(401, reply)
        if current != login.person.password:
            return self._expect(403, reply)
        self._expect(204, reply)
        login.person.password = new
        for other in self.all_logins:
            if other.person is login.person:
                other.session.here = False
        login.session, login.refresh_token = Session(login.person), None  # this one token is left, on its own
        return None

    @rule(login=logins, changes=_body({"display_name": st.none() | _text, "bio": st.none() | _text}))
    def change_profile(self, login: Login, changes: dict[str, str | None]) -> None:
        reply = self._ask("v2", "PATCH", "/users/me", login, json=changes)
        if not login.session.here:
            return self._expect(401, reply)
        person = login.person
        person.chosen_name = changes.get("display_name", person.chosen_name)
        person.bio = changes.get("bio", person.bio)
        self._expect(200, reply)
        return self._look_at_person(person)

    @rule(login=logins)
    def delete_account(self, login: Login) -> None:
        """With an account go its sessions, its posts and its votes."""
        reply = self._ask("v2", "DELETE", "/users/me", login)
        if not login.session.here:
            return self._expect(401, reply)
        self._expect(204, reply)
        person = login.person
        person.here = False
        for other in self.all_logins:
            other.session.here = other.session.here and other.person is not person
        for post in self.all_posts:
            post.here = post.here and post.owner is not person
            post.votes.pop(person, None)
        return self._look_at_person(person)

    # What clients do: posts

    @rule(target=posts, login=logins, body=_body(_v1_fields, *_whole))
    def write_in_v1(self, login: Login, body: dict[str, Any]) -> Post | MultipleResults[Post]:
        return self._write("v1", login, body)

    @rule(target=posts, login=logins, body=_body(_v2_fields, *_whole))
    def write_in_v2(self, login: Login, body: dict[str, Any]) -> Post | MultipleResults[Post]:
        return self._write("v2", login, body)

    @rule(login=logins, post=posts, body=_body(_v1_fields, *_whole))
    def replace_in_v1(self, login: Login, post: Post, body: dict[str, Any]) -> None:
        """Replaces the three fields that version 1 knows, and nothing else."""
        self._change("v1", "PUT", login, post, body, {"published": True, **body})

    @rule(login=logins, post=posts, body=_body(_v1_fields))
    def patch_in_v1(self, login: Login, post: Post, body: dict[str, Any]) -> None:
        self._change("v1", "PATCH", login, post, body, body)

    @rule(login=logins, post=posts, body=_body(_v2_fields, *_whole))
    def replace_in_v2(self, login: Login, post: Post, body: dict[str, Any]) -> None:
        self._change("v2", "PUT", login, post, body, {"published": True, "tags": [], **body})

    @rule(login=logins, post=posts, body=_body({**_v2_fields, "tags": st.none() | _tags}))
    def patch_in_v2(self, login: Login, post: Post, body: dict[str, Any]) -> None:
        self._change("v2", "PATCH", login, post, body, body)

    @rule(version=_version, login=logins, post=posts)
    def delete_post(self, version: Version, login: Login, post: Post) -> None:
        refused = self._refusal(login, post, owner_only=True)
        for each in VERSIONS if refused else (version,):
            self._expect(refused or 204, self._ask(each, "DELETE", f"/posts/{post.id}", login))
        if not refused:
            post.here = False
            post.votes.clear()
        self._look_at_post(post, login)

    # What clients do: votes

    @rule(login=logins, post=posts, up=st.booleans())
    def vote_in_v1(self, login: Login, post: Post, up: bool) -> None:
        """Version 1 knows up-votes alone: it turns a down-vote into one, and takes none back."""
        refused = self._refusal(login, post)
        if refused:
            return self._vote_nowhere(refused, login, post)
        voted_up = post.votes.get(login.person) == 1
        expected = 201 if voted_up != up else 409 if up else 404
        reply = self._ask("v1", "POST", "/vote", login, json={"post_id": post.id, "dir": int(up)})
        self._expect(expected, reply)
        if expected == 201:
            post.votes[login.person] = 1
            if not up:
                del post.votes[login.person]
        return self._look_at_post(post, login)

    @rule(login=logins, post=posts, value=st.sampled_from((1, -1, None)))
    def vote_in_v2(self, login: Login, post: Post, value: int | None) -> None:
        """Version 2 votes both ways, and the same vote again changes nothing."""
        refused = self._refusal(login, post)
        if refused:
            return self._vote_nowhere(refused, login, post)
        if value is None:
            self._expect(204, self._ask("v2", "DELETE", f"/posts/{post.id}/vote", login))
            post.votes.pop(login.person, None)
        else:
            reply = self._ask("v2", "PUT", f"/posts/{post.id}/vote", login, json={"value": value})
            self._expect(200, reply)
            post.votes[login.person] = value
            assert reply.json() == {"value": value, "votes": post.in_v2(None)["votes"]}
        return self._look_at_post(post, login)

    # What clients read

    @rule(login=logins, post=posts)
    def read(self, login: Login, post: Post) -> None:
        self._look_at_post(post, login)

    @rule(login=logins, search=_needle, size=st.integers(1, 4), sort=st.sampled_from(SORTS))
    def walk(self, login: Login, search: str, size: int, sort: str) -> None:
        """Offsets in version 1, and cursors in version 2 there and back, meet the same rows, each once."""
        if not login.session.here:
            self._expect(401, self._ask("v1", "GET", "/posts", login))
            return self._expect(401, self._ask("v2", "GET", "/posts", login))
        met = [p for p in self._visible(login.person) if search.casefold() in p.title.casefold()]
        by_offset = [row["Post"]["id"] for row in self._by_offset(login, search, size)]
        assert by_offset == [post.id for post in met], "the offset walk of v1 differs from the model"
        met.sort(key=ORDERS[sort.removeprefix("-")], reverse=sort.startswith("-"))
        parameters = {"q": search, "limit": size, "sort": sort}
        pages = list(self._by_cursor("next_cursor", login, parameters))
        assert [row["id"] for page in pages for row in page["data"]] == [post.id for post in met], "v2, forward"
        last = pages[-1]["page"]["prev_cursor"]
        back = list(self._by_cursor("prev_cursor", login, parameters, last)) if last else []
        assert [page["data"] for page in reversed(back)] == [page["data"] for page in pages[:-1]], "v2, backward"
        return None

    # What must be true after every step

    @invariant()
    def both_versions_list_what_is_true(self) -> None:
        """For whoever acted last: everything they may see, with every fact; and what nobody in particular sees."""
        viewer = self.viewer if self.viewer and self.viewer.session.here else None
        person = viewer.person if viewer else None
        visible = self._visible(person)
        if viewer:
            listed = self._ask("v1", "GET", "/posts", viewer, params={"limit": 1000})
            assert listed.json() == [post.in_v1() for post in visible], "v1 lists something else"
        for reader, whom in {viewer: person, None: None}.items():
            listed = self._ask("v2", "GET", "/posts", reader, params={"limit": 100, "sort": "created_at"})
            expected = [post.in_v2(whom) for post in sorted(self._visible(whom), key=ORDERS["created_at"])]
            assert listed.json()["data"] == expected, "v2 lists something else"

    def teardown(self) -> None:
        """In the end everybody looks at everything, also at what is gone."""
        for person in self.people:
            self._look_at_person(person)
        for login in {login.person: login for login in self.all_logins if login.session.here}.values():
            for post in self.all_posts:
                self._look_at_post(post, login)
        tags = [tag for post in self._visible(None) for tag in post.tags]
        counts = [{"name": name, "posts": tags.count(name)} for name in sorted(set(tags))]
        assert self._ask("v2", "GET", "/tags").json()["data"] == counts

    # How it is done

    def _ask(self, version: Version, method: str, path: str, login: Login | None = None, **body: Any) -> Response:
        reply = self.client.request(method, f"/{version}{path}", headers=login.headers if login else {}, **body)
        self.met.add((version, method, reply.status_code))
        self.viewer = login or self.viewer
        return reply

    def _expect(self, status: int, reply: Response) -> None:
        request = f"{reply.request.method} {reply.request.url}"
        assert reply.status_code == status, f"{request}: {reply.status_code} instead of {status}: {reply.text}"

    def _refusal(self, login: Login, post: Post, *, owner_only: bool = False) -> int | None:
        """The status with which both versions must refuse what this caller wants of this post; None: they must not."""
        if not login.session.here:
            return 401
        if not post.seen_by(login.person):
            return 404
        return 403 if owner_only and post.owner is not login.person else None

    def _visible(self, person: Person | None) -> list[Post]:
        return [post for post in self.all_posts if post.seen_by(person)]

    def _join(self, version: Version, email: str, spelled: str | None = None, name: str | None = None) -> Login:
        spelled = spelled or f"{email}@example.com"
        body: dict[str, Any] = {"email": spelled, "password": PASSWORDS[0]}
        if version == "v2" and name is not None:
            body["display_name"] = name
        reply = self._ask(version, "POST", "/users", json=body)
        self._expect(201, reply)
        told = reply.json()
        person = Person(told["id"], spelled, PASSWORDS[0], told["created_at"], body.get("display_name"))
        assert all(person.id > other.id for other in self.people), "an id was given out twice"
        self.people.append(person)
        self._look_at_person(person)
        return self._log_in(version, person, spelled)

    def _log_in(self, version: Version, person: Person, email: str) -> Login:
        form = {"username": email, "password": person.password}
        if version == "v1":
            reply = self._ask("v1", "POST", "/login", data=form)
        else:
            reply = self._ask("v2", "POST", "/auth/token", data={"grant_type": "password", **form})
        self._expect(200, reply)
        told = reply.json()
        return self._remember(Login(Session(person), told["access_token"], told.get("refresh_token")))

    def _remember(self, login: Login) -> Login:
        """A token of either version says in both whose it is."""
        self.all_logins.append(login)
        account = self._ask("v2", "GET", "/users/me", login).json()
        assert account == {
            **login.person.in_v2(),
            "email": login.person.email,
            "updated_at": account.get("updated_at"),
        }
        self._expect(200, self._ask("v1", "GET", "/posts", login))
        return login

    def _write(self, version: Version, login: Login, body: dict[str, Any]) -> Post | MultipleResults[Post]:
        if not login.session.here:
            v1_body = {name: value for name, value in body.items() if name != "tags"}
            self._expect(401, self._ask("v1", "POST", "/posts", login, json=v1_body))
            self._expect(401, self._ask("v2", "POST", "/posts", login, json={"title": "t", "content": "c"}))
            return multiple()
        reply = self._ask(version, "POST", "/posts", login, json=body)
        self._expect(201, reply)
        facts = {"published": True, **body, "tags": list(dict.fromkeys(body.get("tags", [])))}
        moment = reply.json()["created_at"]
        post = Post(id=reply.json()["id"], owner=login.person, created_at=moment, updated_at=moment, **facts)
        assert all(post.id > other.id for other in self.all_posts), "an id was given out twice"
        assert reply.json() == (post.in_v1()["Post"] if version == "v1" else post.in_v2(login.person))
        self.all_posts.append(post)
        self._look_at_post(post, login)
        return post

    def _change(
        self, version: Version, method: str, login: Login, post: Post, body: dict[str, Any], facts: dict[str, Any]
    ) -> None:
        refused = self._refusal(login, post, owner_only=True)
        if refused:
            v1_body = {name: value for name, value in body.items() if name != "tags"}
            self._expect(refused, self._ask("v1", method, f"/posts/{post.id}", login, json=v1_body))
            v2_body = {"title": "t", "content": "c"} if version == "v1" else body
            self._expect(refused, self._ask("v2", method, f"/posts/{post.id}", login, json=v2_body))
            return self._look_at_post(post, login)
        reply = self._ask(version, method, f"/posts/{post.id}", login, json=body)
        self._expect(200, reply)
        for name, value in facts.items():
            setattr(post, name, value)
        if "tags" in facts:
            post.tags = list(dict.fromkeys(facts["tags"] or []))
        if facts:
            changed = self._ask("v2", "GET", f"/posts/{post.id}", login).json()["updated_at"]
            assert changed != post.updated_at, f"a change through {version} left updated_at as it was"
            post.updated_at = changed
        assert reply.json() == (post.in_v1()["Post"] if version == "v1" else post.in_v2(login.person))
        return self._look_at_post(post, login)

    def _vote_nowhere(self, refused: int, login: Login, post: Post) -> None:
        """Neither version lets this caller vote on this post, whatever the vote."""
        path = f"/posts/{post.id}/vote"
        for value in (1, -1):
            self._expect(refused, self._ask("v2", "PUT", path, login, json={"value": value}))
        self._expect(refused, self._ask("v2", "DELETE", path, login))
        for direction in (1, 0):
            body = {"post_id": post.id, "dir": direction}
            self._expect(refused, self._ask("v1", "POST", "/vote", login, json=body))

    def _look_at_post(self, post: Post, login: Login) -> None:
        """Both versions say the same of the post to this reader, and version 2 to nobody in particular."""
        path, person = f"/posts/{post.id}", login.person
        replies = [self._ask(version, "GET", path, login) for version in VERSIONS]
        refused = self._refusal(login, post)
        for reply in replies:
            self._expect(refused or 200, reply)
        if not refused:
            assert [reply.json() for reply in replies] == [post.in_v1(), post.in_v2(person)]
        anonymous = self._ask("v2", "GET", path)
        self._expect(200 if post.seen_by(None) else 404, anonymous)
        assert not post.seen_by(None) or anonymous.json() == post.in_v2(None)

    def _look_at_person(self, person: Person) -> None:
        replies = [self._ask(version, "GET", f"/users/{person.id}") for version in VERSIONS]
        for reply in replies:
            self._expect(200 if person.here else 404, reply)
        assert not person.here or [reply.json() for reply in replies] == [person.in_v1(), person.in_v2()]

    def _by_offset(self, login: Login, search: str, size: int) -> Iterator[dict[str, Any]]:
        for skip in range(0, len(self.all_posts) + size, size):
            parameters = {"search": search, "limit": size, "skip": skip}
            yield from self._ask("v1", "GET", "/posts", login, params=parameters).json()

    def _by_cursor(
        self, relation: str, login: Login, parameters: dict[str, Any], cursor: str | None = None
    ) -> Iterator[dict[str, Any]]:
        """The pages from this cursor on, the one beside it first, following `relation` to the end."""
        for _ in range(len(self.all_posts) + 2):
            with_cursor = {**parameters, "cursor": cursor} if cursor else parameters
            page = self._ask("v2", "GET", "/posts", login, params=with_cursor).json()
            yield page
            cursor = page["page"][relation]
            if cursor is None:
                return
        raise AssertionError(f"the walk by {relation} does not end")


@pytest.mark.parametrize(("histories", "must_meet"), [(SHORT, set()), (LONG, MUST_MEET)], ids=["short", "long"])
def test_the_versions_agree(session_client: TestClient, histories: settings, must_meet: set[tuple[str, str, int]]):
    """Whatever clients of both versions do, both read the same facts, refuse the same, and lose nothing."""

    class Here(TwoGenerations):
        client = session_client
        database = session_client.app.state.services.database  # type: ignore[attr-defined]
        met: ClassVar[set[tuple[str, str, int]]] = set()

    run_state_machine_as_test(Here, settings=histories)
    assert must_meet <= Here.met, f"never met: {sorted(must_meet - Here.met)}"
