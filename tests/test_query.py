"""Statements that PostgreSQL plans once a connection: what is planned stays bounded, and goes when it is stale."""

from contextlib import ExitStack
from datetime import MAXYEAR, UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError, ProgrammingError

from app.db import Query, Question
from app.db.query import MOST_PREPARED
from app.db.types import UtcDateTime
from app.domain import posts, users
from app.domain.models import users as users_table
from app.domain.posts import ORDERS, PostFilter
from tests.test_migrations import opened

GIVEN = sa.cast(sa.bindparam("given"), sa.Integer)


def test_one_connection_keeps_so_many_plans_and_no_more(database):
    """Filters can be combined in thousands of ways: what runs still runs right, and the oldest plans make room."""
    queries = [Query(sa.select(GIVEN + number)) for number in range(MOST_PREPARED + 20)]
    with database.read() as connection:
        for _ in range(2):
            assert [query.scalar(connection, {"given": 1}) for query in queries] == [
                1 + number for number in range(len(queries))
            ]
        if connection.dialect.name == "postgresql":
            kept = connection.scalar(sa.text("SELECT count(*) FROM pg_prepared_statements"))
            assert kept == MOST_PREPARED


def test_many_are_asked_for_as_each_would_be(database, steps):
    """Each gets its own rows, or none, in their order; text is compared as it is, however long, and None as NULL."""
    ids = [steps.person(email).id for email in ("ada@example.com", "o'bob@example.com", "eve@example.com")]
    since = sa.bindparam("since", type_=UtcDateTime())
    named = (
        sa.select(users_table.c.email, sa.bindparam("mark", type_=sa.String(3)))
        .where(users_table.c.id < sa.bindparam("below"), users_table.c.created_at > since)
        .order_by(users_table.c.email.desc())
        .limit(2)
    )
    query = Query(named, at_once=2)
    asked = [
        {"below": below, "mark": mark, "since": datetime(year, 1, 31, tzinfo=UTC)}
        for mark, year in (("it's", 2026), ("{1,2}", 2026), ("x" * 500, 2026), (None, 2026), ("late", MAXYEAR))
        for below in (ids[2] + 1, ids[0], ids[1], None)
    ]
    with database.read() as connection:
        alone = [[tuple(row) for row in query.rows(connection, values)] for values in asked]
        assert alone[0] == [("o'bob@example.com", "it's"), ("eve@example.com", "it's")]
        assert [[tuple(row) for row in rows] for rows in query.rows_of_each(connection, asked)] == alone
        assert query.rows_of_each(connection, []) == []


def test_asking_for_many_is_planned_once(database_url):
    """Whatever the values and their number, PostgreSQL keeps one plan, though another would seem cheaper for a few."""
    newest = posts.listed(7, PostFilter(), ORDERS["-created_at"])
    position = (datetime(2026, 1, 31, tzinfo=UTC), 7)
    asked: list[Question[Any]] = [
        posts.by_id(1, 7),
        newest.slice(offset=0, limit=20),
        newest.seek(position=position, backward=False, limit=20),
    ]
    with opened(database_url) as database, database.read() as connection:
        for number in range(2, 12):
            for question in asked:
                question.query.rows_of_each(connection, [{**question.values, "viewer": n} for n in range(number)])
        if connection.dialect.name == "postgresql":
            plans = sa.text("SELECT generic_plans > 0 FROM pg_prepared_statements WHERE name LIKE '%each'")
            assert connection.scalars(plans).all() == [True] * len(asked)


def test_who_ask_for_the_same_are_asked_for_once(database_url):
    """Three who ask for one post cost the database what one does."""
    question, statements = posts.by_id(1, None), []
    with opened(database_url) as database, database.read() as connection:
        sa.event.listen(connection, "before_cursor_execute", lambda *_: statements.append(1))
        assert question.query.rows_of_each(connection, [question.values] * 3) == [[], [], []]
        if connection.dialect.name == "sqlite":
            assert len(statements) == 1
        else:
            names = connection.scalars(sa.text("SELECT name FROM pg_prepared_statements")).all()
            assert not [name for name in names if name.endswith("each")]


def test_a_small_page_is_planned_once(database_url):
    """How many rows it has is in the statement: PostgreSQL need not plan it anew to know that they are few."""
    pages = [posts.listed(viewer, PostFilter(), ORDERS["-created_at"]) for viewer in (None, 7)]
    with opened(database_url) as database, database.read() as connection:
        for page in pages * 7:
            page.seek(position=None, backward=False, limit=20).ask(connection)
        if connection.dialect.name == "postgresql":
            plans = sa.text("SELECT generic_plans > 0 FROM pg_prepared_statements WHERE name LIKE 'tandem%'")
            assert connection.scalars(plans).all() == [True] * len(pages)


def test_what_was_planned_outlives_a_transaction_that_is_rolled_back(database):
    """The same statement runs again on the connection, though the transaction that it was first used in failed."""
    query = Query(sa.select(GIVEN))
    for _ in range(2):
        with database.write() as connection:
            assert query.scalar(connection, {"given": 7}) == 7
            connection.rollback()


def test_a_migration_that_changes_a_type_breaks_no_read_and_no_write(client, steps, database):
    """PostgreSQL refuses plans whose columns have other types now: they are made anew, and nobody is told."""
    author = steps.person()
    path = f"/v2/users/{author.id}"
    name = {"display_name": "Ada"}
    assert client.patch("/v2/users/me", json=name, headers=author.headers).status_code == 200
    assert client.get(path).json()["display_name"] == "Ada"
    if database.engine.dialect.name == "sqlite":
        return  # which keeps no plans
    database.engine.dispose()  # what threads keep is no longer counted: there is room for so many
    with ExitStack() as stack:
        for _ in range(12):  # connections that have the plan: more than a write is tried again on
            users.get(stack.enter_context(database.write()), author.id)
    with database.engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE users ALTER display_name TYPE varchar(70)"))
    try:
        for _ in range(3):
            assert client.get(path).json()["display_name"] == "Ada"
            post = client.post("/v2/posts", json={"title": "t", "content": "c"}, headers=author.headers)
            assert post.status_code == 201, post.text
            assert post.json()["author"]["display_name"] == "Ada"
    finally:
        with database.engine.begin() as connection:
            connection.execute(sa.text("ALTER TABLE users ALTER display_name TYPE varchar"))
        database.engine.dispose()  # no later test finds stale plans where it does not try again


def test_plans_that_somebody_has_let_go_are_made_anew(database):
    """An administrator's DEALLOCATE ALL costs nobody a reply."""
    query = Query(sa.select(GIVEN))
    if database.engine.dialect.name == "postgresql":
        with database.read() as connection:
            assert query.scalar(connection, {"given": 1}) == 1
            connection.execute(sa.text("DEALLOCATE ALL"))
            assert query.scalar(connection, {"given": 2}) == 2


def test_a_connection_that_broke_is_told_and_replaced(client, steps, database):
    """The error says that the connection is lost, so that what may be is run again; the next request has another."""
    path = f"/v2/users/{steps.person().id}"
    query = Query(sa.select(GIVEN))
    if database.engine.dialect.name == "sqlite":
        return  # which has no connection that could break
    with database.read() as connection, sa.create_engine(database.url).connect() as other:
        pid = query.scalar(connection, {"given": connection.scalar(sa.text("SELECT pg_backend_pid()"))})
        other.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        with pytest.raises(OperationalError) as caught:
            query.scalar(connection, {"given": 1})
    assert caught.value.connection_invalidated
    assert [client.get(path).status_code for _ in range(5)] == [200] * 5


def test_a_time_without_end_can_be_read(database):
    """What an operator wrote as PostgreSQL's `infinity` is the last time there is, not an error."""
    if database.engine.dialect.name != "postgresql":
        pytest.skip("SQLite knows no infinity")
    given = Query(sa.select(sa.cast(sa.bindparam("given"), sa.DateTime(timezone=True))))
    with database.read() as connection:
        assert given.scalar(connection, {"given": "infinity"}).year == MAXYEAR
        moment = given.scalar(connection, {"given": "2026-01-31T12:00:00.5+05:30"})
    assert moment == datetime(2026, 1, 31, 6, 30, 0, 500_000, tzinfo=UTC)


def test_a_statement_may_have_values_of_its_own(database):
    """What is written into the statement needs not be given, be it nothing at all."""
    own = sa.select(sa.cast(sa.literal(3), sa.Integer) + GIVEN, sa.cast(sa.bindparam("none", None), sa.Integer))
    with database.read() as connection:
        assert [tuple(row) for row in Query(own).rows(connection, {"given": 4})] == [(7, None)]


def test_what_the_driver_gives_otherwise_is_refused(database):
    """Bytes, which the driver gives as a view of memory, are not taken for what SQLAlchemy makes of them."""
    query = Query(sa.select(sa.cast(GIVEN, sa.Text).cast(sa.LargeBinary)))
    if database.engine.dialect.name == "postgresql":
        with database.read() as connection, pytest.raises(TypeError, match="through SQLAlchemy"):
            query.scalar(connection, {"given": 1})


def test_an_error_is_the_one_that_sqlalchemy_raises(database):
    """Whoever handles the database's errors needs to know one kind of them."""
    query = Query(sa.select(sa.func.nothing_of_the_kind(GIVEN)))
    expected = ProgrammingError if database.engine.dialect.name == "postgresql" else OperationalError
    with database.read() as connection:
        with pytest.raises(expected) as caught:
            query.scalar(connection, {"given": 1})
        assert not caught.value.connection_invalidated
        assert Query(sa.select(GIVEN)).scalar(connection, {"given": 1}) == 1
