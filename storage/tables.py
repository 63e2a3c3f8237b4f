"""The tables. Times are ms UTC, money is exact, structured values are JSON text: the same on every database.

A change here needs a revision in `migrations/versions`; a test compares the two.
"""

from __future__ import annotations

from decimal import Decimal

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, MetaData, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from storage.columns import Key, Money

SQLModel.metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)
"""Named constraints, so that a later revision can drop them on any database."""


class Users(SQLModel, table=True):
    """A person who may talk to the bot, by numeric Telegram id."""

    __tablename__ = "users"

    id: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    role: str = Field(sa_type=Text)
    language: str = Field(default="en", sa_type=Text)
    added: int = Field(sa_type=BigInteger)


class Accounts(SQLModel, table=True):
    """One set of credentials. The environment is part of its identity: a bot never moves from testnet to mainnet."""

    __tablename__ = "accounts"
    __table_args__ = (UniqueConstraint("owner", "name", "venue", "environment"), {"sqlite_autoincrement": True})

    id: int | None = Field(default=None, primary_key=True, sa_type=Key)
    owner: int = Field(sa_type=BigInteger)
    name: str = Field(sa_type=Text)
    venue: str = Field(sa_type=Text)
    environment: str = Field(sa_type=Text)
    endpoints: str | None = Field(default=None, sa_type=Text)
    source: str = Field(sa_type=Text)
    """`env`: the keys stand in the environment; `stored`: they are sealed here."""
    sealed: str | None = Field(default=None, sa_type=Text)
    """Key and secret as one sealed text, so that halves of two accounts cannot be mixed."""
    removed: bool = Field(default=False)
    created: int = Field(sa_type=BigInteger)


class Bots(SQLModel, table=True):
    """A bot. Never deleted, only hidden: its number stands in order names for ever."""

    __tablename__ = "bots"
    __table_args__ = (UniqueConstraint("owner", "once"), {"sqlite_autoincrement": True})

    id: int | None = Field(default=None, primary_key=True, sa_type=Key)
    owner: int = Field(sa_type=BigInteger)
    account: int = Field(sa_type=Key, sa_column_args=(ForeignKey("accounts.id"),))
    symbol: str = Field(sa_type=Text)
    strategy: str = Field(sa_type=Text)
    parameters: str = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    reason: str = Field(default="", sa_type=Text)
    created: int = Field(sa_type=BigInteger)
    note: str = Field(default="", sa_type=Text)
    hidden: bool = Field(default=False)
    once: str = Field(sa_type=Text)


class Checkpoints(SQLModel, table=True):
    """The last committed state of a bot's engine."""

    __tablename__ = "checkpoints"

    bot: int = Field(
        primary_key=True,
        sa_type=Key,
        sa_column_args=(ForeignKey("bots.id"),),
        sa_column_kwargs={"autoincrement": False},
    )
    state: bytes = Field(sa_type=LargeBinary)
    updated: int = Field(sa_type=BigInteger)


class Fills(SQLModel, table=True):
    """A trade of one of our orders; the venue's number makes it unique, so counting it again changes nothing."""

    __tablename__ = "fills"
    __table_args__ = (UniqueConstraint("venue", "account", "symbol", "trade"), Index(None, "bot", "time"))

    id: int | None = Field(default=None, primary_key=True, sa_type=Key)
    venue: str = Field(sa_type=Text)
    account: int = Field(sa_type=Key, sa_column_args=(ForeignKey("accounts.id"),))
    symbol: str = Field(sa_type=Text)
    trade: int = Field(sa_type=BigInteger)
    bot: int = Field(sa_type=Key, sa_column_args=(ForeignKey("bots.id"),))
    name: str = Field(sa_type=Text)
    """The client order id."""
    side: str = Field(sa_type=Text)
    price: Decimal = Field(sa_type=Money)
    qty: Decimal = Field(sa_type=Money)
    fee: Decimal = Field(sa_type=Money)
    fee_asset: str = Field(sa_type=Text)
    fee_rate: Decimal = Field(sa_type=Money)
    maker: bool
    realized_pnl: Decimal = Field(sa_type=Money)
    time: int = Field(sa_type=BigInteger)
    matched: Decimal = Field(default=Decimal(0), sa_type=Money)
    """Grid profit that our ledger booked with this trade, net of both fees."""
    pairs: int = Field(default=0)
    """Pairs that it completed."""


class SymbolRules(SQLModel, table=True):
    """A venue's rules for one symbol, as an Instrument in JSON."""

    __tablename__ = "symbol_rules"

    venue: str = Field(primary_key=True, sa_type=Text)
    environment: str = Field(primary_key=True, sa_type=Text)
    symbol: str = Field(primary_key=True, sa_type=Text)
    rules: str = Field(sa_type=Text)
    fetched: int = Field(sa_type=BigInteger)


class Drafts(SQLModel, table=True):
    """What a person has filled in so far."""

    __tablename__ = "drafts"

    user: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    step: str = Field(sa_type=Text)
    fields: str = Field(sa_type=Text)
    message: str = Field(default="", sa_type=Text)
    updated: int = Field(sa_type=BigInteger)


class Outbox(SQLModel, table=True):
    """Something to tell a chat, written in one commit with what it tells of.

    `bot` and `account` are 0 where there is none, hence no foreign keys.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        UniqueConstraint("account", "bot", "kind", "ref"),
        Index(None, "state", "priority", "id"),
        Index(None, "bot", "id"),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=Key)
    account: int = Field(sa_type=BigInteger)
    bot: int = Field(sa_type=BigInteger)
    kind: str = Field(sa_type=Text)
    ref: str = Field(sa_type=Text)
    chat: int = Field(sa_type=BigInteger)
    payload: str = Field(sa_type=Text)
    priority: int
    created: int = Field(sa_type=BigInteger)
    state: str = Field(default="pending", sa_type=Text)
    attempts: int = Field(default=0)
    next_at: int = Field(default=0, sa_type=BigInteger)
    message_id: int | None = Field(default=None, sa_type=BigInteger)
    claimed: int | None = Field(default=None, sa_type=BigInteger)
    """When an attempt began whose outcome is not known."""


class Preferences(SQLModel, table=True):
    """How a person wants one thing, such as the notices of one kind; what stands at its default has no row."""

    __tablename__ = "preferences"

    user: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    name: str = Field(primary_key=True, sa_type=Text)
    value: str = Field(sa_type=Text)


class Audit(SQLModel, table=True):
    """Who did what, and what came of it."""

    __tablename__ = "audit"

    id: int | None = Field(default=None, primary_key=True, sa_type=Key)
    time: int = Field(sa_type=BigInteger)
    user: int = Field(sa_type=BigInteger)
    action: str = Field(sa_type=Text)
    target: str = Field(sa_type=Text)
    outcome: str = Field(sa_type=Text)


class Meta(SQLModel, table=True):
    """A fact about this database, such as its install tag."""

    __tablename__ = "meta"

    key: str = Field(primary_key=True, sa_type=Text)
    value: str = Field(sa_type=Text)


class Lease(SQLModel, table=True):
    """Who runs the service on this database: named in a refusal; the lock itself is elsewhere."""

    __tablename__ = "lease"

    id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    host: str = Field(sa_type=Text)
    pid: int
    since: int = Field(sa_type=BigInteger)
