"""Search: what is in a title is found wherever it stands, in few posts and in many, by index and without."""

import re

import pytest
import sqlalchemy as sa

from app.domain import listing, posts, users
from app.domain.posts import ORDERS, PostFilter
from tests.test_cost import MANY_POSTS, plans
from tests.test_listing import walk
from tests.v1 import helpers as v1

MORE_THAN_IS_NEAR = 6000
TITLES = ["abc", "xabcabc", "ab", "bc ab", "ABC", "abd", "", "abc", "b\x01abc", "ab\x01c", "z" * 1200 + "abc", "cab"]
ODD = {
    "Babbage's engine": ["BABBAGE", "ge's e", "bage's engine", "bab"],
    "100 % _sure_": ["% _S", "100 %"],
    "a \x01bcd\x01e": ["\x01bc", "bcd", "A \x01BCD"],
    "Große Straße": ["STRASSE", "grosse s"],
    "新しい機械の話": ["しい機", "機械の話"],
    "line\nend\\": ["e\nen", "ND\\"],
    "y" * 1200 + " its end": ["its end", "yyyy"],
    "qxqx": ["qx", "Q"],
}


@pytest.fixture
def many(steps, database):
    """Their author; all of them have `title` in their title."""
    author = steps.person()
    with database.write() as connection:
        connection.execute(sa.text(MANY_POSTS), {"owner": author.id, "number": MORE_THAN_IS_NEAR})
        connection.execute(sa.text("ANALYZE"))
    return author


@pytest.mark.parametrize("near", [0, 3, 5000], ids="{} rows are near".format)
@pytest.mark.parametrize("sort", ORDERS)
def test_a_search_finds_what_a_look_at_every_title_does(database, monkeypatch, sort, near):
    """Forward, backward and by offset: the posts whose title has it, however many are looked through first."""
    monkeypatch.setattr(listing, "_NEAR", near)
    monkeypatch.setattr(listing, "_NEAR_AN_ITEM", 0)
    with database.write() as connection:
        author = users.create(connection, email="a@example.com", password_hash=None).id
        made = [posts.create(connection, author, title=title, content="c") for title in TITLES]
    with database.read() as connection:
        expected = [post for post in everything(connection, sort) if "abc" in post.title.lower()]
        assert len(expected) == 6 < len(made)
        found = posts.listed(None, PostFilter(text="Abc"), ORDERS[sort])
        for limit in (1, 2, 6, 7):
            assert walk(connection, found, limit, backward=False) == expected
            assert walk(connection, found, limit, backward=True) == expected
            pages = [found.slice(offset=offset, limit=limit).ask(connection) for offset in range(0, 8, limit)]
            assert [post for page in pages for post in page] == expected


def everything(connection, sort):
    return posts.listed(None, PostFilter(), ORDERS[sort]).slice(offset=0, limit=100).ask(connection)


def test_a_title_is_found_behind_many_others(client, many):
    """Every part of an odd title is found, and nothing else, after more posts than are looked through in order."""
    for title, parts in ODD.items():
        made = v1.write(client, many, title)["id"]
        for part in parts:
            assert v1.listed(client, many, search=part) == [made], part
    assert v1.listed(client, many, search="no such title") == []
    assert len(v1.listed(client, many, search="Title")) == 10
    assert v1.listed(client, many, search="title 5", skip=v1.LAST_ID) == []


def test_drafts_are_searched_for_their_owner_alone(client, steps, many):
    """A draft behind many posts is found by its owner, and by nobody else."""
    draft = v1.write(client, many, "my babbage", published=False)["id"]
    assert v1.listed(client, many, search="babbage") == [draft]
    assert v1.listed(client, steps.person(), search="babbage") == []


def test_a_rare_word_is_found_by_an_index(client, database, many):
    """PostgreSQL asks the index of trigrams for a word that few titles have."""
    if database.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no such index")
    v1.write(client, many, "by Babbage")
    nearest, plan = plans(database, lambda: client.get("/v2/posts?q=babbage&sort=created_at"))
    assert "Limit" in nearest
    assert re.search("Bitmap Index Scan on ix_posts_title_trigrams", plan), plan
