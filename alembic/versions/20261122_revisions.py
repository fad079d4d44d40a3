"""Posts and users count their changes: what ETag is made from, and If-Match compared with."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    # A constant default is noted in the catalogue: neither database rewrites the table, and a release before this one,
    # which knows nothing of the column, goes on inserting rows.
    for table in ("users", "posts"):
        op.add_column(table, sa.Column("revision", _ID, server_default="1", nullable=False))


def downgrade() -> None:
    for table in ("posts", "users"):
        op.drop_column(table, "revision")
