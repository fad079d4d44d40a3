"""Version 2 beside version 1: one core, so that ids, tokens and facts are the same in both."""

import pytest

from tests.v2.helpers import (
    ACCOUNT,
    BODY,
    NO_VOTES,
    PASSWORD,
    get_post,
    ids,
    is_oauth_error,
    is_ok,
    is_problem,
    listing,
    rows,
    walk,
)


def v1_person(client, email="old@example.com", password=PASSWORD):
    """An account and its headers, as a client of version 1 makes them."""
    account = is_ok(client.post("/v1/users", json={"email": email, "password": password}), 201)
    return account, v1_log_in(client, email, password)


def v1_log_in(client, email, password=PASSWORD):
    token = is_ok(client.post("/v1/login", data={"username": email, "password": password}))["access_token"]
    return {"Authorization": f"Bearer {token}"}


def v1_post(client, headers, **fields):
    return is_ok(client.post("/v1/posts", json={"title": "t", "content": "c", **fields}, headers=headers), 201)


def v1_vote(client, person, post, direction):
    body = {"post_id": post["id"], "dir": direction}
    return client.post("/v1/vote", json=body, headers=person.headers)


def v1_votes(client, person, post):
    return is_ok(client.get(f"/v1/posts/{post['id']}", headers=person.headers))["votes"]


def test_people_are_the_same_in_both(client, steps):
    """An account of either version is read in the other with the same id, e-mail and time."""
    old, headers = v1_person(client)
    account = is_ok(client.get("/v2/users/me", headers=headers))
    assert set(account) == ACCOUNT
    assert {name: account[name] for name in old} == old
    assert account["display_name"] == f"user-{old['id']}"
    new = steps.person("new@example.com")
    seen = is_ok(client.get(f"/v1/users/{new.id}"))
    assert (seen["id"], seen["email"]) == (new.id, "new@example.com")
    assert seen["created_at"] == is_ok(client.get(f"/v2/users/{new.id}"))["created_at"]


def test_an_email_is_taken_in_both(client, steps):
    """An e-mail taken in one version is a conflict in the other, in any case."""
    v1_person(client, "old@example.com")
    body = {"email": "OLD@example.com", "password": PASSWORD}
    is_problem(client.post("/v2/users", json=body), "email-taken")
    steps.person("new@example.com")
    assert client.post("/v1/users", json={**body, "email": "NEW@example.com"}).status_code == 409


def test_tokens_are_good_in_both_and_end_in_both(client, steps):
    """A token of either version opens the other, and revoking it in version 2 ends it in version 1."""
    _, headers = v1_person(client)
    is_ok(client.get("/v2/users/me", headers=headers))
    tokens = steps.tokens("old@example.com")
    from_v2 = {"Authorization": f"Bearer {tokens['access_token']}"}
    is_ok(client.get("/v1/posts", headers=from_v2))
    for ending in (headers, from_v2):
        token = ending["Authorization"].removeprefix("Bearer ")
        assert client.post("/v2/auth/revoke", data={"token": token}).status_code == 200
        assert client.get("/v1/posts", headers=ending).status_code == 401
        is_problem(client.get("/v2/users/me", headers=ending), "unauthenticated")
    refresh = {"Authorization": f"Bearer {steps.tokens('old@example.com')['refresh_token']}"}
    assert client.get("/v1/posts", headers=refresh).status_code == 401


def test_a_short_password_of_v1_works_in_v2_and_ends_everywhere(client, steps):
    """A password shorter than version 2 lets in logs in there, and its change ends version 1's other tokens."""
    _, elsewhere = v1_person(client, password="x")
    headers = steps.log_in("old@example.com", "x")
    body = {"current_password": "x", "new_password": "battery staple"}
    is_ok(client.put("/v2/users/me/password", json=body, headers=headers), 204)
    is_ok(client.get("/v1/posts", headers=headers))
    assert client.get("/v1/posts", headers=elsewhere).status_code == 401
    assert client.post("/v1/login", data={"username": "old@example.com", "password": "x"}).status_code == 403
    form = {"grant_type": "password", "username": "old@example.com", "password": "x"}
    is_oauth_error(client.post("/v2/auth/token", data=form), "invalid_grant")
    is_ok(client.get("/v2/users/me", headers=v1_log_in(client, "old@example.com", "battery staple")))


def test_posts_are_the_same_in_both(client, steps):
    """A post of either version is read in the other with the same id, text, author and time."""
    account, headers = v1_person(client)
    old = v1_post(client, headers)
    seen = get_post(client, old["id"])
    assert {name: seen[name] for name in ("id", "title", "content", "published", "created_at")} == {
        name: old[name] for name in ("id", "title", "content", "published", "created_at")
    }
    assert (seen["author"]["id"], seen["tags"], seen["votes"]) == (account["id"], [], NO_VOTES)
    ada = steps.person()
    new = steps.post(ada, tags=["a"])
    shown = is_ok(client.get(f"/v1/posts/{new['id']}", headers=headers))
    assert (shown["Post"]["id"], shown["Post"]["owner_id"], shown["votes"]) == (new["id"], ada.id, 0)
    assert shown["Post"]["created_at"] == new["created_at"]
    assert "tags" not in shown["Post"]
    assert ids(listing(client)) == [new["id"], old["id"]]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_v1_write_keeps_what_only_v2_knows(client, steps, method):
    """Changing a post through version 1 keeps its tags, their order, its down-votes and the author's profile."""
    ada, bob = steps.person(display_name="Kept"), steps.person()
    is_ok(client.patch("/v2/users/me", json={"bio": "kept"}, headers=ada.headers))
    post = steps.post(ada, tags=["b", "a"])
    steps.vote(bob, post["id"], -1)
    body = {"title": "new", "content": "new", "published": True}
    is_ok(client.request(method, f"/v1/posts/{post['id']}", json=body, headers=ada.headers))
    seen = get_post(client, post["id"], bob)
    votes = {"up": 0, "down": 1, "score": -1}
    assert seen == {**post, **body, "votes": votes, "my_vote": -1, "updated_at": seen["updated_at"]}
    assert is_ok(client.get(f"/v2/users/{ada.id}"))["bio"] == "kept"
    assert ids(listing(client, q="NEW", tag=["a", "b"])) == [post["id"]]


def test_v1_votes_up_over_a_down_vote(client, steps):
    """Version 1 does not see a down-vote, cannot take it back, and turns it into an up-vote."""
    bob, post = steps.person(), steps.post(steps.person())
    steps.vote(bob, post["id"], -1)
    assert v1_votes(client, bob, post) == 0
    assert v1_vote(client, bob, post, 0).status_code == 404
    assert get_post(client, post["id"], bob)["my_vote"] == -1
    assert is_ok(v1_vote(client, bob, post, 1), 201) == {"message": "successfully added vote"}
    seen = get_post(client, post["id"], bob)
    assert (seen["votes"], seen["my_vote"]) == ({"up": 1, "down": 0, "score": 1}, 1)
    assert v1_vote(client, bob, post, 1).status_code == 409
    assert v1_votes(client, bob, post) == 1


def test_votes_of_both_are_one(client, steps):
    """An up-vote of version 2 is taken back through version 1, and the other way round."""
    bob, post = steps.person(), steps.post(steps.person())
    steps.vote(bob, post["id"], 1)
    assert is_ok(v1_vote(client, bob, post, 0), 201) == {"message": "successfully deleted vote"}
    assert get_post(client, post["id"], bob) == post
    is_ok(v1_vote(client, bob, post, 1), 201)
    is_ok(client.delete(f"/v2/posts/{post['id']}/vote", headers=bob.headers), 204)
    assert v1_vote(client, bob, post, 0).status_code == 404
    assert v1_votes(client, bob, post) == 0


def test_a_draft_of_either_is_hidden_in_both(client, steps):
    """Another's draft is 404 in both versions, wherever it was written."""
    ada, bob = steps.person(), steps.person()
    made = [v1_post(client, ada.headers, published=False), steps.post(ada, published=False)]
    assert ids(listing(client, ada, published="false", sort="created_at")) == [draft["id"] for draft in made]
    for draft in made:
        is_problem(client.get(f"/v2/posts/{draft['id']}", headers=bob.headers), "post-not-found")
        assert client.get(f"/v1/posts/{draft['id']}", headers=bob.headers).status_code == 404
        assert v1_vote(client, bob, draft, 1).status_code == 404
    assert is_ok(client.get("/v1/posts", headers=bob.headers)) == listing(client, bob)["data"] == []


@pytest.mark.parametrize(
    "text", [("", ""), ("T" * 5000, "c" * 200_000), ("🎈" * 301, "c" * 50_001)], ids=["empty", "huge", "just-over"]
)
def test_v2_shows_what_v1_let_in(client, steps, text):
    """A post beyond version 2's limits is read, listed, voted on and retagged there, unchanged."""
    title, content = text
    ada = steps.person()
    post = v1_post(client, ada.headers, title=title, content=content)
    steps.vote(ada, post["id"], 1)
    reply = client.patch(f"/v2/posts/{post['id']}", json={"tags": ["a"]}, headers=ada.headers)
    assert is_ok(reply)["tags"] == ["a"]
    seen = get_post(client, post["id"])
    assert (seen["title"], seen["content"]) == (title, content)
    assert listing(client, sort="title", tag="a")["data"] == [seen]


@pytest.mark.parametrize("sort", ["title", "-title"])
def test_titles_of_any_length_are_paged(client, steps, sort):
    """Posts that differ only far behind the limits of a title are still walked once each, both ways."""
    ada = steps.person()
    made = [v1_post(client, ada.headers, title="🎈" * 299 + "Ж" + tail)["id"] for tail in "bacab"]
    made.append(v1_post(client, ada.headers, title="")["id"])
    pages = walk(client, sort=sort, limit=2)
    met = [row["id"] for row in rows(pages)]
    assert sorted(met) == made
    assert met == ids(listing(client, sort=sort))
    back = walk(client, backward_from=pages[-1]["page"]["prev_cursor"], sort=sort, limit=2)
    assert rows(back[::-1]) == rows(pages[:-1])


def test_deleting_counts_in_both(client, steps):
    """What is deleted in one version is gone in the other, with its tags and counters."""
    ada, bob = steps.person(), steps.person()
    post, other = steps.post(ada, tags=["gone"]), steps.post(ada)
    is_ok(v1_vote(client, bob, other, 1), 201)
    assert client.delete(f"/v1/posts/{post['id']}", headers=ada.headers).status_code == 204
    is_problem(client.get(f"/v2/posts/{post['id']}"), "post-not-found")
    assert listing(client, path="/v2/tags")["data"] == []
    is_ok(client.delete("/v2/users/me", headers=bob.headers), 204)
    assert client.get("/v1/posts", headers=bob.headers).status_code == 401
    assert client.get(f"/v1/users/{bob.id}").status_code == 404
    assert v1_votes(client, ada, other) == 0


def test_each_version_refuses_in_its_own_form(client, steps):
    """One refusal of the core is written by each version as its contract has it."""
    headers, body = steps.person().headers, {**BODY, "title": "\x00"}
    old = client.post("/v1/posts", json=body, headers=headers)
    assert (old.status_code, [set(error) for error in old.json()["detail"]]) == (422, [{"loc", "msg", "type"}])
    new = client.post("/v2/posts", json=body, headers=headers)
    is_problem(new, "invalid-request", ("#/title", "string_pattern_mismatch"))
    assert client.get("/v1/users/999").json() == {"detail": "No such user"}
    is_problem(client.get("/v2/users/999"), "user-not-found")
    assert client.get("/v1/nope").json() == {"detail": "Not Found"}
    is_problem(client.get("/v2/nope"), "not-found")
