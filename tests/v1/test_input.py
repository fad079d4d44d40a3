"""Version 1: slashes, the form of refusals, and input that nobody should send."""

from typing import Any

import pytest

from tests.steps import PASSWORD
from tests.v1 import helpers as v1

DEPTH = 100_000
MISTAKEN = "model_attributes_type"
UNREADABLE = ("body", "body_unreadable")
WRITES = [("POST", "/v1/posts"), ("PUT", "/v1/posts/1"), ("PATCH", "/v1/posts/1")]
SLASHES = pytest.mark.parametrize("slash", ["", "/"], ids=["bare", "slash"])
BAD_TEXTS = pytest.mark.parametrize("text", v1.BAD_TEXTS, ids=ascii)


@pytest.fixture
def ada(steps):
    """Somebody with one post, whose id is 1."""
    person = steps.person()
    v1.write(steps.client, person)
    return person


def assert_unchanged(client: Any, person: Any) -> None:
    """Nobody signed up, and the post of the fixture is the only one, as it was."""
    assert client.get(f"/v1/users/{person.id + 1}").status_code == 404
    (item,) = client.get("/v1/posts", headers=person.headers).json()
    assert (item["Post"]["title"], item["Post"]["content"], item["votes"]) == ("a title", "some content", 0)


@SLASHES
def test_every_operation_answers_with_and_without_a_slash(client, ada, slash):
    """Each path gives its success with a slash at its end as without, and redirects nowhere."""
    on_posts = v1.operations(1)
    sign_up = {"method": "POST", "url": "/v1/users", "json": {"email": "new@example.com", "password": "x"}}
    log_in = {"method": "POST", "url": "/v1/login", "data": {"username": ada.email, "password": PASSWORD}}
    look_up = {"method": "GET", "url": f"/v1/users/{ada.id}"}
    steps: list[tuple[dict[str, Any], int]] = [(sign_up, 201), (look_up, 200), (log_in, 200)]
    statuses = {"list": 200, "create": 201, "read": 200, "replace": 200, "update": 200, "vote": 201, "take back": 201}
    steps += [(on_posts[name], status) for name, status in {**statuses, "delete": 204}.items()]
    for request, status in steps:
        with_slash = {**request, "url": f"{request['url']}{slash}"}
        reply = client.request(**with_slash, headers=ada.headers, follow_redirects=False)
        assert reply.status_code == status, with_slash
    assert v1.listed(client, ada) == [2]


@SLASHES
def test_refusals_are_the_same_with_a_slash(client, ada, slash):
    """Refusals do not depend on the slash either, nor does a query after it."""
    reply = v1.send(client, "POST", f"/v1/users{slash}", {"email": ada.email, "password": "x"})
    assert v1.answer(reply) == (409, v1.EMAIL_TAKEN)
    reply = client.post(f"/v1/login{slash}", data={"username": ada.email, "password": "wrong"})
    assert v1.answer(reply) == (403, v1.INVALID_CREDENTIALS)
    assert v1.answer(client.get(f"/v1/posts/2{slash}", headers=ada.headers)) == (404, v1.NO_POST)
    reply = client.get(f"/v1/posts{slash}?limit=1001", headers=ada.headers)
    assert v1.faults(reply) == [("query.limit", "less_than_equal")]


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/nothing", "/v1/nothing/", "/v1/posts//", "/v1/posts/1/2"])
def test_unknown_path_is_404_in_the_form_of_version_1(client, path):
    """A path that nothing serves is 404 with the one key `detail`."""
    reply = client.get(path, follow_redirects=False)
    assert v1.answer(reply) == (404, {"detail": "Not Found"})
    assert reply.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/users", "POST"),
        ("PATCH", "/v1/users/1", "GET, HEAD"),
        ("GET", "/v1/login/", "POST"),
        ("PUT", "/v1/posts", "GET, HEAD, POST"),
        ("POST", "/v1/posts/1", "DELETE, GET, HEAD, PATCH, PUT"),
        ("GET", "/v1/vote", "POST"),
    ],
)
def test_other_method_is_405_and_says_which_are_served(client, method, path, allowed):
    """A method that a path does not answer to is 405 in the form of version 1, with every method it has in `Allow`."""
    reply = client.request(method, path)
    assert v1.answer(reply) == (405, {"detail": "The path does not answer to this method"})
    assert reply.headers["allow"] == allowed


def test_head_answers_as_get_without_a_body(client, ada):
    """HEAD gives the status and the length of GET, and no body."""
    for path in ("/v1/posts", "/v1/posts/1", f"/v1/users/{ada.id}", "/v1/posts/2"):
        get, head = (client.request(method, path, headers=ada.headers) for method in ("GET", "HEAD"))
        assert (head.status_code, head.content) == (get.status_code, b"")
        assert head.headers["content-length"] == get.headers["content-length"]


def test_validation_error_has_three_keys(client, ada):
    """All that is wrong with a request is said at once, each error as `loc`, `msg` and `type`, worded exactly."""
    reply = client.get("/v1/posts?limit=x&skip=-1", headers=ada.headers)
    expected = [
        {"loc": ["query", "limit"], "msg": "Input should be a valid integer", "type": "int_parsing"},
        {"loc": ["query", "skip"], "msg": "Input should be greater than or equal to 0", "type": "greater_than_equal"},
    ]
    assert v1.answer(reply) == (422, {"detail": expected})
    assert list(reply.json()["detail"][0]) == ["loc", "msg", "type"]


@pytest.mark.parametrize(
    ("method", "path", "fields"),
    [
        ("POST", "/v1/users", ["email", "password"]),
        ("POST", "/v1/vote", ["post_id", "dir"]),
        ("POST", "/v1/posts", ["title", "content"]),
        ("PUT", "/v1/posts/1", ["title", "content"]),
    ],
)
def test_every_missing_field_is_named(client, ada, method, path, fields):
    """A body without its required fields is 422 with one error for each."""
    reply = v1.send(client, method, path, {}, ada.headers)
    expected = [{"loc": ["body", field], "msg": "Field required", "type": "missing"} for field in fields]
    assert v1.answer(reply) == (422, {"detail": expected})


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("POST", "/v1/users", {"email": ["zebra"], "password": {"a": "zebra"}})]
    + [("POST", "/v1/posts", {"title": ["zebra"], "content": {"zebra": "zebra"}, "published": "zebra"})]
    + [("PUT", "/v1/posts/1", {"title": {"zebra": 1}, "content": ["zebra"]}), ("PATCH", "/v1/posts/zebra", {})]
    + [("POST", "/v1/vote", {"post_id": "zebra", "dir": "zebra"}), ("GET", "/v1/posts?limit=zebra&skip=zebra", b"")]
    + [("POST", "/v1/posts", body) for body in ("zebra", ["zebra"], b'{"title": "zebra", ', b"zebra")],
)
def test_refusal_does_not_repeat_what_was_sent(client, ada, method, path, body):
    """A validation error holds nothing of the offending input."""
    reply = v1.send(client, method, path, body, ada.headers)
    assert v1.faults(reply)
    assert "zebra" not in reply.text
    assert_unchanged(client, ada)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("0", "greater_than_equal"),
        ("-1", "greater_than_equal"),
        (str(-(2**63)), "greater_than_equal"),
        (str(v1.LAST_ID + 1), "less_than_equal"),
        *((text, "int_parsing") for text in v1.NO_NUMBERS),
    ],
    ids=lambda text: text[:20],
)
def test_id_that_cannot_be_is_422(client, ada, text, kind):
    """What is no number from 1 to 2^63-1 in plain digits is 422 in the path of a user and of a post."""
    assert v1.faults(client.get(f"/v1/users/{text}")) == [("path.user_id", kind)]
    for operation in ("read", "replace", "update", "delete"):
        reply = client.request(**v1.operations(text)[operation], headers=ada.headers)
        assert v1.faults(reply) == [("path.post_id", kind)]


@pytest.mark.parametrize("field", ["title", "content"])
@BAD_TEXTS
def test_text_that_cannot_be_stored_is_422(client, ada, text, field):
    """NUL or a lone surrogate in a post's text is 422 in every write on both databases, without an echo."""
    kind = "string_pattern_mismatch" if "\x00" in text else "string_unicode"
    for method, path in WRITES:
        reply = v1.send(client, method, path, {"title": "t", "content": "c", field: text}, ada.headers)
        assert v1.faults(reply) == [(f"body.{field}", kind)]
        assert not any(echo in reply.text for echo in ("xxx", "\\ud", "\\u0000"))
    assert_unchanged(client, ada)


@BAD_TEXTS
def test_bad_text_where_another_type_belongs_is_422(client, ada, text):
    """NUL or a lone surrogate in the place of a number, a flag or an object is 422 like any other mistake."""
    for method, path, body, expected in (
        ("POST", "/v1/vote", {"post_id": text, "dir": 1}, ("body.post_id", "int_type")),
        ("POST", "/v1/vote", {"post_id": 1, "dir": {text: text}}, ("body.dir", "int_type")),
        ("PATCH", "/v1/posts/1", {"published": text}, ("body.published", "bool_type")),
        ("PATCH", "/v1/posts/1", {"title": {text: [text]}}, ("body.title", "string_type")),
        ("POST", "/v1/posts", [text], ("body", MISTAKEN)),
        ("POST", "/v1/posts", text, ("body", MISTAKEN)),
    ):
        assert v1.faults(v1.send(client, method, path, body, ada.headers)) == [expected]
    assert_unchanged(client, ada)


@BAD_TEXTS
@pytest.mark.parametrize("place", ["value", "key", "deep"])
def test_bad_text_in_an_unknown_field_is_ignored(client, ada, text, place):
    """Unknown fields are ignored whatever they hold: NUL and lone surrogates in their keys and values, too."""
    extra = {"value": {"x": text}, "key": {text: 1}, "deep": {"x": {text: [text]}}}[place]
    account = {"email": "new@example.com", "password": "x", **extra}
    for method, path in WRITES:
        reply = v1.send(client, method, path, {"title": "t", "content": "c", **extra}, ada.headers)
        assert reply.status_code == (201 if method == "POST" else 200)
    assert v1.send(client, "POST", "/v1/vote", {"post_id": 1, "dir": 1, **extra}, ada.headers).status_code == 201
    assert v1.send(client, "POST", "/v1/users", account).status_code == 201


def test_surrogates_make_text_only_in_pairs(client, ada):
    """An emoji escaped as a pair of surrogates is text, a lone one is 422 also when its bytes come unescaped."""
    reply = v1.send(client, "PATCH", "/v1/posts/1", rb'{"title": "\ud83d\ude00"}', ada.headers)
    assert reply.json()["title"] == "\U0001f600"
    reply = v1.send(client, "PATCH", "/v1/posts/1", b'{"title": "\xed\xa0\xbd"}', ada.headers)
    assert v1.faults(reply) == [("body.title", "string_unicode")]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "1" + "0" * 30, "1"])
def test_number_where_text_or_a_flag_belongs_is_422(client, ada, number):
    """A number, also one that is no number or beyond all bounds, is no text and no flag."""
    body = f'{{"title": {number}, "content": {number}, "published": {number}}}'.encode()
    expected = [("body.title", "string_type"), ("body.content", "string_type"), ("body.published", "bool_type")]
    for method, path in WRITES:
        assert v1.faults(v1.send(client, method, path, body, ada.headers)) == expected
    assert_unchanged(client, ada)


@pytest.mark.parametrize(
    "number", ["NaN", "-Infinity", "1e400", "1" + "0" * 30, "-1." + v1.DIGITS], ids=lambda text: text[:9]
)
def test_any_readable_number_in_an_unknown_field_is_ignored(client, ada, number):
    """An unknown field may hold a number out of every range."""
    body = f'{{"title": "t", "content": "c", "x": {number}, "y": [{{"z": {number}}}]}}'.encode()
    assert v1.send(client, "POST", "/v1/posts", body, ada.headers).status_code == 201


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("posts", "%s"),
        ("posts", "[%s]"),
        ("posts", '{"title": %s}'),
        ("posts", '{"title": "t", "content": "c", "x": %s}'),
        ("vote", '{"post_id": %s, "dir": 1}'),
        ("vote", '{"post_id": 1, "dir": %s}'),
        ("users", '{"password": %s}'),
    ],
)
def test_integer_of_5000_digits_is_422(client, ada, path, body):
    """An integer too long to be read makes its body unreadable, wherever it stands and whatever its sign."""
    for number in (v1.DIGITS, "-" + v1.DIGITS):
        reply = v1.send(client, "POST", f"/v1/{path}", (body % number).encode(), ada.headers)
        assert v1.faults(reply) == [UNREADABLE]
    assert_unchanged(client, ada)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * DEPTH,
        b'{"a":' * DEPTH,
        b"[" * DEPTH + b"]" * DEPTH,
        b'{"title": ' + b"[" * DEPTH + b"]" * DEPTH + b"}",
        b'{"title": "t", "content": "c", "x": ' + b"[" * DEPTH + b"]" * DEPTH + b"}",
        b'{"title": "t", "content": "c", "x": ' + b'{"a":' * DEPTH + b"1" + b"}" * DEPTH + b"}",
    ],
    ids=["open lists", "open objects", "lists", "in the title", "in an unknown list", "in an unknown object"],
)
def test_nesting_of_100000_levels_is_422(client, ada, body):
    """A body nested beyond reading is refused in a few bytes, and the service goes on."""
    assert v1.faults(v1.send(client, "POST", "/v1/posts", body, ada.headers)) == [UNREADABLE]
    assert_unchanged(client, ada)


@pytest.mark.parametrize(("method", "path"), [*WRITES, ("POST", "/v1/users"), ("POST", "/v1/vote")])
@pytest.mark.parametrize(
    ("body", "expected"),
    [(b"", ("body", "missing")), (b" ", ("body", "json_invalid")), (b"{", ("body", "json_invalid"))]
    + [
        (b"nope", ("body", "json_invalid")),
        (b'{"a":1,}', ("body", "json_invalid")),
        (b"\x00", ("body", "json_invalid")),
    ]
    + [(body, ("body", MISTAKEN)) for body in (b"null", b"[]", b"[{}]", b'"text"', b'"\\ud800"', b"1", b"true", b"NaN")]
    + [(body, UNREADABLE) for body in (b'{"title": "\xff\xfe"}', b'{"\xc0\x80": 1}', b'{"a": "cut \xe2\x82')],
    ids=repr,
)
def test_body_that_is_no_json_object_is_422(client, ada, method, path, body, expected):
    """A body that is missing, no JSON, no object or no UTF-8 is 422 in every write, PATCH not excepted."""
    assert v1.faults(v1.send(client, method, path, body, ada.headers)) == [expected]
    assert_unchanged(client, ada)


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/xml", "application/octet-stream", "application/x-www-form-urlencoded", "json", ""],
)
def test_json_of_another_content_type_is_422(client, ada, kind):
    """JSON that is not called so is not read, and nothing is written."""
    for path, body in (
        ("posts", {"title": "t", "content": "c"}),
        ("users", {"email": "a@example.com", "password": "x"}),
    ):
        assert v1.faults(v1.send(client, "POST", f"/v1/{path}", body, ada.headers, kind)) == [("body", MISTAKEN)]
    assert_unchanged(client, ada)


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "application/JSON", "application/vnd.api+json"])
def test_json_may_be_called_so_in_several_ways(client, ada, kind):
    """The content type of JSON is read with parameters, in any case, and as a suffix."""
    reply = v1.send(client, "PATCH", "/v1/posts/1", {"title": "\u00e9"}, ada.headers, kind)
    assert (reply.status_code, reply.json()["title"]) == (200, "\u00e9")


def test_body_of_more_than_a_mebibyte_is_413(client, ada):
    """A body beyond the limit is 413 in the form of version 1, and one just below it is written."""
    reply = v1.send(client, "POST", "/v1/posts", {"title": "t", "content": "x" * 1024 * 1024}, ada.headers)
    assert v1.answer(reply) == (413, {"detail": "The body may have at most 1048576 bytes"})
    assert_unchanged(client, ada)
    whole = v1.write(client, ada, content="x" * 1_048_000)
    assert v1.read(client, ada, whole["id"]).json()["Post"] == whole
