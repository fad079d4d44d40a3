"""Version 1: votes, alone, beside version 2, and many at once."""

from typing import Any

import pytest

from tests.steps import Person, Steps, at_once
from tests.v1 import helpers as v1


@pytest.fixture
def post_id(client, ada):
    return v1.write(client, ada)["id"]


@pytest.fixture
def crowd(live):
    """Ten people of the live server."""
    steps = Steps(live)
    return [steps.person() for _ in range(10)]


@pytest.fixture
def live_post(live, crowd):
    """The id of a post that the first of the crowd has written."""
    return v1.write(live, crowd[0])["id"]


def my_vote(client: Any, person: Person, post_id: int) -> Any:
    return client.get(f"/v2/posts/{post_id}", headers=person.headers).json()["my_vote"]


def put_v2(client: Any, person: Person, post_id: int, value: int) -> Any:
    return client.put(f"/v2/posts/{post_id}/vote", json={"value": value}, headers=person.headers)


def test_vote_is_added_and_taken_back(client, bob, post_id):
    """Adding and taking back are 201 with a message of their own each, move the counter, and can be repeated."""
    for _ in range(2):
        assert v1.answer(v1.vote(client, bob, post_id, 1)) == (201, v1.VOTE_ADDED)
        assert v1.counters(client, bob, post_id) == (1, 0)
        assert v1.answer(v1.vote(client, bob, post_id, 0)) == (201, v1.VOTE_DELETED)
        assert v1.counters(client, bob, post_id) == (0, 0)


def test_second_vote_is_409_and_nothing_to_take_back_404(client, bob, post_id):
    """A vote counts once, and what is not there cannot be taken back: both are refused and change nothing."""
    assert v1.answer(v1.vote(client, bob, post_id, 0)) == (404, v1.NO_VOTE)
    v1.vote(client, bob, post_id, 1)
    assert v1.answer(v1.vote(client, bob, post_id, 1)) == (409, v1.ALREADY_VOTED)
    assert v1.counters(client, bob, post_id) == (1, 0)
    v1.vote(client, bob, post_id, 0)
    assert v1.answer(v1.vote(client, bob, post_id, 0)) == (404, v1.NO_VOTE)
    assert v1.counters(client, bob, post_id) == (0, 0)


def test_votes_of_several_people_are_counted_for_each_post(client, steps, ada, bob):
    """List and single post show how many people voted for each post, the owner included."""
    first, second = v1.write(client, ada)["id"], v1.write(client, ada)["id"]
    for voter in (ada, bob, steps.person()):
        v1.vote(client, voter, first)
    v1.vote(client, bob, second)
    assert [item["votes"] for item in client.get("/v1/posts", headers=ada.headers).json()] == [3, 1]
    v1.vote(client, bob, first, 0)
    assert [v1.read(client, ada, post_id).json()["votes"] for post_id in (first, second)] == [2, 1]


@pytest.mark.parametrize("direction", [1, 0])
def test_vote_on_no_post_is_404(client, ada, direction):
    """A vote on a post that does not exist is 404 in either direction, up to the last id there can be."""
    for post_id in (1, v1.LAST_ID):
        assert v1.answer(v1.vote(client, ada, post_id, direction)) == (404, v1.NO_POST)


def test_vote_ignores_unknown_fields(client, ada, bob, post_id):
    """Other fields, such as the user or the value of a vote, do not change whose vote it is or what it says."""
    body = {"post_id": post_id, "dir": 1, "user_id": ada.id, "value": -1, "x": [None]}
    assert v1.answer(v1.send(client, "POST", "/v1/vote", body, bob.headers)) == (201, v1.VOTE_ADDED)
    assert (my_vote(client, bob, post_id), my_vote(client, ada, post_id)) == (1, 0)


MISTYPED = ["1.5", "true", "false", "null", '"1"', '"1_0"', '"+1"', '"zebra"', "[1]", "{}"]
MISTYPED += ["NaN", "Infinity", "-Infinity", "1e400"]


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [(field, value, "int_type") for field in ("post_id", "dir") for value in MISTYPED]
    + [("dir", value, "literal_error") for value in ("2", "-1", "9223372036854775807")]
    + [("dir", value, "int_type") for value in ("1.0", "0.0")]
    + [("dir", value, "int_parsing_size") for value in ("9223372036854775808", "1" + "0" * 30)]
    + [
        ("post_id", value, "greater_than_equal")
        for value in ("0", "-1", "0.0", "-9223372036854775809", "-1" + "0" * 30)
    ]
    + [("post_id", value, "less_than_equal") for value in ("9223372036854775808", "1" + "0" * 30)]
    + [("post_id", "1e30", "less_than_equal")],
)
def test_vote_takes_only_its_integers(client, bob, post_id, field, value, kind):
    """An id that is no integer from 1 to 2^63-1, or a direction that is not 1 or 0, is 422."""
    body = {"post_id": post_id, "dir": 1, field: value}
    content = f'{{"post_id": {body["post_id"]}, "dir": {body["dir"]}}}'.encode()
    reply = v1.send(client, "POST", "/v1/vote", content, bob.headers)
    assert v1.faults(reply) == [(f"body.{field}", kind)]
    assert "zebra" not in reply.text
    assert v1.counters(client, bob, post_id) == (0, 0)


def test_post_id_may_be_written_as_a_decimal(client, bob, post_id):
    """To JSON Schema, and so to the document of version 1, an id with `.0` behind it is the same integer."""
    reply = v1.send(client, "POST", "/v1/vote", f'{{"post_id": {post_id}.0, "dir": 1}}'.encode(), bob.headers)
    assert v1.answer(reply) == (201, v1.VOTE_ADDED)
    assert v1.counters(client, bob, post_id) == (1, 0)


def test_down_votes_are_not_counted(client, steps, ada, bob, post_id):
    """`votes` counts up-votes alone: a down-vote of version 2 neither adds nor subtracts."""
    for voter in (ada, bob):
        v1.vote(client, voter, post_id)
    steps.vote(steps.person(), post_id, -1)
    assert v1.counters(client, ada, post_id) == (2, 1)
    assert client.get("/v1/posts", headers=ada.headers).json()[0]["votes"] == 2


def test_adding_over_a_down_vote_turns_it(client, steps, bob, post_id):
    """`dir: 1` over one's down-vote is 201 and makes it the up-vote, which then is there already."""
    steps.vote(bob, post_id, -1)
    assert v1.answer(v1.vote(client, bob, post_id, 1)) == (201, v1.VOTE_ADDED)
    assert v1.counters(client, bob, post_id) == (1, 0)
    assert my_vote(client, bob, post_id) == 1
    assert v1.answer(v1.vote(client, bob, post_id, 1)) == (409, v1.ALREADY_VOTED)


def test_taking_back_leaves_a_down_vote(client, steps, bob, post_id):
    """`dir: 0` over one's down-vote finds nothing to take back, and the down-vote stays."""
    steps.vote(bob, post_id, -1)
    assert v1.answer(v1.vote(client, bob, post_id, 0)) == (404, v1.NO_VOTE)
    assert v1.counters(client, bob, post_id) == (0, 1)
    assert my_vote(client, bob, post_id) == -1


def test_up_vote_is_one_vote_in_both_versions(client, steps, bob, post_id):
    """An up-vote of one version is the same vote in the other, where it is refused again, turned or taken back."""
    steps.vote(bob, post_id, 1)
    assert v1.answer(v1.vote(client, bob, post_id, 1)) == (409, v1.ALREADY_VOTED)
    assert v1.answer(v1.vote(client, bob, post_id, 0)) == (201, v1.VOTE_DELETED)
    assert my_vote(client, bob, post_id) == 0
    v1.vote(client, bob, post_id, 1)
    assert my_vote(client, bob, post_id) == 1
    steps.vote(bob, post_id, -1)
    assert v1.counters(client, bob, post_id) == (0, 1)


def test_votes_of_many_at_once_are_all_counted(live, crowd, live_post):
    """Ten people who vote at once make ten votes; when five take back and five turn at once, five down-votes stay."""
    replies = at_once(*(lambda person=person: v1.vote(live, person, live_post) for person in crowd))
    assert [reply.status_code for reply in replies] == [201] * 10
    assert v1.counters(live, crowd[0], live_post) == (10, 0)
    turns = [lambda person=person: v1.vote(live, person, live_post, 0) for person in crowd[:5]]
    turns += [lambda person=person: put_v2(live, person, live_post, -1) for person in crowd[5:]]
    assert [reply.status_code for reply in at_once(*turns)] == [201] * 5 + [200] * 5
    assert v1.counters(live, crowd[0], live_post) == (0, 5)


@pytest.mark.parametrize("before", [None, -1], ids=["no vote", "down-vote"])
def test_votes_of_one_at_once_count_once(live, crowd, live_post, before):
    """Of sixteen equal requests of one person at once, one succeeds: adding, turning a down-vote, and taking back."""
    if before:
        put_v2(live, crowd[1], live_post, before)
    for direction, refused in ((1, 409), (0, 404)):
        job = lambda direction=direction: v1.vote(live, crowd[1], live_post, direction).status_code  # noqa: E731
        assert sorted(at_once(*[job] * 16)) == [201] + [refused] * 15
        assert v1.counters(live, crowd[0], live_post) == (direction, 0)


def test_counters_equal_the_votes_after_any_race(live, crowd, live_post):
    """After every kind of vote at once, from both versions, the counters say what the one vote says."""
    bob = crowd[1]
    jobs = [
        lambda: v1.vote(live, bob, live_post, 1),
        lambda: v1.vote(live, bob, live_post, 0),
        lambda: put_v2(live, bob, live_post, 1),
        lambda: put_v2(live, bob, live_post, -1),
        lambda: live.delete(f"/v2/posts/{live_post}/vote", headers=bob.headers),
    ]
    for _ in range(3):
        assert {reply.status_code for reply in at_once(*jobs * 5)} <= {200, 201, 204, 404, 409}
        value = my_vote(live, bob, live_post)
        assert v1.counters(live, bob, live_post) == (int(value == 1), int(value == -1))


def test_votes_against_the_deletion_of_the_post(live, crowd, live_post):
    """Votes that race the deletion of their post are 201 or 404, and nothing is left of it."""
    delete = v1.operations(live_post)["delete"]
    jobs = [lambda person=person: v1.vote(live, person, live_post) for person in crowd[1:]]
    deleted, *voted = at_once(lambda: live.request(**delete, headers=crowd[0].headers), *jobs)
    assert deleted.status_code == 204
    assert all(v1.answer(reply) in ((201, v1.VOTE_ADDED), (404, v1.NO_POST)) for reply in voted)
    assert all(v1.answer(v1.vote(live, person, live_post, 0)) == (404, v1.NO_POST) for person in crowd)


def test_votes_against_the_deletion_of_the_voter(live, crowd):
    """Votes that race the deletion of their voter are 201 or 401, and none of them stays counted."""
    ada, bob = crowd[:2]
    posts = [v1.write(live, ada)["id"] for _ in range(6)]
    jobs = [lambda post_id=post_id: v1.vote(live, bob, post_id) for post_id in posts]
    deleted, *voted = at_once(lambda: live.delete("/v2/users/me", headers=bob.headers), *jobs)
    assert deleted.status_code == 204
    assert all(v1.answer(reply) in ((201, v1.VOTE_ADDED), (401, v1.UNAUTHENTICATED)) for reply in voted)
    assert [v1.counters(live, ada, post_id) for post_id in posts] == [(0, 0)] * 6
