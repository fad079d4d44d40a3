"""Running a transaction again that met another one, or whose connection broke."""

import time
from collections.abc import Callable, Sequence
from functools import wraps
from typing import ParamSpec, TypeVar

import structlog
from sqlalchemy.exc import DBAPIError
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, stop_before_delay
from tenacity import wait_random_exponential as random_exponential

from app.db.errors import is_transient, is_unavailable

P = ParamSpec("P")
K = TypeVar("K")
T = TypeVar("T")

_ATTEMPTS = 10
_SECONDS = 2.0  # with the longest wait for a lock after it, well within what a request may take
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.4  # seconds; the pauses are random, so that two that met do not meet again

log = structlog.get_logger("tandem")


def _note(state: RetryCallState) -> None:
    error = state.outcome and state.outcome.exception()
    log.info(
        "transaction tried again", attempt=state.attempt_number, reason=str(getattr(error, "orig", "")).split("\n")[0]
    )


def retried(function: Callable[P, T]) -> Callable[P, T]:
    """Decorates the function of a request that holds the block `with db.write()`.

    The whole of it is run again, up to ten times within two seconds, when a transient error ends it (see
    `is_transient`); then the error is raised. So it must change nothing but the database. A lost COMMIT is never run
    again: nobody knows whether it happened. Statements in AUTOCOMMIT are: only such belong there as may happen twice.
    """

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        began = time.monotonic()
        try:
            return function(*args, **kwargs)
        except Exception as error:
            if not is_transient(error):
                raise
            # Tenacity is told only now, of this run as the first: to ask it at once was a tenth of what a vote costs.
            failed = [error]
            retrying = Retrying(
                retry=retry_if_exception(is_transient),
                stop=stop_after_attempt(_ATTEMPTS) | stop_before_delay(_SECONDS - (time.monotonic() - began)),
                wait=random_exponential(multiplier=_FIRST_PAUSE, max=_LONGEST_PAUSE),
                before_sleep=_note,
                reraise=True,
            )

        def attempt() -> T:
            if failed:
                raise failed.pop()
            return function(*args, **kwargs)

        return retrying(attempt)

    return run


def each_alone_after_failure(find: Callable[[Sequence[K]], Sequence[T]], keys: Sequence[K]) -> Sequence[T | Exception]:
    """What is found for the keys; when looking for all of them fails, for each alone, or the error that it fails with.

    So neither one row that cannot be read nor a connection that broke is everybody's trouble. A database that is away
    is, and is not waited for once more.
    """
    try:
        return find(keys)
    except Exception as error:
        lost = isinstance(error, DBAPIError) and error.connection_invalidated
        if not lost and (len(keys) == 1 or is_unavailable(error)):
            raise
    found: list[T | Exception] = []
    for key in keys:
        try:
            found += find([key])
        except Exception as error:
            if is_unavailable(error):
                raise
            found.append(error)
    return found
