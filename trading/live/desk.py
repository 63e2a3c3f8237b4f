"""Every worker behind one door: chat, CLI, scheduler and REST act on bots only through the desk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import msgspec
import structlog

from trading.core.lifecycle import Move, Status
from trading.live import cards, holdings, performance
from trading.live.background import Background
from trading.live.planner import Planner
from trading.live.roster import Bot, Roster
from trading.live.rules import Rules
from trading.live.sessions import Sessions
from trading.live.worker import Open, Worker
from trading.messages import Command, Edit, Pause, PlaceAgain, Quote, Reset, Resume, Stop
from trading.model import Candle, Instrument
from trading.ports import Account, Books, Journal, TradingError
from trading.views import (
    Aftermath,
    BalanceRow,
    Card,
    Change,
    Declined,
    FillRow,
    HealthRow,
    LevelRow,
    OrderRow,
    PanicBot,
    Performance,
    PositionRow,
    Preview,
    Refusal,
)

log = structlog.get_logger("desk")

AUDIT_PATIENCE = 20.0
"""Seconds after which the next audit may come though one account is still being read."""


class Desk:
    """Every worker; verbs raise Declined with what to do, and then nothing was changed."""

    def __init__(self, books: Books, journal: Journal, open_gateway: Open, clock: Callable[[], int]) -> None:
        self.books = books
        self.journal = journal
        self.clock = clock
        self.roster = Roster(books, clock)
        self._open_gateway = open_gateway
        self._background = Background()
        self._rules = Rules(self.roster, self._background)
        self._planner = Planner(self.roster, self._rules)
        self._sessions = Sessions(self.roster, self._rules, self._planner, journal, self._background)
        self._runs: dict[int, asyncio.Task[None]] = {}
        """Each account's worker at work."""
        self._making = asyncio.Lock()
        """One bot at a time enters the roster: pressed twice it is there once."""

    # ------------------------------------------------------------------ opening and closing

    async def open(self) -> None:
        """Load accounts and bots and start the workers; they connect in the background."""
        self.roster.install = await self.books.install()
        for account in await self.books.accounts():
            self._enlist(account)
        for row in await self.books.bots():
            await self._sessions.load(row)
        for bot in self.roster.bots.values():
            if bot.engine.status.is_live:
                await self._sessions.engage(bot)
        for account_id, worker in self.roster.workers.items():
            self._runs[account_id] = self._background.spawn(worker.run())

    def _enlist(self, account: Account) -> None:
        spawn = self._background.spawn
        worker = Worker(account, self.roster.install, self._open_gateway, self.journal, spawn, self.clock)
        worker.on_rule_broken = lambda: self._rules.doubt(account.id)
        self.roster.workers[account.id] = worker

    async def close(self) -> None:
        """Stop the workers; orders stay on the exchange, the journal's owner flushes what is left."""
        await self._background.close()
        for worker in self.roster.workers.values():
            await worker.close()

    # ------------------------------------------------------------------ accounts and instruments

    def accounts(self) -> list[Account]:
        return [worker.account for worker in self.roster.workers.values()]

    async def instruments(self, account: int) -> dict[str, Instrument]:
        """By symbol; a cache up to 24 h old, or older while the venue is down (health says so)."""
        return await self._rules.of(account)

    async def refresh_rules(self) -> None:
        """Fetch the rules of every account anew (scheduler, 24 h)."""
        await self._rules.refresh()

    async def resolve(self, account: int, text: str) -> Instrument:
        """The instrument a person means by `btc`, `BTCUSDT`, `BTC/USDT`, `BTC/USDT:USDT`."""
        return await self._rules.resolve(account, text)

    async def price(self, account: int, symbol: str) -> Quote:
        """Best bid and ask now."""
        try:
            return await self.roster.gateway(account).quote(symbol)
        except TradingError as error:
            raise self.roster.down(account, error) from error

    async def candles(self, account: int, symbol: str, interval: str, limit: int) -> list[Candle]:
        try:
            return await self.roster.gateway(account).candles(symbol, interval, limit)
        except TradingError as error:
            raise self.roster.down(account, error) from error

    async def check_account(self, account: int) -> list[HealthRow]:
        """Whether the keys work and what they may do: one row for each question."""
        return await holdings.check(self.roster, account)

    async def remove_account(self, account: int, user: int) -> None:
        """Forget an account and its keys; declined while bots stand on it or where its keys are the environment's."""
        worker = self.roster.worker(account)
        bots = len(self.roster.of(account))
        if bots:
            raise Declined(Refusal("account_in_use", {"account": worker.account.name, "bots": str(bots)}))
        if not await self.books.forget_account(account):
            raise Declined(Refusal("account_of_environment", {"account": worker.account.name}))
        self.roster.workers.pop(account)
        self._rules.forget(account)
        run = self._runs.pop(account, None)
        if run is not None:
            run.cancel()
        await worker.close()
        await self.roster.audit(user, "remove", f"account {account}")

    # ------------------------------------------------------------------ making bots

    async def preview(self, account: int, parameters: Mapping[str, str]) -> Preview:
        """The plan that these parameters would start with now, with every number of product.md §3.3."""
        return await self._planner.preview(account, parameters)

    async def create(self, owner: int, account: int, parameters: Mapping[str, str], once: str) -> int:
        """A CREATED bot; the same `once` gives the same bot again."""
        symbol = (await self.preview(account, parameters)).plan.instrument.symbol
        texts = dict(parameters) | {"symbol": symbol}
        async with self._making:
            row = await self.books.create_bot(owner, account, symbol, "grid", texts, self.clock(), once)
            if row.hidden:  # pressed again after it was deleted: no service would know it after a restart
                raise Declined(Refusal("no_such_bot", {"bot": str(row.id)}))
            if row.id not in self.roster.bots:
                await self._sessions.load(row)
                await self.roster.audit(owner, "create", f"bot {row.id}")
        return row.id

    async def delete(self, bot: int, user: int) -> None:
        """Hide a bot that is not live; its books are kept."""
        async with self.roster.hold(bot) as found:
            if found.engine.status.is_live:
                raise Declined(Refusal("still_live", {"bot": str(bot), "status": found.engine.status.value}))
            await self.books.hide_bot(bot)
            self.roster.bots.pop(bot, None)
            await self.roster.audit(user, "delete", f"bot {bot}")

    # ------------------------------------------------------------------ acting on bots

    async def start(self, bot: int, user: int, confirmed: bool = False, close_first: bool = False) -> None:
        """Plan at the price of now and start; warnings that must be confirmed decline until `confirmed`.

        What a stopped bot kept is carried into the new plan, or closed first.
        """
        async with self.roster.hold(bot) as found:
            await self._sessions.start(found, user, confirmed, close_first)

    async def stop(self, bot: int, user: int, close: bool) -> None:
        await self._do(bot, user, Stop(self._now(bot), close), Move.STOP)

    async def pause(self, bot: int, user: int) -> None:
        await self._do(bot, user, Pause(self._now(bot)), Move.PAUSE)

    async def resume(self, bot: int, user: int, skip_initial: bool = False) -> None:
        await self._do(bot, user, Resume(self._now(bot), skip_initial), Move.RESUME)

    async def reset(self, bot: int, user: int, flatten: bool) -> None:
        """Cancel, flatten or carry, plan anew at the price of then with the same parameters."""
        await self._do(bot, user, Reset(self._now(bot), flatten), Move.RESET)

    async def place_again(self, bot: int, slot: int, user: int) -> None:
        """Place the order of a slot that somebody cancelled on the exchange."""
        await self._do(bot, user, PlaceAgain(self._now(bot), slot))

    async def _do(self, number: int, user: int, command: Command, move: Move | None = None) -> None:
        async with self.roster.hold(number) as bot:
            await self._obey(bot, user, command, move)

    def _now(self, bot: int) -> int:
        return self.roster.now(self.roster.bot(bot).row.account)

    async def _obey(self, bot: Bot, user: int, command: Command, move: Move | None = None) -> None:
        """One command for a bot that is held: declined, or committed and written down."""
        if move is not None:
            bot.check(move)
        await bot.do(command)
        await self.roster.audit(user, type(command).__name__.lower(), f"bot {bot.row.id}")

    # ------------------------------------------------------------------ editing

    async def propose(self, bot: int, changes: Mapping[str, str]) -> Change:
        """What `edit` with these changes would do, with the same noes; nothing is changed."""
        return (await self._planner.change(self.roster.bot(bot), changes))[1]

    async def edit(self, bot: int, user: int, changes: Mapping[str, str]) -> Change:
        """Change stop-loss, take-profit or note, running or not; an empty text takes one away.

        A running grid is judged by its new stops once they are committed.
        """
        async with self.roster.hold(bot) as found:
            texts, change, plan = await self._planner.change(found, changes)
            if not change.fields:
                return change
            if plan is not None:
                await found.do(Edit(self._now(bot), plan.stop_loss, plan.stop_loss_high, plan.take_profit))
            note = texts.get("note", "")
            await self.books.set_parameters(bot, texts, note)
            found.row = msgspec.structs.replace(found.row, parameters=texts, note=note)
            outcome = "; ".join(f"{each.name}: {each.before or '-'} -> {each.after or '-'}" for each in change.fields)
            await self.roster.audit(user, "edit", f"bot {bot}", outcome)
            return change

    # ------------------------------------------------------------------ a whole account

    async def panic(self, account: int, user: int, close: bool) -> list[int]:
        """Stop every bot of the account that is live or about to be; the numbers of those that were live.

        Returns once each is committed to stop. Works while the exchange is away: the bots stay STOPPING until it
        confirms. See `panicking`, `aftermath`.
        """
        self.roster.worker(account)
        meant = [bot.row.id for bot in self.roster.of(account) if bot.engine.status.is_live or bot.is_starting]
        outcome = "close" if close else "keep"
        await self.roster.audit(user, "panic", f"account {account}", f"{outcome}, {len(meant)} bots")
        done = await asyncio.gather(*(self._halt(bot, user, close) for bot in meant), return_exceptions=True)
        for bot, error in zip(meant, done, strict=True):
            if isinstance(error, BaseException):
                log.error("panic_not_obeyed", bot=bot, error=str(error))
        return [bot for bot, was_live in zip(meant, done, strict=True) if was_live]

    async def _halt(self, number: int, user: int, close: bool) -> bool:
        """Whether there was anything to stop. What is live does not wait for what another verb asks the exchange."""
        bot = self.roster.bot(number)
        if not bot.engine.status.is_live or bot.successor is not None:
            async with self.roster.hold(number) as bot:
                pass
        status, closes = bot.engine.status, bot.engine.kept.close
        if status.is_live and not (status is Status.STOPPING and (closes or not close)):
            await self._obey(bot, user, Stop(self._now(number), close), Move.STOP)
        return status.is_live

    def panicking(self, bots: list[int]) -> list[PanicBot]:
        """How far these bots are on their way down."""
        found = [self.roster.bots[bot] for bot in bots if bot in self.roster.bots]
        return [cards.panicking(bot.row, bot.engine) for bot in found]

    async def aftermath(self, account: int) -> Aftermath:
        """What the exchange says is left; orders of ours that no live bot owns are cancelled on the way."""
        return await holdings.aftermath(self.roster, account)

    # ------------------------------------------------------------------ showing

    def cards(self, owner: int | None = None) -> list[Card]:
        """Every bot at a glance, from memory."""
        bots = self.roster.bots.values()
        return [self.roster.card(bot) for bot in bots if owner is None or bot.row.owner == owner]

    def card(self, bot: int) -> Card:
        return self.roster.card(self.roster.bot(bot))

    async def look(self, bot: int) -> Card:
        """The same with the price of now, also of a bot whose prices nobody watches."""
        found = self.roster.bot(bot)
        worker = self.roster.workers.get(found.row.account)
        symbol = found.row.symbol
        if worker is None or worker.gateway is None or not worker.is_up or symbol in worker.quotes:
            return self.roster.card(found)
        try:
            quote = await worker.gateway.quote(symbol)
        except TradingError as error:
            log.info("no_price", bot=bot, error=str(error))
            return self.roster.card(found)
        return cards.card(found.row, found.engine, worker, quote)

    async def performance(self, bot: int) -> Performance:
        """How it has done, day by day and a year."""
        found = self.roster.bot(bot)
        until = self.clock()
        if not found.engine.status.is_live:
            last = await self.books.fills(bot, 1)
            until = last[0].time if last else until
        return performance.performance(self.roster.card(found), await self.books.days(bot), until)

    async def fills(self, bot: int, since: int = 0) -> list[FillRow]:
        """Every trade from `since` on, ms, oldest first."""
        self.roster.bot(bot)
        return [performance.fill(*each) for each in await self.books.history(bot, since)]

    def levels(self, bot: int) -> list[LevelRow]:
        """Every slot with its order, or why it has none."""
        return cards.levels(self.roster.bot(bot).engine)

    async def balances(self) -> list[BalanceRow]:
        """Of every account that can be reached; declines when none can."""
        return await holdings.balances(self.roster)

    async def positions(self, account: int) -> list[PositionRow]:
        return await holdings.positions(self.roster, account)

    async def orders(self, account: int) -> list[OrderRow]:
        return await holdings.orders(self.roster, account)

    def health(self) -> list[HealthRow]:
        """Accounts and rules; other parts add their own rows."""
        rows = []
        for worker in self.roster.workers.values():
            name = worker.account.name
            rows.append(HealthRow(f"account:{name}", worker.is_up, "" if worker.is_up else "down", {"why": worker.why}))
            rows += self._rules.health(worker.account.id, name)
        for bot in self.roster.bots.values():
            if bot.engine.status is Status.STOPPING:
                rows.append(HealthRow(f"bot:{bot.row.id}", False, "stopping", {"symbol": bot.row.symbol}))
        return rows

    # ------------------------------------------------------------------ the scheduler's

    async def audit_bots(self) -> None:
        """Reconcile every live bot (each minute); an account that cannot be read holds up no other."""
        audits = [self._background.spawn(worker.audit()) for worker in self.roster.workers.values()]
        if audits:
            await asyncio.wait(audits, timeout=AUDIT_PATIENCE)

    async def keep_alive(self) -> None:
        """Refresh what venues let expire, such as Binance's listenKey."""
        for worker in list(self.roster.workers.values()):
            if worker.gateway is not None and worker.is_up:
                try:
                    await worker.gateway.keep_alive()
                except TradingError as error:
                    log.warning("keep_alive_failed", account=worker.account.name, error=str(error))
