"""What a request costs, in figures that do not depend on the machine: pinned, so that nobody adds to them unawares."""

import json
import os
import re
import subprocess
import sys
from datetime import timedelta

import psycopg2.extensions
import pytest
import sqlalchemy as sa

from app.domain.clock import now
from app.domain.models import sessions
from benchmarks import cost
from tests.conftest import empty

BASELINE = json.loads(cost.BASELINE.read_text())
WATCH = re.compile(r"FROM (brownouts|api_clients|switches)\b")  # over planned brownouts, which looks at any moment
WRITES = re.compile(r"v\d_(create|create_once|patch|vote|login|invalid)")
MANY_POSTS = """
    INSERT INTO posts (title, title_folded, content, published, owner_id, votes_up, votes_down, created_at, updated_at)
    WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :number)
    SELECT 'title ' || n, 'title ' || n, 'c', true, :owner, 0, 0, u.created_at, u.created_at
    FROM numbers, users u WHERE u.id = :owner"""


@pytest.fixture(scope="session")
def costs(app, database_url):
    """What each operation costs now, counted in a process of its own."""
    empty(app.state.services.database)
    return cost.measured(database_url)


def test_operations_cost_what_the_baseline_says(costs, app):
    """Nothing is added to what a request does, on either database, and what was saved is not lost again unseen."""
    same_python = BASELINE["python"] == cost.PYTHON
    dialect = app.state.services.database.engine.dialect.name
    if told := cost.departures(costs, BASELINE[dialect], same_python=same_python):
        pytest.fail(
            f"On {dialect} requests do not cost what tests/cost_baseline.json says:\n  "
            + "\n  ".join(told)
            + "\n`python -m benchmarks.profile OPERATION --by calls` shows where. If it is meant, `make cost-baseline` "
            f"(with Python {BASELINE['python']}) writes the file anew, and its diff is looked at in review.",
            pytrace=False,
        )
    if not same_python:
        pytest.skip(
            f"queries, commits and hops are as in the baseline; it is of Python {BASELINE['python']}, so on "
            f"{cost.PYTHON} calls were held against an upper bound only, and instructions not at all"
        )


def test_a_read_takes_one_hop_and_at_most_two_queries(costs, app):
    """Whatever the baseline says: a read goes to a thread once, looks for the session and the rows, commits nothing."""
    # On SQLite, SQLAlchemy ends AUTOCOMMIT by a PRAGMA.
    most = 3 if app.state.services.database.engine.dialect.name == "sqlite" else 2
    reads = {name: figures for name, figures in costs.items() if not WRITES.fullmatch(name)}
    assert len(reads) > 10
    for name, figures in reads.items():
        assert (figures["hops"], figures["commits"]) == (1, 0), name
        assert figures["queries"] <= most, name


def test_a_server_loads_nothing_that_only_others_need():
    """The memory of a worker does not pay for the command's other halves, nor for a Redis that is not there."""
    program = "import sys, app.cli; app.cli.create_app(); print(*sys.modules)"
    environment = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "SECRET_KEY": "0" * 32}
    served = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    loaded = {*served.stdout.split()}
    assert {"app.main", "uvicorn", "sqlalchemy"} <= loaded
    others = {"alembic", "redis", "cryptography", "watchfiles", "websockets", "rich.progress", "sqlalchemy.orm"}
    assert not loaded & (others | {"app.domain.transfer", "app.versioning.contract", "app.versioning.scaffold"})


def test_the_collector_rests_while_the_command_is_imported():
    """Modules are not looked through for garbage again and again; what the command does is."""
    program = """
import gc, sys
collections = []
gc.callbacks.append(lambda phase, _: collections.append(phase))
from app.__main__ import main
sys.argv = ["tandem", "--version"]
try:
    main()
finally:
    print(len(collections), gc.isenabled(), gc.get_freeze_count() > 50_000)
"""
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    number, enabled, frozen = told.stdout.split()[-3:]
    assert int(number) < 50  # it is some 500 otherwise
    assert (enabled, frozen) == ("True", "True")


@pytest.mark.skipif((os.cpu_count() or 1) < 2 or sys.platform != "linux", reason="benchmarks need two cores")
def test_what_is_measured_has_a_core_of_its_own():
    """A server that is started once the load has taken its place is on another core than the load."""
    program = "from benchmarks import machine; machine.take_place(); print(machine.cores()); print(machine.cores())"
    told = subprocess.run([sys.executable, "-c", program], cwd=cost.ROOT, capture_output=True, text=True, check=True)
    first, again = told.stdout.splitlines()
    assert first == again
    assert re.fullmatch(r"Cores\(server=\((\d+),\), load=\((?!\1,)\d+,\), database=\((?!\1,).*\)\)", first), first


@pytest.mark.parametrize(("figure", "change", "told", "told_elsewhere"), [
    ("queries", 1, True, True),
    ("commits", -1, True, True),
    ("hops", 1, True, True),
    ("calls", 4, True, False),
    ("calls", 2, False, False),
    ("calls", 50, True, True),
    ("calls", -15, False, False),
    ("calls", -30, True, False),
    ("instructions", 100, True, False),
    ("instructions", 50, False, False),
])  # fmt: skip
def test_more_than_the_baseline_is_told_and_clearly_less_too(figure, change, told, told_elsewhere):
    """A figure more fails, but for what differs by itself; on another Python only what is the same on all of them."""
    baseline = {"v2_post": {"instructions": 15_000, "calls": 1000, "queries": 2, "commits": 1, "hops": 1}}
    found = {"v2_post": {**baseline["v2_post"], figure: baseline["v2_post"][figure] + change}}
    for same_python, expected in ((True, told), (False, told_elsewhere)):
        lines = cost.departures(found, baseline, same_python=same_python)
        assert [figure in line for line in lines] == [True] * expected


def test_an_operation_that_is_not_on_both_sides_is_told():
    """Nothing is measured without a baseline, and nothing in the baseline goes unmeasured."""
    assert len(cost.departures({"new": {}}, {"old": {}}, same_python=True)) == 2


def plans(database, ask):
    """How the database goes about each statement of a request that succeeds."""
    found = []

    class Explaining(psycopg2.extensions.cursor):  # type: ignore[misc]
        def execute(self, statement, parameters=None):
            if statement.startswith(("SELECT", "EXECUTE")) and not WATCH.search(statement):
                super().execute("EXPLAIN " + statement, parameters)
                found.append("\n".join(row[0] for row in self.fetchall()))
            super().execute(statement, parameters)

    def explain(connection, _record, _proxy):
        connection.cursor_factory = Explaining

    def note(_connection, cursor, statement, parameters, _context, _executemany):
        if not WATCH.search(statement):
            rows = cursor.connection.execute("EXPLAIN QUERY PLAN " + statement, parameters)
            found.append("\n".join(row[-1] for row in rows))

    sqlite = database.engine.dialect.name == "sqlite"
    event, listener = ("before_cursor_execute", note) if sqlite else ("checkout", explain)
    sa.event.listen(database.engine, event, listener)
    database.engine.dispose()  # a connection that a thread keeps is not taken from the pool again
    try:
        assert ask().status_code == 200
    finally:
        sa.event.remove(database.engine, event, listener)
        database.engine.dispose()
    return found


@pytest.mark.parametrize("path", ["/v2/users/me", "/v1/posts/{id}", "/v2/posts/{id}"])
def test_a_read_with_a_token_scans_no_table(client, steps, database, path):
    """Of thousands of sessions and users, the database finds the one by an index."""
    author = steps.person()
    post = steps.post(author)
    times = {"created_at": now(), "expires_at": now() + timedelta(days=1)}
    others = [{"id": f"{number:032x}", "user_id": author.id, **times} for number in range(3000)]
    with database.write_in_bulk() as connection:
        connection.execute(sa.insert(sessions), others)
        copies = "SELECT 'copy' || s.id, 'copy' || s.id, %s, u.created_at, u.updated_at FROM sessions s, users u"
        false = "0" if database.engine.dialect.name == "sqlite" else "false"
        connection.execute(
            sa.text("INSERT INTO users (email, email_key, is_admin, created_at, updated_at) " + copies % false)
        )
        connection.execute(sa.text("ANALYZE"))
    lookup, *rest = plans(database, lambda: client.get(path.format(id=post["id"]), headers=author.headers))
    assert len(rest) == 1
    assert re.search(r"SEARCH sessions USING INDEX \S+ \(id=\?\)|Index Scan using pk_sessions on sessions", lookup), (
        lookup
    )
    assert not re.search(r"(SCAN|Seq Scan on) (sessions|users)", "\n".join([lookup, *rest])), rest


@pytest.mark.parametrize(("version", "detailed"), [("v1", False), ("v2", True)])
@pytest.mark.parametrize("one", [True, False], ids=["one post", "list"])
def test_what_a_version_does_not_show_is_not_read(client, steps, version, detailed, one):
    """Tags and one's own vote are looked up for every post of version 2, and for none of version 1."""
    author = steps.person()
    path = f"/{version}/posts/{steps.post(author)['id']}" if one else f"/{version}/posts"
    _, plan = plans(client.app.state.services.database, lambda: client.get(path, headers=author.headers))
    for table in ("post_tags", "votes"):
        assert bool(re.search(rf"\b{table}\b", plan)) == detailed, plan


def test_an_offset_passes_over_rows_by_an_index_alone(client, steps, database):
    """Whoever skips 10,000 of 12,000 posts has none of those read: an index tells whether a post is seen."""
    author = steps.person()
    with database.write() as connection:
        connection.execute(sa.text(MANY_POSTS), {"owner": author.id, "number": 12_000})
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM"))
        connection.execute(sa.text("ANALYZE"))
    *_, plan = plans(database, lambda: client.get("/v1/posts?skip=10000", headers=author.headers))
    assert re.search(r"(COVERING INDEX|Index Only Scan using) ix_posts_id_published_owner_id", plan), plan
    assert not re.search(r"SCAN posts$|Seq Scan on posts", plan, re.MULTILINE), plan
