"""Version 2: failures have one form, whatever fails."""

import re

import pytest

from tests.v2.helpers import (
    BEYOND_INT64,
    BODY,
    FORM,
    MERGE_PATCH,
    NO_TOKEN,
    NOBODY,
    PROBLEMS,
    get_post,
    is_ok,
    is_problem,
    send,
)

MEBIBYTE = 1024 * 1024
METHODS = {
    "/v2/users": "POST",
    "/v2/users/me": "DELETE, GET, HEAD, PATCH",
    "/v2/users/me/password": "PUT",
    "/v2/users/1": "GET, HEAD",
    "/v2/auth/token": "POST",
    "/v2/auth/revoke": "POST",
    "/v2/posts": "GET, HEAD, POST",
    "/v2/posts/1": "DELETE, GET, HEAD, PATCH, PUT",
    "/v2/posts/1/vote": "DELETE, PUT",
    "/v2/tags": "GET, HEAD",
}
WITH_BODY = [
    ("POST", "/v2/users"),
    ("PATCH", "/v2/users/me"),
    ("PUT", "/v2/users/me/password"),
    ("POST", "/v2/posts"),
    ("PUT", "/v2/posts/1"),
    ("PATCH", "/v2/posts/1"),
    ("PUT", "/v2/posts/1/vote"),
]


def large(extra=0):
    """A JSON body of as many bytes over a mebibyte."""
    frame = b'{"title": "t", "content": "%s"}'
    return frame % (b"x" * (MEBIBYTE + extra - len(frame) + 2))


@pytest.mark.parametrize(
    "path",
    [
        *("/v2", "/v2/", "/v2/nope", "/v2/posts/", "/v2/tags/", "/v2/posts/1/nope", "/v2/auth", "/v2/users/1/posts"),
        *("/v2/login", "/v2/vote", "/v2/POSTS", "/v2/posts/1/vote/1", "/v2/%00", "/v2/%FF", "/v2/%22%3C%C3%A9"),
    ],
)
def test_an_unknown_path_is_404(client, path):
    """Where nothing is served, every method gets the same problem; trailing slashes count."""
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        is_problem(client.request(method, path), "not-found")
    assert client.head(path).status_code == 404


@pytest.mark.parametrize("path", METHODS)
def test_another_method_is_405_with_all_that_are_allowed(client, path):
    """Allow names every method of the path, in whichever routes they are."""
    allowed = METHODS[path]
    for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} - set(allowed.split(", ")):
        reply = client.request(method, path)
        assert (reply.status_code, reply.headers["allow"]) == (405, allowed)
        if method != "HEAD":
            is_problem(reply, "method-not-allowed")
    asked = client.options(path)
    assert (asked.status_code, asked.headers["allow"], asked.content) == (204, allowed, b"")


@pytest.mark.parametrize(("method", "path"), [*WITH_BODY, ("POST", "/v2/auth/token"), ("POST", "/v2/auth/revoke")])
@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
def test_a_body_over_a_mebibyte_is_413(client, steps, method, path, declared):
    """One byte too many is refused, whether its length was declared or not, and nothing changes."""
    ada = steps.person()
    post = steps.post(ada)
    body, media_type = large(1), FORM if "auth" in path else "application/json"
    assert len(body) == MEBIBYTE + 1
    chunks = (body[at : at + 65536] for at in range(0, len(body), 65536))
    headers = {**ada.headers, "Content-Type": media_type}
    reply = client.request(method, path, content=body if declared else chunks, headers=headers)
    is_problem(reply, "content-too-large")
    assert reply.headers["connection"] == "close"
    assert get_post(client, post["id"], ada) == post


def test_a_body_of_a_mebibyte_is_read(client, steps):
    """At the limit it is the content that is judged."""
    reply = send(client, "POST", "/v2/posts", large(), steps.person().headers)
    is_problem(reply, "invalid-request", ("#/content", "string_too_long"))


@pytest.mark.parametrize(("method", "path"), WITH_BODY)
def test_another_media_type_is_415(client, steps, method, path):
    """A body that is not declared as JSON is not read, with or without a token; only PATCH takes a merge patch."""
    ada = steps.person()
    post = steps.post(ada)
    types = ["text/plain", FORM, "application/json-patch+json", "application/jsonx", "text/json", "garbage", None]
    if method != "PATCH":
        types.append(MERGE_PATCH)
    detail = f"Send the body as {f'{MERGE_PATCH} or ' if method == 'PATCH' else ''}application/json"
    for media_type in types:
        for headers in (ada.headers, NO_TOKEN):
            reply = send(client, method, path, "{}", headers, media_type)
            is_problem(reply, "unsupported-media-type", detail=detail)
    assert get_post(client, post["id"], ada) == post


@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", "Application/JSON"])
def test_json_may_have_parameters_and_any_case(client, steps, media_type):
    """The media type is compared without its parameters and without regard to case."""
    reply = send(client, "POST", "/v2/posts", '{"title": "é", "content": "c"}', steps.person().headers, media_type)
    assert is_ok(reply, 201)["title"] == "é"


@pytest.mark.parametrize(("method", "path"), WITH_BODY)
def test_no_body_is_422(client, steps, method, path):
    """A request without the body it needs is told so."""
    reply = client.request(method, path, headers=steps.person().headers)
    is_problem(reply, "invalid-request", ("#", "missing"))


@pytest.mark.parametrize(
    "path",
    [
        *("/v2/posts/1", "/v2/posts/2", "/v2/posts?limit=1", "/v2/users/1", "/v2/users/me", "/v2/tags"),
        *("/v2/posts/999", "/v2/posts/abc", "/v2/posts?limit=0", "/v2/posts?cursor=x", "/v2/openapi.json", "/v2/docs"),
    ],
)
@pytest.mark.parametrize("signed_in", [True, False], ids=["token", "no-token"])
def test_head_is_get_without_the_body(client, steps, path, signed_in):
    """HEAD answers as GET does, in status and headers, and sends nothing after them."""
    ada = steps.person()
    for published in (True, False, True):
        steps.post(ada, tags=["t"], published=published)
    headers = {**(ada.headers if signed_in else {}), "X-Request-ID": "same"}
    got, head = client.get(path, headers=headers), client.head(path, headers=headers)
    assert (head.status_code, head.content) == (got.status_code, b"")
    assert {**head.headers, "server-timing": ""} == {**got.headers, "server-timing": ""}


@pytest.mark.parametrize("code", PROBLEMS)
def test_the_type_of_a_problem_is_a_page(client, code):
    """The URL in `type` answers with an explanation of that very problem."""
    status, title, _ = PROBLEMS[code]
    page = client.get(f"/problems/{code}")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert f"<h1>{title}</h1>" in page.text
    assert f"Status {status}. " in page.text


def test_a_request_is_known_by_its_id(client):
    """A well-formed X-Request-ID is taken over, anything else is replaced by an id of the service's own."""
    path = f"/v2/posts/{NOBODY}"
    reply = client.get(path, headers={"X-Request-ID": "client.id-7_A"})
    assert reply.json()["request_id"] == reply.headers["x-request-id"] == "client.id-7_A"
    made = set()
    for hostile in (None, "", "a b", "<script>", "x" * 129, b"\xff\xfe"):
        reply = client.get(path, headers={"X-Request-ID": hostile} if hostile is not None else {})
        is_problem(reply, "post-not-found")
        made.add(reply.json()["request_id"])
    assert len(made) == 6
    assert all(re.fullmatch("[0-9a-f]{32}", id_) for id_ in made)


@pytest.mark.parametrize("accept", ["text/html", "application/json", "application/xml;q=0.1"])
def test_a_problem_is_the_same_whatever_is_accepted(client, accept):
    """Failures are not negotiated."""
    is_problem(client.get(f"/v2/posts/{NOBODY}", headers={"Accept": accept}), "post-not-found")


@pytest.mark.parametrize(
    ("value", "code"),
    [
        *(("0", "greater_than_equal"), ("-1", "greater_than_equal"), (str(BEYOND_INT64), "less_than_equal")),
        *((bad, "int_parsing") for bad in ("abc", "1_0", "+1", "1.5", "1e1", "NaN", "0x1", "%201", "%D9%A1", "%00")),
        *((bad, "int_parsing") for bad in (str(10**30), "9" * 5000, "%ED%A0%80")),
    ],
    ids=lambda value: value[:20],
)
def test_an_id_is_a_plain_int64(client, steps, value, code):
    """In a path only digits within int64 are an id; the reply does not repeat what else was there."""
    headers = steps.person().headers
    for method, path, body in (
        ("GET", "/v2/posts/{}", None),
        ("PUT", "/v2/posts/{}", BODY),
        ("PATCH", "/v2/posts/{}", {}),
        ("DELETE", "/v2/posts/{}", None),
        ("PUT", "/v2/posts/{}/vote", {"value": 1}),
        ("DELETE", "/v2/posts/{}/vote", None),
    ):
        reply = client.request(method, path.format(value), json=body, headers=headers)
        is_problem(reply, "invalid-request", ("post_id", code), instance="/v2/posts/")
    reply = client.get(f"/v2/users/{value}")
    is_problem(reply, "invalid-request", ("user_id", code), instance="/v2/users/")


def test_what_is_wrong_first_is_told_first(client, steps):
    """Media type goes before the token, the token before the body, the body before what the path names."""
    ada = steps.person()
    path = f"/v2/posts/{NOBODY}"
    detail = "Send the body as application/json"
    is_problem(send(client, "PUT", path, "{}", media_type="text/plain"), "unsupported-media-type", detail=detail)
    is_problem(client.put(path, json={}), "unauthenticated")
    missing = (("#/title", "missing"), ("#/content", "missing"))
    is_problem(client.put(path, json={}, headers=ada.headers), "invalid-request", *missing)
    is_problem(client.put(path, json=BODY, headers=ada.headers), "post-not-found")


def test_a_method_override_is_ignored(client, steps):
    """No header turns one method into another."""
    ada = steps.person()
    post = steps.post(ada)
    for name in ("X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"):
        is_ok(client.get(f"/v2/posts/{post['id']}", headers={**ada.headers, name: "DELETE"}))
        reply = client.post(f"/v2/posts/{post['id']}", headers={**ada.headers, name: "DELETE"})
        is_problem(reply, "method-not-allowed")
    assert get_post(client, post["id"], ada) == post
