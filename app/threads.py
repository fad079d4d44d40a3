"""Where requests wait for the database: threads, as many as there are connections, so that none waits for one.

They are those of asyncio's default executor, which `create_app` sets. What the service does by itself, such as writing
the usage ledger, has others: it must not wait behind requests.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

P = ParamSpec("P")
T = TypeVar("T")


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
