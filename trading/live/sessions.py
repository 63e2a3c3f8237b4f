"""Bots at work: loaded from their checkpoints, given sessions, started, planned anew, built again when they break."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

import msgspec
import structlog

from trading import plan as planning
from trading.core.engine import Engine
from trading.core.lifecycle import Move, Status
from trading.live import cards, edits
from trading.live.background import Background
from trading.live.planner import Planner
from trading.live.roster import Bot, Roster
from trading.live.rules import Rules
from trading.live.session import Session
from trading.live.worker import Worker
from trading.messages import Begin, Fail, Start
from trading.model import ZERO, ClientOrderId, Instrument
from trading.parameters import clean
from trading.ports import BotRow, Gateway, Journal, Rejected, TradingError
from trading.strategies.grid import Grid, GridPlan
from trading.views import Declined, Refusal

log = structlog.get_logger("desk")

REVIVE_AFTER = 2.0
"""Seconds until a broken session is built again from its checkpoint; doubled where that does not last."""
REVIVE_LATEST = 60.0
LASTS = 60_000
"""How long a session must have lived for its end to be a new trouble, ms."""


class Sessions:
    """Gives every live bot its session, and takes it away when the bot is over."""

    def __init__(
        self, roster: Roster, rules: Rules, planner: Planner, journal: Journal, background: Background
    ) -> None:
        self._roster = roster
        self._rules = rules
        self._planner = planner
        self._journal = journal
        self._background = background
        self._purses: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        """By account: two that start at once must not both count on the same free money."""

    # ------------------------------------------------------------------ from the database

    async def load(self, row: BotRow) -> Bot:
        """The bot as its last commit left it, in the roster."""
        roster = self._roster
        data = await roster.books.checkpoint(row.id)
        kept = Engine.read(data) if data else None
        strategy = Grid.unpack(kept.strategy, roster.install, row.id) if kept and kept.strategy else None
        plan = strategy.plan if strategy is not None else None
        instrument = plan.instrument if plan is not None else await self._rules.stored(row)
        if kept is not None and kept.status.is_live and plan is not None:
            row = await self._mended(row, plan)
        worker = roster.workers.get(row.account)
        labels = cards.labels(row, worker.account if worker else None, instrument, plan)
        bot = Bot(row, Engine(roster.install, row.id, instrument, labels, kept, strategy), roster.clock())
        roster.bots[row.id] = bot
        return bot

    async def _mended(self, row: BotRow, plan: GridPlan) -> BotRow:
        """A crash between an edit's two commits leaves the running plan ahead of the row: the plan counts."""
        torn = edits.torn(row.parameters, plan)
        if torn is None:
            return row
        await self._roster.books.set_parameters(row.id, torn, row.note)
        return msgspec.structs.replace(row, parameters=torn)

    # ------------------------------------------------------------------ at work

    async def engage(self, bot: Bot) -> None:
        """Give a live bot its session."""
        worker = self._roster.workers.get(bot.row.account)
        if worker is None:
            log.error("bot_without_account", bot=bot.row.id)
            return
        gateway: Any = _Late(worker)
        session = Session(bot.engine, gateway, self._journal, self._background.spawn)
        bot.session = session
        bot.idle.clear()
        session.on_replan = lambda: self._replan(bot)
        session.on_over = lambda: self._disengage(bot)
        session.on_broken = lambda error: self._broke(bot)
        await worker.add(session)

    def _disengage(self, bot: Bot) -> None:
        bot.session = None
        bot.idle.set()
        worker = self._roster.workers.get(bot.row.account)
        if worker is not None:
            worker.drop(bot.row.id)

    def _broke(self, bot: Bot) -> None:
        if bot.successor is None:
            self._disengage(bot)
            bot.successor = asyncio.get_running_loop().create_future()
            self._background.spawn(self._revive(bot, bot.successor))

    async def _revive(self, bot: Bot, successor: asyncio.Future[Bot]) -> None:
        """A session that died is built again from its checkpoint and takes the path of recovery."""
        lasted = self._roster.clock() - bot.since
        wait = REVIVE_AFTER if lasted > LASTS else min(max(bot.wait * 2, REVIVE_AFTER), REVIVE_LATEST)
        while True:
            await asyncio.sleep(wait)
            try:
                fresh = await self.load(bot.row)
                fresh.wait = wait
                if fresh.engine.status.is_live:
                    await self.engage(fresh)
                break
            except Exception:  # the supervising place of a bot: whatever hinders it, it must come back
                log.exception("bot_not_revived", bot=bot.row.id)
                wait = min(wait * 2, REVIVE_LATEST)
        successor.set_result(fresh)
        if fresh.session is not None:
            await fresh.session.reconcile()

    # ------------------------------------------------------------------ starting

    async def start(self, bot: Bot, user: int, confirmed: bool, close_first: bool) -> None:
        """Plan at the price of now and start a bot that is held."""
        if bot.engine.status.is_live:
            raise bot.cannot(Move.START)
        await bot.idle.wait()
        if bot.successor is not None:
            raise Declined(Refusal("not_now", {"bot": str(bot.row.id)}))
        self._check_alone(bot)
        bot.is_starting = True
        try:
            async with self._purses[bot.row.account]:
                await self._prepare(bot, confirmed, close_first)
                await self.engage(bot)
                await bot.do(Start(self._roster.now(bot.row.account), close_first))
        except TradingError as error:
            raise self._no_start(bot, error) from error
        finally:
            bot.is_starting = False
            if not bot.engine.status.is_live:
                self._disengage(bot)
        await self._roster.audit(user, "start", f"bot {bot.row.id}")
        if bot.session is not None:
            self._background.spawn(bot.session.reconcile())

    async def _prepare(self, bot: Bot, confirmed: bool, close_first: bool) -> None:
        """A plan for the engine, and the exchange ready for it."""
        gateway = self._roster.gateway(bot.row.account)
        preview = await self._planner.plan(bot.row.account, clean(bot.row.parameters), bot)
        plan = preview.plan
        unconfirmed = [warning for warning in preview.warnings if warning.code in planning.CONFIRM]
        if unconfirmed and not confirmed:
            raise Declined(Refusal("confirm"), *unconfirmed)
        await self._check_exchange(bot, gateway, plan.instrument)
        await gateway.prepare(plan.instrument.symbol, plan.leverage, plan.margin_mode)
        quote = await gateway.quote(plan.instrument.symbol)
        self._planner.adopt(bot, plan, ZERO if close_first else bot.engine.ledger.position)
        bot.engine.see(quote)
        bot.engine.is_synced = False

    def _check_alone(self, bot: Bot) -> None:
        """One account carries one bot per instrument."""
        for other in self._roster.of(bot.row.account):
            is_there = other.engine.status.is_live or other.is_starting
            if other is not bot and other.row.symbol == bot.row.symbol and is_there:
                raise Declined(Refusal("instrument_taken", {"symbol": bot.row.symbol, "bot": str(other.row.id)}))

    async def _check_exchange(self, bot: Bot, gateway: Gateway, instrument: Instrument) -> None:
        """What must be so on the exchange before a bot may start there."""
        if await gateway.is_hedge_mode():
            account = self._roster.worker(bot.row.account).account
            raise Declined(Refusal("hedge_mode", {"account": account.name}))
        position, kept = await gateway.position(instrument.symbol), bot.engine.ledger.position
        if position.qty != kept:
            values = {"symbol": instrument.symbol, "qty": str(position.qty), "kept": str(kept)}
            raise Declined(Refusal("kept_position_changed" if kept else "foreign_position", values))
        for _, working in await gateway.open_orders(instrument.symbol):
            cid: ClientOrderId | None = getattr(working, "cid", None)
            if cid is not None and cid.install != self._roster.install:
                raise Declined(Refusal("other_install", {"symbol": instrument.symbol, "install": cid.install}))

    def _no_start(self, bot: Bot, error: TradingError) -> Declined:
        """Why the exchange lets a bot not start, by our own code for it where there is one."""
        code = "start_refused"
        if isinstance(error, Rejected):
            self._rules.doubt(bot.row.account)
            code = error.reason or code
        return Declined(Refusal(code, {"bot": str(bot.row.id), "symbol": bot.row.symbol, "why": str(error)}))

    # ------------------------------------------------------------------ a new plan on the way

    async def _replan(self, bot: Bot) -> None:
        """A trigger was reached or a reset is through: plan at the price of now and go on."""
        async with bot.busy:
            if not _awaits_plan(bot):
                return
            params = msgspec.structs.replace(clean(bot.row.parameters), trigger=None)
            try:
                plan = (await self._planner.plan(bot.row.account, params, bot, chat=False)).plan
            except Declined as no:
                codes = ",".join(refusal.code for refusal in no.refusals)
                if codes != "venue_down":
                    await bot.do(Fail(self._roster.now(bot.row.account), codes))
                return
            if _awaits_plan(bot):  # the exchange may have ended it meanwhile
                self._planner.adopt(bot, plan, ZERO if bot.engine.kept.close else bot.engine.ledger.position)
                await bot.do(Begin(self._roster.now(bot.row.account)))


def _awaits_plan(bot: Bot) -> bool:
    return bot.session is not None and bot.engine.status in (Status.WAITING, Status.RESETTING)


class _Late:
    """The worker's gateway as it will be once the account was reached: a bot may be live before that."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def __getattr__(self, name: str) -> Any:
        gateway = self._worker.gateway
        if gateway is None:
            raise TradingError("not connected yet")
        return getattr(gateway, name)
