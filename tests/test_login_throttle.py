"""Guessing passwords: so many failures are allowed, by whichever door, and then nothing is looked at for a while."""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import bcrypt
import httpx2
import pytest
import sqlalchemy as sa
import time_machine
from fastapi.testclient import TestClient

from app.domain.models import login_failures
from app.main import create_app
from tests.conftest import make_settings
from tests.server import LiveServer
from tests.steps import PASSWORD, Steps
from tests.test_migrations import new_database, opened

ALLOWED = 3
START = datetime(2027, 1, 1, 12, tzinfo=UTC)
OUR_PAGE = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def clock():
    """Stands still until it is shifted."""
    with time_machine.travel(START, tick=False) as clock:
        yield clock


@pytest.fixture
def strict(settings, database, clock):  # noqa: ARG001 - empties it; begins at that time
    """Speaks to the application with few failures allowed and a lock of a minute."""
    app = create_app(settings.model_copy(update={"login_failures_allowed": ALLOWED, "login_lock_seconds": 60}))
    with TestClient(app) as client:
        yield client


def log_in(client, email, password, version="v2"):
    form = {"username": email, "password": password}
    if version == "v1":
        return client.post("/v1/login", data=form)
    return client.post("/v2/auth/token", data={"grant_type": "password", **form})


def sign_in(client, email, password):
    form = {"email": email, "password": password}
    return client.post("/portal/sign-in", data=form, headers=OUR_PAGE, follow_redirects=False)


def change(client, token, current, new="battery staple"):
    body = {"current_password": current, "new_password": new}
    return client.put("/v2/users/me/password", json=body, headers={"Authorization": f"Bearer {token}"})


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
def test_every_door_counts_and_every_door_is_locked(strict, known):
    """Failures by v1, v2 and the portal add up, for unknown people alike; then each says 429 in its own form."""
    ada = Steps(strict).person()
    email = ada.email if known else "nobody@example.com"
    assert log_in(strict, email, "wrong", "v1").status_code == 403
    assert log_in(strict, email.upper(), "wrong").status_code == 400
    assert sign_in(strict, email, "wrong").status_code == 403
    old, new, page = log_in(strict, email, "wrong", "v1"), log_in(strict, email, "wrong"), sign_in(strict, email, "x")
    assert [reply.status_code for reply in (old, new, page)] == [429] * 3
    assert [reply.headers["retry-after"] for reply in (old, new, page)] == ["60"] * 3
    assert old.json() == {"detail": "Too many failed attempts; try again in 60 s"}
    assert new.headers["content-type"] == "application/problem+json"
    assert (new.json()["code"], new.json()["status"]) == ("too-many-attempts", 429)
    assert "try again in 60 s" in page.text
    assert strict.get("/problems/too-many-attempts").status_code == 200


def test_what_is_no_email_is_no_account(strict):
    """Nobody can have an account under what is no e-mail: it is refused as often as it is sent, and nothing counts."""
    for version, refused in (("v1", 403), ("v2", 400)):
        for email in ("nobody", "ada@example", "@", "ada@exam ple.com"):
            replies = [log_in(strict, email, "wrong", version) for _ in range(ALLOWED + 2)]
            assert {reply.status_code for reply in replies} == {refused}


def test_a_lock_is_not_got_around_by_spelling(strict):
    """Other letters that fold to the same e-mail are guesses at the same account."""
    ada = Steps(strict).person("kay@example.com")
    for email in ("KAY@example.com", "\u212aay@example.com", "kay@EXAMPLE.com"):
        assert log_in(strict, email, "wrong").status_code == 400
    assert log_in(strict, ada.email, PASSWORD).status_code == 429


def test_a_lock_holds_for_the_right_password_and_ends_on_time(strict, clock):
    """While locked nothing is evaluated; Retry-After counts down; at its end the right password is good again."""
    ada = Steps(strict).person()
    for _ in range(ALLOWED):
        log_in(strict, ada.email, "wrong")
    clock.shift(timedelta(seconds=20.5))
    reply = log_in(strict, ada.email, PASSWORD)
    assert (reply.status_code, reply.headers["retry-after"]) == (429, "40")
    clock.shift(timedelta(seconds=39.4))
    reply = log_in(strict, ada.email, PASSWORD)
    assert (reply.status_code, reply.headers["retry-after"]) == (429, "1")
    clock.shift(timedelta(seconds=0.1))
    assert log_in(strict, ada.email, PASSWORD).status_code == 200


def test_after_a_lock_as_many_failures_are_allowed_as_before(strict, clock):
    """A lock that ran out leaves nothing behind: counting begins anew."""
    for _ in range(2):
        found = [log_in(strict, "nobody@example.com", "wrong").status_code for _ in range(ALLOWED + 1)]
        assert found == [400] * ALLOWED + [429]
        clock.shift(timedelta(seconds=60))


def test_success_takes_failures_back(strict):
    """Whoever remembers the password in time begins with no failures."""
    ada = Steps(strict).person()
    for _ in range(3):
        assert [log_in(strict, ada.email, "wrong").status_code for _ in range(ALLOWED - 1)] == [400] * (ALLOWED - 1)
        assert log_in(strict, ada.email, PASSWORD).status_code == 200


def test_failures_are_forgotten_after_a_while(strict, clock):
    """Failures count together for fifteen minutes from the first one on."""
    for _ in range(ALLOWED - 1):
        log_in(strict, "nobody@example.com", "wrong")
    clock.shift(timedelta(minutes=15))
    found = [log_in(strict, "nobody@example.com", "wrong").status_code for _ in range(ALLOWED + 1)]
    assert found == [400] * ALLOWED + [429]


def test_a_lock_is_one_persons(strict):
    """Others log in while somebody is locked, and sessions that are open stay so."""
    ada, bob = Steps(strict).person(), Steps(strict).person()
    for _ in range(ALLOWED + 1):
        log_in(strict, ada.email, "wrong")
    assert log_in(strict, bob.email, PASSWORD).status_code == 200
    assert strict.get("/v2/users/me", headers=ada.headers).status_code == 200


def test_the_current_password_cannot_be_guessed_either(strict, clock):
    """With a token in hand so many guesses are allowed as at the login; the login itself is another count."""
    ada = Steps(strict).person()
    token = ada.headers["Authorization"].removeprefix("Bearer ")
    assert [change(strict, token, "wrong").status_code for _ in range(ALLOWED)] == [403] * ALLOWED
    reply = change(strict, token, PASSWORD)
    assert (reply.status_code, reply.headers["retry-after"]) == (429, "60")
    assert log_in(strict, ada.email, PASSWORD).status_code == 200
    clock.shift(timedelta(seconds=60))
    token = ada.headers["Authorization"].removeprefix("Bearer ")
    assert change(strict, token, PASSWORD).status_code == 204


def test_a_locked_login_does_not_keep_its_owner_from_a_new_password(strict):
    """Who is signed in changes the password, whatever strangers do at the login."""
    ada = Steps(strict).person()
    for _ in range(ALLOWED + 1):
        log_in(strict, ada.email, "wrong")
    token = ada.headers["Authorization"].removeprefix("Bearer ")
    assert change(strict, token, PASSWORD).status_code == 204


def test_what_ran_out_is_cleared(strict, clock, database):
    """Rows do not gather: later attempts delete them. No e-mail is kept in them."""
    for number in range(5):
        log_in(strict, f"nobody-{number}@example.com", "wrong")
    clock.shift(timedelta(minutes=16))
    log_in(strict, "another@example.com", "wrong")
    with database.read() as connection:
        rows = connection.execute(sa.select(login_failures)).all()
    assert len(rows) == 1
    assert "another" not in str(rows)


def test_rate_limits_that_are_off_leave_passwords_guarded(settings, database):  # noqa: ARG001 - empties it
    """RATE_LIMIT_ENABLED is for load tests; guessing is bounded all the same."""
    app = create_app(settings.model_copy(update={"rate_limit_enabled": False, "login_failures_allowed": 1}))
    with TestClient(app) as client:
        assert [log_in(client, "nobody@example.com", "wrong").status_code for _ in range(2)] == [400, 429]


def test_parallel_guesses_are_evaluated_as_often_as_allowed(settings, tmp_path):
    """Of guesses at once, by many connections to two workers, exactly so many are looked at, and the rest refused."""
    limits = {"LOGIN_FAILURES_ALLOWED": "7", "LOGIN_LOCK_SECONDS": "3600"}
    together = threading.Barrier(20)

    def guess(_: int) -> list[int]:
        with httpx2.Client(base_url=server.url, timeout=30) as client:
            together.wait()
            return [log_in(client, "guessed@example.com", "wrong").status_code for _ in range(3)]

    url = settings.database_url
    with LiveServer(url, tmp_path, WORKERS="2", **limits) as server, ThreadPoolExecutor(20) as threads:
        found = Counter(status for statuses in threads.map(guess, range(20)) for status in statuses)
    assert found == {400: 7, 429: 53}


def test_logging_in_often_at_once_is_no_failure(settings, database, tmp_path):  # noqa: ARG001 - empties it
    """More right passwords at the same time than failures are allowed: all of them are let in."""
    with LiveServer(settings.database_url, tmp_path, LOGIN_FAILURES_ALLOWED="3") as server:
        with httpx2.Client(base_url=server.url, timeout=30) as client:
            ada = Steps(client).person()
        with ThreadPoolExecutor(20) as threads, httpx2.Client(base_url=server.url, timeout=30) as client:
            found = list(threads.map(lambda _: log_in(client, ada.email, PASSWORD).status_code, range(40)))
    assert found == [200] * 40


def test_a_right_password_is_no_failure_whatever_else_is_refused(strict):
    """A key that was used for another login is 422, however often; that counts for no guess at the password."""
    ada = Steps(strict).person()

    def log_in_as(client_id):
        form = {"grant_type": "password", "username": ada.email, "password": PASSWORD, "client_id": client_id}
        return strict.post("/v2/auth/token", data=form, headers={"Idempotency-Key": f"key-of-{ada.id}"})

    assert log_in_as("first").status_code == 200
    assert [log_in_as("second").status_code for _ in range(ALLOWED + 2)] == [422] * (ALLOWED + 2)
    assert log_in(strict, ada.email, PASSWORD).status_code == 200


def test_a_session_that_cannot_begin_is_no_failure_and_keeps_no_other_waiting(postgres_url, tmp_path):
    """While somebody's row is locked their logins are 503, others get in meanwhile, and nothing has counted."""
    changes = {"login_failures_allowed": 1, "password_hash_workers": 1, "database_lock_timeout": 1}
    with new_database(postgres_url, tmp_path) as url, TestClient(create_app(make_settings(url, **changes))) as client:
        ada, bob = Steps(client).person(), Steps(client).person()
        with opened(url) as database, ThreadPoolExecutor(2) as threads:
            with database.write() as connection:
                connection.execute(sa.text("SELECT 1 FROM users WHERE id = :id FOR UPDATE"), {"id": ada.id})
                held = [threads.submit(log_in, client, ada.email, PASSWORD) for _ in range(2)]
                assert log_in(client, bob.email, PASSWORD).status_code == 200
                assert not any(waiting.done() for waiting in held)
                assert [waiting.result().status_code for waiting in held] == [503, 503]
            with database.write() as connection:  # as foreign keys do, while posts of hers are imported
                connection.execute(sa.text("SELECT 1 FROM users WHERE id = :id FOR KEY SHARE"), {"id": ada.id})
                assert log_in(client, ada.email, PASSWORD).status_code == 200


def test_who_is_locked_out_does_not_stand_in_a_long_queue(settings, database, monkeypatch):  # noqa: ARG001 - empties it
    """While ten wait for their passwords to be hashed, somebody who is locked is told so at once."""
    freed, hashpw = threading.Event(), bcrypt.hashpw

    def hash_when_freed(password, salt):
        freed.wait(30)
        return hashpw(password, salt)

    changes = {"login_failures_allowed": 1, "password_hash_workers": 1}
    app = create_app(settings.model_copy(update=changes))
    with TestClient(app) as client, ThreadPoolExecutor(12) as threads:
        assert log_in(client, "locked@example.com", "wrong").status_code == 400
        monkeypatch.setattr(bcrypt, "hashpw", hash_when_freed)
        crowd = [threads.submit(log_in, client, f"{number}@example.com", "wrong") for number in range(11)]
        limiter = app.state.services.accounts.hasher.limiter
        deadline = time.monotonic() + 30
        while limiter.statistics().tasks_waiting < 10:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert log_in(client, "locked@example.com", "wrong").status_code == 429
        assert not any(waiting.done() for waiting in crowd)
        freed.set()
        assert [waiting.result().status_code for waiting in crowd] == [400] * 11


def test_a_setting_that_allows_nothing_is_refused():
    """At least one failure is allowed: with none, nobody could log in."""
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        make_settings("sqlite:///none.db", login_failures_allowed=0)
