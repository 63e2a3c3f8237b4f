"""The trial's service: database, journal, desk and scheduler as in `service/wiring.py`, commanded without a chat."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from pathlib import Path
from typing import Any

from msgspec import structs
from sqlmodel import col, select

from alerts.schedule import first_jobs
from service import logs
from service.wiring import now, spin, stop_on_signals
from storage import accounts
from storage.books import DatabaseBooks
from storage.database import Database
from storage.journal import DatabaseJournal
from storage.tables import Bots, Checkpoints, Fills, Outbox
from tests.trial.lines import serve
from trading.core.engine import Engine
from trading.gateways.catalog import local, open_gateway
from trading.live.desk import Desk
from trading.model import Environment, Role
from trading.ports import Account, Credentials, Gateway, Waits
from trading.strategies.grid import Grid

OWNER = 1


class Service:
    """A desk with the verbs of a person, and with everything it believes laid open."""

    def __init__(self, database: Database, desk: Desk, journal: DatabaseJournal) -> None:
        self.database = database
        self.desk = desk
        self.journal = journal

    def verbs(self) -> dict[str, Any]:
        return {
            name: getattr(self, name)
            for name in ("create", "start", "stop", "pause", "resume", "reset", "place_again", "is_up", "said")
        }

    async def create(self, account: str, parameters: dict[str, str], once: str) -> int:
        number = next(each.id for each in self.desk.accounts() if each.name == account)
        return await self.desk.create(OWNER, number, parameters, once)

    async def start(self, bot: int, close_first: bool = False) -> None:
        await self.desk.start(bot, OWNER, confirmed=True, close_first=close_first)

    async def stop(self, bot: int, close: bool) -> None:
        await self.desk.stop(bot, OWNER, close)

    async def pause(self, bot: int) -> None:
        await self.desk.pause(bot, OWNER)

    async def resume(self, bot: int) -> None:
        await self.desk.resume(bot, OWNER)

    async def reset(self, bot: int, flatten: bool) -> None:
        await self.desk.reset(bot, OWNER, flatten)

    async def place_again(self, bot: int, slot: int) -> None:
        await self.desk.place_again(bot, slot, OWNER)

    async def is_up(self) -> bool:
        rows = self.desk.health()
        return bool(rows) and all(row.ok for row in rows if row.part.startswith("account:"))

    async def said(self) -> dict[str, Any]:
        """What engine and database hold of every bot."""
        kept = await self._kept()
        names = {account.id: account.name for account in self.desk.accounts()}
        bots = [self._bot(number, bot, names, kept) for number, bot in self.desk.roster.bots.items()]
        return {"bots": bots, "fills": kept["fills"], "trouble": self.journal.trouble}

    async def _kept(self) -> dict[str, Any]:
        async with self.database.reading() as session:
            fills = (await session.execute(select(Fills))).scalars().all()
            pairs = (await session.execute(select(Outbox.bot, Outbox.ref).where(col(Outbox.kind) == "pair"))).all()
            rows = (await session.execute(select(Bots.id, Bots.status))).all()
            states = (await session.execute(select(Checkpoints.bot, Checkpoints.state))).all()
        return {
            "fills": [
                (f.account, f.symbol, f.trade, f.name, f.side, str(f.price), str(f.qty), str(f.fee)) for f in fills
            ],
            "pairs": [bot for bot, _ in pairs],
            "status": dict(tuple(row) for row in rows),
            "checkpoints": {bot: Engine.read(state).books for bot, state in states},
        }

    def _bot(self, number: int, bot: Any, names: dict[int, str], kept: dict[str, Any]) -> dict[str, Any]:
        engine: Engine = bot.engine
        books = engine.ledger.books
        saved = kept["checkpoints"].get(number)
        return {
            "bot": number,
            "account": names[bot.row.account],
            "account_id": bot.row.account,
            "symbol": bot.row.symbol,
            "status": engine.status.value,
            "reason": engine.kept.reason,
            "is_synced": engine.is_synced,
            "position": books.position,
            "foreign": books.foreign,
            "fills": books.fills,
            "pairs": books.pairs,
            "told": sum(1 for each in kept["pairs"] if each == number),
            "fees": books.fees,
            "funding": books.funding,
            "matched": books.matched,
            "cost": books.cost,
            "open_fees": books.open_fees,
            "orders": [
                {"cid": str(order.cid), "status": order.status.value, "executed": order.executed, "qty": order.qty}
                for order in engine.orders.values()
            ],
            "strays": [str(cid) for cid in engine.strays],
            "levels": [structs.asdict(row) | {"side": row.side.value} for row in self.desk.levels(number)],
            "grid": self._grid(engine),
            "db_status": kept["status"].get(number, ""),
            "db_fills": saved.fills if saved else 0,
            "db_position": saved.position if saved else 0,
        }

    @staticmethod
    def _grid(engine: Engine) -> dict[str, Any] | None:
        grid = engine.strategy
        if not isinstance(grid, Grid):
            return None
        plan, state = grid.plan, grid.state
        rows = []
        for i, slot in enumerate(state.slots):
            wish = grid.wish(i)
            rows.append(
                {
                    "slot": i,
                    "quantity": plan.quantities[i],
                    "entry": plan.entry(i).value,
                    "side": slot.side.value,
                    "price": plan.levels[i] if slot.side.value == "BUY" else plan.levels[i + 1],
                    "turn": slot.turn,
                    "want": slot.want,
                    "done": slot.done,
                    "lot": slot.lot,
                    "waits": wish.reason if isinstance(wish, Waits) else "",
                }
            )
        opening = grid.wish(Role.OPEN)
        return {
            "direction": plan.direction.value,
            "min_notional": plan.instrument.min_notional,
            "min_qty": plan.instrument.min_qty,
            "slots": rows,
            "held": state.held,
            "undealt": state.undealt,
            "open_want": state.open_want,
            "open_waits": opening.reason if isinstance(opening, Waits) else "",
        }


async def main(url: str, port: int, names: list[str], audit: float, keepalive: float) -> None:
    """The service's life, until SIGTERM or the end of stdin."""
    stop = stop_on_signals()
    database = Database(url)
    await database.open(exclusive=True)
    keys: dict[int, Credentials] = {}
    for name in names:
        account = await accounts.ensure(database, OWNER, name, "binance", Environment.DEMO, now(), local(port))
        keys[account.id] = Credentials(name, f"{name}-secret")

    async def opened(account: Account) -> Gateway:
        return open_gateway(account, keys[account.id])

    journal = DatabaseJournal(database)
    desk = Desk(DatabaseBooks(database), journal, opened, now)
    schedule = first_jobs(
        desk.audit_bots,
        desk.refresh_rules,
        desk.keep_alive,
        audit_seconds=audit,
        rules_hours=24,
        keepalive_minutes=keepalive,
    )
    service = Service(database, desk, journal)
    try:
        async with asyncio.TaskGroup() as parts:
            tasks = [parts.create_task(journal.run()), parts.create_task(_trade(desk, schedule))]
            talk = parts.create_task(_talk(service, stop))
            await stop.wait()
            for task in [talk, *reversed(tasks)]:
                task.cancel()
    finally:
        await journal.close()
        await database.close()


async def _trade(desk: Desk, schedule: Any) -> None:
    await desk.open()
    try:
        async with schedule.running():
            await asyncio.Event().wait()
    finally:
        await desk.close()


async def _talk(service: Service, stop: asyncio.Event) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        await serve(service.verbs())
    stop.set()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--database", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--account", action="append", required=True)
    parser.add_argument("--audit", type=float, default=60)
    parser.add_argument("--keepalive", type=float, default=20)
    parser.add_argument("--log", type=Path, required=True)
    given = parser.parse_args()
    logs.set_up(given.log, "info")
    spin(main(given.database, given.port, given.account, given.audit, given.keepalive))
