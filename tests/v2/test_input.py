"""Version 2: hostile input is refused in the version's own form, never with a 500, and never repeated."""

import json

import pytest

from tests.v2.helpers import (
    INVALID,
    PASSWORD,
    UNREADABLE,
    get_post,
    is_ok,
    is_problem,
    listing,
    send,
)

# operation: method, path, a text or number member, a body that would do
OPERATIONS = {
    "sign-up": ("POST", "/v2/users", "display_name", {"email": "new@example.com", "password": PASSWORD}),
    "profile": ("PATCH", "/v2/users/me", "bio", {}),
    "password": ("PUT", "/v2/users/me/password", "new_password", {"current_password": PASSWORD}),
    "write": ("POST", "/v2/posts", "title", {"content": "c"}),
    "replace": ("PUT", "/v2/posts/1", "content", {"title": "t"}),
    "change": ("PATCH", "/v2/posts/1", "title", {}),
    "vote": ("PUT", "/v2/posts/1/vote", "value", {}),
}
DEEP = 100_000


@pytest.fixture(params=OPERATIONS)
def operation(request):
    return OPERATIONS[request.param]


@pytest.fixture
def ada(client, steps):
    """Somebody with a post, which is as before when the test ends."""
    ada = steps.person()
    post = steps.post(ada, tags=["keep"])
    yield ada
    assert listing(client, ada)["data"] == [post]
    assert is_ok(client.get("/v2/users/me", headers=ada.headers))["bio"] is None
    assert client.get("/v2/users/2").status_code == 404


def with_member(body, name, literal):
    """The text of the body with one member more, its value given as JSON text."""
    return json.dumps(body)[:-1] + (", " if body else "") + f'"{name}": {literal}}}'


@pytest.mark.parametrize(
    ("literal", "code"),
    [
        (r'"zq\u0000zq-zq"', "string_pattern_mismatch"),
        (r'"zq\ud800zq-zq"', "string_unicode"),
        (r'"\udfff\ud800zq-zq"', "string_unicode"),
    ],
    ids=["nul", "lone-surrogate", "swapped-surrogates"],
)
def test_text_that_cannot_be_stored_is_refused(client, ada, operation, literal, code):
    """NUL and lone surrogates in a value are 422 on both databases, at the member that has them."""
    method, path, member, body = operation
    reply = send(client, method, path, with_member(body, member, literal), ada.headers)
    is_problem(reply, "invalid-request", (f"#/{member}", "int_type" if member == "value" else code))
    assert "zq" not in reply.text


@pytest.mark.parametrize(
    ("key", "literal", "pointer", "code"),
    [
        (r"\ud800", "1", "#", "string_unicode"),
        (r"zq\udfff", r'"\ud800"', "#", "string_unicode"),
        (r"zq\u0000", "1", "#", "extra_forbidden"),
        ("zq/~ é", "1", "#", "extra_forbidden"),
        ("q" * 65, "1", "#", "extra_forbidden"),
        ("unknown", r'"zq\ud800"', "#/unknown", "extra_forbidden"),
        ("unknown", r'{"zq\ud800": ["\u0000"]}', "#/unknown", "extra_forbidden"),
        ("unknown", "NaN", "#/unknown", "extra_forbidden"),
    ],
    ids=["surrogate", "surrogates", "nul", "special", "long", "in-refused", "nested-in-refused", "nan-in-refused"],
)
def test_keys_and_refused_members_may_hold_anything(client, ada, operation, key, literal, pointer, code):
    """What is in a key, or in a member that is refused anyway, does no harm and is not shown."""
    method, path, member, body = operation
    good = with_member(body, member, "1" if member == "value" else '"long enough"')
    reply = send(client, method, path, f'{good[:-1]}, "{key}": {literal}}}', ada.headers)
    is_problem(reply, "invalid-request", (pointer, code))
    assert "zq" not in reply.text
    assert "qqq" not in reply.text


@pytest.mark.parametrize("number", [str(2**63), str(10**30), "NaN", "Infinity", "-Infinity", "1e400", "0.1", "-0"])
def test_a_number_in_the_wrong_place_is_refused(client, ada, operation, number):
    """Numbers of any size, and what only Python takes for a number, are 422 at their member."""
    method, path, member, body = operation
    reply = send(client, method, path, with_member(body, member, number), ada.headers)
    if member != "value":
        code = "string_type"
    elif number == "-0":
        code = "literal_error"
    else:
        code = "int_parsing_size" if number.isdecimal() else "int_type"
    is_problem(reply, "invalid-request", (f"#/{member}", code))
    assert number not in reply.text or len(number) < 4


@pytest.mark.parametrize(
    "body",
    [
        '{"x": %s}' % ("9" * 5000),
        '{"x": -%s}' % ("9" * 5000),
        "[" * DEEP,
        '{"a":' * DEEP,
        "[" * DEEP + "]" * DEEP,
        '{"tags": ' + "[" * DEEP + "]" * DEEP + "}",
        b'{"title": "\xff", "content": "c"}',
        b'{"title": "\xc3\x28", "content": "c"}',
        b'{"\xff": 1, "title": "t", "content": "c"}',
    ],
    ids=["digits", "-digits", "[", "{", "[]", "tags", "utf8-ff", "utf8-cut", "utf8-key"],
)
def test_a_body_that_cannot_be_read_is_refused(client, ada, operation, body):
    """5,000 digits, a depth of 100,000 and bytes that are not UTF-8 are 422 as a whole."""
    method, path, _, _ = operation
    reply = send(client, method, path, body, ada.headers)
    is_problem(reply, "invalid-request", ("#", "body_unreadable"), detail=UNREADABLE)


@pytest.mark.parametrize(
    "body",
    [
        *(" ", "{", "}", "zqzq", "{'title': 't'}", '{"title": "t",}', '{"title": tru}', '{"title": "\t"}', "\x00"),
        *('{"a": 01}', '{"a": +1}', '{"a": 1_0}', '{"a": "\\x"}', '{"a": "\\u12"}', "//x\n{}", "{} x", "nul"),
    ],
)
def test_malformed_json_is_refused(client, ada, operation, body):
    """What is not JSON is 422 as a whole; the reply does not show where or what."""
    method, path, _, _ = operation
    reply = send(client, method, path, body, ada.headers)
    is_problem(reply, "invalid-request", ("#", "json_invalid"), detail=INVALID)
    assert "zq" not in reply.text


@pytest.mark.parametrize(
    ("tags", "index", "code"),
    [
        (r'["ok", "a\u0000"]', 1, "string_pattern_mismatch"),
        (r'["\ud800", "ok"]', 0, "string_unicode"),
        ('["ok", "ok", NaN]', 2, "string_type"),
        ('["ok", {"ok": "ok"}]', 1, "string_type"),
    ],
)
def test_hostile_tags_are_pointed_at(client, ada, tags, index, code):
    """A tag that cannot be is refused at its place in the list."""
    body = f'{{"title": "t", "content": "c", "tags": {tags}}}'
    for method, path in (("POST", "/v2/posts"), ("PUT", "/v2/posts/1"), ("PATCH", "/v2/posts/1")):
        reply = send(client, method, path, body, ada.headers)
        is_problem(reply, "invalid-request", (f"#/tags/{index}", code))


def test_paired_surrogates_are_text(client, steps):
    """An escaped pair is the character it encodes."""
    ada = steps.person()
    reply = send(client, "POST", "/v2/posts", r'{"title": "\ud83c\udf88", "content": "c"}', ada.headers)
    assert get_post(client, is_ok(reply, 201)["id"])["title"] == "🎈"


def test_the_last_of_equal_keys_counts(client, steps):
    """Of a member that is there twice the last one is judged and kept."""
    ada = steps.person()
    reply = send(client, "POST", "/v2/posts", '{"title": 5, "title": "b", "content": "c"}', ada.headers)
    assert is_ok(reply, 201)["title"] == "b"
    reply = send(client, "POST", "/v2/posts", '{"title": "a", "title": 5, "content": "c"}', ada.headers)
    is_problem(reply, "invalid-request", ("#/title", "string_type"))


def test_very_many_mistakes_are_one_refusal(client, ada):
    """A hundred mistakes are told of at most, and of thousands of unknown members that they are too many."""
    good = {"title": "t", "content": "c"}
    some = client.post("/v2/posts", json={**good, **{f"k{index}": 1 for index in range(150)}}, headers=ada.headers)
    is_problem(some, "invalid-request", *((f"#/k{index}", "extra_forbidden") for index in range(100)))
    for key, count in (("k", 50_000), ("zq\x00", 300)):
        body = good | {f"{key}{index}": "1" for index in range(count)}
        reply = client.post("/v2/posts", json=body, headers=ada.headers)
        is_problem(reply, "invalid-request", ("#", "too_many_members"))
    many = client.post("/v2/posts", json={"title": "t", "content": "c", "tags": ["BAD!"] * 50_000}, headers=ada.headers)
    assert many.status_code == 422
    assert "BAD!" not in many.text


def test_refused_input_is_never_repeated(client, steps):
    """No refusal holds what it refuses: not values, not passwords, not tokens, not parameters."""
    ada = steps.person()
    steps.post(ada)
    mark = "zq7f3a"
    sent = [
        ("POST", "/v2/users", {"email": mark, "password": PASSWORD}),
        ("POST", "/v2/users", {"email": "a@example.com", "password": mark}),
        ("POST", "/v2/users", {"email": [mark], "password": {"x": mark}}),
        ("POST", "/v2/posts", {"title": {"v": mark}, "content": [mark], "published": mark}),
        ("POST", "/v2/posts", {"title": "t", "content": "c", "tags": [f"{mark}!"]}),
        ("PATCH", "/v2/users/me", {"bio": [mark]}),
        ("PUT", "/v2/users/me/password", {"current_password": mark, "new_password": PASSWORD}),
        ("PUT", "/v2/posts/1/vote", {"value": mark}),
        ("GET", f"/v2/posts/{mark}", None),
        ("GET", f"/v2/users/{mark}", None),
    ]
    names = ("limit", "sort", "author_id", "created_after", "published", "cursor")
    sent += [("GET", f"/v2/posts?{name}={mark}", None) for name in names]
    replies = [client.request(method, path, json=body, headers=ada.headers) for method, path, body in sent]
    replies += [
        send(client, "POST", "/v2/posts", f'{{"title": "{mark}', ada.headers),
        send(client, "POST", "/v2/posts", "{}", ada.headers, f"text/{mark}"),
        client.get("/v2/users/me", headers={"Authorization": f"Bearer {mark}"}),
        client.post("/v2/auth/token", data={"grant_type": mark}),
        client.post("/v2/auth/token", data={"grant_type": "password", "username": mark, "password": mark}),
        client.post("/v2/auth/token", data={"grant_type": "refresh_token", "refresh_token": mark}),
    ]
    for reply in replies:
        assert reply.status_code in (400, 401, 403, 415, 422), reply.text
        assert mark not in reply.text
        assert mark not in str(reply.headers)


def test_a_surrogate_in_bytes_is_no_text(client, ada):
    """A lone surrogate written as bytes is refused like an escaped one."""
    reply = send(client, "POST", "/v2/posts", b'{"title": "\xed\xa0\x80", "content": "c"}', ada.headers)
    is_problem(reply, "invalid-request", ("#/title", "string_unicode"))
