"""What a request costs in queries and in trips to the thread pool: pinned, so that nobody adds one unawares."""

import re
from datetime import timedelta

import anyio.to_thread
import pytest
import sqlalchemy as sa

from app.domain import sessions

READS = [
    ("v1 post", "/v1/posts/{id}", True, 2),
    ("v1 list", "/v1/posts?limit=100", True, 2),
    ("v1 search", "/v1/posts?search=title", True, 2),
    ("v1 user", "/v1/users/1", False, 1),
    ("v2 post", "/v2/posts/{id}", False, 1),
    ("v2 post with a token", "/v2/posts/{id}", True, 2),
    ("v2 list", "/v2/posts?limit=100", False, 1),
    ("v2 list with a token", "/v2/posts?limit=100", True, 2),
    ("v2 list with every filter", "/v2/posts?q=t&tag=a&tag=b&author_id=1&sort=-score&published=true", False, 1),
    ("v2 user", "/v2/users/1", False, 1),
    ("v2 account", "/v2/users/me", True, 2),
    ("v2 tags", "/v2/tags", False, 1),
]
MANY_POSTS = """
    INSERT INTO posts (title, title_folded, content, published, owner_id, votes_up, votes_down, created_at, updated_at)
    WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :number)
    SELECT 'title ' || n, 'title ' || n, 'c', true, :owner, 0, 0, u.created_at, u.created_at
    FROM numbers, users u WHERE u.id = :owner"""


@pytest.fixture
def queries(database):
    """The statements that reach the database, as they run; without those of the watch over planned brownouts."""
    statements = []

    def note(_connection, _cursor, statement, _parameters, _context, _executemany):
        if not re.search(r"FROM (brownouts|api_clients|switches)\b", statement):
            statements.append(statement)

    sa.event.listen(database.engine, "before_cursor_execute", note)
    yield statements
    sa.event.remove(database.engine, "before_cursor_execute", note)


@pytest.fixture
def hops(monkeypatch):
    """The functions that are sent to a thread, while they go there all the same."""
    sent = []
    run_sync = anyio.to_thread.run_sync

    async def note(function, *args, **options):
        if not function.__module__.startswith("app.adoption"):
            sent.append(function)
        return await run_sync(function, *args, **options)

    monkeypatch.setattr(anyio.to_thread, "run_sync", note)
    return sent


def plans(database, ask):
    """How the database goes about each statement of a request that succeeds."""
    asked = []

    def note(_connection, _cursor, statement, parameters, _context, _executemany):
        asked.append((statement, parameters))

    sa.event.listen(database.engine, "before_cursor_execute", note)
    try:
        assert ask().status_code == 200
    finally:
        sa.event.remove(database.engine, "before_cursor_execute", note)
    with database.read() as connection:
        explain = "EXPLAIN QUERY PLAN " if connection.dialect.name == "sqlite" else "EXPLAIN "
        return [
            "\n".join(str(row[-1]) for row in connection.exec_driver_sql(explain + statement, parameters))
            for statement, parameters in asked
        ]


@pytest.mark.parametrize(("path", "with_token", "expected"), [row[1:] for row in READS], ids=[row[0] for row in READS])
def test_a_read_runs_a_fixed_number_of_queries_in_one_thread_hop(
    client, steps, queries, hops, path, with_token, expected
):
    """However many rows a list has: one query, one more for a token, one trip to a thread."""
    author = steps.person()
    posts = [steps.post(author, title=f"title {number}", tags=["a", "b"]) for number in range(12)]
    queries.clear()
    hops.clear()
    reply = client.get(path.format(id=posts[0]["id"]), headers=author.headers if with_token else {})
    assert reply.status_code == 200
    assert len(queries) == expected, queries
    assert len(hops) == 1, hops


@pytest.mark.parametrize("path", ["/v2/users/me", "/v1/posts/{id}", "/v2/posts/{id}"])
def test_a_read_with_a_token_scans_no_table(client, steps, database, path):
    """Of thousands of sessions and users, the database finds the one by an index."""
    author = steps.person()
    post = steps.post(author)
    with database.write() as session:
        for _ in range(3000):
            sessions.begin(session, author.id, timedelta(days=1), refreshable=False)
        copies = "SELECT 'copy' || s.id, 'copy' || s.id, %s, u.created_at, u.updated_at FROM sessions s, users u"
        false = "0" if database.engine.dialect.name == "sqlite" else "false"
        session.execute(
            sa.text("INSERT INTO users (email, email_key, is_admin, created_at, updated_at) " + copies % false)
        )
        session.execute(sa.text("ANALYZE"))
    lookup, *rest = plans(database, lambda: client.get(path.format(id=post["id"]), headers=author.headers))
    assert len(rest) == 1
    assert re.search(r"SEARCH sessions USING INDEX \S+ \(id=\?\)|Index Scan using pk_sessions on sessions", lookup), (
        lookup
    )
    assert not re.search(r"(SCAN|Seq Scan on) (sessions|users)", "\n".join([lookup, *rest])), rest


def test_an_offset_passes_over_rows_by_an_index_alone(client, steps, database):
    """Whoever skips 10,000 of 12,000 posts has none of those read: an index tells whether a post is seen."""
    author = steps.person()
    with database.write() as session:
        session.execute(sa.text(MANY_POSTS), {"owner": author.id, "number": 12_000})
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM"))
        connection.execute(sa.text("ANALYZE"))
    *_, plan = plans(database, lambda: client.get("/v1/posts?skip=10000", headers=author.headers))
    assert re.search(r"(COVERING INDEX|Index Only Scan using) ix_posts_id_published_owner_id", plan), plan
    assert not re.search(r"SCAN posts$|Seq Scan on posts", plan, re.MULTILINE), plan
