"""Version 2: votes: one a person and post, and counters that equal them, also under races."""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx2
import pytest

from app.domain import posts
from tests.steps import at_once
from tests.v2.helpers import BODY, NO_VOTES, NOBODY, get_post, is_ok, is_problem, listing, send


def put(client, person, post, value):
    return client.put(f"/v2/posts/{post['id']}/vote", json={"value": value}, headers=person.headers)


def take_back(client, person, post):
    return client.delete(f"/v2/posts/{post['id']}/vote", headers=person.headers)


def tally(up=0, down=0):
    return {"up": up, "down": down, "score": up - down}


def votes_of(client, post, people):
    """The counters as the people's own votes add up."""
    values = [get_post(client, post["id"], person)["my_vote"] for person in people]
    return tally(values.count(1), values.count(-1))


@pytest.fixture
def live(live_server):
    with httpx2.Client(base_url=live_server.url, timeout=30) as client:
        yield client


def test_a_vote_sent_again_changes_nothing(client, steps):
    """A vote may be given, turned and taken back, each as often as one likes, with the same reply every time."""
    ada, bob, eve = steps.person(), steps.person(), steps.person()
    post = steps.post(ada)
    steps.vote(eve, post["id"], -1)
    for value, votes in ((1, tally(1, 1)), (-1, tally(0, 2)), (1, tally(1, 1))):
        for _ in range(2):
            assert is_ok(put(client, bob, post, value)) == {"value": value, "votes": votes}
            assert get_post(client, post["id"], bob) == {**post, "votes": votes, "my_vote": value}
    for _ in range(2):
        assert is_ok(take_back(client, bob, post), 204) is None
        assert get_post(client, post["id"], bob) == {**post, "votes": tally(0, 1), "my_vote": 0}
    assert get_post(client, post["id"], eve)["my_vote"] == -1


def test_ones_own_draft_may_be_voted_on(client, steps):
    """The owner of a draft votes on it as on any post."""
    ada = steps.person()
    draft = steps.post(ada, published=False)
    assert is_ok(put(client, ada, draft, 1))["votes"] == tally(1)
    is_ok(take_back(client, ada, draft), 204)
    assert get_post(client, draft["id"], ada)["votes"] == NO_VOTES


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        *((f'{{"value": {value}}}', "#/value", "literal_error") for value in ("0", "2", "-2")),
        *((f'{{"value": {value}}}', "#/value", "int_type") for value in ('"1"', "true", "null", "1.0", "1.5", "[1]")),
        ("{}", "#/value", "missing"),
        ('{"value": 1, "dir": 1}', "#/dir", "extra_forbidden"),
        ("[]", "#", "model_attributes_type"),
        ("1", "#", "model_attributes_type"),
    ],
)
def test_a_vote_is_strict(client, steps, body, pointer, code):
    """A vote is an object with the integer 1 or -1 and nothing else."""
    bob, post = steps.person(), steps.post(steps.person())
    reply = send(client, "PUT", f"/v2/posts/{post['id']}/vote", body, bob.headers)
    is_problem(reply, "invalid-request", (pointer, code))
    assert get_post(client, post["id"], bob) == post


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_there_is_no_voting_on_nothing(client, steps, method):
    """A vote on a post that does not exist is 404."""
    body = {"value": 1} if method == "PUT" else None
    reply = client.request(method, f"/v2/posts/{NOBODY}/vote", json=body, headers=steps.person().headers)
    is_problem(reply, "post-not-found")


def test_many_voters_at_once_are_all_counted(client, steps, live):
    """Nine people who vote at the same moment make nine votes."""
    post, people = steps.post(steps.person()), [steps.person() for _ in range(9)]
    jobs = [
        lambda p=person, v=value: put(live, p, post, v) for person, value in zip(people, [1, 1, -1] * 3, strict=True)
    ]
    assert [reply.status_code for reply in at_once(*jobs)] == [200] * 9
    assert get_post(client, post["id"])["votes"] == votes_of(client, post, people) == tally(6, 3)


def test_one_vote_sent_many_times_at_once_counts_once(client, steps, live):
    """Twelve parallel requests of one person's first vote make one vote, and all succeed."""
    post, bob = steps.post(steps.person()), steps.person()
    replies = at_once(*[lambda: put(live, bob, post, 1)] * 12)
    assert [is_ok(reply) for reply in replies] == [{"value": 1, "votes": tally(1)}] * 12
    assert get_post(client, post["id"], bob)["votes"] == tally(1)


def test_counters_equal_votes_after_a_storm(client, steps, live):
    """However several people vote, turn and take back through both versions at once, counters equal votes."""
    post, people = steps.post(steps.person()), [steps.person() for _ in range(4)]
    jobs = []
    for person in people:
        jobs += [partial(put, live, person, post, value) for value in (1, -1, 1, -1)]
        jobs += [partial(take_back, live, person, post)] * 2
        for direction in (1, 0):
            body = {"post_id": post["id"], "dir": direction}
            jobs += [partial(live.post, "/v1/vote", json=body, headers=person.headers)]
    random.Random(7).shuffle(jobs)
    assert {reply.status_code for reply in at_once(*jobs)} <= {200, 201, 204, 404, 409}
    seen = get_post(client, post["id"])["votes"]
    assert seen == votes_of(client, post, people)
    assert seen == listing(client, sort="score")["data"][0]["votes"]


def test_a_post_deleted_while_others_vote_is_gone(client, steps, live):
    """Votes that race with the deletion of their post are counted or 404, and nothing breaks."""
    ada, people = steps.person(), [steps.person() for _ in range(6)]
    post = steps.post(ada)
    jobs = [partial(put, live, person, post, 1) for person in people]
    jobs.insert(3, partial(live.delete, f"/v2/posts/{post['id']}", headers=ada.headers))
    replies = at_once(*jobs)
    assert replies.pop(3).status_code == 204
    assert {reply.status_code for reply in replies} <= {200, 404}
    is_problem(client.get(f"/v2/posts/{post['id']}"), "post-not-found")


@pytest.mark.parametrize("happens", ["deleted", "made a draft"])
def test_a_post_that_is_gone_when_its_turn_comes_is_not_voted_on(client, steps, live, database, happens):
    """A vote that waits for a post which is then deleted, or made a draft, is 404 and counts nowhere."""
    ada, bob = steps.person(), steps.person()
    post = steps.post(ada)
    with ThreadPoolExecutor() as pool, database.write() as connection:
        if happens == "deleted":
            posts.remove(connection, ada.id, post["id"])
        else:
            posts.change(connection, ada.id, post["id"], {"published": False})
        waiting = pool.submit(put, live, bob, post, 1)
        time.sleep(0.3)  # by now it has found the post as it was, and waits
        assert not waiting.done()
    is_problem(waiting.result(), "post-not-found")
    if happens == "made a draft":
        assert get_post(client, post["id"], ada)["votes"] == NO_VOTES


def test_a_vote_that_changes_nothing_waits_for_nobody(steps, live, database):
    """A vote that changes nothing is answered while somebody else's change holds the post."""
    if database.engine.dialect.name == "sqlite":
        pytest.skip("SQLite lets one write at a time, whatever it writes")
    ada, bob = steps.person(), steps.person()
    post = steps.post(ada)
    steps.vote(bob, post["id"], 1)
    with database.write() as connection:
        posts.change(connection, ada.id, post["id"], {"title": "another"})
        assert is_ok(put(live, bob, post, 1))["votes"] == tally(1)


def test_people_who_leave_while_voting_leave_no_vote(client, steps, live):
    """Accounts deleted at the moment they vote, write and are voted on leave neither votes nor posts behind."""
    host, leavers = steps.person(), [steps.person() for _ in range(4)]
    post, theirs = steps.post(host), [steps.post(person) for person in leavers]
    jobs = []
    for person, own in zip(leavers, theirs, strict=True):
        jobs += [
            partial(put, live, person, post, 1),
            partial(live.delete, "/v2/users/me", headers=person.headers),
            partial(put, live, host, own, -1),
            partial(live.post, "/v2/posts", json=BODY, headers=person.headers),
        ]
    assert {reply.status_code for reply in at_once(*jobs)} <= {200, 201, 204, 401, 404}
    assert listing(client)["data"] == [{**post, "votes": NO_VOTES, "my_vote": None}]
