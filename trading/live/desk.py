"""Every worker behind one door: chat, CLI, scheduler and REST act on bots only through the desk."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Callable, Coroutine, Mapping
from decimal import Decimal
from typing import Any

import msgspec
import structlog

from trading import plan as planning
from trading.core.engine import Engine
from trading.core.lifecycle import IllegalMove, Move, Status, after
from trading.live import cards, edits, performance
from trading.live.session import Session
from trading.live.worker import Open, Worker
from trading.messages import Begin, Cancel, Command, Edit, Fail, Pause, PlaceAgain, Quote, Reset, Resume, Start, Stop
from trading.model import ZERO, Candle, ClientOrderId, Instrument
from trading.parameters import GridParameters, clean
from trading.plan import stops
from trading.plan.exposure import Cross
from trading.ports import Account, Books, BotRow, Gateway, Journal, Rejected, TradingError
from trading.strategies.grid import Grid, GridPlan
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

RULES_AGE = 24 * 3_600_000
"""How long symbol rules are fresh, ms."""
RULES_DOUBTED = 600_000
"""Rules older than this, ms, are fetched again when the exchange refuses an order by a rule."""
AUDIT_PATIENCE = 20.0
"""Seconds after which the next audit may come though one account is still being read."""
REVIVE_AFTER = 2.0
"""Seconds until a broken session is built again from its checkpoint."""


class Bot:
    """A bot as the desk holds it: its row, its engine, and its session while it is live."""

    def __init__(self, row: BotRow, engine: Engine) -> None:
        self.row = row
        self.engine = engine
        self.session: Session | None = None
        self.busy = asyncio.Lock()
        """One verb at a time: pressed twice is done once."""


class Desk:
    """Every worker; verbs raise Declined with what to do, and then nothing was changed."""

    def __init__(self, books: Books, journal: Journal, open_gateway: Open, clock: Callable[[], int]) -> None:
        self.books = books
        self.journal = journal
        self.clock = clock
        self._open_gateway = open_gateway
        self._workers: dict[int, Worker] = {}
        self._bots: dict[int, Bot] = {}
        self._rules: dict[int, tuple[int, dict[str, Instrument]]] = {}
        self._doubted: set[int] = set()
        """Accounts whose rules are being fetched because of a refusal."""
        self._install = ""
        self._tasks: set[asyncio.Task[None]] = set()
        self._runs: dict[int, asyncio.Task[None]] = {}
        """Each account's worker at work."""

    # ------------------------------------------------------------------ opening and closing

    async def open(self) -> None:
        """Load accounts and bots and start the workers; they connect in the background."""
        self._install = await self.books.install()
        for account in await self.books.accounts():
            self._enlist(account)
        for row in await self.books.bots():
            await self._load(row)
        for bot in self._bots.values():
            if bot.engine.status.is_live:
                await self._engage(bot)
        for worker in self._workers.values():
            self._runs[worker.account.id] = self._spawn(worker.run())

    async def close(self) -> None:
        """Stop the workers; orders stay on the exchange, the journal's owner flushes what is left."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for worker in self._workers.values():
            await worker.close()

    def _enlist(self, account: Account) -> None:
        worker = Worker(account, self._install, self._open_gateway, self.journal, self._spawn, self.clock)
        worker.on_rule_broken = lambda: self._doubt_rules(account.id)
        self._workers[account.id] = worker

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """The one supervised place for background work: an error ends that piece of work alone."""
        task = asyncio.create_task(self._guard(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _guard(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception:
            log.exception("background_work_failed")

    async def _load(self, row: BotRow) -> Bot:
        data = await self.books.checkpoint(row.id)
        worker = self._workers.get(row.account)
        kept = Engine.read(data) if data else None
        strategy = Grid.unpack(kept.strategy, self._install, row.id) if kept and kept.strategy else None
        instrument = strategy.plan.instrument if strategy is not None else None
        if instrument is None:
            instrument = await self._cached_instrument(row)
        plan = strategy.plan if strategy is not None else None
        if kept is not None and kept.status.is_live and plan is not None:
            row = await self._mended(row, plan)
        labels = cards.labels(row, worker.account if worker else None, instrument, plan)
        engine = Engine(self._install, row.id, instrument, labels, kept, strategy)
        bot = Bot(row, engine)
        self._bots[row.id] = bot
        return bot

    async def _mended(self, row: BotRow, plan: GridPlan) -> BotRow:
        """A crash between an edit's two commits leaves the running plan ahead of the row: the plan counts."""
        torn = edits.torn(row.parameters, plan)
        if torn is None:
            return row
        await self.books.set_parameters(row.id, torn, row.note)
        return msgspec.structs.replace(row, parameters=torn)

    async def _cached_instrument(self, row: BotRow) -> Instrument:
        worker = self._workers.get(row.account)
        if worker is not None:
            cached = await self.books.rules(worker.account.venue, worker.account.environment.value)
            if cached and row.symbol in cached[1]:
                return cached[1][row.symbol]
        one = Decimal(1)
        return Instrument("", row.symbol, row.symbol, "", one, one, one, ZERO, ZERO, ZERO)

    async def _engage(self, bot: Bot) -> None:
        """Give a live bot its session."""
        worker = self._workers.get(bot.row.account)
        if worker is None:
            log.error("bot_without_account", bot=bot.row.id)
            return
        gateway: Any = _Late(worker)
        session = Session(bot.engine, gateway, self.journal, self._spawn, self.clock)
        bot.session = session
        session.on_replan = lambda: self._replan(bot)
        session.on_over = lambda: self._disengage(bot)
        session.on_broken = lambda error: self._broke(bot)
        await worker.add(session)

    def _disengage(self, bot: Bot) -> None:
        bot.session = None
        worker = self._workers.get(bot.row.account)
        if worker is not None:
            worker.drop(bot.row.id)

    def _broke(self, bot: Bot) -> None:
        self._disengage(bot)
        self._spawn(self._revive(bot))

    async def _revive(self, bot: Bot) -> None:
        """A session that died is built again from its checkpoint and takes the path of recovery."""
        await asyncio.sleep(REVIVE_AFTER)
        fresh = await self._load(bot.row)
        if fresh.engine.status.is_live:
            await self._engage(fresh)
            if fresh.session is not None:
                await fresh.session.reconcile()

    # ------------------------------------------------------------------ accounts and instruments

    def accounts(self) -> list[Account]:
        return [worker.account for worker in self._workers.values()]

    def _worker(self, account: int) -> Worker:
        worker = self._workers.get(account)
        if worker is None:
            raise Declined(Refusal("no_such_account", {"account": str(account)}))
        return worker

    def _gateway(self, account: int) -> Gateway:
        worker = self._worker(account)
        if worker.gateway is None or not worker.is_up:
            raise Declined(Refusal("venue_down", {"account": worker.account.name, "why": worker.why}))
        return worker.gateway

    def _down(self, account: int, error: TradingError) -> Declined:
        name = self._worker(account).account.name
        return Declined(Refusal("venue_down", {"account": name, "why": str(error)}))

    async def instruments(self, account: int) -> dict[str, Instrument]:
        """By symbol; a cache up to 24 h old, or older while the venue is down (health says so)."""
        worker = self._worker(account)
        cached = self._rules.get(account)
        if cached is None:
            cached = await self.books.rules(worker.account.venue, worker.account.environment.value)
        if cached is None or self.clock() - cached[0] > RULES_AGE:
            try:
                return await self._fetch_rules(account)
            except (Declined, TradingError):
                if cached is None:
                    raise Declined(Refusal("venue_down", {"account": worker.account.name, "why": worker.why})) from None
        self._rules[account] = cached
        return cached[1]

    async def _fetch_rules(self, account: int) -> dict[str, Instrument]:
        worker = self._worker(account)
        rules = await self._gateway(account).instruments()
        now = self.clock()
        await self.books.save_rules(worker.account.venue, worker.account.environment.value, now, rules)
        self._rules[account] = (now, rules)
        return rules

    def _doubt_rules(self, account: int) -> None:
        """The exchange refused something by a rule: ours may be of yesterday, and the next try should not be."""
        known = self._rules.get(account)
        is_old = known is None or self.clock() - known[0] > RULES_DOUBTED
        if is_old and account not in self._doubted:
            self._doubted.add(account)
            self._spawn(self._renew_rules(account))

    async def _renew_rules(self, account: int) -> None:
        try:
            await self._fetch_rules(account)
        except (Declined, TradingError) as error:
            log.warning("rules_not_refreshed", account=account, error=str(error))
        finally:
            self._doubted.discard(account)

    async def refresh_rules(self) -> None:
        """Fetch the rules of every account anew (scheduler, 24 h)."""
        for account in list(self._workers):
            await self._renew_rules(account)

    async def resolve(self, account: int, text: str) -> Instrument:
        """The instrument a person means by `btc`, `BTCUSDT`, `BTC/USDT`, `BTC/USDT:USDT`."""
        rules = await self.instruments(account)
        wanted = text.strip().upper()
        flat = wanted.split(":")[-1] if wanted.count(":") == 1 and "-" in wanted else wanted.split(":")[0]
        flat = flat.removesuffix("-PERP").replace("/", "").replace("-", "")
        for name in (wanted, flat, flat + "USDT", flat + "USDC"):
            if name in rules:
                return rules[name]
        near = difflib.get_close_matches(flat, rules, n=3, cutoff=0.5)
        near += [name for name in rules if flat[:3] and name.startswith(flat[:3]) and name not in near]
        raise Declined(Refusal("unknown_symbol", {"symbol": text.strip()[:40], "nearest": ", ".join(near[:3])}))

    async def price(self, account: int, symbol: str) -> Quote:
        """Best bid and ask now."""
        try:
            return await self._gateway(account).quote(symbol)
        except TradingError as error:
            raise self._down(account, error) from error

    async def candles(self, account: int, symbol: str, interval: str, limit: int) -> list[Candle]:
        try:
            return await self._gateway(account).candles(symbol, interval, limit)
        except TradingError as error:
            raise self._down(account, error) from error

    # ------------------------------------------------------------------ making bots

    async def preview(self, account: int, parameters: Mapping[str, str]) -> Preview:
        """The plan that these parameters would start with now, with every number of product.md §3.3."""
        texts = dict(parameters)
        if texts.get("symbol"):
            texts["symbol"] = (await self.resolve(account, texts["symbol"])).symbol
        params = clean(texts)
        return await self._plan(account, params, bot=None)

    async def _plan(self, account: int, params: GridParameters, bot: Bot | None, chat: bool = True) -> Preview:
        instrument = await self.resolve(account, params.symbol)
        gateway = self._gateway(account)
        try:
            quote = await gateway.quote(instrument.symbol)
            brackets = await gateway.brackets(instrument.symbol)
            maker, taker = await gateway.fees(instrument.symbol)
            balances = await gateway.balances()
        except TradingError as error:
            raise self._down(account, error) from error
        instrument = msgspec.structs.replace(instrument, maker_fee=maker, taker_fee=taker)
        own = next((b for b in balances if b.asset == instrument.quote), None)
        others = sum(
            (self._invested(b) for b in self._bots.values() if b is not bot and b.row.account == account), ZERO
        )
        price = instrument.round_price((quote.bid + quote.ask) / 2)
        return planning.make(
            params,
            instrument,
            price,
            brackets=brackets,
            available=own.available if own else ZERO,
            wallet_free=own.wallet - others if own else ZERO,
            chat=chat,
        )

    @staticmethod
    def _invested(bot: Bot) -> Decimal:
        strategy = bot.engine.strategy
        return strategy.plan.investment if bot.engine.status.is_live and isinstance(strategy, Grid) else ZERO

    async def create(self, owner: int, account: int, parameters: Mapping[str, str], once: str) -> int:
        """A CREATED bot; the same `once` gives the same bot again."""
        preview = await self.preview(account, parameters)
        texts = dict(parameters) | {"symbol": preview.plan.instrument.symbol}
        row = await self.books.create_bot(
            owner, account, preview.plan.instrument.symbol, "grid", texts, self.clock(), once
        )
        if row.id not in self._bots:
            await self._load(row)
            await self.books.audit(owner, "create", f"bot {row.id}", "done", self.clock())
        return row.id

    # ------------------------------------------------------------------ acting on bots

    def _bot(self, bot: int) -> Bot:
        found = self._bots.get(bot)
        if found is None:
            raise Declined(Refusal("no_such_bot", {"bot": str(bot)}))
        return found

    def _check(self, bot: Bot, move: Move) -> None:
        try:
            after(bot.engine.status, move)
        except IllegalMove:
            values = {"bot": str(bot.row.id), "status": bot.engine.status.value, "move": move.value}
            raise Declined(Refusal("illegal_move", values)) from None

    async def _do(self, number: int, user: int, move: Move | None, command: Command) -> None:
        bot = self._bot(number)
        async with bot.busy:
            if move is not None:
                self._check(bot, move)
            session = bot.session
            if session is None:
                raise Declined(Refusal("not_live", {"bot": str(number), "status": bot.engine.status.value}))
            try:
                await session.do(command)
            except IllegalMove as error:
                values = {"bot": str(number), "status": error.status.value, "move": error.move.value}
                raise Declined(Refusal("illegal_move", values)) from None
            await self.books.audit(user, type(command).__name__.lower(), f"bot {number}", "done", self.clock())

    async def start(self, bot: int, user: int, confirmed: bool = False, close_first: bool = False) -> None:
        """Plan at the price of now and start; warnings that must be confirmed decline until `confirmed`.

        What a stopped bot kept is carried into the new plan, or closed first.
        """
        found = self._bot(bot)
        async with found.busy:
            self._check(found, Move.START)
            await self._start(found, user, confirmed, close_first)

    async def _start(self, bot: Bot, user: int, confirmed: bool, close_first: bool) -> None:
        account = bot.row.account
        gateway = self._gateway(account)
        self._check_alone(bot)
        preview = await self._plan(account, clean(bot.row.parameters), bot)
        plan = preview.plan
        unconfirmed = [warning for warning in preview.warnings if warning.code in planning.CONFIRM]
        if unconfirmed and not confirmed:
            raise Declined(Refusal("confirm"), *unconfirmed)
        try:
            await self._check_account(bot, gateway, plan.instrument)
            await gateway.prepare(plan.instrument.symbol, plan.leverage, plan.margin_mode)
            quote = await gateway.quote(plan.instrument.symbol)
        except TradingError as error:
            raise self._no_start(bot, error) from error
        self._adopt(bot, plan, ZERO if close_first else bot.engine.ledger.position)
        bot.engine.bid, bot.engine.ask = quote.bid, quote.ask
        bot.engine.is_synced = False
        await self._engage(bot)
        assert bot.session is not None
        await bot.session.do(Start(self._now(account), close_first))
        await self.books.audit(user, "start", f"bot {bot.row.id}", "done", self.clock())
        self._spawn(bot.session.reconcile())

    def _no_start(self, bot: Bot, error: TradingError) -> Declined:
        """Why the exchange lets a bot not start, by our own code for it where there is one."""
        code = "start_refused"
        if isinstance(error, Rejected):
            self._doubt_rules(bot.row.account)
            code = error.reason or code
        return Declined(Refusal(code, {"bot": str(bot.row.id), "symbol": bot.row.symbol, "why": str(error)}))

    def _adopt(self, bot: Bot, plan: GridPlan, carried: Decimal) -> None:
        """Give the engine its next grid; names go on where the last one's ended."""
        engine = bot.engine
        before = engine.strategy if isinstance(engine.strategy, Grid) else None
        engine.instrument = plan.instrument
        engine.teller.labels = cards.labels(bot.row, self._worker(bot.row.account).account, plan.instrument, plan)
        engine.ledger.carry()
        engine.adopt(Grid.begin(plan, self._install, bot.row.id, before, carried))

    async def _replan(self, bot: Bot) -> None:
        """A trigger was reached or a reset is through: plan at the price of now and go on."""
        async with bot.busy:
            session = bot.session
            if session is None or bot.engine.status not in (Status.WAITING, Status.RESETTING):
                return
            params = msgspec.structs.replace(clean(bot.row.parameters), trigger=None)
            try:
                plan = (await self._plan(bot.row.account, params, bot, chat=False)).plan
            except Declined as no:
                codes = ",".join(refusal.code for refusal in no.refusals)
                if codes != "venue_down":
                    await session.do(Fail(self.clock(), codes))
                return
            self._adopt(bot, plan, bot.engine.ledger.position)
            await session.do(Begin(self._now(bot.row.account)))

    def _now(self, account: int) -> int:
        """The venue's time where the gateway knows it: recovery reads from the start by the venue's clock."""
        gateway = self._worker(account).gateway
        return gateway.now() if gateway is not None else self.clock()

    def _check_alone(self, bot: Bot) -> None:
        """One account carries one bot per instrument."""
        for other in self._bots.values():
            same = other.row.account == bot.row.account and other.row.symbol == bot.row.symbol
            if other is not bot and same and other.engine.status.is_live:
                raise Declined(Refusal("instrument_taken", {"symbol": bot.row.symbol, "bot": str(other.row.id)}))

    async def _check_account(self, bot: Bot, gateway: Gateway, instrument: Instrument) -> None:
        """What must be so on the exchange before a bot may start there."""
        if await gateway.is_hedge_mode():
            raise Declined(Refusal("hedge_mode", {"account": self._worker(bot.row.account).account.name}))
        position = await gateway.position(instrument.symbol)
        if position.qty != bot.engine.ledger.position:
            raise Declined(Refusal("foreign_position", {"symbol": instrument.symbol, "qty": str(position.qty)}))
        for _, working in await gateway.open_orders(instrument.symbol):
            cid: ClientOrderId | None = getattr(working, "cid", None)
            if cid is not None and cid.install != self._install:
                raise Declined(Refusal("other_install", {"symbol": instrument.symbol, "install": cid.install}))

    async def stop(self, bot: int, user: int, close: bool) -> None:
        await self._do(bot, user, Move.STOP, Stop(self.clock(), close))

    async def pause(self, bot: int, user: int) -> None:
        await self._do(bot, user, Move.PAUSE, Pause(self.clock()))

    async def resume(self, bot: int, user: int, skip_initial: bool = False) -> None:
        await self._do(bot, user, Move.RESUME, Resume(self.clock(), skip_initial))

    async def reset(self, bot: int, user: int, flatten: bool) -> None:
        """Cancel, flatten or carry, plan anew at the price of then with the same parameters."""
        await self._do(bot, user, Move.RESET, Reset(self.clock(), flatten))

    async def place_again(self, bot: int, slot: int, user: int) -> None:
        """Place the order of a slot that somebody cancelled on the exchange."""
        await self._do(bot, user, None, PlaceAgain(self.clock(), slot))

    async def delete(self, bot: int, user: int) -> None:
        """Hide a bot that is not live; its books are kept."""
        found = self._bot(bot)
        async with found.busy:
            if found.engine.status.is_live:
                values = {"bot": str(bot), "status": found.engine.status.value}
                raise Declined(Refusal("still_live", values))
            await self.books.hide_bot(bot)
            self._bots.pop(bot, None)
            await self.books.audit(user, "delete", f"bot {bot}", "done", self.clock())

    # ------------------------------------------------------------------ editing

    async def propose(self, bot: int, changes: Mapping[str, str]) -> Change:
        """What `edit` with these changes would do, with the same noes; nothing is changed."""
        return (await self._changed(self._bot(bot), changes))[1]

    async def edit(self, bot: int, user: int, changes: Mapping[str, str]) -> Change:
        """Change stop-loss, take-profit or note, running or not; an empty text takes one away.

        A running grid is judged by its new stops once they are committed.
        """
        found = self._bot(bot)
        async with found.busy:
            texts, change, plan = await self._changed(found, changes)
            if not change.fields:
                return change
            if plan is not None:
                if found.session is None:
                    raise Declined(Refusal("not_now", {"bot": str(bot)}))
                try:
                    edit = Edit(self.clock(), plan.stop_loss, plan.stop_loss_high, plan.take_profit)
                    await found.session.do(edit)
                except IllegalMove as error:
                    values = {"bot": str(bot), "status": error.status.value, "move": error.move.value}
                    raise Declined(Refusal("illegal_move", values)) from None
            note = texts.get("note", "")
            await self.books.set_parameters(bot, texts, note)
            found.row = msgspec.structs.replace(found.row, parameters=texts, note=note)
            outcome = "; ".join(f"{each.name}: {each.before or '-'} -> {each.after or '-'}" for each in change.fields)
            await self.books.audit(user, "edit", f"bot {bot}", outcome, self.clock())
            return change

    async def _changed(
        self, bot: Bot, changes: Mapping[str, str]
    ) -> tuple[dict[str, str], Change, GridPlan | None]:
        """The parameters after `changes`, what that means, and the running plan with its new stops."""
        if bot.engine.status in (Status.STOPPING, Status.RESETTING):
            values = {"bot": str(bot.row.id), "status": bot.engine.status.value, "move": "edit"}
            raise Declined(Refusal("illegal_move", values))
        before = {**bot.row.parameters, "note": bot.row.note or bot.row.parameters.get("note", "")}
        texts = edits.edited(before, changes)
        strategy = bot.engine.strategy
        fields = edits.differences(edits.edited(before, {}), texts)
        if not bot.engine.status.is_live or not isinstance(strategy, Grid):
            return texts, Change(fields), None
        if all(each.name == "note" for each in fields):
            return texts, Change(fields), strategy.plan
        account, plan = bot.row.account, strategy.plan
        price = self._card(bot).price
        cross = Cross(plan.investment)
        try:
            gateway = self._gateway(account)
            brackets = await gateway.brackets(plan.instrument.symbol)
            wallet = next((b.wallet for b in await gateway.balances() if b.asset == plan.instrument.quote), ZERO)
            cross = Cross(wallet)
        except TradingError as error:
            raise self._down(account, error) from error
        moved = stops.moved(clean(texts), plan, price, brackets, cross)
        return texts, Change(fields, moved.worst_before, moved.worst_after, price), moved.plan

    # ------------------------------------------------------------------ a whole account

    async def panic(self, account: int, user: int, close: bool) -> list[int]:
        """Stop every live bot of the account; their numbers. Returns once each is committed to stop.

        Works while the exchange is away: the bots stay STOPPING until it confirms. See `panicking`, `aftermath`.
        """
        self._worker(account)
        live = [bot.row.id for bot in self._of(account) if bot.engine.status.is_live]
        outcome = "close" if close else "keep"
        await self.books.audit(user, "panic", f"account {account}", f"{outcome}, {len(live)} bots", self.clock())
        done = await asyncio.gather(*(self._halt(bot, user, close) for bot in live), return_exceptions=True)
        for bot, error in zip(live, done, strict=True):
            if isinstance(error, BaseException):
                log.error("panic_not_obeyed", bot=bot, error=str(error))
        return live

    async def _halt(self, bot: int, user: int, close: bool) -> None:
        engine = self._bot(bot).engine
        if engine.status is Status.STOPPING and (engine.kept.close or not close):
            return
        await self.stop(bot, user, close)

    def _of(self, account: int) -> list[Bot]:
        return [bot for bot in self._bots.values() if bot.row.account == account]

    def panicking(self, bots: list[int]) -> list[PanicBot]:
        """How far these bots are on their way down."""
        found = [self._bots[bot] for bot in bots if bot in self._bots]
        return [
            PanicBot(
                bot.row.id,
                bot.row.symbol,
                bot.engine.status.value,
                bot.engine.kept.reason,
                len(bot.engine.orders),
                bot.engine.ledger.position,
            )
            for bot in found
        ]

    async def aftermath(self, account: int) -> Aftermath:
        """What the exchange says is left; orders of ours that no live bot owns are cancelled on the way."""
        gateway = self._gateway(account)
        try:
            orders = await gateway.open_orders()
            strays = [(symbol, cid) for symbol, cid in map(self._ours, orders) if cid is not None]
            for symbol, cid in strays:
                owner = self._bots.get(cid.bot)
                if owner is None or not owner.engine.status.is_live:
                    gateway.send(Cancel(symbol, cid))
        except TradingError as error:
            raise self._down(account, error) from error
        positions = tuple(await self.positions(account))
        return Aftermath(len(strays), len(orders) - len(strays), positions, self.clock())

    def _ours(self, order: tuple[str, object]) -> tuple[str, ClientOrderId | None]:
        symbol, working = order
        cid: ClientOrderId | None = getattr(working, "cid", None)
        return symbol, cid if cid is not None and cid.install == self._install else None

    async def check_account(self, account: int) -> list[HealthRow]:
        """Whether the keys work and what they may do: one row for each question."""
        worker = self._worker(account)
        rows = [HealthRow("reach", worker.is_up, "" if worker.is_up else "down", {"why": worker.why})]
        gateway = worker.gateway
        if gateway is None:
            return rows
        try:
            balances = await gateway.balances()
            rows.append(HealthRow("keys", True))
            held = {each.asset: each for each in balances if each.wallet}
            rows.append(HealthRow("funds", bool(held), "" if held else "empty", {"assets": ", ".join(held)}))
            is_hedge = await gateway.is_hedge_mode()
            rows.append(HealthRow("mode", not is_hedge, "hedge" if is_hedge else ""))
        except TradingError as error:
            rows.append(HealthRow("keys", False, "refused", {"why": str(error)[:200]}))
            return rows
        withdrawals = gateway.health().withdrawals.value
        rows.append(HealthRow("withdrawals", withdrawals != "allowed", f"withdrawals_{withdrawals}"))
        return rows

    async def remove_account(self, account: int, user: int) -> None:
        """Forget an account and its keys; declined while bots stand on it or where its keys are the environment's."""
        worker = self._worker(account)
        bots = len(self._of(account))
        if bots:
            raise Declined(Refusal("account_in_use", {"account": worker.account.name, "bots": str(bots)}))
        if not await self.books.forget_account(account):
            raise Declined(Refusal("account_of_environment", {"account": worker.account.name}))
        self._workers.pop(account)
        self._rules.pop(account, None)
        run = self._runs.pop(account, None)
        if run is not None:
            run.cancel()
        await worker.close()
        await self.books.audit(user, "remove", f"account {account}", "done", self.clock())

    # ------------------------------------------------------------------ showing

    def _card(self, bot: Bot) -> Card:
        worker = self._workers.get(bot.row.account)
        return cards.card(bot.row, bot.engine, worker)

    def cards(self, owner: int | None = None) -> list[Card]:
        """Every bot at a glance, from memory."""
        return [self._card(bot) for bot in self._bots.values() if owner is None or bot.row.owner == owner]

    def card(self, bot: int) -> Card:
        return self._card(self._bot(bot))

    async def look(self, bot: int) -> Card:
        """The same with the price of now, also of a bot whose prices nobody watches."""
        found = self._bot(bot)
        worker = self._workers.get(found.row.account)
        symbol = found.row.symbol
        if worker is None or worker.gateway is None or not worker.is_up or symbol in worker.quotes:
            return self._card(found)
        try:
            quote = await worker.gateway.quote(symbol)
        except TradingError as error:
            log.info("no_price", bot=bot, error=str(error))
            return self._card(found)
        return cards.card(found.row, found.engine, worker, quote)

    async def performance(self, bot: int) -> Performance:
        """How it has done, day by day and a year."""
        found = self._bot(bot)
        until = self.clock()
        if not found.engine.status.is_live:
            last = await self.books.fills(bot, 1)
            until = last[0].time if last else until
        return performance.performance(self._card(found), await self.books.days(bot), until)

    async def fills(self, bot: int, since: int = 0) -> list[FillRow]:
        """Every trade from `since` on, ms, oldest first."""
        self._bot(bot)
        return [performance.fill(*each) for each in await self.books.history(bot, since)]

    def levels(self, bot: int) -> list[LevelRow]:
        """Every slot with its order, or why it has none."""
        return cards.levels(self._bot(bot).engine)

    async def balances(self) -> list[BalanceRow]:
        """Of every account that can be reached; declines when none can."""
        rows: list[BalanceRow] = []
        down: Declined | None = None
        for worker in self._workers.values():
            account = worker.account
            try:
                balances = await self._gateway(account.id).balances()
            except TradingError as error:
                down = self._down(account.id, error)
            except Declined as error:
                down = error
            else:
                rows += [cards.balance(account, each) for each in balances if each.wallet or each.available]
        if down is not None and not rows:
            raise down
        return rows

    async def positions(self, account: int) -> list[PositionRow]:
        try:
            positions = await self._gateway(account).positions()
        except TradingError as error:
            raise self._down(account, error) from error
        return [cards.position(symbol, position) for symbol, position in positions.items() if position.qty]

    async def orders(self, account: int) -> list[OrderRow]:
        try:
            orders = await self._gateway(account).open_orders()
        except TradingError as error:
            raise self._down(account, error) from error
        return [cards.order(symbol, working, self._install) for symbol, working in orders]

    def health(self) -> list[HealthRow]:
        """Accounts and rules; other parts add their own rows."""
        rows = []
        for worker in self._workers.values():
            name = worker.account.name
            rows.append(HealthRow(f"account:{name}", worker.is_up, "" if worker.is_up else "down", {"why": worker.why}))
            rules = self._rules.get(worker.account.id)
            if rules is not None and self.clock() - rules[0] > RULES_AGE:
                hours = str((self.clock() - rules[0]) // 3_600_000)
                rows.append(HealthRow(f"rules:{name}", False, "stale", {"hours": hours}))
        for bot in self._bots.values():
            if bot.engine.status is Status.STOPPING:
                rows.append(HealthRow(f"bot:{bot.row.id}", False, "stopping", {"symbol": bot.row.symbol}))
        return rows

    # ------------------------------------------------------------------ the scheduler's

    async def audit_bots(self) -> None:
        """Reconcile every live bot (each minute); an account that cannot be read holds up no other."""
        audits = [self._spawn(worker.audit()) for worker in self._workers.values()]
        if audits:
            await asyncio.wait(audits, timeout=AUDIT_PATIENCE)

    async def keep_alive(self) -> None:
        """Refresh what venues let expire, such as Binance's listenKey."""
        for worker in self._workers.values():
            if worker.gateway is not None and worker.is_up:
                try:
                    await worker.gateway.keep_alive()
                except TradingError as error:
                    log.warning("keep_alive_failed", account=worker.account.name, error=str(error))


class _Late:
    """The worker's gateway as it will be once the account was reached: a bot may be live before that."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def __getattr__(self, name: str) -> Any:
        gateway = self._worker.gateway
        if gateway is None:
            raise TradingError("not connected yet")
        return getattr(gateway, name)
