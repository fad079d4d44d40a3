"""Where requests wait for the database: threads, as many as there are connections, so that none waits for one.

They are those of asyncio's default executor, which `create_app` sets. What the service does by itself, such as writing
the usage ledger, has others: it must not wait behind requests.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, ContextVar, copy_context
from functools import partial, wraps
from typing import Any, Generic, NamedTuple, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

P = ParamSpec("P")
T = TypeVar("T")
K = TypeVar("K")


class Turn:
    """Of one request, which does one thing at a time: whether it is at work in a thread, or still waits for one."""

    working = False


turn_of_request: ContextVar[Turn] = ContextVar("turn", default=Turn())  # noqa: B039 - outside of requests nobody asks


_USUAL_NUMBER = min(32, (os.cpu_count() or 1) + 4)  # of asyncio's own default executor
_free_threads: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


def set_threads(number: int, begin: Callable[[], None] | None = None) -> None:
    """Have so many of those threads in the running event loop; `begin` is the first that is called in each."""
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(number, "request", begin))
    _free_threads[loop] = asyncio.Semaphore(number)


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call it in one of those threads, once there is one. If this is cancelled before, it is never called.

    The event loop hands each thread its next call itself. Threads that took them from a queue would never pause, and
    where many requests wait, the loop would get its turn at the interpreter too seldom to answer anybody.
    """
    call = partial(copy_context().run, _noted, partial(function, *args, **kwargs))
    loop = asyncio.get_running_loop()
    free = _free_threads.get(loop) or _free_threads.setdefault(loop, asyncio.Semaphore(_USUAL_NUMBER))
    async with free:
        try:
            return await loop.run_in_executor(None, call)
        finally:
            turn_of_request.get().working = False


def threaded(endpoint: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """A plain function as an endpoint that is called in one of those threads: in FastAPI's own, it might wait."""

    @wraps(endpoint)
    async def called(*args: P.args, **kwargs: P.kwargs) -> T:
        return await in_thread(endpoint, *args, **kwargs)

    return called


def _noted(call: Callable[[], T]) -> T:
    turn_of_request.get().working = True
    try:
        return call()
    except StopIteration as error:  # of which no Future can be told: whoever awaits it would wait for ever
        raise RuntimeError("StopIteration was raised in a thread") from error


class _Wanted(NamedTuple, Generic[K, T]):
    key: K
    found: "asyncio.Future[T]"
    turn: Turn


class Loader(Generic[K, T]):
    """A data loader: what requests look for at the same time is found for all of them by one call in a thread.

    While a call is under way, who comes waits, and goes with the next; who is alone does not wait. `find` is given
    keys, 64 at most, and gives for each what was found or the exception to raise; one that it raises itself is raised
    for all of them. It must be quick whatever the keys: everybody waits for it.
    """

    _MOST = 64

    def __init__(self, find: Callable[[Sequence[K]], Sequence[T | Exception]]) -> None:
        self._find = find
        # Who waits in an event loop; there is an entry while a call is under way.
        self._waiting: WeakKeyDictionary[asyncio.AbstractEventLoop, list[_Wanted[K, T]]] = WeakKeyDictionary()
        self._tasks: set[asyncio.Task[None]] = set()  # an event loop alone would lose sight of them

    async def load(self, key: K) -> T:
        """What is found for the key. To be called in an event loop."""
        loop = asyncio.get_running_loop()
        found: asyncio.Future[T] = loop.create_future()
        waiting = self._waiting.get(loop)
        if waiting is None:
            waiting = self._waiting[loop] = []
            task = loop.create_task(self._find_all(loop), context=Context())  # of no request: it is for many
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        waiting.append(_Wanted(key, found, turn_of_request.get()))
        return await found

    async def _find_all(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            while self._waiting[loop]:
                await asyncio.sleep(0)  # who comes in the same turn of the event loop need not wait for the next call
                waiting = self._waiting[loop]
                self._waiting[loop] = waiting[self._MOST :]
                await self._find_together([wanted for wanted in waiting[: self._MOST] if not wanted.found.done()])
        finally:
            del self._waiting[loop]

    async def _find_together(self, all_wanted: Sequence[_Wanted[K, T]]) -> None:
        def find() -> Sequence[T | Exception]:
            for wanted in all_wanted:
                wanted.turn.working = True
            return self._find([wanted.key for wanted in all_wanted])

        answers: Sequence[T | Exception]
        try:
            answers = await in_thread(find)
        except Exception as error:  # noqa: BLE001 - who waits hears of it
            answers = [error] * len(all_wanted)
        for wanted, answer in zip(all_wanted, answers, strict=True):
            wanted.turn.working = False
            if wanted.found.done():
                continue  # its request was given up meanwhile
            if isinstance(answer, Exception):
                wanted.found.set_exception(answer)
            else:
                wanted.found.set_result(answer)
