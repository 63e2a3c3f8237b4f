"""What each fill brought, and how each person wants things."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

MONEY = sa.Numeric(28, 10).with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    op.add_column("fills", sa.Column("matched", MONEY, nullable=False, server_default="0"))
    op.add_column("fills", sa.Column("pairs", sa.Integer(), nullable=False, server_default="0"))
    op.create_table(
        "preferences",
        sa.Column("user", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("user", "name", name="pk_preferences"),
    )
    op.create_index("ix_outbox_bot_id", "outbox", ["bot", "id"])


def downgrade() -> None:
    op.drop_index("ix_outbox_bot_id", "outbox")
    op.drop_table("preferences")
    op.drop_column("fills", "pairs")
    op.drop_column("fills", "matched")
