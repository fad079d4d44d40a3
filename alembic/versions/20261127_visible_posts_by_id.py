"""Which posts somebody sees is told by an index: a deep offset of version 1 reads no row that it passes over."""

from alembic import op

from app.db.migrations import create_index_concurrently

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_index_concurrently("ix_posts_id_published_owner_id", "posts", ["id", "published", "owner_id"])


def downgrade() -> None:
    op.drop_index("ix_posts_id_published_owner_id", "posts")
