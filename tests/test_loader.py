"""What is asked for at the same time is found together, and everybody gets what they would have got alone."""

import asyncio
import re
import threading
import time
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.api.services import Reader
from app.db import ONE, Query, Question
from app.domain import posts
from app.domain.posts import ORDERS, PostFilter
from app.main import create_app
from app.threads import Loader, Turn, set_threads, turn_of_request
from tests.conftest import make_settings
from tests.steps import Steps, at_once
from tests.test_migrations import new_database, opened
from tests.test_requests import serving
from tests.test_transient_errors import WAITING, meanwhile, wait_until

SECONDS = 10  # to wait for what has to happen
END_WHAT_WAITS = WAITING.replace("count(*)", "pg_terminate_backend(pid, 5000)")


@pytest.fixture
def unhurried(monkeypatch):
    """Every call is quick enough, however busy the machine is."""
    monkeypatch.setattr(Loader, "_QUICK", SECONDS)


class Calls:
    """A loader that doubles its keys, but for -1, which it refuses, and -2, at which it breaks.

    Each call waits until it may end.
    """

    def __init__(self):
        self.made = []
        self.at_work = []  # whose requests were at work in a thread meanwhile
        self.begun, self.may_end = threading.Semaphore(0), threading.Semaphore(0)
        self.turns = {}
        self.loader = Loader(self.find, 64)

    def find(self, keys):
        self.made.append(list(keys))
        self.at_work.append([key for key, turn in self.turns.items() if turn.working])
        self.begun.release()
        assert self.may_end.acquire(timeout=SECONDS)
        if -2 in keys:
            raise OSError
        return [LookupError(key) if key == -1 else 2 * key for key in keys if key != -3]

    async def ask(self, *keys):
        """Ask for each, by a request of its own; gives their tasks once the last is waiting."""

        async def request(key):
            turn_of_request.set(self.turns.setdefault(key, Turn()))
            return await self.loader.load(key)

        tasks = [asyncio.create_task(request(key)) for key in keys]
        await asyncio.sleep(0)
        return tasks

    async def warm(self):
        """Have calls so quick and so full that the next takes as many as there may be."""
        for number in (1, 2, 4, 8, 16, 32):
            self.may_end.release()
            await asyncio.gather(*await self.ask(*range(number)))
            await self.begins()
        for noted in (self.made, self.at_work, self.turns):
            noted.clear()

    async def begins(self):
        """Return once one more call has begun."""
        while not self.begun.acquire(blocking=False):  # noqa: ASYNC110 - in a thread
            await asyncio.sleep(0.001)


def run(coroutine):
    """What it gives, in an event loop of its own, in time."""
    return asyncio.run(asyncio.wait_for(coroutine, SECONDS))


@pytest.mark.usefixtures("unhurried")
def test_who_asks_at_the_same_time_is_in_one_call_of_64_at_most(monkeypatch):
    """One call after the other, also in the next event loop; all in it, and nobody else, count as at work."""
    monkeypatch.setattr(Loader, "_PATIENCE", SECONDS)
    calls = Calls()

    async def ask():
        await calls.warm()
        asked = await calls.ask(0)
        asked += await calls.ask(*range(1, 100))
        calls.may_end.release(2)
        return await asyncio.gather(*asked)

    for _ in range(2):
        assert run(ask()) == [2 * key for key in range(100)]
        assert calls.made == calls.at_work == [[*range(64)], [*range(64, 100)]]
    assert not any(turn.working for turn in calls.turns.values())


@pytest.mark.usefixtures("unhurried")
def test_a_call_that_hangs_holds_up_nobody():
    """Who comes during a call goes with the next, which does not wait for that for long."""
    calls = Calls()

    async def ask():
        await calls.warm()
        hanging = await calls.ask(0)
        await calls.begins()
        asked = await calls.ask(1, 2)
        await calls.begins()  # though the first has not ended
        calls.may_end.release(2)
        return await asyncio.gather(*hanging, *asked)

    assert run(ask()) == [0, 2, 4]
    assert calls.made == [[0], [1, 2]]


@pytest.mark.usefixtures("unhurried")
def test_one_is_refused_alone_and_all_hear_of_what_breaks():
    """An exception for one key is raised for who asked for that; one of the call for all in it, and it goes on."""
    calls = Calls()

    async def ask():
        await calls.warm()
        found = []
        for keys in ((1, -1, 2), (3, -2), (4, -3), (5,)):
            calls.may_end.release()
            found += await asyncio.gather(*await calls.ask(*keys), return_exceptions=True)
        return found

    assert [type(found) if isinstance(found, Exception) else found for found in run(ask())] == [
        2, LookupError, 4, OSError, OSError, 8, ValueError, 10,
    ]  # fmt: skip


@pytest.mark.usefixtures("unhurried")
def test_who_is_given_up_is_looked_for_no_more():
    """A request that ends before its call, or while that waits for a thread, is not in it; the others get theirs."""
    calls = Calls()

    async def ask():
        await calls.warm()
        set_threads(1)
        asked = await calls.ask(0)
        await calls.begins()
        early, late, patient = await calls.ask(1, 2, 3)
        early.cancel()
        await asyncio.sleep(0.1)  # a call of the others waits for the thread
        late.cancel()
        calls.may_end.release()
        calls.may_end.release()
        return await asyncio.gather(*asked, patient)

    assert run(ask()) == [0, 6]
    assert calls.made == [[0], [3]]


@pytest.mark.usefixtures("unhurried")
def test_who_leaves_during_a_call_leaves_the_others_theirs():
    """A request that is given up while its call is under way changes nothing for who is in it, too."""
    calls = Calls()

    async def ask():
        await calls.warm()
        leaves, stays = await calls.ask(1, 2)
        await calls.begins()
        leaves.cancel()
        calls.may_end.release()
        return await stays

    assert run(ask()) == 4


def test_how_many_go_together_depends_on_how_long_it_takes():
    """Twice as many as were quickly found together; after a slow call, which for many might be too slow, one alone."""
    calls = Calls()

    async def ask(number, calls_needed, seconds=0.0):
        asked = await calls.ask(*range(number))
        await asyncio.sleep(seconds)
        calls.may_end.release(calls_needed)
        await asyncio.gather(*asked)

    async def ask_all():
        for number, calls_needed in ((1, 1), (1, 1), (3, 2), (8, 2)):
            await ask(number, calls_needed)
        await ask(2, 1, seconds=0.5)
        await ask(3, 3)

    run(ask_all())
    assert [len(keys) for keys in calls.made][:8] == [1, 1, 2, 1, 4, 4, 2, 1]


def warm(*jobs):
    """Ask so often, all at once, that from now on many are found together."""
    for _ in range(4):
        at_once(*jobs)


def all_wait(database):
    """Return once one call waits for what is locked, and all others have asked, who wait for that or behind it."""
    wait_until(database, f"SELECT ({WAITING}) > 0", wanted=True)
    time.sleep(0.3)


def test_everybody_reads_what_they_would_have_read_alone(client, steps, database):
    """Many at once, of either version: own votes and drafts, others' drafts, what is missing, and ended sessions."""
    ada, bob, gone = steps.person(), steps.person(), steps.person()
    made = [steps.post(ada), steps.post(bob, tags=["engines"]), steps.post(ada, published=False)]
    for title in "EADCB":
        steps.post(bob, title=title)
    steps.vote(ada, made[1]["id"], 1)
    steps.vote(bob, made[1]["id"], -1)
    token = gone.headers["Authorization"].removeprefix("Bearer ")
    assert client.post("/v2/auth/revoke", data={"token": token}).status_code == 200
    nobody: dict[str, str] = {}

    def walked(sort):
        """The first page, and the one after it."""
        first = f"/v2/posts?limit=5&sort={sort}"
        return first, first + "&cursor=" + client.get(first).json()["page"]["next_cursor"]

    lists = ("/v1/posts", "/v2/posts?limit=10", *walked("-created_at"), *walked("title"), *walked("-score"))
    ids = (*(post["id"] for post in made), 9_999, 2**63 - 1)
    asked = [
        (path, headers)
        for path in (*lists, *(f"/{version}/posts/{post}" for version in ("v1", "v2") for post in ids))
        for headers in (nobody, ada.headers, bob.headers, gone.headers)
    ]

    def ask(path, headers):
        reply = client.get(path, headers=headers)
        said = [reply.headers.get(name) for name in ("etag", "link")]
        return reply.status_code, said, re.sub('"request_id":"[^"]*"', "", reply.text)

    alone = [ask(*each) for each in asked]
    assert {status for status, *_ in alone} == {200, 401, 404}
    for (_, headers), (status, *_) in zip(asked, alone, strict=True):
        assert status == 401 or headers is not gone.headers
    jobs = [lambda each=each: ask(*each) for each in asked]
    if database.engine.dialect.name == "sqlite":
        assert at_once(*jobs) == alone
        return
    warm(*jobs)
    with database.write() as connection, meanwhile(lambda: at_once(*jobs)) as together:
        connection.execute(sa.text("LOCK TABLE posts"))
        all_wait(database)
        connection.commit()
    assert together.result() == alone


def test_only_what_takes_as_little_for_anybody_is_asked_together():
    """Posts by id, and pages of all posts, of a usual size; a search, a filter, an offset, a large page may be slow."""

    def at_once_of(limit=20, offset=0, position=None, **wanted):
        listing = posts.listed(1, PostFilter(**wanted), ORDERS["title"])
        if position is None:
            return listing.slice(offset=offset, limit=limit).query.at_once
        return listing.seek(position=position, backward=True, limit=limit).query.at_once

    together = (
        posts.by_id(1, None).query.at_once,
        at_once_of(),
        at_once_of(limit=25),
        at_once_of(position=("title", 1), limit=25),
    )
    alone = (
        at_once_of(limit=50),
        at_once_of(limit=7),
        at_once_of(offset=1),
        at_once_of(position=("title", 1), limit=50),
        at_once_of(text="engines"),
        at_once_of(text="e"),
        at_once_of(author_id=1),
        at_once_of(tags=["engines"]),
        at_once_of(published=False),
        at_once_of(created_after=datetime(2026, 1, 31, tzinfo=UTC)),
    )
    assert min(together) > max(alone) == 1


class Counted(Query):
    """A query that gives what it is given, three times at once, and notes for how many it was asked."""

    def __init__(self):
        super().__init__(sa.select(sa.cast(sa.bindparam("given", type_=sa.Integer), sa.Integer)).limit(ONE), at_once=3)
        self.asked = []

    def rows_of_each(self, connection, asked):
        self.asked.append(len(asked))
        return super().rows_of_each(connection, asked)


@pytest.mark.usefixtures("unhurried")
def test_everybody_gets_their_own_answer(database):
    """The same rows, asked for at once, may have different answers, and one may be an error: that asks nobody anew."""
    query = Counted()

    def refuse(rows):
        raise LookupError(rows[0][0])

    def stop(_):
        raise StopIteration

    first = Question(query, {"given": 1}, lambda rows: rows[0][0])
    mine = Question(query, {"given": 1}, lambda rows: ("mine", rows[0][0]))
    refused, stopped = Question(query, {"given": 2}, refuse), Question(query, {"given": 1}, stop)

    async def ask():
        reader, found = Reader(database), []
        for questions in ([first], [first, mine], [mine, refused, stopped, first]):
            asked = [reader.ask(None, each) for each in questions]
            found += await asyncio.gather(*asked, return_exceptions=True)
        return found

    found = run(ask())
    assert found[:4] == [1, 1, ("mine", 1), ("mine", 1)]
    assert repr(found[4]) == "LookupError(2)"
    assert isinstance(found[5], RuntimeError)
    assert found[6] == 1
    assert query.asked == [1, 2, 3, 1]


@pytest.mark.usefixtures("unhurried")
def test_a_connection_that_breaks_refuses_nobody(postgres_url, tmp_path):
    """Many wait for one connection: when PostgreSQL ends it, they are read over another."""
    with new_database(postgres_url, tmp_path) as url, serving(url) as client, opened(url) as database:
        steps = Steps(client)
        path = f"/v2/posts/{steps.post(steps.person())['id']}"
        jobs = [lambda: client.get(path)] * 20
        warm(*jobs)
        with database.write() as connection, meanwhile(lambda: at_once(*jobs)) as together:
            connection.execute(sa.text("LOCK TABLE posts"))
            all_wait(database)
            connection.execute(sa.text(END_WHAT_WAITS))
            all_wait(database)
            connection.commit()
        assert [reply.status_code for reply in together.result()] == [200] * 20


@pytest.mark.usefixtures("unhurried")
def test_a_post_that_cannot_be_read_is_nobody_elses_trouble(postgres_url, tmp_path):
    """One of many posts has a time that Python does not know: that one is 500, and the others are read."""
    with new_database(postgres_url, tmp_path) as url, opened(url) as database:
        with TestClient(create_app(make_settings(url)), raise_server_exceptions=False) as client:
            steps = Steps(client)
            good, bad = (f"/v2/posts/{steps.post(steps.person())['id']}" for _ in range(2))
            with database.write() as connection:
                connection.execute(sa.text("UPDATE posts SET created_at = '10000-01-01' WHERE id = 2"))
            jobs = [lambda path=path: client.get(path) for path in [good, bad] * 10]
            warm(*jobs)
            with database.write() as connection, meanwhile(lambda: at_once(*jobs)) as together:
                connection.execute(sa.text("LOCK TABLE posts"))
                all_wait(database)
                connection.commit()
        assert [reply.status_code for reply in together.result()] == [200, 500] * 10


def test_who_has_no_session_does_not_wait_for_sessions(postgres_url, tmp_path):
    """While somebody holds the table of sessions, posts are read without a token, though others wait with one."""
    with (
        new_database(postgres_url, tmp_path) as url,
        serving(url, database_lock_timeout=1) as client,
        opened(url) as database,
    ):
        steps = Steps(client)
        author = steps.person()
        path = f"/v2/posts/{steps.post(author)['id']}"
        jobs = [lambda headers=headers: client.get(path, headers=headers) for headers in (author.headers, {}) * 10]
        warm(*jobs)
        with database.write() as connection:
            connection.execute(sa.text("LOCK TABLE sessions"))
            assert [reply.status_code for reply in at_once(*jobs)] == [503, 200] * 10
