"""Version 1: logging in, and who is let through."""

import base64
from typing import Any

import pytest
from httpx2 import Response

from tests.steps import PASSWORD, Person
from tests.v1 import helpers as v1

OPERATIONS = list(v1.operations(1))
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def assert_unauthenticated(reply: Response) -> None:
    assert v1.answer(reply) == (401, v1.UNAUTHENTICATED)
    assert reply.headers["www-authenticate"] == "Bearer"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def token_of(person: Any) -> str:
    return str(person.headers["Authorization"].removeprefix("Bearer "))


def test_login_replies_with_a_token(client, steps):
    """A login is 200 with an access token of type `bearer` and nothing else; both versions let it through."""
    ada = steps.person()
    reply = v1.log_in(client, ada.email, PASSWORD)
    assert reply.status_code == 200
    assert list(reply.json()) == ["access_token", "token_type"]
    assert reply.json()["token_type"] == "bearer"
    headers = bearer(reply.json()["access_token"])
    assert v1.write(client, Person(ada.id, ada.email, headers))["owner_id"] == ada.id
    assert client.get("/v2/users/me", headers=headers).json()["id"] == ada.id


@pytest.mark.parametrize(
    "extra",
    [
        {"grant_type": "password"},
        {"grant_type": ""},
        {"client_id": "cli", "client_secret": "s", "scope": "a b"},
        {"client_id": ""},
        {"unknown": "field"},
    ],
    ids=str,
)
def test_login_takes_what_oauth_clients_add(client, steps, extra):
    """The optional fields of the OAuth 2 password form, and unknown ones, do not keep anybody out."""
    assert v1.log_in(client, steps.person().email, PASSWORD, **extra).status_code == 200


@pytest.mark.parametrize("spelling", ["Ada@Example.com", "ada@example.com", "ADA@EXAMPLE.COM"])
def test_login_takes_the_email_in_any_case(client, spelling):
    """The e-mail of a login is compared without regard to case."""
    v1.sign_up(client, "Ada@Example.com", PASSWORD)
    assert v1.log_in(client, spelling, PASSWORD).status_code == 200


def test_wrong_password_and_unknown_email_look_the_same(client, steps):
    """A wrong password and an e-mail without an account are both 403, with the same bytes."""
    wrong = v1.log_in(client, steps.person().email, "a wrong one")
    unknown = v1.log_in(client, "nobody@example.com", PASSWORD)
    assert v1.answer(wrong) == v1.answer(unknown) == (403, v1.INVALID_CREDENTIALS)
    assert unknown.content == wrong.content
    assert "www-authenticate" not in wrong.headers


@pytest.mark.parametrize(
    "request_",
    [{}, {"data": {"username": "", "password": ""}}]
    + [{way: {"username": "ada@example.com", "password": PASSWORD}} for way in ("json", "params")],
    ids=["absent", "empty", "as JSON", "in the URL"],
)
def test_login_needs_a_form_with_both_fields(client, steps, request_):
    """E-mail and password must be in a form: absent, empty or elsewhere each is 422."""
    steps.person("ada@example.com")
    reply = client.post("/v1/login", **request_)
    assert v1.faults(reply) == [("body.username", "missing"), ("body.password", "missing")]


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [("grant_type", "zebra", "literal_error"), ("password", "zebra" * 205, "string_too_long")]
    + [(field, "zebra\x00", "string_pattern_mismatch") for field in ("username", "password", "client_id")],
    ids=["other grant", "password of 1025", "NUL in username", "NUL in password", "NUL in client_id"],
)
def test_login_refuses_what_cannot_be_meant(client, steps, field, value, kind):
    """A field of the login form that no account can have is 422 at that field, without an echo."""
    form = {"username": steps.person().email, "password": PASSWORD, field: value}
    reply = client.post("/v1/login", data=form)
    assert v1.faults(reply) == [(f"body.{field}", kind)]
    assert "zebra" not in reply.text


@pytest.mark.parametrize(
    "form", [b"username=%FF&password=%FF", b"username=%ED%A0%80&password=x", b"username=a&password=\xff"]
)
def test_login_with_bytes_that_are_no_text_is_403(client, form):
    """A form whose bytes are not UTF-8 names no account, which is no error of the service."""
    assert v1.answer(client.post("/v1/login", content=form, headers=FORM)) == (403, v1.INVALID_CREDENTIALS)


def test_login_form_that_cannot_be_read_is_422(client):
    """A form of too many fields, or with broken framing, is 422 in the form of version 1."""
    too_many = client.post("/v1/login", content=b"&".join(b"k%d=v" % i for i in range(5000)), headers=FORM)
    unframed = client.post("/v1/login", content=b"username=a", headers={"Content-Type": "multipart/form-data"})
    assert v1.faults(too_many) == v1.faults(unframed) == [("body", "body_unreadable")]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_401_without_a_token_comes_before_404(client, steps, operation):
    """Without a token every operation is 401, the same for a post, a draft and no post, and does nothing."""
    ada = steps.person()
    post, draft = v1.write(client, ada), v1.write(client, ada, published=False)
    for post_id in (post["id"], draft["id"], v1.LAST_ID):
        request = v1.operations(post_id)[operation]
        assert_unauthenticated(client.request(**request))
        assert_unauthenticated(client.request(**{**request, "url": request["url"] + "/"}))
    everything = [{"Post": post, "votes": 0}, {"Post": draft, "votes": 0}]
    assert client.get("/v1/posts", headers=ada.headers).json() == everything


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/posts?limit=x", b""),
        ("GET", "/v1/posts/abc", b""),
        ("DELETE", "/v1/posts/0", b""),
        ("POST", "/v1/posts", b"{}"),
        ("PUT", "/v1/posts/1", b"{}"),
        ("PATCH", "/v1/posts/1", b'{"title": 1}'),
        ("POST", "/v1/vote", b'{"dir": 7}'),
    ],
)
def test_401_without_a_token_comes_before_422(client, method, path, body):
    """Without a token a request is 401 also when its fields are invalid."""
    assert_unauthenticated(v1.send(client, method, path, body))


@pytest.mark.parametrize(
    "value",
    [
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Bearer a.b.c",
        "Bearer a b",
        "Basic YTpi",
        "x",
        "Bearer " + "A" * 5000,
        b"Bearer \xff",
    ],
    ids=lambda value: repr(value)[:16],
)
def test_authorization_without_a_token_of_ours_is_401(client, value):
    """A header of another scheme, or with something that is not a token, is 401 and never an error."""
    assert_unauthenticated(client.get("/v1/posts", headers={"Authorization": value}))


def test_forged_token_is_401(client, steps):
    """A token that was cut, lengthened, given another's signature, or the algorithm `none`, is not let through."""
    ada, eve = (token_of(steps.person()) for _ in range(2))
    _, claims, _ = ada.split(".")
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=") + f".{claims}."
    foreign = ada.rpartition(".")[0] + "." + eve.rpartition(".")[2]
    for token in (ada[:-8], ada + "x.y", "x" + ada, ada[::-1], ada + "." + ada, foreign, unsigned):
        assert_unauthenticated(client.get("/v1/posts", headers=bearer(token)))


def test_token_is_read_from_the_header_alone(client, steps):
    """A good token in the query is 401; in the header its scheme may be written in any case."""
    token = token_of(steps.person())
    assert_unauthenticated(client.get("/v1/posts", params={"access_token": token, "token": token}))
    for scheme in ("Bearer", "bearer", "BEARER"):
        assert client.get("/v1/posts", headers={"Authorization": f"{scheme} {token}"}).status_code == 200


def test_tokens_that_version_2_ended_are_401(client, steps):
    """Revoking a token, or changing the password elsewhere, in version 2 ends tokens of version 1."""
    ada = steps.person()
    revoked, outlived = (v1.log_in(client, ada.email, PASSWORD).json()["access_token"] for _ in range(2))
    assert client.post("/v2/auth/revoke", data={"token": revoked}).status_code == 200
    assert_unauthenticated(client.get("/v1/posts", headers=bearer(revoked)))
    assert client.get("/v1/posts", headers=bearer(outlived)).status_code == 200
    change = {"current_password": PASSWORD, "new_password": "another horse"}
    assert client.put("/v2/users/me/password", json=change, headers=ada.headers).status_code == 204
    assert_unauthenticated(client.get("/v1/posts", headers=bearer(outlived)))
    assert v1.log_in(client, ada.email, PASSWORD).status_code == 403
    assert v1.log_in(client, ada.email, "another horse").status_code == 200


@pytest.mark.parametrize("operation", OPERATIONS)
def test_token_of_a_deleted_user_is_401(client, steps, operation):
    """The token of an account that was deleted is let through by no operation."""
    ada, bob = steps.person(), steps.person()
    post = v1.write(client, bob)
    assert client.delete("/v2/users/me", headers=ada.headers).status_code == 204
    assert_unauthenticated(client.request(**v1.operations(post["id"])[operation], headers=ada.headers))
    assert client.get("/v1/posts", headers=bob.headers).json() == [{"Post": post, "votes": 0}]


def test_deleted_user_is_gone_with_posts_and_votes(client, steps):
    """With an account go its login, posts and votes; the posts of others stay, with counters that are right."""
    ada, bob, eve = steps.person(), steps.person(), steps.person()
    own, liked, disliked = (v1.write(client, author)["id"] for author in (ada, bob, bob))
    v1.vote(client, ada, liked)
    steps.vote(ada, disliked, -1)
    for post_id in (liked, disliked):
        v1.vote(client, eve, post_id)
    client.delete("/v2/users/me", headers=ada.headers)
    assert v1.answer(client.get(f"/v1/users/{ada.id}")) == (404, v1.NO_USER)
    assert v1.answer(v1.log_in(client, ada.email, PASSWORD)) == (403, v1.INVALID_CREDENTIALS)
    assert v1.answer(v1.read(client, bob, own)) == (404, v1.NO_POST)
    assert v1.listed(client, bob) == [liked, disliked]
    assert v1.counters(client, bob, liked) == v1.counters(client, bob, disliked) == (1, 0)


def test_email_of_a_deleted_user_is_free_but_the_id_is_not(client, steps):
    """Whoever signs up with a deleted user's e-mail gets a new id, and the old token stays ended."""
    ada = steps.person()
    client.delete("/v2/users/me", headers=ada.headers)
    assert v1.sign_up(client, ada.email).json()["id"] > ada.id
    assert_unauthenticated(client.get("/v1/posts", headers=ada.headers))
