"""Nobody waits for ever: a request whose reply has not begun in time is answered 503."""

import asyncio
from collections.abc import Callable, Sequence

import structlog
from anyio import CapacityLimiter
from anyio.to_thread import current_default_thread_limiter
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.threads import Turn, turn_of_request
from app.versioning.problems import Problem, unavailable

log = structlog.get_logger("tandem.request")


class Deadline:
    """Gives a request up after `turn_seconds` if it still waits for a thread, and after `seconds` if it has one.

    A thread cannot be stopped: it goes on until what it waits for answers, and nobody hears of it. What waits for a
    thread is never begun. Were there one limit for both, under overload everybody would be given a thread just before
    being given up, and nobody be answered. `limiters` are what requests wait in besides `app.threads`.

    The time a client takes to send its body does not count, nor does a reply that has begun. A server that cancels the
    request, because it stops, is given the same reply to send.
    """

    def __init__(
        self,
        app: ASGIApp,
        render: Callable[[Problem, Request], Response],
        seconds: float,
        turn_seconds: float,
        limiters: Sequence[CapacityLimiter],
    ) -> None:
        self.app = app
        self.render = render
        self.seconds = seconds
        self.turn_seconds = turn_seconds
        self.limiters = limiters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        loop, task, started = asyncio.get_running_loop(), asyncio.current_task(), False
        work = Turn()
        turn_of_request.set(work)
        turn: asyncio.TimerHandle

        def end_turn() -> None:
            limiters = (current_default_thread_limiter(), *self.limiters)  # FastAPI's own threads, for others' routes
            has_thread = work.working or any(task in limiter.statistics().borrowers for limiter in limiters)
            clock.reschedule(loop.time() + (self.seconds - self.turn_seconds if has_thread else 0))

        async def receive_untimed() -> Message:
            nonlocal turn
            turn.cancel()
            clock.reschedule(None)
            message = await receive()
            if not started:
                turn = loop.call_later(self.turn_seconds, end_turn)
            return message

        async def send_in_time(message: Message) -> None:
            nonlocal started
            if not started:
                started = True
                turn.cancel()
                clock.reschedule(None)
            await send(message)

        turn = loop.call_later(self.turn_seconds, end_turn)
        try:
            async with asyncio.timeout(None) as clock:
                await self.app(scope, receive_untimed, send_in_time)
        except (TimeoutError, asyncio.CancelledError) as error:  # a server that stops cancels what it waits for no more
            if started or (isinstance(error, TimeoutError) and not clock.expired()):
                raise
            log.warning("request given up")
            problem = unavailable("There was no reply in time; whether the request has had its effect is not known")
            await self.render(problem, Request(scope))(scope, receive, send)
        finally:
            turn.cancel()
