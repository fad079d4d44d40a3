"""The connection to PostgreSQL that a thread keeps: whether it can be used again."""

import select
from threading import local
from typing import Any

from psycopg2.extensions import TRANSACTION_STATUS_IDLE
from sqlalchemy.engine import Connection
from sqlalchemy.pool import Pool


class OfThread(local):
    """What a Database knows of a thread: whether it keeps its connection, and the one, with its pool, that it does."""

    keeps = False
    kept: Connection | None = None
    pool: Pool | None = None


def is_idle(connection: Connection) -> bool:
    """Whether nothing has been left of what was done: neither SQLAlchemy nor the driver knows of a transaction.

    SQLAlchemy still does after a COMMIT that failed; and it does not hear of what a Query has begun.
    """
    if connection.closed or connection.invalidated or connection.get_transaction() is not None:
        return False
    driver_connection: Any = connection.connection.driver_connection
    return not driver_connection.closed and driver_connection.info.transaction_status == TRANSACTION_STATUS_IDLE


def is_over(connection: Any) -> bool:
    """Whether PostgreSQL has ended a connection while nothing was asked of it: then all there is to read is a farewell.

    To look costs 1 µs, to ask (`pool_pre_ping`) would cost every request a round trip.
    """
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))
