"""What a bot would trade: its parameters planned at the price of now, by the venue's rules and the account's money."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from trading import plan as planning
from trading.core.lifecycle import Move, Status
from trading.live import cards, edits
from trading.live.roster import Bot, Roster
from trading.live.rules import Rules
from trading.model import ZERO
from trading.parameters import GridParameters, clean
from trading.plan import stops
from trading.plan.exposure import Cross
from trading.ports import TradingError
from trading.strategies.grid import Grid, GridPlan
from trading.views import Change, Preview


class Planner:
    """Makes plans and changes of plans; gives them to engines. Nothing on the exchange is touched."""

    def __init__(self, roster: Roster, rules: Rules) -> None:
        self._roster = roster
        self._rules = rules

    async def preview(self, account: int, parameters: Mapping[str, str]) -> Preview:
        texts = dict(parameters)
        if texts.get("symbol"):
            texts["symbol"] = (await self._rules.resolve(account, texts["symbol"])).symbol
        return await self.plan(account, clean(texts))

    async def plan(self, account: int, params: GridParameters, bot: Bot | None = None, chat: bool = True) -> Preview:
        """What `bot`, or a bot to come, would start with; `chat`: refused outside its range."""
        instrument = await self._rules.resolve(account, params.symbol)
        gateway = self._roster.gateway(account)
        try:
            quote = await gateway.quote(instrument.symbol)
            brackets = await gateway.brackets(instrument.symbol)
            maker, taker = await gateway.fees(instrument.symbol)
            balances = await gateway.balances()
        except TradingError as error:
            raise self._roster.down(account, error) from error
        instrument = msgspec.structs.replace(instrument, maker_fee=maker, taker_fee=taker)
        own = next((b for b in balances if b.asset == instrument.quote), None)
        others = sum((_invested(other) for other in self._roster.of(account) if other is not bot), ZERO)
        return planning.make(
            params,
            instrument,
            instrument.round_price((quote.bid + quote.ask) / 2),
            brackets=brackets,
            available=own.available if own else ZERO,
            wallet_free=own.wallet - others if own else ZERO,
            chat=chat,
        )

    def adopt(self, bot: Bot, plan: GridPlan, carried: Decimal) -> None:
        """Give the engine its next grid; names go on where the last one's ended."""
        engine = bot.engine
        before = engine.strategy if isinstance(engine.strategy, Grid) else None
        account = self._roster.worker(bot.row.account).account
        engine.instrument = plan.instrument
        engine.teller.labels = cards.labels(bot.row, account, plan.instrument, plan)
        engine.ledger.carry()
        engine.adopt(Grid.begin(plan, self._roster.install, bot.row.id, before, carried))

    async def change(self, bot: Bot, changes: Mapping[str, str]) -> tuple[dict[str, str], Change, GridPlan | None]:
        """The parameters after `changes`, what that means, and the running plan with its new stops."""
        if bot.engine.status in (Status.STOPPING, Status.RESETTING):
            raise bot.cannot(Move.EDIT)
        before = {**bot.row.parameters, "note": bot.row.note or bot.row.parameters.get("note", "")}
        texts = edits.edited(before, changes)
        strategy = bot.engine.strategy
        fields = edits.differences(edits.edited(before, {}), texts)
        if not bot.engine.status.is_live or not isinstance(strategy, Grid):
            return texts, Change(fields), None
        if all(each.name == "note" for each in fields):
            return texts, Change(fields), strategy.plan
        account, plan = bot.row.account, strategy.plan
        gateway, price = self._roster.gateway(account), self._roster.card(bot).price
        try:
            brackets = await gateway.brackets(plan.instrument.symbol)
            wallet = next((b.wallet for b in await gateway.balances() if b.asset == plan.instrument.quote), ZERO)
        except TradingError as error:
            raise self._roster.down(account, error) from error
        moved = stops.moved(clean(texts), plan, price, brackets, Cross(wallet))
        return texts, Change(fields, moved.worst_before, moved.worst_after, price), moved.plan


def _invested(bot: Bot) -> Decimal:
    strategy = bot.engine.strategy
    return strategy.plan.investment if bot.engine.status.is_live and isinstance(strategy, Grid) else ZERO
