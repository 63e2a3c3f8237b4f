"""The desk's books: accounts, bots, checkpoints, fills and rules, as `trading.ports.Books` asks for them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from decimal import ROUND_HALF_UP

import msgspec
from sqlmodel import col, delete, select, update

from storage import accounts, audit, tables
from storage.database import Database
from trading.messages import Filled
from trading.model import MONEY, ZERO, ClientOrderId, Instrument, Side
from trading.ports import Account, Booked, BotRow, Day

DAY = 86_400_000
_DIGITS = "0123456789abcdefghijklmnopqrstuv"


class DatabaseBooks:
    """`ports.Books` on a Database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def install(self) -> str:
        drawn = "".join(secrets.choice(_DIGITS) for _ in range(4))
        async with self._database.session() as session:
            await session.execute(
                self._database.insert(tables.Meta).values(key="install", value=drawn).on_conflict_do_nothing()
            )
            return (await session.get_one(tables.Meta, "install")).value

    async def accounts(self) -> list[Account]:
        return await accounts.everything(self._database)

    async def bots(self) -> list[BotRow]:
        wanted = select(tables.Bots).where(~col(tables.Bots.hidden)).order_by(col(tables.Bots.id))
        async with self._database.reading() as session:
            return [_bot(row) for row in (await session.execute(wanted)).scalars()]

    async def create_bot(
        self, owner: int, account: int, symbol: str, strategy: str, parameters: Mapping[str, str], now: int, once: str
    ) -> BotRow:
        drawn = self._database.insert(tables.Bots).values(
            owner=owner,
            account=account,
            symbol=symbol,
            strategy=strategy,
            parameters=msgspec.json.encode(dict(parameters)).decode(),
            status="CREATED",
            reason="",
            created=now,
            note="",
            hidden=False,
            once=once,
        )
        wanted = select(tables.Bots).where(col(tables.Bots.owner) == owner, col(tables.Bots.once) == once)
        async with self._database.session() as session:
            await session.execute(drawn.on_conflict_do_nothing(index_elements=["owner", "once"]))
            return _bot((await session.execute(wanted)).scalar_one())

    async def hide_bot(self, bot: int) -> None:
        async with self._database.session() as session:
            await session.execute(update(tables.Bots).where(col(tables.Bots.id) == bot).values(hidden=True))

    async def checkpoint(self, bot: int) -> bytes | None:
        async with self._database.reading() as session:
            row = await session.get(tables.Checkpoints, bot)
        return row.state if row else None

    async def fills(self, bot: int, limit: int) -> list[Filled]:
        newest = (col(tables.Fills.time).desc(), col(tables.Fills.trade).desc())
        wanted = select(tables.Fills).where(col(tables.Fills.bot) == bot).order_by(*newest).limit(limit)
        async with self._database.reading() as session:
            return [_filled(row) for row in (await session.execute(wanted)).scalars()]

    async def history(self, bot: int, since: int = 0) -> list[tuple[Filled, Booked]]:
        wanted = (
            select(tables.Fills)
            .where(col(tables.Fills.bot) == bot, col(tables.Fills.time) >= since)
            .order_by(col(tables.Fills.time), col(tables.Fills.trade))
        )
        async with self._database.reading() as session:
            rows = (await session.execute(wanted)).scalars()
            return [(_filled(row), Booked(row.matched, row.pairs)) for row in rows]

    async def days(self, bot: int) -> list[Day]:
        """Added up here: money is text on SQLite, whose own sums are floats."""
        each = tables.Fills
        wanted = select(
            col(each.time), col(each.matched), col(each.pairs), col(each.fee), col(each.fee_rate)
        ).where(col(each.bot) == bot)
        found: dict[int, Day] = {}
        async with self._database.reading() as session:
            for time, matched, pairs, fee, rate in await session.execute(wanted):
                start = time - time % DAY
                day = found.get(start, Day(start, ZERO, 0, 0, ZERO))
                paid = day.fees + (fee * rate).quantize(MONEY, rounding=ROUND_HALF_UP)
                found[start] = Day(start, day.matched + matched, day.pairs + pairs, day.fills + 1, paid)
        return [found[start] for start in sorted(found)]

    async def set_parameters(self, bot: int, parameters: Mapping[str, str], note: str) -> None:
        values = {"parameters": msgspec.json.encode(dict(parameters)).decode(), "note": note}
        async with self._database.session() as session:
            await session.execute(update(tables.Bots).where(col(tables.Bots.id) == bot).values(**values))

    async def forget_account(self, account: int) -> bool:
        async with self._database.reading() as session:
            row = await session.get(tables.Accounts, account)
        return row is not None and row.source != "env" and await accounts.remove(self._database, account)

    async def rules(self, venue: str, environment: str) -> tuple[int, dict[str, Instrument]] | None:
        wanted = select(tables.SymbolRules).where(
            col(tables.SymbolRules.venue) == venue, col(tables.SymbolRules.environment) == environment
        )
        async with self._database.reading() as session:
            rows = (await session.execute(wanted)).scalars().all()
        try:
            found = {row.symbol: msgspec.json.decode(row.rules, type=Instrument) for row in rows}
        except msgspec.ValidationError:
            return None  # written by a version with other fields: as good as not cached
        return (min(row.fetched for row in rows), found) if rows else None

    async def save_rules(self, venue: str, environment: str, now: int, rules: Mapping[str, Instrument]) -> None:
        rows = [
            {
                "venue": venue,
                "environment": environment,
                "symbol": symbol,
                "rules": msgspec.json.encode(each).decode(),
                "fetched": now,
            }
            for symbol, each in rules.items()
        ]
        drawn = self._database.insert(tables.SymbolRules)
        # two may save at once: on PostgreSQL neither sees what the other has just deleted or put there
        drawn = drawn.on_conflict_do_update(
            index_elements=["venue", "environment", "symbol"],
            set_={"rules": drawn.excluded.rules, "fetched": drawn.excluded.fetched},
        )
        async with self._database.session() as session:
            await session.execute(
                delete(tables.SymbolRules).where(
                    col(tables.SymbolRules.venue) == venue,
                    col(tables.SymbolRules.environment) == environment,
                    col(tables.SymbolRules.symbol).not_in(list(rules)),
                )
            )
            if rows:
                await session.execute(drawn, sorted(rows, key=lambda row: str(row["symbol"])))

    async def audit(self, user: int, action: str, target: str, outcome: str, now: int) -> None:
        await audit.add(self._database, audit.Entry(now, user, action, target, outcome))


def _bot(row: tables.Bots) -> BotRow:
    assert row.id is not None
    return BotRow(
        id=row.id,
        owner=row.owner,
        account=row.account,
        symbol=row.symbol,
        strategy=row.strategy,
        parameters=msgspec.json.decode(row.parameters, type=dict[str, str]),
        status=row.status,
        reason=row.reason,
        created=row.created,
        note=row.note,
        hidden=row.hidden,
    )


def _filled(row: tables.Fills) -> Filled:
    cid = ClientOrderId.parse(row.name)
    assert cid is not None, row.name
    return Filled(
        time=row.time,
        cid=cid,
        trade=row.trade,
        side=Side(row.side),
        price=row.price,
        qty=row.qty,
        fee=row.fee,
        fee_asset=row.fee_asset,
        fee_rate=row.fee_rate,
        maker=row.maker,
        realized_pnl=row.realized_pnl,
    )
