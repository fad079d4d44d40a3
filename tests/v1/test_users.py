"""Version 1: signing up and looking people up."""

import pytest

from tests.steps import PASSWORD, at_once
from tests.v1 import helpers as v1


def test_sign_up_replies_with_the_user(client):
    """A sign-up is 201 with id, e-mail as typed and the time of now, in this order and with nothing else."""
    before = v1.now()
    reply = v1.sign_up(client, "Ada@Example.com", "a secret")
    assert reply.status_code == 201
    assert reply.headers["content-type"] == "application/json"
    body = reply.json()
    assert list(body) == v1.USER_KEYS
    assert (body["id"], body["email"]) == (1, "Ada@Example.com")
    assert before <= v1.moment(body["created_at"]) <= v1.now()


def test_sign_up_ignores_unknown_fields(client):
    """Fields that version 1 does not know, also those the service has inside, change nothing."""
    before = v1.now()
    body = {"email": "ada@example.com", "password": "a secret", "display_name": "Ada", "deep": {"a": [1]}, **v1.UNKNOWN}
    reply = v1.send(client, "POST", "/v1/users", body)
    assert (reply.status_code, reply.json()["id"]) == (201, 1)
    assert v1.moment(reply.json()["created_at"]) >= before
    assert client.get("/v2/users/1").json()["display_name"] == "user-1"


@pytest.mark.parametrize("email", ["Ada@example.com", "ada@example.com", "ADA@EXAMPLE.COM", "ada@Example.Com"])
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_taken_email_is_409_in_any_case(client, version, email):
    """An e-mail taken through either version is refused however its letters are cased; its password stays."""
    client.post(f"/{version}/users", json={"email": "Ada@example.com", "password": "the first"})
    assert v1.answer(v1.sign_up(client, email, "the second")) == (409, v1.EMAIL_TAKEN)
    assert v1.log_in(client, "ada@example.com", "the first").status_code == 200
    assert v1.log_in(client, "ada@example.com", "the second").status_code == 403


@pytest.mark.parametrize("versions", [("v1", "v1"), ("v1", "v2")], ids=["v1 alone", "both versions"])
def test_racing_sign_ups_make_one_account(live, versions):
    """Of twelve sign-ups at once with one e-mail in several spellings, one is 201 and the rest are 409."""
    name = "racer" + "".join(versions)
    bodies = [
        {"email": f"{spelled}@example.com", "password": PASSWORD} for spelled in (name, name.upper(), name.title())
    ]
    jobs = [lambda v=v, body=body: live.post(f"/{v}/users", json=body) for v in versions * 2 for body in bodies]
    made, *refused = sorted(at_once(*jobs), key=lambda reply: reply.status_code)
    assert made.status_code == 201
    assert [(reply.status_code, reply.json()["detail"]) for reply in refused] == [(409, v1.EMAIL_TAKEN["detail"])] * 11


@pytest.mark.parametrize("value", [None, 12, 1.5, True, [], {}, ["a@example.com"]], ids=repr)
@pytest.mark.parametrize("field", ["email", "password"])
def test_sign_up_takes_only_strings(client, field, value):
    """An e-mail or a password that is not a JSON string is 422 at that field."""
    body = {"email": "ada@example.com", "password": "a secret", field: value}
    assert v1.faults(v1.send(client, "POST", "/v1/users", body)) == [(f"body.{field}", "string_type")]


@pytest.mark.parametrize(
    "email",
    [
        "",
        "zebra",
        "@zebra.com",
        "zebra@",
        "zebra@localhost",
        "zebra@a@example.com",
        "ze bra@example.com",
        "zebra@exam ple.com",
        "zebra@a..com",
        "zebra@-a.com",
        "Z <zebra@a.com>",
        "zébra@a.com",
        "zebra\r\nX-Bad: 1@a.com",
    ],
    ids=ascii,
)
def test_what_is_no_email_is_422(client, email):
    """Text that is not an e-mail address is refused, and the refusal does not repeat it."""
    reply = v1.sign_up(client, email)
    assert v1.faults(reply) == [("body.email", "string_pattern_mismatch")]
    assert "bra" not in reply.text
    assert "x-bad" not in reply.headers


def test_email_has_at_most_254_characters(client):
    """An e-mail of 254 characters is let in, one of 255 is 422."""
    assert v1.sign_up(client, "a" * 242 + "@example.com").status_code == 201
    assert v1.faults(v1.sign_up(client, "a" * 243 + "@example.com")) == [("body.email", "string_too_long")]


@pytest.mark.parametrize("text", v1.BAD_TEXTS, ids=ascii)
def test_sign_up_refuses_text_that_cannot_be_stored(client, text):
    """NUL or a lone surrogate in the e-mail or the password is 422, and nobody is signed up."""
    kind = "string_pattern_mismatch" if "\x00" in text else "string_unicode"
    assert v1.faults(v1.sign_up(client, f"{text}@example.com")) == [("body.email", kind)]
    assert v1.faults(v1.sign_up(client, "ada@example.com", text)) == [("body.password", kind)]
    assert client.get("/v1/users/1").status_code == 404


@pytest.mark.parametrize(
    "password",
    ["x", "p" * 1024, "\U0001f511" * 1024, "  kept  ", "\u00fc & = + %41\t\n"],
    ids=["1", "1024", "1024 emoji", "spaces", "odd characters"],
)
def test_password_of_1_to_1024_characters_works(client, password):
    """A password within the limits, counted in characters, logs in, and its last character counts."""
    assert v1.sign_up(client, "ada@example.com", password).status_code == 201
    assert v1.log_in(client, "ada@example.com", password).status_code == 200
    assert v1.log_in(client, "ada@example.com", password[:-1] + "!").status_code == 403


@pytest.mark.parametrize("password", ["", "p" * 1025, "\U0001f511" * 1025, "p" * 1_000_000], ids=len)
def test_password_outside_1_to_1024_characters_is_422(client, password):
    """A password that is empty or longer than 1024 characters is refused, without an echo."""
    reply = v1.sign_up(client, "ada@example.com", password)
    assert v1.faults(reply) == [("body.password", "string_too_long" if password else "string_too_short")]


def test_passwords_that_differ_in_the_73rd_byte_differ(client):
    """Two passwords alike in the first 72 bytes, which is as far as bcrypt alone would look, are not the same."""
    v1.sign_up(client, "ada@example.com", "k" * 72 + "1")
    assert v1.log_in(client, "ada@example.com", "k" * 72 + "1").status_code == 200
    for wrong in ("k" * 72 + "2", "k" * 72, "k" * 72 + "11"):
        assert v1.answer(v1.log_in(client, "ada@example.com", wrong)) == (403, v1.INVALID_CREDENTIALS)


def test_user_is_read_without_a_token(client):
    """Anybody reads a user as the sign-up replied, in the same order; an id that nobody has is 404."""
    made = v1.sign_up(client, "Ada@example.com").json()
    reply = client.get("/v1/users/1")
    assert v1.answer(reply) == (200, made)
    assert list(reply.json()) == v1.USER_KEYS
    for unknown in (2, v1.LAST_ID):
        assert v1.answer(client.get(f"/v1/users/{unknown}")) == (404, v1.NO_USER)


def test_account_is_the_same_in_both_versions(client, steps):
    """An account of version 1 is the same in version 2, where it is named by its id until a name is chosen."""
    made = v1.sign_up(client, "ada@example.com", PASSWORD).json()
    account = client.get("/v2/users/me", headers=steps.log_in("ada@example.com")).json()
    assert {key: account[key] for key in v1.USER_KEYS} == made
    assert (account["display_name"], account["bio"]) == ("user-1", None)


def test_profile_survives_version_1(client, steps):
    """Logging in, writing and voting through version 1 leave a display name and a bio as they were, and unseen."""
    ada = steps.person(display_name="Ada")
    client.patch("/v2/users/me", json={"bio": "about"}, headers=ada.headers)
    assert v1.log_in(client, ada.email, PASSWORD).status_code == 200
    v1.vote(client, ada, v1.write(client, ada)["id"])
    account = client.get("/v2/users/me", headers=ada.headers).json()
    assert (account["display_name"], account["bio"]) == ("Ada", "about")
    assert list(v1.user(client, ada)) == v1.USER_KEYS
