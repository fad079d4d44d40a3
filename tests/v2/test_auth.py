"""Version 2: tokens as RFC 6749 and RFC 7009 have them."""

import time
import uuid
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
import sqlalchemy as sa

from app.domain.models import refresh_tokens
from tests.server import LiveServer
from tests.steps import at_once
from tests.v2.helpers import FORM, JSON, PASSWORD, is_oauth_error, is_ok, is_problem, send


def grant(client, **form):
    return client.post("/v2/auth/token", data=form)


def refresh(client, token, **form):
    return grant(client, grant_type="refresh_token", refresh_token=token, **form)


def revoke(client, token, **form):
    return client.post("/v2/auth/revoke", data={"token": token, **form})


def pair(reply):
    """The tokens of a grant, which has these members and is not to be stored."""
    tokens = is_ok(reply)
    assert set(tokens) == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 1800)
    assert (reply.headers["cache-control"], reply.headers["pragma"]) == ("no-store", "no-cache")
    return tokens


def works(client, access_token):
    """Whether the API knows the token."""
    reply = client.get("/v2/users/me", headers={"Authorization": f"Bearer {access_token}"})
    if reply.status_code == 200:
        return True
    is_problem(reply, "unauthenticated")
    return False


def shift(database, column, by):
    """Move a time of every refresh token: as if it had been that long ago, or were that far ahead."""
    with database.write() as connection:
        connection.execute(
            sa.update(refresh_tokens).where(column.is_not(None)).values({column: datetime.now(UTC) + by})
        )


@pytest.mark.parametrize(
    "extra",
    [{}, {"client_id": "app"}, {"scope": ""}, {"unknown": "x"}, {"client_id": "", "refresh_token": ""}],
    ids=["plain", "client_id", "scope", "unknown", "empty"],
)
def test_a_password_buys_two_tokens(client, steps, extra):
    """The password grant answers with a pair of tokens; parameters it does not know make no difference."""
    ada = steps.person()
    tokens = pair(grant(client, grant_type="password", username=ada.email.upper(), password=PASSWORD, **extra))
    assert works(client, tokens["access_token"])


def test_wrong_password_and_unknown_email_look_the_same(client, steps):
    """A wrong password and an unknown e-mail are the same invalid_grant, byte for byte."""
    ada = steps.person()
    wrong = grant(client, grant_type="password", username=ada.email, password="wrong one")
    unknown = grant(client, grant_type="password", username="nobody@example.com", password=PASSWORD)
    is_oauth_error(wrong, "invalid_grant")
    assert wrong.content == unknown.content
    assert unknown.status_code == 400


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("", "invalid_request"),
        ("grant_type=&username=a&password=b", "invalid_request"),
        ("username=a&password=b", "invalid_request"),
        ("grant_type=password&username=a", "invalid_request"),
        ("grant_type=password&password=b", "invalid_request"),
        ("grant_type=password&username=&password=", "invalid_request"),
        ("grant_type=refresh_token", "invalid_request"),
        ("grant_type=refresh_token&refresh_token=", "invalid_request"),
        ("grant_type=password&grant_type=password&username=a&password=b", "invalid_request"),
        ("grant_type=password&username=a&password=b&password=b", "invalid_request"),
        ("grant_type=password&username=%00&password=b", "invalid_request"),
        ("grant_type=password&username=a&password=b%00", "invalid_request"),
        (f"grant_type=password&username=a&password={'9' * 1025}", "invalid_request"),
        (f"grant_type=password&username=a&password={'9' * 1024}", "invalid_grant"),
        ("grant_type=password&username=%FF%FE&password=%ED%A0%80", "invalid_grant"),
        ("grant_type=refresh_token&refresh_token=garbage", "invalid_grant"),
        ("grant_type=refresh_token&refresh_token=%F0%9F%94%91", "invalid_grant"),
        (f"grant_type=refresh_token&refresh_token={'9' * 100_000}", "invalid_grant"),
        ("grant_type=client_credentials", "unsupported_grant_type"),
        ("grant_type=PASSWORD&username=a&password=b", "unsupported_grant_type"),
        (f"grant_type={'9' * 5000}", "unsupported_grant_type"),
        ("%%%&=&&==&grant_type", "invalid_request"),
        ("\x00\x01\x02", "invalid_request"),
    ],
    ids=lambda value: value[:50].encode("unicode_escape").decode(),
)
def test_a_refused_grant_says_why_in_the_words_of_oauth(client, body, error):
    """A form that is incomplete, ambiguous, hostile or of another grant gets the error RFC 6749 names for it."""
    reply = send(client, "POST", "/v2/auth/token", body, media_type=FORM)
    is_oauth_error(reply, error)
    assert "9999" not in reply.text


@pytest.mark.parametrize("media_type", [JSON, "text/plain", "multipart/form-data; boundary=x", None])
@pytest.mark.parametrize("path", ["/v2/auth/token", "/v2/auth/revoke"])
def test_only_a_form_is_read(client, path, media_type):
    """Whatever is not sent as a form is an invalid_request."""
    body = "grant_type=refresh_token&refresh_token=x&token=x"
    is_oauth_error(send(client, "POST", path, body, media_type=media_type), "invalid_request")


def test_a_form_may_say_its_charset(client, steps):
    """The media type is compared without its parameters and without regard to case."""
    body = f"grant_type=refresh_token&refresh_token={steps.tokens(steps.person().email)['refresh_token']}"
    pair(send(client, "POST", "/v2/auth/token", body, media_type="Application/X-WWW-Form-URLencoded; charset=UTF-8"))


def test_refreshing_rotates_the_refresh_token(client, steps):
    """Each exchange gives new tokens, and the next exchange takes the newest."""
    first = steps.tokens(steps.person().email)
    second = pair(refresh(client, first["refresh_token"]))
    third = pair(refresh(client, second["refresh_token"], client_id="app"))
    tokens = [token[name] for token in (first, second, third) for name in ("access_token", "refresh_token")]
    assert len(set(tokens)) == 6
    assert all(works(client, token["access_token"]) for token in (first, second, third))


@pytest.mark.parametrize("seconds", [0, 5])
def test_a_refresh_token_used_again_at_once_is_refused_only(client, steps, database, seconds):
    """A lost reply is not a theft: within ten seconds the old token is refused and its session lives on."""
    first = steps.tokens(steps.person().email)
    second = pair(refresh(client, first["refresh_token"]))
    if seconds:
        shift(database, refresh_tokens.c.used_at, -timedelta(seconds=seconds))
    is_oauth_error(refresh(client, first["refresh_token"]), "invalid_grant")
    assert works(client, second["access_token"])
    pair(refresh(client, second["refresh_token"]))


def test_a_refresh_token_used_again_later_ends_its_session_alone(client, steps, database):
    """After ten seconds reuse is a theft: the whole chain ends, another session of the same person does not."""
    ada = steps.person()
    first, other = steps.tokens(ada.email), steps.tokens(ada.email)
    second = pair(refresh(client, first["refresh_token"]))
    shift(database, refresh_tokens.c.used_at, -timedelta(seconds=11))
    is_oauth_error(refresh(client, first["refresh_token"]), "invalid_grant")
    is_oauth_error(refresh(client, second["refresh_token"]), "invalid_grant")
    assert not works(client, first["access_token"])
    assert not works(client, second["access_token"])
    assert works(client, other["access_token"])
    pair(refresh(client, other["refresh_token"]))


def test_an_expired_refresh_token_is_refused(client, steps, database):
    """A refresh token is good for a time only."""
    tokens = steps.tokens(steps.person().email)
    shift(database, refresh_tokens.c.expires_at, -timedelta(seconds=1))
    is_oauth_error(refresh(client, tokens["refresh_token"]), "invalid_grant")


def test_eight_refreshes_at_once_give_one_grant(client, steps, live_server):
    """Of eight parallel exchanges of one token exactly one succeeds, and the session lives on."""
    token = steps.tokens(steps.person().email)["refresh_token"]
    with httpx2.Client(base_url=live_server.url, timeout=30) as live:
        replies = at_once(*[lambda: refresh(live, token)] * 8)
    granted = [reply for reply in replies if reply.status_code == 200]
    assert len(granted) == 1
    for reply in replies:
        if reply is not granted[0]:
            is_oauth_error(reply, "invalid_grant")
    pair(refresh(client, pair(granted[0])["refresh_token"]))


def test_tokens_are_not_interchangeable(client, steps):
    """A refresh token opens nothing, and an access token cannot be refreshed."""
    tokens = steps.tokens(steps.person().email)
    assert not works(client, tokens["refresh_token"])
    is_oauth_error(refresh(client, tokens["access_token"]), "invalid_grant")
    assert works(client, tokens["access_token"])


def test_an_altered_access_token_is_refused(client, steps):
    """One changed character in any part of the token makes it worthless, also without its signature."""
    token = steps.tokens(steps.person().email)["access_token"]
    for at in (5, len(token) // 2, len(token) - 10):
        assert not works(client, token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :])
    assert not works(client, token.rpartition(".")[0] + ".")


@pytest.mark.parametrize("path", ["/v2/posts", "/v2/posts/1", "/v2/posts?published=true"])
def test_a_bad_token_is_refused_where_none_is_needed(client, steps, path):
    """Credentials that are there but no good are 401, also where anybody may read."""
    steps.post(steps.person())
    is_ok(client.get(path))
    for value in ("Bearer x.y.z", "Bearer", "Basic YTpi", "", "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0."):
        is_problem(client.get(path, headers={"Authorization": value}), "unauthenticated")


def test_the_scheme_is_read_in_any_case_and_the_query_is_not(client, steps):
    """`bearer` is Bearer; a token in the address is no token."""
    token = steps.tokens(steps.person().email)["access_token"]
    is_ok(client.get("/v2/users/me", headers={"Authorization": f"bearer {token}"}))
    is_problem(client.get("/v2/users/me", params={"access_token": token}), "unauthenticated")


@pytest.mark.parametrize("hint", [{}, {"token_type_hint": "access_token"}, {"token_type_hint": "unheard-of"}])
@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_revoking_either_token_ends_the_session(client, steps, kind, hint):
    """Revoking a token, of whatever kind and with whatever hint, ends both of its session and no other's."""
    ada = steps.person()
    tokens, other = steps.tokens(ada.email), steps.tokens(ada.email)
    for _ in range(2):
        reply = revoke(client, tokens[kind], **hint)
        assert (reply.status_code, reply.content) == (200, b"")
    assert not works(client, tokens["access_token"])
    is_oauth_error(refresh(client, tokens["refresh_token"]), "invalid_grant")
    assert works(client, other["access_token"])
    pair(refresh(client, other["refresh_token"]))


def test_revoking_a_used_refresh_token_ends_the_session(client, steps):
    """A refresh token that was exchanged still names its session when it is revoked."""
    first = steps.tokens(steps.person().email)
    second = pair(refresh(client, first["refresh_token"]))
    assert revoke(client, first["refresh_token"]).status_code == 200
    assert not works(client, second["access_token"])


@pytest.mark.parametrize("token", ["unknown", "a.b.c", "é🔑", "x" * 5000], ids=["word", "dots", "unicode", "long"])
def test_revoking_an_unknown_token_is_no_error(client, token):
    """RFC 7009 has 200 for a token that is not good any more, or never was."""
    assert revoke(client, token).status_code == 200


@pytest.mark.parametrize("body", ["", "token=", "token_type_hint=access_token", "token=a&token=b", "token=%00"])
def test_revoking_wants_one_token(client, body):
    """Without exactly one token there is nothing to revoke."""
    is_oauth_error(send(client, "POST", "/v2/auth/revoke", body, media_type=FORM), "invalid_request")


def test_refreshing_beside_revoking_is_refused_at_worst(live_server):
    """Sessions that are ended while they are refreshed make nobody wait in a circle."""
    with httpx2.Client(base_url=live_server.url) as client:
        email = f"{uuid.uuid4().hex}@example.com"
        is_ok(client.post("/v2/users", json={"email": email, "password": PASSWORD}), 201)
        for _ in range(15):
            token = pair(grant(client, grant_type="password", username=email, password=PASSWORD))["refresh_token"]
            jobs = [lambda: refresh(client, token)] * 2 + [lambda: revoke(client, token)]  # noqa: B023 - run at once
            replies = at_once(*jobs)
            assert {reply.status_code for reply in replies[:2]} <= {200, 400}
            assert replies[2].status_code == 200


def test_a_password_change_ends_the_callers_own_older_tokens(client, steps):
    """Every other token ends: also the refresh token, and an earlier access token, of the session that asked."""
    ada = steps.person()
    first = steps.tokens(ada.email)
    second = pair(refresh(client, first["refresh_token"]))
    bearer = {"Authorization": f"Bearer {second['access_token']}"}
    body = {"current_password": PASSWORD, "new_password": "battery staple"}
    assert client.put("/v2/users/me/password", json=body, headers=bearer).status_code == 204
    assert client.get("/v2/users/me", headers=bearer).status_code == 200
    older = {"Authorization": f"Bearer {first['access_token']}"}
    is_problem(client.get("/v2/users/me", headers=older), "unauthenticated")
    is_oauth_error(refresh(client, second["refresh_token"]), "invalid_grant")


@pytest.mark.parametrize("stagger", [0.6, 1.0, 1.4])
def test_a_login_beside_a_password_change_never_outlives_it(database_url, tmp_path, stagger):
    """However the two overlap, a token bought with the old password is dead once the new one is in force."""
    with LiveServer(database_url, tmp_path, BCRYPT_ROUNDS="10") as server, httpx2.Client(base_url=server.url) as client:
        email = f"{uuid.uuid4().hex}@example.com"
        is_ok(client.post("/v2/users", json={"email": email, "password": PASSWORD}), 201)
        form = {"grant_type": "password", "username": email, "password": PASSWORD}
        begun = time.perf_counter()
        own = pair(grant(client, **form))["access_token"]
        one_hash = time.perf_counter() - begun

        def change():
            body = {"current_password": PASSWORD, "new_password": "battery staple"}
            return client.put("/v2/users/me/password", json=body, headers={"Authorization": f"Bearer {own}"})

        def log_in():
            time.sleep(one_hash * stagger)
            return grant(client, **form)

        changed, login = at_once(change, log_in)
        assert changed.status_code == 204
        if login.status_code == 200:
            bearer = {"Authorization": f"Bearer {login.json()['access_token']}"}
            is_problem(client.get("/v2/users/me", headers=bearer), "unauthenticated")
        else:
            is_oauth_error(login, "invalid_grant")
