"""Fakes that implement our ports and contracts in memory, for tests of what stands in front of them."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Mapping
from decimal import Decimal

from msgspec.structs import astuple, replace

from trading import plan as planning
from trading.live import edits, performance
from trading.messages import Quote
from trading.model import Candle, Direction, Environment, Instrument, Side
from trading.parameters import clean
from trading.plan.stops import NAMES as STOPS
from trading.ports import Account, Day
from trading.sandbox.instruments import LISTINGS
from trading.views import (
    Aftermath,
    BalanceRow,
    Card,
    Change,
    DayRow,
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

OWNER = 4_200_000_000
NOW = 1_770_000_000_000
ACCOUNT = Account(1, OWNER, "demo", "binance", Environment.DEMO)
LIVE = ("WAITING", "STARTING", "RUNNING", "PAUSED", "STOPPING")


def a_card(id: int = 1, **changes: object) -> Card:
    """A running neutral grid on BTCUSDT."""
    card = Card(
        id=id, owner=OWNER, account=1, account_name="demo", badge="DEMO", symbol="BTCUSDT", base="BTC", quote="USDT",
        direction=Direction.NEUTRAL, lower=Decimal(58000), upper=Decimal(72000), grids=40, leverage=5,
        investment=Decimal(500), status="RUNNING", reason="", connected=True, price=Decimal("64980.5"),
        position=Decimal("0.012"), avg_entry=Decimal("64100"), pairs=32, fills=65, matched=Decimal("12.345"),
        unmatched=Decimal("-3.21"), funding=Decimal(0), fees=Decimal("1.5"), total=Decimal("9.135"),
        started=NOW - 7_500_000, created=NOW - 8_000_000, orders_working=40, missing=(), stop_loss=None,
        stop_loss_high=None, take_profit=None,
        parameters={"symbol": "BTCUSDT", "direction": "neutral", "lower": "58000", "upper": "72000", "grids": "40",
                    "investment": "500", "leverage": "5"},
    )  # fmt: skip
    return replace(card, **changes)


class FakeDesk:
    """The Desk's contract (trading/live/desk.py) without a venue: plans are real, orders are only counted.

    `calls` lists what was done, `is_down` makes every venue call decline, `before` is awaited in each acting verb.
    """

    def __init__(self, *accounts: Account, price: str = "65000") -> None:
        self.calls: list[tuple[object, ...]] = []
        self.is_down = False
        self.prices = {"BTCUSDT": Decimal(price), "ETHUSDT": Decimal(3200), "SOLUSDT": Decimal(150)}
        self.held = Decimal(10_000)
        self.refuses_start: tuple[Refusal, ...] = ()
        self.candle_count = 60
        self.starts_in = 0.0
        """Seconds that a started bot is STARTING."""
        self.days: dict[int, list[DayRow]] = {}
        self.trades: dict[int, list[FillRow]] = {}
        self.left = Aftermath(0, 0, (), NOW)
        self.panic_steps = 0
        """Looks at an emergency stop until it is through."""
        self._accounts = list(accounts or (ACCOUNT,))
        self._cards: dict[int, Card] = {}
        self._once: dict[tuple[int, str], int] = {}

    def put(self, card: Card) -> Card:
        """Have this bot."""
        self._cards[card.id] = card
        return card

    def _up(self) -> None:
        if self.is_down:
            raise Declined(Refusal("venue_down", {"account": "demo", "why": "connection refused"}))

    # ------------------------------------------------------------------ looking

    def accounts(self) -> list[Account]:
        return list(self._accounts)

    async def instruments(self, account: int) -> dict[str, Instrument]:
        return {each.instrument.symbol: each.instrument for each in LISTINGS.values()}

    async def resolve(self, account: int, text: str) -> Instrument:
        rules = await self.instruments(account)
        wanted = text.strip().upper().replace("/", "")
        for name in (wanted, wanted + "USDT"):
            if name in rules:
                return rules[name]
        near = difflib.get_close_matches(wanted, rules, 3, 0.3)
        raise Declined(Refusal("unknown_symbol", {"symbol": text.strip()[:40], "nearest": ", ".join(near)}))

    async def price(self, account: int, symbol: str) -> Quote:
        self._up()
        mid = self.prices[symbol]
        return Quote(NOW, mid, mid)

    async def candles(self, account: int, symbol: str, interval: str, limit: int) -> list[Candle]:
        """A zigzag of two per cent round the price."""
        self._up()
        pitch = {"1m": 60_000, "5m": 300_000, "15m": 900_000, "1h": 3_600_000}.get(interval, 86_400_000)
        found = []
        for number in range(min(limit, self.candle_count)):
            mid = self.prices[symbol] * (100 + number % 3 - 1) / 100
            time = NOW - (limit - number) * pitch
            found.append(Candle(time, mid, mid * Decimal("1.005"), mid * Decimal("0.995"), mid))
        return found

    async def preview(self, account: int, parameters: Mapping[str, str]) -> Preview:
        self._up()
        params = clean(parameters)
        listing = LISTINGS[params.symbol]
        return planning.make(
            params,
            listing.instrument,
            self.prices[params.symbol],
            brackets=listing.brackets,
            available=self.held,
            wallet_free=self.held,
            chat=True,
        )

    async def balances(self) -> list[BalanceRow]:
        self._up()
        return [
            BalanceRow(each.id, each.name, each.environment.badge, "USDT", self.held, self.held, Decimal(0))
            for each in self._accounts
        ]

    async def positions(self, account: int) -> list[PositionRow]:
        self._up()
        return [
            PositionRow(
                it.symbol, it.position, it.avg_entry, it.price or it.avg_entry, it.unmatched or Decimal(0),
                Decimal("51000.5"), it.leverage, "ISOLATED",
            )
            for it in self._cards.values()
            if it.account == account and it.position
        ]  # fmt: skip

    async def orders(self, account: int) -> list[OrderRow]:
        self._up()
        return [
            OrderRow(it.symbol, it.id, str(row.slot), row.side, row.price, row.qty, row.filled, NOW)
            for it in self._cards.values()
            for row in self.levels(it.id)
            if it.account == account
        ]

    def cards(self, owner: int | None = None) -> list[Card]:
        return [it for it in self._cards.values() if owner is None or it.owner == owner]

    def card(self, bot: int) -> Card:
        if bot not in self._cards:
            raise Declined(Refusal("no_such_bot", {"bot": str(bot)}))
        return self._cards[bot]

    async def look(self, bot: int) -> Card:
        return self.card(bot)

    def levels(self, bot: int) -> list[LevelRow]:
        it = self.card(bot)
        if it.status not in ("RUNNING", "STARTING"):
            return []
        step = (it.upper - it.lower) / it.grids
        rows = []
        for slot in range(it.grids):
            low = it.lower + step * slot
            is_buy = it.price is not None and low < it.price
            side, price = (Side.BUY, low) if is_buy else (Side.SELL, low + step)
            rows.append(LevelRow(slot, side, price, Decimal("0.001"), Decimal(0), "working"))
        return rows

    def health(self) -> list[HealthRow]:
        why = {"why": "connection refused"} if self.is_down else {}
        return [
            HealthRow(f"account:{each.name}", not self.is_down, "down" if self.is_down else "", why)
            for each in self._accounts
        ]

    # ------------------------------------------------------------------ acting

    async def create(self, owner: int, account: int, parameters: Mapping[str, str], once: str) -> int:
        if (owner, once) in self._once:
            return self._once[owner, once]
        plan = (await self.preview(account, parameters)).plan
        id = max(self._cards, default=0) + 1
        self._once[owner, once] = id
        self.put(
            a_card(
                id, owner=owner, account=account, symbol=plan.instrument.symbol, base=plan.instrument.base,
                direction=plan.direction, lower=plan.levels[0], upper=plan.levels[-1], grids=len(plan.quantities),
                leverage=plan.leverage, investment=plan.investment, status="CREATED", price=plan.price,
                position=Decimal(0), avg_entry=Decimal(0), pairs=0, fills=0, matched=Decimal(0),
                unmatched=Decimal(0), fees=Decimal(0), total=Decimal(0), started=None, orders_working=0,
                parameters=dict(parameters),
            )
        )  # fmt: skip
        self.calls.append(("create", id, dict(parameters)))
        return id

    async def start(self, bot: int, user: int, confirmed: bool = False, close_first: bool = False) -> None:
        it = self._moved(bot, ("CREATED", "STOPPED", "FINISHED", "FAILED"))
        if self.refuses_start:
            raise Declined(*self.refuses_start)
        preview = await self.preview(it.account, it.parameters)
        unconfirmed = [each for each in preview.warnings if each.code in planning.CONFIRM]
        if unconfirmed and not confirmed:
            raise Declined(Refusal("confirm"), *unconfirmed)
        how = ("close_first",) if close_first else ()
        position = Decimal(0) if close_first else it.position
        running = {"status": "RUNNING", "orders_working": it.grids, "started": NOW, "position": position}
        if not self.starts_in:
            self._do(it, "start", *how, **running)
            return
        self._do(it, "start", *how, status="STARTING")

        def run() -> None:
            self.put(replace(self.card(it.id), **running))

        asyncio.get_running_loop().call_later(self.starts_in, run)

    async def stop(self, bot: int, user: int, close: bool) -> None:
        it = self._moved(bot, LIVE)
        position = Decimal(0) if close else it.position
        self._do(it, "stop", close, status="STOPPED", orders_working=0, position=position)

    async def pause(self, bot: int, user: int) -> None:
        self._do(self._moved(bot, ("RUNNING",)), "pause", status="PAUSED", reason="user", orders_working=0)

    async def resume(self, bot: int, user: int, skip_initial: bool = False) -> None:
        it = self._moved(bot, ("PAUSED",))
        self._do(it, "resume", skip_initial, status="RUNNING", reason="", orders_working=it.grids)

    async def reset(self, bot: int, user: int, flatten: bool) -> None:
        it = self._moved(bot, ("RUNNING", "PAUSED"))
        position = Decimal(0) if flatten else it.position
        self._do(it, "reset", flatten, status="RUNNING", position=position)

    async def propose(self, bot: int, changes: Mapping[str, str]) -> Change:
        self._up()
        it = self.card(bot)
        before = {**it.parameters, "note": it.note}
        after = edits.edited(before, changes)
        fields = edits.differences(edits.edited(before, {}), after)
        is_live = it.status in LIVE
        return Change(fields, Decimal(500) if is_live else None, Decimal(250) if is_live else None, it.price)

    async def edit(self, bot: int, user: int, changes: Mapping[str, str]) -> Change:
        change = await self.propose(bot, changes)
        it = self.card(bot)
        texts = edits.edited({**it.parameters, "note": it.note}, changes)
        stops = {name: Decimal(texts[name]) if name in texts else None for name in STOPS}
        self._do(it, "edit", dict(changes), parameters=texts, note=texts.get("note", ""), **stops)
        return change

    async def panic(self, account: int, user: int, close: bool) -> list[int]:
        live = [it for it in self._cards.values() if it.account == account and it.status in LIVE]
        self.calls.append(("panic", account, close))
        for it in live:
            self.put(replace(it, status="STOPPING", orders_working=0))
        return [it.id for it in live]

    def panicking(self, bots: list[int]) -> list[PanicBot]:
        self.panic_steps -= 1
        for bot in bots:
            if self.panic_steps < 0 and not self.is_down and self.card(bot).status == "STOPPING":
                self.put(replace(self.card(bot), status="STOPPED"))
        found = [self.card(bot) for bot in bots]
        return [PanicBot(it.id, it.symbol, it.status, it.reason, it.orders_working, it.position) for it in found]

    async def aftermath(self, account: int) -> Aftermath:
        self._up()
        return self.left

    async def performance(self, bot: int) -> Performance:
        it = self.card(bot)
        return performance.performance(it, [Day(*astuple(day)) for day in self.days.get(bot, [])], NOW)

    async def fills(self, bot: int, since: int = 0) -> list[FillRow]:
        return [each for each in self.trades.get(bot, []) if each.time >= since]

    async def check_account(self, account: int) -> list[HealthRow]:
        up = HealthRow("reach", not self.is_down, "down" if self.is_down else "", {"why": "connection refused"})
        return [up, HealthRow("keys", True), HealthRow("withdrawals", True, "withdrawals_unknown")]

    async def remove_account(self, account: int, user: int) -> None:
        bots = [it for it in self._cards.values() if it.account == account]
        if bots:
            raise Declined(Refusal("account_in_use", {"account": "demo", "bots": str(len(bots))}))
        self._accounts = [each for each in self._accounts if each.id != account]
        self.calls.append(("remove_account", account))

    async def place_again(self, bot: int, slot: int, user: int) -> None:
        it = self.card(bot)
        self._do(it, "place", slot, missing=tuple(row for row in it.missing if row.slot != slot))

    async def delete(self, bot: int, user: int) -> None:
        it = self.card(bot)
        if it.status in LIVE:
            raise Declined(Refusal("still_live", {"bot": str(bot), "status": it.status}))
        del self._cards[bot]
        self.calls.append(("delete", bot))

    def _moved(self, bot: int, allowed: tuple[str, ...]) -> Card:
        self._up()
        it = self.card(bot)
        if it.status not in allowed:
            raise Declined(Refusal("illegal_move", {"bot": str(bot), "status": it.status, "move": "?"}))
        return it

    def _do(self, it: Card, verb: str, *details: object, **changes: object) -> None:
        self.calls.append((verb, it.id, *details))
        self.put(replace(it, **changes))

