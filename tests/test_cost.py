"""What a request costs, in figures that do not depend on the machine: pinned, so that nobody adds to them unawares."""

import json
import re
from datetime import timedelta

import pytest
import sqlalchemy as sa

from app.domain.clock import now
from app.domain.models import LoginSession
from benchmarks import cost
from tests.conftest import empty

BASELINE = json.loads(cost.BASELINE.read_text())
WRITES = re.compile(r"v\d_(create|patch|vote|login|invalid)")


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


@pytest.mark.parametrize("path", ["/v2/users/me", "/v1/posts/{id}", "/v2/posts/{id}"])
def test_a_read_with_a_token_scans_no_table(client, steps, database, path):
    """Of thousands of sessions and users, the database finds the one by an index."""
    author = steps.person()
    post = steps.post(author)
    times = {"created_at": now(), "expires_at": now() + timedelta(days=1)}
    others = [{"id": f"{number:032x}", "user_id": author.id, **times} for number in range(3000)]
    with database.write_in_bulk() as session:
        session.execute(sa.insert(LoginSession), others)
        copies = "SELECT 'copy' || s.id, 'copy' || s.id, %s, u.created_at, u.updated_at FROM sessions s, users u"
        false = "0" if database.engine.dialect.name == "sqlite" else "false"
        session.execute(
            sa.text("INSERT INTO users (email, email_key, is_admin, created_at, updated_at) " + copies % false)
        )
        session.execute(sa.text("ANALYZE"))
    asked = []

    def note(_connection, _cursor, statement, parameters, _context, _executemany):
        if not re.search(r"FROM (brownouts|api_clients|switches)\b", statement):  # the watch looks at any moment
            asked.append((statement, parameters))

    sa.event.listen(database.engine, "before_cursor_execute", note)
    try:
        assert client.get(path.format(id=post["id"]), headers=author.headers).status_code == 200
    finally:
        sa.event.remove(database.engine, "before_cursor_execute", note)
    assert len(asked) == 2
    with database.read() as connection:
        explain = "EXPLAIN QUERY PLAN " if connection.dialect.name == "sqlite" else "EXPLAIN "
        plans = [
            "\n".join(str(row[-1]) for row in connection.exec_driver_sql(explain + statement, parameters))
            for statement, parameters in asked
        ]
    lookup = plans[0]
    assert re.search(r"SEARCH sessions USING INDEX \S+ \(id=\?\)|Index Scan using pk_sessions on sessions", lookup), (
        lookup
    )
    assert not re.search(r"(SCAN|Seq Scan on) (sessions|users)", "\n".join(plans)), plans
