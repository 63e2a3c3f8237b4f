"""Records as rows: what one commit of the journal writes, each fill and each notice once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Table, bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel

from storage import outbox, tables
from storage.database import Database
from trading.messages import Filled, Notice
from trading.ports import Account, Record

Row = dict[str, Any]


class Told(Struct, frozen=True):
    """A notice of an account's own."""

    account: Account
    notice: Notice


class _Home(Struct, frozen=True):
    """Where a bot belongs; it never moves."""

    venue: str
    account: int
    symbol: str
    owner: int


class Writer:
    """Writes records in one transaction; the statements are prepared once."""

    def __init__(self, database: Database, clock: Callable[[], int]) -> None:
        self._database = database
        self._clock = clock
        self._homes: dict[int, _Home] = {}
        bots = _columns(tables.Bots)
        self._state = (
            update(bots)
            .where(bots.c.id == bindparam("key"))
            .values(status=bindparam("status_"), reason=bindparam("reason_"))
        )
        checkpoint = database.insert(tables.Checkpoints)
        self._checkpoint = checkpoint.on_conflict_do_update(
            index_elements=["bot"], set_={"state": checkpoint.excluded.state, "updated": checkpoint.excluded.updated}
        )
        self._fill = database.insert(tables.Fills).on_conflict_do_nothing(
            index_elements=["venue", "account", "symbol", "trade"]
        )
        self._notice = database.insert(tables.Outbox).on_conflict_do_nothing(index_elements=outbox.UNIQUE)

    async def write(self, records: Sequence[Record], told: Sequence[Told]) -> None:
        """All of it or nothing. KeyError for a bot that does not exist."""
        now = self._clock()
        async with self._database.session() as session:
            connection = await session.connection()
            await self._find_homes(connection, records)
            homes = self._homes
            fills = [_fill_row(each.bot, homes[each.bot], fill) for each in records for fill in each.fills]
            words = [
                _notice_row(homes[each.bot].account, homes[each.bot].owner, notice, now)
                for each in records
                for notice in each.notices
            ]
            words += [_notice_row(each.account.id, each.account.owner, each.notice, now) for each in told]
            if records:
                states = [{"key": each.bot, "status_": each.status, "reason_": each.reason} for each in records]
                await connection.execute(self._state, states)
                kept = [{"bot": each.bot, "state": each.checkpoint, "updated": now} for each in records]
                await connection.execute(self._checkpoint, kept)
            if fills:
                await connection.execute(self._fill, fills)
            if words:
                await connection.execute(self._notice, words)

    async def _find_homes(self, connection: AsyncConnection, records: Sequence[Record]) -> None:
        missing = [each.bot for each in records if each.bot not in self._homes]
        if not missing:
            return
        bots, accounts = _columns(tables.Bots), _columns(tables.Accounts)
        wanted = (
            select(bots.c.id, accounts.c.venue, bots.c.account, bots.c.symbol, bots.c.owner)
            .join(accounts, accounts.c.id == bots.c.account)
            .where(bots.c.id.in_(missing))
        )
        for bot, *home in await connection.execute(wanted):
            self._homes[bot] = _Home(*home)


def _columns(table: type[SQLModel]) -> Table:
    return table.__table__  # type: ignore[attr-defined,no-any-return]


def _fill_row(bot: int, home: _Home, fill: Filled) -> Row:
    return {
        "venue": home.venue,
        "account": home.account,
        "symbol": home.symbol,
        "trade": fill.trade,
        "bot": bot,
        "name": str(fill.cid),
        "side": fill.side.value,
        "price": fill.price,
        "qty": fill.qty,
        "fee": fill.fee,
        "fee_asset": fill.fee_asset,
        "fee_rate": fill.fee_rate,
        "maker": fill.maker,
        "realized_pnl": fill.realized_pnl,
        "time": fill.time,
    }


def _notice_row(account: int, owner: int, notice: Notice, now: int) -> Row:
    return outbox.row(
        account=account,
        bot=notice.bot,
        kind=notice.kind.value,
        ref=notice.ref,
        chat=owner,
        payload=msgspec.json.encode(notice).decode(),
        now=now,
        urgency=outbox.priority(notice.kind),
    )
