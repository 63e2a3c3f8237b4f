"""Trading on paper: somebody's real prices, a matching venue of our own, and play money.

A resting order fills whole at its price when the touch reaches it, a market order at the touch: there is always
enough on the other side, and nobody stands before us in the queue.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Protocol

import msgspec
import structlog
from msgspec.structs import replace

from trading.core.broker import Broker, working
from trading.core.records import PositionView, VenueError, VenueState
from trading.core.venue import Venue
from trading.gateways.binance.errors import MENDABLE
from trading.messages import (
    Amend,
    Cancel,
    CancelRefused,
    Event,
    Filled,
    Foreign,
    Intent,
    Mark,
    Place,
    Quote,
    Reason,
    Refused,
    Snapshot,
)
from trading.model import (
    ZERO,
    Balance,
    Bracket,
    Candle,
    ClientOrderId,
    Instrument,
    MarginMode,
    Position,
    Side,
    StopOrder,
)
from trading.ports import (
    Broken,
    Capabilities,
    Disagree,
    Disconnected,
    Glance,
    Health,
    OnEvent,
    Rejected,
    SnapshotRequest,
    TradingError,
    Withdrawals,
)

log = structlog.get_logger("paper")

CAPABILITIES = Capabilities(amend=False, batch_place=0, reduce_only=True, history=3650 * 86_400_000)
ACCOUNT = "paper"
PLENTY = Decimal(10) ** 9
"""What stands on the other side."""
BRACKETS = (Bracket(ZERO, Decimal(10) ** 12, 20, Decimal("0.025"), ZERO),)
"""One cautious bracket for every symbol: the venue tells its own only to whoever has a key."""
SETTLE = 30.0
"""How often is asked whether funding was settled, s."""
REVIVE = 1.0


class Prices(Protocol):
    """Public data of a venue."""

    async def open(self) -> None: ...

    async def run(self) -> None:
        """Keep the streams until cancelled."""

    async def close(self) -> None: ...

    def now(self) -> int: ...

    async def rules(self) -> dict[str, Instrument]: ...

    async def quote(self, symbol: str) -> Quote: ...

    async def touches(self, symbols: Collection[str]) -> dict[str, Quote]: ...

    async def candles(self, symbol: str, interval: str, limit: int) -> list[Candle]: ...

    async def fundings(self, symbol: str, since: int) -> list[tuple[int, Decimal]]:
        """(time, rate) of each settlement from `since` on, ascending."""

    async def watch(self, symbol: str, on_event: OnEvent) -> None: ...

    async def unwatch(self, symbol: str, on_event: OnEvent) -> None: ...


class PaperGateway:
    """One account of play money (ports.Gateway)."""

    capabilities = CAPABILITIES

    def __init__(self, prices: Prices, keep: Path | None = None, wallet: Decimal = Decimal(10_000)) -> None:
        """`keep`: the file that the account outlives a restart in; without one it is forgotten."""
        self._prices = prices
        self._keep = keep
        self._wallet = wallet
        self._broker: Broker | None = None
        self._on_event: OnEvent = lambda symbol, event: None
        self._intents: asyncio.Queue[Intent] = asyncio.Queue()
        self._waiting: list[ClientOrderId] = []
        """Names of placements that did not reach the venue yet."""
        self._priced: set[str] = set()
        self._settled: dict[str, int] = {}
        """By symbol, until when funding was asked for, ms."""
        self._life: asyncio.Task[None] | None = None

    # ------------------------------------------------------------------ life

    async def connect(self, on_event: OnEvent, on_state: Callable[[bool, str], None]) -> None:
        """Open the books, kept or new; the account is up from then on."""
        await self._prices.open()
        rules = await self.instruments()
        if self._broker is None:
            self._broker = Broker(self._restored(rules) or self._begun(rules), ACCOUNT)
        self._on_event = on_event
        if self._life is None:
            self._life = asyncio.create_task(self._live(), name="paper gateway")
        for symbol in {order.symbol for order in self._venue.open_orders(ACCOUNT)} | set(await self.positions()):
            await self._follow(symbol)
        asyncio.get_running_loop().call_soon(on_state, True, "")

    async def close(self) -> None:
        if self._life is not None:
            self._life.cancel()
            await asyncio.gather(self._life, return_exceptions=True)
            self._life = None
        await self._prices.close()

    def _begun(self, rules: Mapping[str, Instrument]) -> Venue:
        venue = Venue(rules.values(), dict.fromkeys(rules, BRACKETS))
        venue.open_account(ACCOUNT, self._wallet, self.now())
        return venue

    def _restored(self, rules: Mapping[str, Instrument]) -> Venue | None:
        """The books as they were kept, under the rules of now; what is no longer listed keeps its own."""
        if self._keep is None or not self._keep.exists():
            return None
        kept = msgspec.msgpack.decode(self._keep.read_bytes(), type=VenueState)
        listed = dict(rules)
        for market in kept.markets:
            market.instrument = listed.pop(market.instrument.symbol, market.instrument)
        kept.markets += Venue(listed.values(), dict.fromkeys(listed, BRACKETS)).snapshot().markets
        return Venue.restore(kept)

    def _save(self) -> None:
        if self._keep is not None:
            fresh = self._keep.with_name(self._keep.name + ".new")
            fresh.write_bytes(msgspec.msgpack.encode(self._venue.snapshot()))
            fresh.replace(self._keep)

    @property
    def _venue(self) -> Venue:
        return self._open.venue

    @property
    def _open(self) -> Broker:
        if self._broker is None:
            raise Disconnected("not connected")
        return self._broker

    def now(self) -> int:
        return self._prices.now()

    def health(self) -> Health:
        is_up = self._life is not None
        return Health(is_up, "" if is_up else "closed", "paper" if is_up else "", 0, Withdrawals.FORBIDDEN)

    async def keep_alive(self) -> None:
        await self._prices.open()

    async def _live(self) -> None:
        """The supervised place of every task of this gateway: what dies of a fault of ours is started anew."""
        while True:
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._prices.run())
                    group.create_task(self._work())
                    group.create_task(self._settle())
            except Exception:
                log.exception("paper_broke")
                await asyncio.sleep(REVIVE)

    # ------------------------------------------------------------------ orders

    def send(self, intent: Intent) -> None:
        """Returns at once; the answer is an event."""
        if isinstance(intent, Place):
            if intent.cid in self._waiting:
                return
            self._waiting.append(intent.cid)
        self._intents.put_nowait(intent)

    async def _work(self) -> None:
        while True:
            intent = await self._intents.get()
            if isinstance(intent, Place | Cancel | Amend):
                await self._carry(intent)

    async def _carry(self, intent: Place | Cancel | Amend) -> None:
        """Bring one intent to the venue: a market without a price fills nothing, so that comes first."""
        why = "amend is not supported" if isinstance(intent, Amend) else ""
        try:
            await self._follow(intent.symbol)
        except TradingError as error:
            why = str(error)
        now = self.now()
        if isinstance(intent, Place):
            self._waiting.remove(intent.cid)
        if not why:
            self._open.send(intent, now)
            self._tell()
        elif isinstance(intent, Place):
            self._on_event(intent.symbol, Refused(now, intent.cid, Reason.THROTTLED, 0, why))
        else:
            self._on_event(intent.symbol, CancelRefused(now, intent.cid, 0, why))

    def _tell(self) -> None:
        told = self._open.take()
        if told:
            self._save()
        for symbol, event in told:
            self._on_event(symbol, event)

    async def prepare(self, symbol: str, leverage: int, mode: MarginMode) -> None:
        try:
            if self._venue.margin_mode(ACCOUNT, symbol) is not mode:
                self._venue.set_margin_mode(ACCOUNT, symbol, mode, self.now())
            if self._venue.leverage(ACCOUNT, symbol) != leverage:
                self._venue.set_leverage(ACCOUNT, symbol, leverage, self.now())
        except VenueError as error:
            raise Rejected(error.code, error.text, MENDABLE.get(error.code, "")) from None
        self._save()

    # ------------------------------------------------------------------ prices

    async def _follow(self, symbol: str) -> None:
        """Let the venue know the prices of `symbol` from now on."""
        if symbol in self._priced:
            return
        await self._prices.watch(symbol, self._on_price)
        if symbol not in self._priced:
            await self._prices.unwatch(symbol, self._on_price)
            raise Disconnected(f"no price of {symbol}")

    def _on_price(self, symbol: str, event: Event) -> None:
        if isinstance(event, Quote):
            self._venue.set_quote(symbol, event.bid, PLENTY, event.ask, PLENTY, event.time)
            self._priced.add(symbol)
        elif isinstance(event, Mark):
            self._venue.set_mark(symbol, event.price, event.time)
        self._tell()

    async def _settle(self) -> None:
        """Pay and get funding as it is settled, on the position of the moment it is heard of."""
        began = self.now()
        while True:
            await asyncio.sleep(SETTLE)
            for symbol in await self.positions():
                try:
                    rows = await self._prices.fundings(symbol, self._settled.get(symbol, began) + 1)
                except TradingError as error:
                    log.info("no_funding", symbol=symbol, error=str(error))
                    continue
                for time, rate in rows:
                    self._settled[symbol] = time
                    self._venue.settle_funding(symbol, rate, time)
                    self._tell()

    async def watch(self, symbol: str, on_event: OnEvent) -> None:
        await self._prices.watch(symbol, on_event)

    async def unwatch(self, symbol: str, on_event: OnEvent) -> None:
        await self._prices.unwatch(symbol, on_event)

    # ------------------------------------------------------------------ reads

    async def instruments(self) -> dict[str, Instrument]:
        rules = await self._prices.rules()
        return {symbol: replace(each, max_leverage=BRACKETS[0].max_leverage) for symbol, each in rules.items()}

    async def brackets(self, symbol: str) -> tuple[Bracket, ...]:
        return BRACKETS

    async def fees(self, symbol: str) -> tuple[Decimal, Decimal]:
        rules = self._venue.instruments[symbol]
        return rules.maker_fee, rules.taker_fee

    async def quote(self, symbol: str) -> Quote:
        return await self._prices.quote(symbol)

    async def touches(self, symbols: Collection[str]) -> dict[str, Quote]:
        return await self._prices.touches(symbols)

    async def candles(self, symbol: str, interval: str, limit: int) -> list[Candle]:
        return await self._prices.candles(symbol, interval, limit)

    async def balances(self) -> list[Balance]:
        funds = self._venue.funds(ACCOUNT)
        return [Balance(funds.asset, funds.wallet, funds.available, funds.unrealized_pnl)]

    async def position(self, symbol: str) -> Position:
        return _position(self._venue.position(ACCOUNT, symbol))

    async def positions(self) -> dict[str, Position]:
        return {view.symbol: _position(view) for view in self._venue.positions(ACCOUNT) if view.qty}

    async def open_orders(self, symbol: str | None = None) -> list[tuple[str, object]]:
        return [(order.symbol, working(order)) for order in self._venue.open_orders(ACCOUNT, symbol)]

    async def is_hedge_mode(self) -> bool:
        return False

    async def snapshot(self, request: SnapshotRequest) -> Snapshot:
        """What is read within one instant agrees with itself; it may still contradict what was counted."""
        found = self._open.snapshot(request, self.now())
        trades: list[Filled | Foreign] = [*found.fills, *found.foreign]
        new = [each for each in trades if each.trade > request.since_trade and each.trade not in request.counted_trades]
        if found.position.qty != request.position + sum((each.qty * each.side.sign for each in new), ZERO):
            raise Disagree(f"{request.symbol}: the position is not the counted one")
        return replace(found, absent=found.absent - frozenset(self._waiting))

    async def glance(self, symbols: Collection[str]) -> Glance:
        orders = {
            symbol: {order.client_id: order.executed for order in self._venue.open_orders(ACCOUNT, symbol)}
            for symbol in symbols
        }
        return Glance(orders, {symbol: held.qty for symbol, held in (await self.positions()).items()})

    async def leisure(self, symbols: int = 0) -> None:
        """There is always leisure."""

    # ------------------------------------------------------------------ stops, which it does not keep

    async def place_stop(
        self,
        symbol: str,
        side: Side,
        trigger_price: Decimal,
        close_position: bool = True,
        client_algo_id: str = "",
        qty: Decimal = ZERO,
    ) -> StopOrder:
        raise Broken("no stops are kept on paper")

    async def cancel_stop(self, symbol: str, client_algo_id: str) -> bool:
        return False

    async def stops(self, symbol: str | None = None) -> list[StopOrder]:
        return []


def _position(view: PositionView) -> Position:
    return Position(
        view.qty,
        view.entry,
        view.mark,
        view.unrealized_pnl,
        view.isolated_wallet,
        view.liquidation_price,
        view.leverage,
        view.margin_mode,
    )
