"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# A revision keeps its own idea of the types: later changes of storage/columns.py must not reach back into it.
KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MONEY = sa.Numeric(28, 10).with_variant(sa.Text(), "sqlite")


def _text(name: str, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _time(name: str, nullable: bool = False) -> sa.Column[int]:
    """Also for Telegram's and the venues' numbers: 64 bits."""
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def upgrade() -> None:
    _people()
    _trading()
    _telling()


def _people() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.BigInteger(), nullable=False, autoincrement=False),
        _text("role"),
        _text("language"),
        _time("added"),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
    )
    op.create_table(
        "drafts",
        sa.Column("user", sa.BigInteger(), nullable=False, autoincrement=False),
        _text("step"),
        _text("fields"),
        _text("message"),
        _time("updated"),
        sa.PrimaryKeyConstraint("user", name="pk_drafts"),
    )
    op.create_table(
        "audit",
        sa.Column("id", KEY, nullable=False),
        _time("time"),
        _time("user"),
        _text("action"),
        _text("target"),
        _text("outcome"),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_table("meta", _text("key"), _text("value"), sa.PrimaryKeyConstraint("key", name="pk_meta"))
    op.create_table(
        "lease",
        sa.Column("id", sa.Integer(), nullable=False, autoincrement=False),
        _text("host"),
        sa.Column("pid", sa.Integer(), nullable=False),
        _time("since"),
        sa.PrimaryKeyConstraint("id", name="pk_lease"),
    )


def _trading() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", KEY, nullable=False),
        _time("owner"),
        _text("name"),
        _text("venue"),
        _text("environment"),
        _text("endpoints", nullable=True),
        _text("source"),
        _text("sealed", nullable=True),
        sa.Column("removed", sa.Boolean(), nullable=False),
        _time("created"),
        sa.PrimaryKeyConstraint("id", name="pk_accounts"),
        sa.UniqueConstraint(
            "owner", "name", "venue", "environment", name="uq_accounts_owner_name_venue_environment"
        ),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "bots",
        sa.Column("id", KEY, nullable=False),
        _time("owner"),
        sa.Column("account", KEY, nullable=False),
        _text("symbol"),
        _text("strategy"),
        _text("parameters"),
        _text("status"),
        _text("reason"),
        _time("created"),
        _text("note"),
        sa.Column("hidden", sa.Boolean(), nullable=False),
        _text("once"),
        sa.PrimaryKeyConstraint("id", name="pk_bots"),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_bots_account"),
        sa.UniqueConstraint("owner", "once", name="uq_bots_owner_once"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "checkpoints",
        sa.Column("bot", KEY, nullable=False, autoincrement=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        _time("updated"),
        sa.PrimaryKeyConstraint("bot", name="pk_checkpoints"),
        sa.ForeignKeyConstraint(["bot"], ["bots.id"], name="fk_checkpoints_bot"),
    )
    _fills()
    op.create_table(
        "symbol_rules",
        _text("venue"),
        _text("environment"),
        _text("symbol"),
        _text("rules"),
        _time("fetched"),
        sa.PrimaryKeyConstraint("venue", "environment", "symbol", name="pk_symbol_rules"),
    )


def _fills() -> None:
    op.create_table(
        "fills",
        sa.Column("id", KEY, nullable=False),
        _text("venue"),
        sa.Column("account", KEY, nullable=False),
        _text("symbol"),
        _time("trade"),
        sa.Column("bot", KEY, nullable=False),
        _text("name"),
        _text("side"),
        sa.Column("price", MONEY, nullable=False),
        sa.Column("qty", MONEY, nullable=False),
        sa.Column("fee", MONEY, nullable=False),
        _text("fee_asset"),
        sa.Column("fee_rate", MONEY, nullable=False),
        sa.Column("maker", sa.Boolean(), nullable=False),
        sa.Column("realized_pnl", MONEY, nullable=False),
        _time("time"),
        sa.PrimaryKeyConstraint("id", name="pk_fills"),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_fills_account"),
        sa.ForeignKeyConstraint(["bot"], ["bots.id"], name="fk_fills_bot"),
        sa.UniqueConstraint("venue", "account", "symbol", "trade", name="uq_fills_venue_account_symbol_trade"),
    )
    op.create_index("ix_fills_bot_time", "fills", ["bot", "time"])


def _telling() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", KEY, nullable=False),
        _time("account"),
        _time("bot"),
        _text("kind"),
        _text("ref"),
        _time("chat"),
        _text("payload"),
        sa.Column("priority", sa.Integer(), nullable=False),
        _time("created"),
        _text("state"),
        sa.Column("attempts", sa.Integer(), nullable=False),
        _time("next_at"),
        _time("message_id", nullable=True),
        _time("claimed", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sa.UniqueConstraint("account", "bot", "kind", "ref", name="uq_outbox_account_bot_kind_ref"),
    )
    op.create_index("ix_outbox_state_priority_id", "outbox", ["state", "priority", "id"])


TABLES = "users drafts audit meta lease accounts bots checkpoints fills symbol_rules outbox"


def downgrade() -> None:
    for table in reversed(TABLES.split()):
        op.drop_table(table)
