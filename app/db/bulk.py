"""Many rows at once, by the quickest way each database has."""

import csv
import io
from collections.abc import Sequence
from typing import Any

import psycopg2
from sqlalchemy import Table, insert
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError


def insert_many(connection: Connection, table: Table, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Insert rows given as values in the order of `columns`: COPY on PostgreSQL, one prepared INSERT on SQLite.

    Raises sqlalchemy.exc.IntegrityError on either.
    """
    if connection.dialect.name != "postgresql":
        connection.execute(insert(table), [dict(zip(columns, row, strict=True)) for row in rows])
        return
    buffer = io.StringIO()
    csv.writer(buffer).writerows(rows)
    buffer.seek(0)
    driver_connection = connection.connection.driver_connection
    assert driver_connection is not None
    copy = f"COPY {table.name} ({', '.join(columns)}) FROM STDIN WITH (FORMAT csv)"
    with driver_connection.cursor() as cursor:
        try:
            cursor.copy_expert(copy, buffer)
        except psycopg2.IntegrityError as error:
            raise IntegrityError(copy, None, error) from error  # as SQLAlchemy reports it for a statement of its own
