"""Where requests wait for the database: threads, as many as there are connections, so that none waits for one.

They are those of asyncio's default executor, which `create_app` sets. What the service does by itself, such as writing
the usage ledger, has others: it must not wait behind requests.
"""

import asyncio
import os
import time
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
    except StopIteration as error:
        raise _other_than(error) from error


def _other_than(error: StopIteration) -> RuntimeError:
    """What no Future can be told of, and who awaits it would wait for ever, in other words."""
    return RuntimeError(f"{error!r} was raised in a thread")


class _Wanted(NamedTuple, Generic[K, T]):
    key: K
    found: "asyncio.Future[T]"
    turn: Turn


class _Queue(Generic[K, T]):
    """Of one event loop: who waits, and the call that they wait behind, if one is under way."""

    def __init__(self) -> None:
        self.waiting: list[_Wanted[K, T]] = []
        self.last: asyncio.Task[None] | None = None


class Loader(Generic[K, T]):
    """A data loader: what requests look for at the same time is found for all of them by one call in a thread.

    While a call is under way, who comes waits, and goes with the next; that begins when the call ends, and after 10 ms
    all the same, so that one that hangs, or that waits for a thread, holds nobody up. `find` is given 1 to `most` keys,
    and gives for each what was found or the exception to raise; one that it raises itself is raised for all of them.

    How many go together doubles with a call of as many that was quick, and is 1 again after one that was not: where to
    find one takes long, to find many might take longer than they can wait.
    """

    _PATIENCE = 0.01  # seconds
    _QUICK = 0.25  # seconds: far less than a statement or a request may take

    def __init__(self, find: Callable[[Sequence[K]], Sequence[T | Exception]], most: int) -> None:
        self._find, self._most = find, most
        self._at_once = 1
        self._queues: WeakKeyDictionary[asyncio.AbstractEventLoop, _Queue[K, T]] = WeakKeyDictionary()
        self._calls: set[asyncio.Task[None]] = set()  # an event loop alone would lose sight of them

    async def load(self, key: K) -> T:
        """What is found for the key. To be called in an event loop."""
        loop = asyncio.get_running_loop()
        queue = self._queues.get(loop) or self._queues.setdefault(loop, _Queue())
        found: asyncio.Future[T] = loop.create_future()
        queue.waiting.append(_Wanted(key, found, turn_of_request.get()))
        if queue.last is None:
            self._call_next(queue)
        return await found

    def _call_next(self, queue: _Queue[K, T]) -> None:
        """Begin the next call, if anybody waits for it."""
        queue.waiting = [wanted for wanted in queue.waiting if not wanted.found.done()]  # not given up
        if not queue.waiting:
            queue.last = None
            return
        loop = asyncio.get_running_loop()
        call = loop.create_task(self._call(queue), context=Context())  # of no request: it is for many
        queue.last = call
        self._calls.add(call)
        patience = loop.call_later(self._PATIENCE, self._go_on, queue, call)

        def end(call: asyncio.Task[None]) -> None:
            patience.cancel()
            self._calls.discard(call)
            self._go_on(queue, call)

        call.add_done_callback(end)

    def _go_on(self, queue: _Queue[K, T], call: asyncio.Task[None]) -> None:
        """Nobody need wait behind this call any more."""
        if queue.last is call:
            self._call_next(queue)

    async def _call(self, queue: _Queue[K, T]) -> None:
        await asyncio.sleep(0)  # who comes in the same turn of the event loop need not wait for the next call
        taken, queue.waiting = queue.waiting[: self._at_once], queue.waiting[self._at_once :]
        if not taken:
            return  # a call before this one took them
        begun: list[_Wanted[K, T]] = []

        def find() -> Sequence[T | Exception]:
            begun.extend(wanted for wanted in taken if not wanted.found.done())  # the others did not wait for a thread
            for wanted in begun:
                wanted.turn.working = True
            began = time.monotonic()
            try:
                return self._find([wanted.key for wanted in begun]) if begun else []
            finally:
                if time.monotonic() - began >= self._QUICK:
                    self._at_once = 1
                elif len(begun) >= self._at_once:  # no more than twice as many as have been tried
                    self._at_once = min(len(begun) * 2, self._most)

        try:
            for wanted, answer in zip(begun, await in_thread(find), strict=True):
                _answer(wanted, answer)
        except Exception as error:  # noqa: BLE001 - who waits hears of it
            for wanted in taken:
                _answer(wanted, error)


def _answer(wanted: _Wanted[K, T], answer: T | Exception) -> None:
    wanted.turn.working = False
    if wanted.found.done():
        return  # its request was given up, or it has its answer
    if isinstance(answer, StopIteration):
        answer = _other_than(answer)
    if isinstance(answer, Exception):
        wanted.found.set_exception(answer)
    else:
        wanted.found.set_result(answer)
