"""What is asked of the contenders, as bytes made beforehand, and the proof that they give the same replies."""

import itertools
import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from benchmarks.client import Reply, ask
from benchmarks.database import PASSWORD
from benchmarks.servers import Server

_REQUESTS = 2_000
_SEED = 7
_ABSENT = 2**62  # an id that no post has


@dataclass(frozen=True)
class Exchange:
    """One request, and what of its reply differs though it is right: members, by the names on the way to them."""

    method: str
    path: str
    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    varying: tuple[str, ...] = ()

    def encoded(self) -> bytes:
        headers = [("Host", "127.0.0.1"), ("User-Agent", "bench/1"), ("Accept", "*/*"), *self.headers]
        if self.body:
            headers.append(("Content-Length", str(len(self.body))))
        lines = [f"{self.method} {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body


class Operation:
    """Requests of one kind, handed out round and round to whoever is measured next.

    `refresh` puts the rows back that the requests changed; None for reading.
    """

    def __init__(self, name: str, title: str, exchanges: Sequence[Exchange], *, writes: bool = False) -> None:
        self.name = name
        self.title = title
        self.exchanges = exchanges
        self.writes = writes
        self.status = exchanges[0].status
        self.requests: Iterator[bytes] = itertools.cycle([exchange.encoded() for exchange in exchanges])


@dataclass(frozen=True)
class Material:
    """What requests are made of."""

    posts: Sequence[int]  # ids of published posts
    people: Sequence[tuple[str, str]]  # e-mail and access token
    words: Sequence[str]  # that many titles hold
    draft: int  # the id of somebody's draft; the people have not written it
    ended: str  # an access token whose session has ended


def operations(material: Material, seed: int = _SEED) -> list[Operation]:
    """All of them, in the order of the report; another seed asks for other posts."""
    rng = random.Random(seed)
    posts = [rng.choice(material.posts) for _ in range(_REQUESTS)]
    people = [material.people[place % len(material.people)] for place in range(_REQUESTS)]

    def bearer(place: int) -> tuple[str, str]:
        return ("Authorization", f"Bearer {people[place % _REQUESTS][1]}")

    def each(make: Callable[[int], Exchange]) -> list[Exchange]:
        return [make(place) for place in range(_REQUESTS)]

    json_type = ("Content-Type", "application/json")
    asked = ("X-Request-ID", "bench")
    # Each pair of person and post is voted up in one half and down in the other: no vote is ever there already.
    pairs = [(place % (_REQUESTS // 2), 1 if place < _REQUESTS // 2 else -1) for place in range(_REQUESTS)]
    return [
        Operation("v2_post", "post by id, v2", each(lambda n: Exchange("GET", f"/v2/posts/{posts[n]}", 200))),
        Operation(
            "v1_post",
            "post by id, v1, token",
            each(lambda n: Exchange("GET", f"/v1/posts/{posts[n]}", 200, (bearer(n),))),
        ),
        Operation("v2_list", "list of 20, v2", [Exchange("GET", "/v2/posts?limit=20", 200)]),
        Operation(
            "v1_list",
            "list of 20, v1, token",
            each(lambda n: Exchange("GET", "/v1/posts?limit=20", 200, (bearer(n),))),
        ),
        Operation(
            "search",
            "search, v2",
            [Exchange("GET", f"/v2/posts?{urlencode({'q': word, 'limit': 20})}", 200) for word in material.words],
        ),
        Operation(
            "create",
            "create, v2",
            each(
                lambda n: Exchange(
                    "POST",
                    "/v2/posts",
                    201,
                    (bearer(n), json_type),
                    _json(title=f"On Engines, part {n}", content="Notes. " * 20, tags=["bench", f"part-{n % 7}"]),
                    ("id", "created_at", "updated_at"),
                )
            ),
            writes=True,
        ),
        Operation(
            "vote",
            "vote, v2",
            each(
                lambda n: Exchange(
                    "PUT",
                    f"/v2/posts/{posts[pairs[n][0]]}/vote",
                    200,
                    (bearer(pairs[n][0]), json_type),
                    _json(value=pairs[n][1]),
                )
            ),
            writes=True,
        ),
        Operation(
            "login",
            "log in, v2",
            each(
                lambda n: Exchange(
                    "POST",
                    "/v2/auth/token",
                    200,
                    (("Content-Type", "application/x-www-form-urlencoded"),),
                    urlencode({"grant_type": "password", "username": people[n][0], "password": PASSWORD}).encode(),
                    ("access_token", "refresh_token"),
                )
            ),
            writes=True,
        ),
        Operation(
            "not_found",
            "404, v2",
            each(lambda n: Exchange("GET", f"/v2/posts/{_ABSENT + n}", 404, (asked,))),
        ),
        Operation(
            "invalid",
            "422, v2",
            each(
                lambda n: Exchange(
                    "POST",
                    "/v2/posts",
                    422,
                    (bearer(n), json_type, asked),
                    _json(title="On Engines", content="Notes.", tags=["engines", "Not A Tag"]),
                    ("errors",),
                )
            ),
        ),
    ]


def _json(**members: object) -> bytes:
    return json.dumps(members).encode()


# Are the replies the same?


class Different(Exception):
    """A contender does not do the same work; the message shows request, expected and given reply."""


def compare(reference: Server, other: Server, wanted: Sequence[Operation], material: Material) -> None:
    """Ask both the same, and want the same status, media type and body. Different where they are not.

    What both must refuse is asked as well: a token that is forged or whose session has ended, none at all, a draft.
    """
    for exchange in _refusals(material):
        _expect_same(exchange, _ask(reference, exchange), _ask(other, exchange), other)
    for operation in wanted:
        count = len(operation.exchanges)
        # Of votes, ups and then downs on the same posts: both servers make the same changes, one after the other.
        places = (*range(5), *range(count // 2, count // 2 + 5))
        asked = [operation.exchanges[place % count] for place in places]
        # And what a vote leaves behind is read back through one server.
        read = [replace(it, method="GET", path=it.path.removesuffix("/vote"), body=b"") for it in asked]
        read = read if operation.name == "vote" else []
        expected, given = (
            [_ask(server, exchange) for exchange in asked] + [_ask(reference, exchange) for exchange in read]
            for server in (reference, other)
        )
        for one, two, exchange in zip(expected, given, [*asked, *read], strict=True):
            _expect_same(exchange, one, two, other)


def _refusals(material: Material) -> list[Exchange]:
    """What a contender must not let pass, and what a token adds to a reply of version 2."""
    token = material.people[0][1]
    head, payload, signature = token.split(".")
    forged = f"{head}.{payload}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
    post = material.posts[0]
    asked = ("X-Request-ID", "bench")

    def bearer(given: str) -> tuple[tuple[str, str], ...]:
        return (("Authorization", f"Bearer {given}"), asked)

    json_type = ("Content-Type", "application/json")
    text = {"title": "On Engines", "content": "Notes."}
    return [
        Exchange("GET", f"/v2/posts/{post}", 200, bearer(token)),
        Exchange("GET", "/v2/posts?limit=3", 200, bearer(token)),
        Exchange("GET", f"/v1/posts/{post}", 401),
        Exchange("GET", "/v1/posts", 401),
        Exchange("GET", f"/v1/posts/{post}", 401, bearer(forged)),
        Exchange("GET", f"/v2/posts/{post}", 401, bearer(forged)),
        Exchange("GET", f"/v1/posts/{post}", 401, bearer(material.ended)),
        Exchange("GET", f"/v2/posts/{post}", 401, bearer(material.ended)),
        Exchange("GET", f"/v1/posts/{material.draft}", 404, bearer(token)),
        Exchange("GET", f"/v2/posts/{material.draft}", 404, (asked,)),
        Exchange("PUT", f"/v2/posts/{material.draft}/vote", 404, (*bearer(token), json_type), _json(value=1)),
        Exchange("GET", "/v2/posts?limit=101", 422, (asked,), varying=("errors",)),
        Exchange("GET", "/v1/posts?search=google&limit=3&skip=1", 200, bearer(token)),
        Exchange("POST", "/v2/posts", 401, (json_type, asked), _json(**text)),
        Exchange(
            "POST", "/v2/posts", 422, (*bearer(token), json_type), _json(**text, colour="red"), varying=("errors",)
        ),
        Exchange(
            "POST", "/v2/posts", 422, (*bearer(token), json_type), _json(title=7, content="N"), varying=("errors",)
        ),
        Exchange(
            "PUT", f"/v2/posts/{post}/vote", 422, (*bearer(token), json_type), _json(value=2), varying=("errors",)
        ),
        Exchange("PUT", f"/v2/posts/{_ABSENT}/vote", 404, (*bearer(token), json_type), _json(value=1)),
    ]


def _ask(server: Server, exchange: Exchange) -> Reply:
    return ask(server, exchange.method, exchange.path, dict(exchange.headers), exchange.body)


def _expect_same(exchange: Exchange, expected: Reply, given: Reply, server: Server) -> None:
    same = expected.status == given.status and _comparable(expected, exchange) == _comparable(given, exchange)
    if not same or expected.status != exchange.status:
        raise Different(
            f"{server.contender.name} differs on {exchange.method} {exchange.path} {exchange.body!r}\n"
            f"expected: {str(expected)[:2000]}\ngiven:    {str(given)[:2000]}"
        )


def _comparable(reply: Reply, exchange: Exchange) -> object:
    """The media type, the link to the next page, and the body: of what may differ the type alone."""
    next_page = re.search(r'<([^>]*)>; rel="next"', reply.headers.get("link", ""))
    body = reply.body
    if isinstance(body, dict):
        body = {name: type(value) if name in exchange.varying else value for name, value in body.items()}
        if "errors" in exchange.varying and "errors" in body:
            # Where they are; the words are each library's own.
            body["errors"] = sorted(part.get("pointer") or part.get("parameter") for part in reply.body["errors"])
    return reply.headers.get("content-type", "").partition(";")[0], next_page and next_page[1], body
