"""The hinge of both paging styles, under generated data: no page repeats or skips a row, in any order."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain import posts, users, votes
from app.domain.posts import ORDERS, PostFilter
from tests.conftest import empty

# Few titles and few voters make many ties, which is where orders go wrong.
TITLES = st.lists(st.sampled_from(["", "a", "A", "b", "é", "z" * 400, "z" * 400 + "!"]), max_size=12)
VOTES = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 2), st.sampled_from([1, -1])), max_size=12)
EXPECTED = {
    "created_at": lambda post: (post.created_at, post.id),
    "score": lambda post: (post.votes_up - post.votes_down, post.id),
    "title": lambda post: (post.title[:300], post.id),
}


@pytest.mark.parametrize("sort", ORDERS)
@settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(titles=TITLES, cast=VOTES, limit=st.integers(1, 5))
def test_walks_in_both_directions_and_by_offset_meet_every_row_once_in_order(database, sort, titles, cast, limit):
    """Forward and backward by position, and by offset, are the same sequence: the one Python sorts."""
    empty(database)
    with database.write() as connection:
        people = [users.create(connection, email=f"u{n}@example.com", password_hash=None).id for n in range(3)]
        made = [posts.create(connection, people[0], title=title, content="c").id for title in titles]
        for index, voter, value in cast:
            if index < len(made):
                votes.put(connection, people[voter], made[index], value)
    listing = posts.listed(None, PostFilter(), ORDERS[sort])
    with database.read() as connection:
        expected = sorted(
            (posts.get(connection, post_id, None) for post_id in made),
            key=EXPECTED[sort.removeprefix("-")],
            reverse=sort.startswith("-"),
        )
        assert walk(connection, listing, limit, backward=False) == expected
        assert walk(connection, listing, limit, backward=True) == expected
        by_offset = [
            post
            for offset in range(0, len(made) + limit, limit)
            for post in listing.slice(offset=offset, limit=limit).ask(connection)
        ]
        assert by_offset == expected


def walk(connection, listing, limit, *, backward):
    """All items in the listing's order, page by page from the one end or the other."""
    found: list[posts.PostView] = []
    position, more = None, True
    while more:
        page, more = listing.seek(position=position, backward=backward, limit=limit).ask(connection)
        found = page + found if backward else found + page
        position = listing.order.position_of(page[0 if backward else -1]) if page else None
    return found
