"""Passwords: what they may be, and that a refused login never says why; in both versions and the portal."""

import asyncio
import os
import re
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import bcrypt
import pytest

from app.domain import users
from app.domain.passwords import PasswordHasher
from tests.steps import PASSWORD

OURS = {"Sec-Fetch-Site": "same-origin"}
# Each: a way to log in, the status of a refusal, and of what is no password at all.
WAYS = {
    "v1": ("/v1/login", lambda email, password: {"username": email, "password": password}, 403, 422),
    "v2": (
        "/v2/auth/token",
        lambda email, password: {"grant_type": "password", "username": email, "password": password},
        400,
        400,
    ),
    "portal": ("/portal/sign-in", lambda email, password: {"email": email, "password": password}, 403, 422),
}
STRANGE = {
    "emoji": "🐎🔋📎✅" * 8,
    "control characters": "\x01\x02\x7f\x80 \t\r\n",
    "1024 letters of four bytes": "🔑" * 1024,
    "like a hash": "$2b$12$abcdefghijklmnopqrstuv",
}
BEYOND = {"NUL": "correct\x00horse", "1025 letters": "x" * 1025, "1 MB": "x" * 1_000_000}


def log_in(client, way, email, password):
    path, form, *_ = WAYS[way]
    headers = {**OURS, "X-Request-ID": "same"}
    return client.post(path, data=form(email, password), headers=headers, follow_redirects=False)


def let_in(reply):
    return reply.status_code in (200, 303)


@pytest.fixture
def hashed(monkeypatch):
    """The passwords that bcrypt is given, while it hashes them all the same."""
    given = []
    hashpw = bcrypt.hashpw

    def note(password, salt):
        given.append(password)
        return hashpw(password, salt)

    monkeypatch.setattr(bcrypt, "hashpw", note)
    return given


@pytest.fixture
def chosen(client, database):
    """Gives a new account, an administrator's, whose password is the given one, signed up through a version."""

    def sign_up(password, version="v2"):
        email = f"chosen{time.monotonic_ns()}@example.com"
        reply = client.post(f"/{version}/users", json={"email": email, "password": password})
        assert reply.status_code == 201, reply.text
        with database.write() as connection:
            users.promote(connection, email)
        return email

    return sign_up


@pytest.mark.parametrize("way", WAYS)
def test_a_refusal_does_not_say_why(client, database, chosen, way):
    """An unknown e-mail, a wrong password and an account without one are refused with the same bytes and headers."""
    known = chosen(PASSWORD)
    with database.write() as connection:
        users.create(connection, email="imported@example.com", password_hash=None)
        users.promote(connection, "imported@example.com")
    assert let_in(log_in(client, way, known, PASSWORD))
    replies = [
        log_in(client, way, email, password)
        for email, password in [
            ("nobody@example.com", PASSWORD),
            (known, "a wrong one"),
            ("imported@example.com", PASSWORD),
            ("no e-mail at all", PASSWORD),
        ]
    ]
    shown = [_without_echo(reply) for reply in replies]
    assert {reply.status_code for reply in replies} == {WAYS[way][2]}
    assert all(it == shown[0] for it in shown), shown


def _without_echo(reply):
    """Headers and bytes; the portal's form keeps the e-mail that was typed."""
    content = re.sub(rb'(name="email"[^>]*) value="[^"]*"', rb"\1", reply.content)
    varying = ("server-timing", "content-length")
    return sorted(item for item in reply.headers.items() if item[0] not in varying), content


@pytest.mark.parametrize("way", WAYS)
def test_every_byte_of_a_password_counts(client, chosen, way):
    """Passwords of 73 bytes, and of 1024 letters, that differ in the last letter are different."""
    for length in (73, 1024):
        email = chosen("x" * (length - 1) + "a")
        assert not let_in(log_in(client, way, email, "x" * (length - 1) + "b"))
        assert not let_in(log_in(client, way, email, "x" * (length - 1)))
        assert let_in(log_in(client, way, email, "x" * (length - 1) + "a"))


@pytest.mark.parametrize("kind", STRANGE)
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_strange_passwords_are_passwords(client, chosen, version, kind):
    """Whatever text is chosen as a password, in either version, lets in everywhere, and nothing like it does."""
    email = chosen(STRANGE[kind], version)
    for way in WAYS:
        assert let_in(log_in(client, way, email, STRANGE[kind])), way
        assert not let_in(log_in(client, way, email, STRANGE[kind][:-1])), way


@pytest.mark.parametrize("kind", BEYOND)
def test_what_is_no_password_is_refused_unhashed(client, chosen, hashed, kind):
    """NUL, and what is too long, is refused wherever a password can be given, before any of it is hashed."""
    email, beyond = chosen(PASSWORD), BEYOND[kind]
    token = {"Authorization": f"Bearer {log_in(client, 'v1', email, PASSWORD).json()['access_token']}"}
    hashed.clear()
    for way, (*_, status) in WAYS.items():
        assert log_in(client, way, email, beyond).status_code == status, way
    for version in ("v1", "v2"):
        reply = client.post(f"/{version}/users", json={"email": "new@example.com", "password": beyond})
        assert reply.status_code == 422
    for body in (
        {"current_password": beyond, "new_password": PASSWORD},
        {"current_password": PASSWORD, "new_password": beyond},
    ):
        assert client.put("/v2/users/me/password", json=body, headers=token).status_code == 422
    assert hashed == []
    assert let_in(log_in(client, "v1", email, PASSWORD))
    assert len(hashed) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a priority for each thread")
@pytest.mark.parametrize("already", [0, 15])
def test_hashing_gives_way_also_where_all_the_service_does(monkeypatch, already):
    """A hash gives way most, and less when that takes too long, as do those after it until it is done.

    Neither takes back what `nice` has given. Without privileges that would fail, and with it every login.
    """
    found, freed = [], threading.Event()
    hasher, hashpw = PasswordHasher(rounds=4, workers=1), bcrypt.hashpw
    hasher.hash_blocking(PASSWORD)  # passlib tries bcrypt out when it is used first

    def niceness():
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    def hash_slowly_at_first(password, salt):
        found.append(niceness())
        if len(found) == 1:
            freed.wait(30)
        return hashpw(password, salt)

    def hash_in_a_nice_thread():  # threads have the niceness of the one that makes them
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), max(already, niceness()))
        hasher = PasswordHasher(rounds=4, workers=1)
        return niceness(), [asyncio.run(hasher.hash(PASSWORD)) for _ in range(2)]

    monkeypatch.setattr(bcrypt, "hashpw", hash_slowly_at_first)
    with ThreadPoolExecutor(1) as pool:
        own, hashes = pool.submit(hash_in_a_nice_thread).result()
    freed.set()
    assert found == [19, min(own + 10, 19), min(own + 10, 19)]
    assert all(hasher.verify_blocking(PASSWORD, each) == (True, None) for each in hashes)
