"""Where requests wait for the database: threads, as many as there are connections, so that none waits for one.

They are those of asyncio's default executor, which `create_app` sets. What the service does by itself, such as writing
the usage ledger, has others: it must not wait behind requests.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import ContextVar, copy_context
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Turn:
    """Of one request, which does one thing at a time: whether it is at work in a thread, or still waits for one."""

    working = False


turn_of_request: ContextVar[Turn] = ContextVar("turn", default=Turn())  # noqa: B039 - outside of requests nobody asks


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call it in one of those threads, once there is one. If this is cancelled before, it is never called."""
    call = partial(copy_context().run, _noted, partial(function, *args, **kwargs))
    try:
        return await asyncio.get_running_loop().run_in_executor(None, call)
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
