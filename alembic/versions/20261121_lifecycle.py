"""API clients, their usage and consents, planned brownouts; sessions name the client that opened them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_ORDERED_STRING = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "api_clients",
        sa.Column("id", _ORDERED_STRING, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("contact", sa.Text(), nullable=False),
        sa.Column("pinned_version", sa.String(length=32), nullable=True),
        sa.Column("owner_id", _ID, nullable=True),
        sa.Column("brownout_exempt", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name="fk_api_clients_owner_id_users", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_api_clients"),
    )
    op.create_index("ix_api_clients_owner_id", "api_clients", ["owner_id"])
    op.create_table(
        "client_consents",
        sa.Column("client_id", _ORDERED_STRING, nullable=False),
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.Column("sunset", sa.DateTime(timezone=True), nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["api_clients.id"], name="fk_client_consents_client_id_api_clients", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("client_id", "version", name="pk_client_consents"),
    )
    op.create_table(
        "brownouts",
        sa.Column("id", _ID, nullable=False),
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("client", sa.String(length=64), nullable=True),
        sa.Column("percentage", sa.SmallInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("ends_at > starts_at", name=op.f("ck_brownouts_window")),
        sa.CheckConstraint("percentage BETWEEN 1 AND 100", name=op.f("ck_brownouts_percentage")),
        sa.PrimaryKeyConstraint("id", name="pk_brownouts"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "switches",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_switches"),
    )
    op.create_table(
        "usage",
        *_of_whom(),
        sa.Column("status_class", sa.SmallInteger(), nullable=False),
        sa.Column("calls", _ID, nullable=False),
        sa.PrimaryKeyConstraint(
            "starts_at", "version", "operation", "client", "source", "status_class", name="pk_usage"
        ),
    )
    op.create_index("ix_usage_version_starts_at", "usage", ["version", "starts_at"])
    op.create_index("ix_usage_client_starts_at", "usage", ["client", "starts_at"])
    op.create_table(
        "usage_fields",
        *_of_whom(),
        sa.Column("place", sa.String(length=8), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("calls", _ID, nullable=False),
        sa.PrimaryKeyConstraint(
            "starts_at", "version", "operation", "client", "source", "place", "name", name="pk_usage_fields"
        ),
    )
    op.create_index("ix_usage_fields_version_starts_at", "usage_fields", ["version", "starts_at"])
    # Nullable and without a reference: a rolling release must be able to write sessions that know nothing of it, and
    # adding a reference would rewrite the table on SQLite.
    op.add_column("sessions", sa.Column("client_id", sa.String(length=64), nullable=True))


def _of_whom() -> list[sa.Column]:
    """What both tables of usage begin with."""
    return [
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.Column("operation", sa.String(length=255), nullable=False),
        sa.Column("client", sa.String(length=64), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
    ]


def downgrade() -> None:
    op.drop_column("sessions", "client_id")
    for table in ("usage_fields", "usage", "switches", "brownouts", "client_consents", "api_clients"):
        op.drop_table(table)
