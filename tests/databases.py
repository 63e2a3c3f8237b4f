"""Real databases for tests: a SQLite file always, a PostgreSQL database of its own where TRELLIS_TEST_POSTGRES says."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from storage import accounts
from storage.books import DatabaseBooks
from storage.database import Database
from trading.messages import Filled, Notice, NoticeKind
from trading.model import ClientOrderId, Environment, Side
from trading.ports import Account, BotRow, Record

POSTGRES = os.environ.get("TRELLIS_TEST_POSTGRES", "")
OWNER = 4_200_000_000


@pytest.fixture(params=["sqlite", "postgresql"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """The URL of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'state' / 'trellis.db'}"
        return
    if not POSTGRES:
        pytest.skip("TRELLIS_TEST_POSTGRES holds no URL")
    async with empty(POSTGRES) as found:
        yield found


@asynccontextmanager
async def empty(at: str) -> AsyncIterator[str]:
    """The URL of a new database on the PostgreSQL server `at`, gone after the block."""
    name = f"trellis_test_{secrets.token_hex(6)}"
    server = make_url(at).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(server, isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            await connection.execute(text(f"CREATE DATABASE {name}"))
        yield server.set(database=name).render_as_string(hide_password=False)
        async with engine.connect() as connection:
            await connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    finally:
        await engine.dispose()


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    """An open database at the newest schema."""
    opened = Database(url)
    await opened.open()
    yield opened
    await opened.close()


async def a_bot(database: Database, once: str = "a", account: Account | None = None) -> BotRow:
    account = account or await accounts.ensure(database, OWNER, "main", "binance", Environment.DEMO, now=1)
    return await DatabaseBooks(database).create_bot(
        OWNER, account.id, "BTCUSDT", "grid", {"lower": "58000"}, now=5, once=once
    )


def a_fill(bot: int, trade: int, price: Decimal = Decimal("60000.1")) -> Filled:
    return Filled(
        time=1_700_000_000_000 + trade,
        cid=ClientOrderId("ab12", bot, trade % 40, trade),
        trade=trade,
        side=Side.BUY if trade % 2 else Side.SELL,
        price=price,
        qty=Decimal("0.001"),
        fee=Decimal("0.0120000200"),
        fee_asset="USDT",
        fee_rate=Decimal(1),
        maker=True,
        realized_pnl=Decimal("-1.5"),
    )


def a_notice(bot: int, ref: str, kind: NoticeKind = NoticeKind.PAIR) -> Notice:
    return Notice(bot, kind, ref, 1_700_000_000_000, {"profit": "1.25", "name": "網格"})


class Bot:
    """A session as the journal sees it: fills and notices pile up until they are taken."""

    def __init__(self, bot: int) -> None:
        self.bot = bot
        self.status = "RUNNING"
        self.count = 0
        self.takes = 0
        self.fills: list[Filled] = []
        self.notices: list[Notice] = []

    def fill(self, trade: int | None = None) -> None:
        self.count += 1
        self.fills.append(a_fill(self.bot, trade or self.bot * 1_000_000 + self.count))
        self.notices.append(a_notice(self.bot, str(self.count)))

    def take(self) -> Record:
        self.takes += 1
        fills, self.fills = tuple(self.fills), []
        notices, self.notices = tuple(self.notices), []
        return Record(self.bot, self.status, "", str(self.count).encode(), fills, notices)
