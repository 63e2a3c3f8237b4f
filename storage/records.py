"""Records as rows: what one commit of the journal writes, each fill and each notice once."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Table, bindparam, select, update
from sqlalchemy.dialects import sqlite
from sqlmodel import SQLModel

from storage import outbox, tables
from storage.columns import booked, stored
from storage.database import Database
from trading.messages import Filled, Notice
from trading.ports import Account, Booked, Record

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
        state = update(bots).where(bots.c.id == bindparam("key"))
        checkpoint = database.insert(tables.Checkpoints)
        changed = {"state": checkpoint.excluded.state, "updated": checkpoint.excluded.updated}
        unique_trade = ["venue", "account", "symbol", "trade"]
        # In this order: a foreign key may point back only.
        self._statements: list[Any] = [
            state.values(status=bindparam("status_"), reason=bindparam("reason_")),
            checkpoint.on_conflict_do_update(index_elements=["bot"], set_=changed),
            database.insert(tables.Fills).on_conflict_do_nothing(index_elements=unique_trade),
            database.insert(tables.Outbox).on_conflict_do_nothing(index_elements=outbox.UNIQUE),
        ]
        self._texts: list[str] = [""] * len(self._statements)
        self._amount = stored if database.is_sqlite else booked

    async def write(self, records: Sequence[Record], told: Sequence[Told]) -> None:
        """All of it or nothing. KeyError for a bot that does not exist."""
        await self._find_homes([each.bot for each in records if each.bot not in self._homes])
        now = self._clock()
        states: list[Row] = []
        checkpoints: list[Row] = []
        fills: list[Row] = []
        words: list[Row] = []
        for each in records:
            await asyncio.sleep(0)  # a storm of fills must not hold up the answer to the next one
            home = self._homes[each.bot]
            states.append({"key": each.bot, "status_": each.status, "reason_": each.reason})
            checkpoints.append({"bot": each.bot, "state": each.checkpoint, "updated": now})
            booked = each.booked if len(each.booked) == len(each.fills) else (Booked(),) * len(each.fills)
            fills += [self._fill_row(each.bot, home, *both) for both in zip(each.fills, booked, strict=True)]
            words += [_notice_row(home.account, home.owner, notice, now) for notice in each.notices]
        words += [_notice_row(each.account.id, each.account.owner, each.notice, now) for each in told]
        await self._execute([states, checkpoints, fills, words])

    async def _execute(self, rows: list[list[Row]]) -> None:
        if self._database.is_sqlite:
            for number, each in enumerate(rows):
                if each and not self._texts[number]:
                    self._texts[number] = _text(self._statements[number], list(each[0]))
            await self._database.transact(partial(_write, list(zip(self._texts, rows, strict=True))))
            return
        async with self._database.session() as session:
            connection = await session.connection()
            for statement, each in zip(self._statements, rows, strict=True):
                if each:
                    await connection.execute(statement, each)

    async def _find_homes(self, missing: list[int]) -> None:
        if not missing:
            return
        bots, accounts = _columns(tables.Bots), _columns(tables.Accounts)
        wanted = (
            select(bots.c.id, accounts.c.venue, bots.c.account, bots.c.symbol, bots.c.owner)
            .join(accounts, accounts.c.id == bots.c.account)
            .where(bots.c.id.in_(missing))
        )
        async with self._database.reading() as session:
            for bot, *home in await session.execute(wanted):
                self._homes[bot] = _Home(*home)

    def _fill_row(self, bot: int, home: _Home, fill: Filled, booked: Booked) -> Row:
        return {
            "venue": home.venue,
            "account": home.account,
            "symbol": home.symbol,
            "trade": fill.trade,
            "bot": bot,
            "name": str(fill.cid),
            "side": fill.side.value,
            "price": self._amount(fill.price),
            "qty": self._amount(fill.qty),
            "fee": self._amount(fill.fee),
            "fee_asset": fill.fee_asset,
            "fee_rate": self._amount(fill.fee_rate),
            "maker": fill.maker,
            "realized_pnl": self._amount(fill.realized_pnl),
            "time": fill.time,
            "matched": self._amount(booked.matched),
            "pairs": booked.pairs,
        }


def _write(parts: list[tuple[str, list[Row]]], connection: sqlite3.Connection) -> None:
    for text, rows in parts:
        if rows:
            connection.executemany(text, rows)


def _text(statement: Any, keys: list[str]) -> str:
    """The statement as SQLite's own driver takes it, with named values."""
    return str(statement.compile(dialect=sqlite.dialect(paramstyle="named"), column_keys=keys))


def _columns(table: type[SQLModel]) -> Table:
    return table.__table__  # type: ignore[attr-defined,no-any-return]


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
