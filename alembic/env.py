"""Runs migrations on the connection that app.db.migrations hands over, or on DATABASE_URL for the stock command."""

from alembic import context

from app.adoption import models
from app.db import Database
from app.db.types import UtcDateTime
from app.settings import Settings

# Of PostgreSQL alone, and of an expression, which Alembic cannot compare.
SEARCH_INDEX = "ix_posts_title_trigrams"


def render_item(kind, item, _context):
    """A type of ours as the columns have it: a revision must mean the same for ever, and our types may change."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UtcDateTime) else False


def run(connection):
    context.configure(
        connection=connection,
        include_name=lambda name, _kind, _parents: name != SEARCH_INDEX,
        target_metadata=models.metadata,
        render_item=render_item,
        render_as_batch=True,  # SQLite cannot ALTER: Alembic copies the table instead
        compare_type=True,
        compare_server_default=True,
    )
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():  # `alembic upgrade FROM:TO --sql` prints what it would do, for the kind of DATABASE_URL
    context.configure(url=Settings().database_url, target_metadata=models.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
elif (given := context.config.attributes.get("connection")) is not None:
    run(given)
else:
    database = Database(Settings().database_url)
    with database.migrate() as connection:
        run(connection)
    database.close()
