"""What is asked for at the same time is found together, and everybody gets what they would have got alone."""

import asyncio
import threading
from contextlib import suppress

import sqlalchemy as sa

from app.threads import Loader, Turn, turn_of_request
from tests.steps import Steps, at_once
from tests.test_migrations import new_database, opened
from tests.test_requests import serving
from tests.test_transient_errors import WAITING, meanwhile, wait_until

SECONDS = 10  # to wait for what has to happen
END_WHAT_WAITS = WAITING.replace("count(*)", "pg_terminate_backend(pid, 5000)")


class Calls:
    """A loader that doubles its keys, but for -1, which it refuses, and -2, at which it breaks.

    Each call waits until it may end.
    """

    def __init__(self):
        self.made = []
        self.at_work = []  # whose requests were at work in a thread meanwhile
        self.begun, self.may_end = threading.Semaphore(0), threading.Semaphore(0)
        self.turns = {}
        self.loader = Loader(self.find)

    def find(self, keys):
        self.made.append(list(keys))
        self.at_work.append([key for key, turn in self.turns.items() if turn.working])
        self.begun.release()
        assert self.may_end.acquire(timeout=SECONDS)
        if -2 in keys:
            raise OSError
        return [LookupError(key) if key == -1 else 2 * key for key in keys]

    async def ask(self, *keys):
        """Ask for each, by a request of its own; gives their tasks once the last is waiting."""

        async def request(key):
            turn_of_request.set(self.turns.setdefault(key, Turn()))
            return await self.loader.load(key)

        tasks = [asyncio.create_task(request(key)) for key in keys]
        await asyncio.sleep(0)
        return tasks

    async def begins(self):
        assert await asyncio.to_thread(self.begun.acquire, timeout=SECONDS)


def test_who_comes_during_a_call_goes_with_the_next():
    """One call after the other, of 64 keys at most, also in the next event loop; all in it count as at work."""
    calls = Calls()

    async def ask():
        asked = await calls.ask(0)
        await calls.begins()
        asked += await calls.ask(*range(1, 101))
        calls.may_end.release(3)
        return await asyncio.gather(*asked)

    together = [[0], [*range(1, 65)], [*range(65, 101)]]
    for _ in range(2):
        assert asyncio.run(ask()) == [2 * key for key in range(101)]
    assert calls.made == calls.at_work == together * 2
    assert not any(turn.working for turn in calls.turns.values())


def test_one_is_refused_alone_and_all_hear_of_what_breaks():
    """An exception for one key is raised for who asked for that; one of the call for all in it, and it goes on."""
    calls = Calls()

    async def ask():
        asked = await calls.ask(0)
        await calls.begins()
        asked += await calls.ask(1, -1, 2)
        calls.may_end.release(2)
        first = await asyncio.gather(*asked, return_exceptions=True)
        asked = await calls.ask(3)
        await calls.begins()
        await calls.begins()
        asked += await calls.ask(4, -2)
        calls.may_end.release(2)
        return first + await asyncio.gather(*asked, return_exceptions=True)

    assert [type(found) if isinstance(found, Exception) else found for found in asyncio.run(ask())] == [
        0, 2, LookupError, 4, 6, OSError, OSError,
    ]  # fmt: skip


def test_who_is_given_up_is_looked_for_no_more():
    """A request that ends before its call is not in it; one that ends during it leaves the others theirs."""
    calls = Calls()

    async def ask():
        first = await calls.ask(0)
        await calls.begins()
        early, late, patient = await calls.ask(1, 2, 3)
        early.cancel()
        calls.may_end.release()
        await calls.begins()
        late.cancel()
        calls.may_end.release()
        for given_up in (early, late):
            with suppress(asyncio.CancelledError):
                await given_up
        return await asyncio.gather(*first, patient)

    assert asyncio.run(ask()) == [0, 6]
    assert calls.made == [[0], [2, 3]]


def test_everybody_reads_what_they_would_have_read_alone(client, steps, database):
    """Forty at once, of either version: own votes and drafts, others' drafts, what is missing, and ended sessions."""
    ada, bob, gone = steps.person(), steps.person(), steps.person()
    posts = [steps.post(ada), steps.post(bob, tags=["engines"]), steps.post(ada, published=False)]
    steps.vote(ada, posts[1]["id"], 1)
    steps.vote(bob, posts[1]["id"], -1)
    token = gone.headers["Authorization"].removeprefix("Bearer ")
    assert client.post("/v2/auth/revoke", data={"token": token}).status_code == 200
    asked = [
        (f"/{version}/posts/{post}", headers)
        for version in ("v1", "v2")
        for post in (*(post["id"] for post in posts), 9_999, 2**63 - 1)
        for headers in ({}, ada.headers, bob.headers, gone.headers)
    ]

    def ask(path, headers):
        reply = client.get(path, headers=headers)
        return reply.status_code, reply.headers.get("etag"), reply.json() | {"request_id": None}

    alone = [ask(*each) for each in asked]
    assert {status for status, *_ in alone} == {200, 401, 404}
    for (_, headers), (status, *_) in zip(asked, alone, strict=True):
        assert status == 401 or headers is not gone.headers
    jobs = [lambda each=each: ask(*each) for each in asked]
    if database.engine.dialect.name == "sqlite":
        assert at_once(*jobs) == alone
        return
    with database.write() as connection, meanwhile(lambda: at_once(*jobs)) as together:
        connection.execute(sa.text("LOCK TABLE posts, sessions"))  # so that all but the first wait for each other
        wait_until(database, WAITING, 2)
        connection.commit()
    assert together.result() == alone


def test_a_connection_that_breaks_refuses_nobody(postgres_url, tmp_path):
    """Many wait for one connection: when PostgreSQL ends it, they are read over another."""
    with new_database(postgres_url, tmp_path) as url, serving(url) as client, opened(url) as database:
        steps = Steps(client)
        path = f"/v2/posts/{steps.post(steps.person())['id']}"
        jobs = [lambda: client.get(path)] * 20
        with database.write() as connection, meanwhile(lambda: at_once(*jobs)) as together:
            connection.execute(sa.text("LOCK TABLE posts"))
            wait_until(database, WAITING, 1)
            connection.execute(sa.text(END_WHAT_WAITS))
            wait_until(database, WAITING, 1)
            connection.commit()
        assert [reply.status_code for reply in together.result()] == [200] * 20
