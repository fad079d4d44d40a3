"""Version 2: signing up, reading people, one's own account, leaving."""

import httpx2
import pytest

from tests.steps import at_once
from tests.v2.helpers import (
    ACCOUNT,
    BODY,
    JSON,
    MERGE_PATCH,
    NO_TOKEN,
    NO_VOTES,
    NOBODY,
    PASSWORD,
    USER,
    get_post,
    ids,
    is_moment,
    is_oauth_error,
    is_ok,
    is_problem,
    listing,
    send,
)

SIGN_UP = {"email": "ada@example.com", "password": PASSWORD}


def sign_up(client, **fields):
    return client.post("/v2/users", json={**SIGN_UP, **fields})


def me(client, person):
    return is_ok(client.get("/v2/users/me", headers=person.headers))


def password_grant(client, person, password=PASSWORD):
    form = {"grant_type": "password", "username": person.email, "password": password}
    return client.post("/v2/auth/token", data=form)


def test_sign_up_gives_the_account_and_its_location(client):
    """Signing up answers 201 with every member of the account and the path it is read at."""
    reply = sign_up(client, display_name="Ada Lovelace")
    account = is_ok(reply, 201)
    assert set(account) == ACCOUNT
    assert (account["email"], account["display_name"], account["bio"]) == ("ada@example.com", "Ada Lovelace", None)
    assert is_moment(account["created_at"]) == is_moment(account["updated_at"])
    assert reply.headers["location"] == f"/v2/users/{account['id']}"
    assert is_ok(client.get(reply.headers["location"]))["id"] == account["id"]


@pytest.mark.parametrize("fields", [{}, {"display_name": None}], ids=["absent", "null"])
def test_display_name_defaults_to_the_id(client, fields):
    """Whoever chose no name is called user-<id>."""
    account = is_ok(sign_up(client, **fields), 201)
    assert account["display_name"] == f"user-{account['id']}"


@pytest.mark.parametrize("length", [8, 1024])
def test_passwords_at_the_bounds_log_in_and_count_to_the_last_character(client, steps, length):
    """A password of 8 or 1,024 characters, of any script, works whole: another last character is wrong."""
    email, password = "ada@example.com", "é🔑" * (length // 2)
    is_ok(sign_up(client, password=password), 201)
    assert steps.log_in(email, password)
    form = {"grant_type": "password", "username": email, "password": f"{password[:-1]}x"}
    is_oauth_error(client.post("/v2/auth/token", data=form), "invalid_grant")


@pytest.mark.parametrize(
    ("fields", "pointer", "code"),
    [
        ({"password": "1234567"}, "#/password", "string_too_short"),
        ({"password": "p" * 1025}, "#/password", "string_too_long"),
        ({"password": 12345678}, "#/password", "string_type"),
        ({"password": None}, "#/password", "string_type"),
        ({"email": ""}, "#/email", "string_pattern_mismatch"),
        ({"email": "plain"}, "#/email", "string_pattern_mismatch"),
        ({"email": "a@localhost"}, "#/email", "string_pattern_mismatch"),
        ({"email": "a b@example.com"}, "#/email", "string_pattern_mismatch"),
        ({"email": "a@example.com\r\nX-Evil: 1"}, "#/email", "string_pattern_mismatch"),
        ({"email": f"{'a' * 243}@example.com"}, "#/email", "string_too_long"),
        ({"email": ["a@example.com"]}, "#/email", "string_type"),
        ({"display_name": ""}, "#/display_name", "string_too_short"),
        ({"display_name": "n" * 101}, "#/display_name", "string_too_long"),
        ({"display_name": 5}, "#/display_name", "string_type"),
        ({"is_admin": True}, "#/is_admin", "extra_forbidden"),
        ({"id": 1}, "#/id", "extra_forbidden"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_sign_up_is_strict(client, fields, pointer, code):
    """A field that is wrong or unknown is refused, pointed at, and no account is made."""
    is_problem(sign_up(client, **fields), "invalid-request", (pointer, code))
    is_problem(client.get("/v2/users/1"), "user-not-found")


def test_sign_up_takes_an_address_of_254_characters(client):
    """The longest e-mail address that RFC 5321 allows is accepted and comes back as typed."""
    email = f"{'a' * 242}@Example.com"
    assert is_ok(sign_up(client, email=email), 201)["email"] == email


@pytest.mark.parametrize("missing", ["email", "password"])
def test_sign_up_names_what_is_missing(client, missing):
    """A required field that is absent is named by its pointer."""
    body = {name: value for name, value in SIGN_UP.items() if name != missing}
    is_problem(client.post("/v2/users", json=body), "invalid-request", (f"#/{missing}", "missing"))


def test_an_email_is_taken_in_any_case(client, steps):
    """A second sign-up with the same e-mail is a conflict, however it is spelled."""
    steps.person("ada@example.com")
    for spelling in ("ada@example.com", "ADA@EXAMPLE.COM", "Ada@Example.Com"):
        is_problem(sign_up(client, email=spelling), "email-taken")


def test_one_of_many_sign_ups_at_once_wins(client, live_server):
    """Of parallel sign-ups with one e-mail in several spellings exactly one succeeds; the rest are conflicts."""
    spellings = ["ada@example.com", "ADA@example.com", "Ada@Example.com"] * 3
    with httpx2.Client(base_url=live_server.url, timeout=30) as live:
        replies = at_once(*[lambda e=email: sign_up(live, email=e) for email in spellings])
    winners = [reply for reply in replies if reply.status_code == 201]
    assert len(winners) == 1
    for reply in replies:
        if reply is not winners[0]:
            is_problem(reply, "email-taken")
    assert is_ok(client.get(winners[0].headers["location"]))["id"] == winners[0].json()["id"]


def test_a_user_is_public_but_their_email_is_not(client, steps):
    """Anybody may look a user up, and sees four members, none of them the e-mail."""
    ada, other = steps.person("ada@example.com", display_name="Ada"), steps.person()
    for headers in (NO_TOKEN, ada.headers, other.headers):
        user = is_ok(client.get(f"/v2/users/{ada.id}", headers=headers))
        assert set(user) == USER
        assert (user["id"], user["display_name"], user["bio"]) == (ada.id, "Ada", None)
    is_problem(client.get(f"/v2/users/{NOBODY}"), "user-not-found")


def test_me_is_the_account_of_the_caller(client, steps):
    """The account under /users/me is the one that signing up answered with."""
    account = is_ok(sign_up(client), 201)
    headers = steps.log_in("ada@example.com")
    steps.person()
    assert is_ok(client.get("/v2/users/me", headers=headers)) == account


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v2/users/me", None),
        ("PATCH", "/v2/users/me", {"bio": "x"}),
        ("DELETE", "/v2/users/me", None),
        ("PUT", "/v2/users/me/password", {"current_password": PASSWORD, "new_password": PASSWORD}),
        ("POST", "/v2/posts", BODY),
        ("PUT", "/v2/posts/1", BODY),
        ("PATCH", "/v2/posts/1", {"title": "x"}),
        ("DELETE", "/v2/posts/1", None),
        ("PUT", "/v2/posts/1/vote", {"value": 1}),
        ("DELETE", "/v2/posts/1/vote", None),
        ("GET", "/v2/posts?published=false", None),
    ],
)
def test_what_is_personal_needs_a_token(client, steps, method, path, body):
    """Every operation of somebody's own is 401 without a token, with a broken one, and with another scheme."""
    post = steps.post(steps.person())
    for value in (None, "Bearer", "Bearer x.y.z", "Basic YTpi", "Bearer " + "A" * 5000):
        headers = {"Authorization": value} if value else {}
        is_problem(client.request(method, path, json=body, headers=headers), "unauthenticated")
    assert get_post(client, post["id"]) == {**post, "my_vote": None}


@pytest.mark.parametrize("media_type", [MERGE_PATCH, JSON, "Application/Merge-Patch+JSON; charset=utf-8"])
def test_a_profile_is_changed_by_merge_patch(client, steps, media_type):
    """A member that is given changes, one that is absent stays, and null takes back what was chosen."""
    ada = steps.person(display_name="Ada")
    before = me(client, ada)
    expected = dict(before)
    for patch, change in (
        ('{"bio": "I write notes."}', {"bio": "I write notes."}),
        ('{"display_name": "Ж"}', {"display_name": "Ж"}),
        ('{"display_name": null}', {"display_name": f"user-{ada.id}"}),
        ('{"bio": null}', {"bio": None}),
    ):
        account = is_ok(send(client, "PATCH", "/v2/users/me", patch, ada.headers, media_type))
        assert is_moment(account["updated_at"]) > is_moment(expected["updated_at"])
        expected = {**expected, **change, "updated_at": account["updated_at"]}
        assert account == expected == me(client, ada)
        assert is_ok(client.get(f"/v2/users/{ada.id}")) == {name: expected[name] for name in USER}


@pytest.mark.parametrize("patch", [{}, {"bio": None}], ids=["empty", "same"])
def test_a_patch_that_changes_nothing_leaves_updated_at(client, steps, patch):
    """A patch without a difference answers with the account as it was."""
    ada = steps.person()
    assert is_ok(client.patch("/v2/users/me", json=patch, headers=ada.headers)) == me(client, ada)
    assert me(client, ada)["updated_at"] == me(client, ada)["created_at"]


@pytest.mark.parametrize(
    ("patch", "pointer", "code"),
    [
        ('{"bio": 5}', "#/bio", "string_type"),
        ('{"display_name": true}', "#/display_name", "string_type"),
        ('{"display_name": ""}', "#/display_name", "string_too_short"),
        (f'{{"display_name": "{"n" * 101}"}}', "#/display_name", "string_too_long"),
        (f'{{"bio": "{"b" * 2001}"}}', "#/bio", "string_too_long"),
        ('{"email": "new@example.com"}', "#/email", "extra_forbidden"),
        ('{"is_admin": true}', "#/is_admin", "extra_forbidden"),
        ("[]", "#", "model_attributes_type"),
        ("null", "#", "model_attributes_type"),
    ],
    ids=lambda value: value[:20],
)
def test_a_profile_patch_is_strict(client, steps, patch, pointer, code):
    """A profile takes its two members within their limits, and an object only."""
    ada = steps.person()
    before = me(client, ada)
    reply = send(client, "PATCH", "/v2/users/me", patch, ada.headers, MERGE_PATCH)
    is_problem(reply, "invalid-request", (pointer, code))
    assert me(client, ada) == before


def test_a_profile_takes_text_at_its_limits(client, steps):
    """100 characters of name and 2,000 of bio are accepted and come back unchanged."""
    profile = {"display_name": "🎈" * 100, "bio": " <b>\r\n\u202e" + "é" * 1992}
    account = is_ok(client.patch("/v2/users/me", json=profile, headers=steps.person().headers))
    assert {name: account[name] for name in profile} == profile


def test_a_new_name_shows_on_old_posts(client, steps):
    """A post shows its author's present name."""
    ada = steps.person()
    post = steps.post(ada)
    is_ok(client.patch("/v2/users/me", json={"display_name": "Renamed"}, headers=ada.headers))
    assert get_post(client, post["id"])["author"] == {"id": ada.id, "display_name": "Renamed"}


def test_a_new_password_ends_every_token_but_the_callers(client, steps):
    """After a password change the caller's token works; other sessions, their refresh and the old password do not."""
    ada, bystander = steps.person(), steps.person()
    elsewhere = steps.tokens(ada.email)
    body = {"current_password": PASSWORD, "new_password": "battery staple"}
    assert is_ok(client.put("/v2/users/me/password", json=body, headers=ada.headers), 204) is None
    assert me(client, ada)["id"] == ada.id
    assert me(client, bystander)["id"] == bystander.id
    headers = {"Authorization": f"Bearer {elsewhere['access_token']}"}
    is_problem(client.get("/v2/users/me", headers=headers), "unauthenticated")
    form = {"grant_type": "refresh_token", "refresh_token": elsewhere["refresh_token"]}
    is_oauth_error(client.post("/v2/auth/token", data=form), "invalid_grant")
    is_oauth_error(password_grant(client, ada), "invalid_grant")
    is_ok(password_grant(client, ada, "battery staple"))
    assert me(client, ada)["id"] == ada.id


def test_a_wrong_current_password_changes_nothing(client, steps):
    """Without the current password the new one is refused with 403, and every token goes on working."""
    ada = steps.person()
    elsewhere = steps.log_in(ada.email)
    for wrong in ("not it at all", ""):
        body = {"current_password": wrong, "new_password": "battery staple"}
        is_problem(client.put("/v2/users/me/password", json=body, headers=ada.headers), "invalid-credentials")
    is_ok(client.get("/v2/users/me", headers=elsewhere))
    is_ok(password_grant(client, ada))


@pytest.mark.parametrize(
    ("fields", "pointer", "code"),
    [
        ({"new_password": "1234567"}, "#/new_password", "string_too_short"),
        ({"new_password": "n" * 1025}, "#/new_password", "string_too_long"),
        ({"new_password": None}, "#/new_password", "string_type"),
        ({"current_password": 5}, "#/current_password", "string_type"),
        ({"current_password": "c" * 1025}, "#/current_password", "string_too_long"),
        ({"extra": 1}, "#/extra", "extra_forbidden"),
    ],
    ids=["short", "long", "null", "number", "long-current", "unknown"],
)
def test_a_password_change_is_strict(client, steps, fields, pointer, code):
    """A password change takes its two members within their limits and nothing else."""
    ada = steps.person()
    body = {"current_password": PASSWORD, "new_password": "battery staple", **fields}
    reply = client.put("/v2/users/me/password", json=body, headers=ada.headers)
    is_problem(reply, "invalid-request", (pointer, code))
    is_ok(password_grant(client, ada))


def test_leaving_ends_tokens_and_frees_the_email_but_not_the_id(client, steps):
    """A deleted account is gone for its tokens, its login and its readers; the next of that e-mail has a new id."""
    ada = steps.person()
    tokens = steps.tokens(ada.email)
    assert is_ok(client.delete("/v2/users/me", headers=ada.headers), 204) is None
    for headers in (ada.headers, {"Authorization": f"Bearer {tokens['access_token']}"}):
        is_problem(client.get("/v2/users/me", headers=headers), "unauthenticated")
        is_problem(client.get("/v2/posts", headers=headers), "unauthenticated")
        is_problem(client.delete("/v2/users/me", headers=headers), "unauthenticated")
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    is_oauth_error(client.post("/v2/auth/token", data=form), "invalid_grant")
    is_oauth_error(password_grant(client, ada), "invalid_grant")
    is_problem(client.get(f"/v2/users/{ada.id}"), "user-not-found")
    assert steps.person(ada.email).id > ada.id
    is_problem(client.get("/v2/users/me", headers=ada.headers), "unauthenticated")


def test_leaving_takes_posts_and_votes_along_and_mends_the_counters(client, steps):
    """With an account go its posts, drafts and votes, and the counters of what it voted on follow."""
    ada, bob, eve = steps.person(), steps.person(), steps.person()
    own = [steps.post(ada, tags=["gone"]), steps.post(ada, published=False)]
    liked, hated, alone = (steps.post(bob, tags=["kept"]) for _ in range(3))
    for voter, post, value in (
        *((bob, own[0], 1), (eve, own[0], -1)),
        *((ada, liked, 1), (eve, liked, 1), (ada, hated, -1), (eve, hated, -1), (ada, alone, 1)),
    ):
        steps.vote(voter, post["id"], value)
    is_ok(client.delete("/v2/users/me", headers=ada.headers), 204)
    for post in own:
        is_problem(client.get(f"/v2/posts/{post['id']}", headers=bob.headers), "post-not-found")
    assert get_post(client, liked["id"])["votes"] == {"up": 1, "down": 0, "score": 1}
    assert get_post(client, hated["id"])["votes"] == {"up": 0, "down": 1, "score": -1}
    assert get_post(client, alone["id"])["votes"] == NO_VOTES
    assert listing(client, path="/v2/tags")["data"] == [{"name": "kept", "posts": 3}]
    assert ids(listing(client, sort="score")) == [hated["id"], alone["id"], liked["id"]]
