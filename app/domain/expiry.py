"""Rows that are good for a while: whoever writes one more clears some away that ran out, so that no job has to."""

from sqlalchemy import Table, bindparam, delete, select

from app.db import Query

_CLEARED_AT_ONCE = 10


def clearing(table: Table) -> Query:
    """A DELETE of a few rows of a table whose `expires_at` has come by `moment`, its one parameter.

    They are found by the column's index. Those that others hold are left to them: nobody waits, so no deadlock.
    """
    (key,) = table.primary_key
    expires_at = table.c.expires_at
    ran_out = (
        select(key)
        .where(expires_at <= bindparam("moment"))
        .order_by(expires_at)
        .limit(_CLEARED_AT_ONCE)
        .with_for_update(skip_locked=True)
        .cte()  # or PostgreSQL may look for them once more for each it deletes
    )
    return Query(delete(table).where(key.in_(select(ran_out))))
