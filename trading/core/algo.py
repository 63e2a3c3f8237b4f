"""Conditional orders: what waits for a price before it becomes an order on a venue (binance-usdm.md §8); pure."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from decimal import Decimal
from enum import StrEnum

import msgspec
from msgspec import Struct

from trading.core.filters import check_notional, check_precision, check_price, check_qty
from trading.core.records import AccountEvent, OrderRequest, OrderUpdate, PositionSide, SelfTrade, VenueError
from trading.core.venue import Venue
from trading.model import ZERO, Instrument, OrderType, Side, TimeInForce

MOST_OPEN = 200
"""Conditional orders that an account may have waiting."""
FIRST_ID = 2_000_000_000_000_000
ROUNDS = 50
"""Triggers that may trigger one another at one instant."""


class AlgoType(StrEnum):
    """What becomes of the order when its price comes; the values are Binance's."""

    STOP = "STOP"
    STOP_MARKET = "STOP_MARKET"
    TAKE_PROFIT = "TAKE_PROFIT"
    TAKE_PROFIT_MARKET = "TAKE_PROFIT_MARKET"
    TRAILING_STOP_MARKET = "TRAILING_STOP_MARKET"

    @property
    def is_limit(self) -> bool:
        return self in (AlgoType.STOP, AlgoType.TAKE_PROFIT)

    @property
    def is_profit(self) -> bool:
        return self in (AlgoType.TAKE_PROFIT, AlgoType.TAKE_PROFIT_MARKET)


class AlgoStatus(StrEnum):
    NEW = "NEW"
    TRIGGERING = "TRIGGERING"
    TRIGGERED = "TRIGGERED"
    FINISHED = "FINISHED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"


class AlgoRequest(Struct, frozen=True, kw_only=True):
    """A conditional order as it is asked for."""

    symbol: str
    side: Side
    type: AlgoType
    qty: Decimal = ZERO
    """0 with `close_position`."""
    price: Decimal = ZERO
    """Of the limit types."""
    trigger: Decimal = ZERO
    """Of every type but the trailing one."""
    tif: TimeInForce = TimeInForce.GTC
    by_mark: bool = False
    """Watches the mark instead of the last price."""
    protected: bool = False
    """Does not trigger while last and mark price are far apart."""
    reduce_only: bool = False
    close_position: bool = False
    activate: Decimal = ZERO
    """Where a trailing order begins to follow; 0 = at once."""
    callback: Decimal = ZERO
    """Percent, 1 = 1 %."""
    client_id: str = ""
    stp: str = SelfTrade.EXPIRE_MAKER
    price_match: str = "NONE"
    good_till: int = 0
    position_side: PositionSide = PositionSide.BOTH


class AlgoOrder(Struct):
    """A conditional order with its life so far."""

    algo_id: int
    client_id: str
    account: str
    request: AlgoRequest
    created: int
    updated: int
    status: AlgoStatus = AlgoStatus.NEW
    triggered: int = 0
    """When its price came; 0 = not yet."""
    is_active: bool = False
    """A trailing order that follows the price."""
    extreme: Decimal = ZERO
    """The best price a trailing order has seen since."""
    order_id: int = 0
    """The order it became; 0 = none."""
    executed: Decimal = ZERO
    average: Decimal = ZERO
    reason: str = ""
    """Why the venue refused the order."""

    @property
    def is_waiting(self) -> bool:
        return self.status is AlgoStatus.NEW


class AlgoUpdate(Struct, frozen=True, tag=True):
    """Something happened to a conditional order; `algo` is a copy of that moment."""

    account: str
    algo: AlgoOrder
    time: int


class AlgoState(Struct):
    """A book of conditional orders, ready for msgspec."""

    orders: list[AlgoOrder] = []
    last_id: int = FIRST_ID


Told = AccountEvent | AlgoUpdate


class AlgoBook:
    """The conditional orders of all accounts of one venue."""

    def __init__(self, venue: Venue, state: AlgoState | None = None) -> None:
        self._venue = venue
        self._all: dict[int, AlgoOrder] = {}
        self._named: dict[tuple[str, str], AlgoOrder] = {}
        self._waiting: dict[str, dict[int, AlgoOrder]] = {}
        """By symbol."""
        self._working: dict[tuple[str, int], AlgoOrder] = {}
        """Those whose order lives, by account and order id."""
        self._seen: dict[str, tuple[Decimal, Decimal]] = {}
        """Last and mark price per symbol that were judged already."""
        self._untold: list[AlgoUpdate] = []
        self._last_id = state.last_id if state is not None else FIRST_ID
        for algo in state.orders if state is not None else ():
            self._keep(algo)
            if algo.status is AlgoStatus.TRIGGERED:
                self._working[algo.account, algo.order_id] = algo

    def _keep(self, algo: AlgoOrder) -> None:
        self._all[algo.algo_id] = algo
        self._named[algo.account, algo.client_id] = algo
        if algo.is_waiting:
            self._waiting.setdefault(algo.request.symbol, {})[algo.algo_id] = algo

    def count_from(self, number: int) -> None:
        """Let the ids of this new book begin above `FIRST_ID + number`."""
        self._last_id = FIRST_ID + number

    def state(self) -> AlgoState:
        return AlgoState(list(self._all.values()), self._last_id)

    # ---- requests
    def place(self, account: str, request: AlgoRequest, now: int) -> AlgoOrder:
        """A waiting order; no margin is asked before its price comes. Every refusal is a VenueError."""
        if request.position_side.is_closed_by(request.side):
            request = msgspec.structs.replace(request, reduce_only=True)
        self._check(account, request)
        self._last_id += 1
        algo = AlgoOrder(
            self._last_id, request.client_id or f"a{self._last_id:021d}", account, request, created=now, updated=now
        )
        if request.type is AlgoType.TRAILING_STOP_MARKET and not request.activate:
            self._activate(algo, self._price(request))
        self._keep(algo)
        self._tell(algo, now)
        return algo

    def _check(self, account: str, request: AlgoRequest) -> None:
        if len(self.open_orders(account)) >= MOST_OPEN:
            raise VenueError(-4045, "Reach max stop order limit.")
        rules = self._venue.instruments.get(request.symbol)
        if rules is None:
            raise VenueError(-1121, "Invalid symbol.")
        if rules.status != "TRADING":
            raise VenueError(-4140, "Invalid symbol status for opening position.")
        if not request.close_position:
            check_precision(rules, request.price if request.type.is_limit else None, request.qty)
            check_qty(rules, request.qty, rules.max_qty if request.type.is_limit else rules.market_max_qty)
        if request.type.is_limit:
            check_price(rules, request.price)
            if not request.reduce_only:
                check_notional(rules, request.price, request.qty)
        earlier = self._named.get((account, request.client_id))
        if request.client_id and earlier is not None and earlier.is_waiting:
            raise VenueError(-4116, "ClientOrderId is duplicated.")
        if request.type is AlgoType.TRAILING_STOP_MARKET:
            self._check_trailing(rules, request)
            return
        _check_stop(rules, request.trigger)
        if _reaches(request, self._price(request)):
            raise VenueError(-2021, "Order would immediately trigger.")
        if not request.type.is_limit:
            return
        if request.side is Side.BUY and rules.multiplier_up and request.price > request.trigger * rules.multiplier_up:
            raise VenueError(-4183, "Limit price can't be higher than the stop price's cap.")
        if request.side is Side.SELL and request.price < request.trigger * rules.multiplier_down:
            raise VenueError(-4184, "Limit price can't be lower than the stop price's floor.")

    def _check_trailing(self, rules: Instrument, request: AlgoRequest) -> None:
        if not Decimal("0.1") <= request.callback <= 20:
            raise VenueError(-2007, "Invalid callBack rate.")
        if not request.activate:
            return
        _check_stop(rules, request.activate)
        price = self._price(request)
        is_past = request.activate >= price if request.side is Side.BUY else request.activate <= price
        if is_past:
            raise VenueError(-2021, "Order would immediately trigger.")

    def cancel(self, account: str, algo_id: int | None, client_id: str | None, now: int) -> AlgoOrder:
        """-2011 for what does not wait."""
        algo = self._find(account, algo_id, client_id)
        if algo is None or not algo.is_waiting:
            raise VenueError(-2011, "Unknown order sent.")
        self._end(algo, AlgoStatus.CANCELED, now)
        return algo

    def cancel_all(self, account: str, symbol: str, now: int) -> None:
        for algo in self.open_orders(account, symbol):
            self._end(algo, AlgoStatus.CANCELED, now)

    def order(self, account: str, algo_id: int | None, client_id: str | None = None) -> AlgoOrder:
        """-2013 for what never was."""
        algo = self._find(account, algo_id, client_id)
        if algo is None:
            raise VenueError(-2013, "Order does not exist.")
        return algo

    def open_orders(self, account: str, symbol: str | None = None) -> list[AlgoOrder]:
        """By id."""
        found = [self._waiting.get(symbol, {})] if symbol is not None else list(self._waiting.values())
        return sorted(
            (algo for each in found for algo in each.values() if algo.account == account), key=lambda a: a.algo_id
        )

    def all_orders(self, account: str, symbol: str | None = None) -> list[AlgoOrder]:
        """Waiting and over, by id."""
        return [
            algo for algo in self._all.values() if algo.account == account and symbol in (None, algo.request.symbol)
        ]

    def _find(self, account: str, algo_id: int | None, client_id: str | None) -> AlgoOrder | None:
        if algo_id is None:
            return self._named.get((account, client_id or ""))
        algo = self._all.get(algo_id)
        return algo if algo is not None and algo.account == account else None

    # ---- what prices do
    @property
    def is_busy(self) -> bool:
        """Whether there is anything to watch or tell."""
        return bool(self._untold or self._working or any(self._waiting.values()))

    def follow(self, happened: Iterable[AccountEvent], now: int) -> list[Told]:
        """`happened`, with everything that conditional orders did because of it or of the prices of now."""
        told: list[Told] = [*self._taken()]
        self._add(told, happened, now)
        for _ in range(ROUNDS):
            due = self._due(now)
            told += self._taken()
            if not due:
                break
            for algo in sorted(due, key=lambda each: each.algo_id):
                self._fire(algo, now)
                told += self._taken()
                self._add(told, self._venue.drain(), now)
        return told

    def _due(self, now: int) -> list[AlgoOrder]:
        """Those whose price is there; a symbol is looked at when a price of it has moved, or for a deadline."""
        due: list[AlgoOrder] = []
        for symbol, waiting in self._waiting.items():
            prices = self._venue.last(symbol), self._venue.mark(symbol)
            is_still = self._seen.get(symbol) == prices
            self._seen[symbol] = prices
            for algo in list(waiting.values()):
                if (not is_still or algo.request.good_till) and self._is_due(algo, now):
                    due.append(algo)
        return due

    def _add(self, told: list[Told], happened: Iterable[AccountEvent], now: int) -> None:
        for event in happened:
            told.append(event)
            if isinstance(event, OrderUpdate) and (event.account, event.order.order_id) in self._working:
                self._watch(event, now)
                told += self._taken()

    def _watch(self, event: OrderUpdate, now: int) -> None:
        """The order that a conditional one became has moved; when it is over, so is the conditional one."""
        order = event.order
        algo = self._working[event.account, order.order_id]
        algo.executed, algo.average = order.executed, order.average
        if not order.is_open:
            del self._working[event.account, order.order_id]
            algo.status, algo.updated = AlgoStatus.FINISHED, now
            self._tell(algo, now)

    def _price(self, request: AlgoRequest) -> Decimal:
        return self._venue.mark(request.symbol) if request.by_mark else self._venue.last(request.symbol)

    def _activate(self, algo: AlgoOrder, price: Decimal) -> None:
        algo.is_active, algo.extreme = True, price

    def _is_due(self, algo: AlgoOrder, now: int) -> bool:
        request = algo.request
        if request.tif is TimeInForce.GTD and request.good_till <= now:
            self._end(algo, AlgoStatus.EXPIRED, now)
            return False
        price = self._price(request)
        if request.type is AlgoType.TRAILING_STOP_MARKET:
            reached = self._trail(algo, price, now)
        else:
            reached = _reaches(request, price)
        return reached and not (request.protected and self._is_apart(request.symbol))

    def _trail(self, algo: AlgoOrder, price: Decimal, now: int) -> bool:
        request = algo.request
        buys = request.side is Side.BUY
        if not algo.is_active:
            if (price > request.activate) if buys else (price < request.activate):
                return False
            self._activate(algo, price)
            self._tell(algo, now)
        algo.extreme = min(algo.extreme, price) if buys else max(algo.extreme, price)
        rate = request.callback / 100
        return price >= algo.extreme * (1 + rate) if buys else price <= algo.extreme * (1 - rate)

    def _is_apart(self, symbol: str) -> bool:
        last, mark = self._venue.last(symbol), self._venue.mark(symbol)
        return bool(mark) and abs(last - mark) > mark * self._venue.instruments[symbol].trigger_protect

    def _fire(self, algo: AlgoOrder, now: int) -> None:
        """Its price came: it becomes an order, or not."""
        del self._waiting[algo.request.symbol][algo.algo_id]
        algo.status, algo.triggered, algo.updated = AlgoStatus.TRIGGERING, now, now
        self._tell(algo, now)
        request = self._order_request(algo)
        if request is None:
            algo.status = AlgoStatus.EXPIRED
            self._tell(algo, now)
            return
        try:
            order = self._venue.place(algo.account, request, now)
        except VenueError as error:
            algo.status, algo.reason = AlgoStatus.REJECTED, error.text
        else:
            algo.status, algo.order_id = AlgoStatus.TRIGGERED, order.order_id
            self._working[algo.account, order.order_id] = algo
        self._tell(algo, now)

    def _order_request(self, algo: AlgoOrder) -> OrderRequest | None:
        """The order it becomes; None where there is no position left to close."""
        asked = algo.request
        qty, reduce_only = asked.qty, asked.reduce_only
        if asked.close_position:
            held = self._venue.position(algo.account, asked.symbol, asked.position_side).qty
            if not held or (held > 0) is (asked.side is Side.BUY):
                return None
            qty, reduce_only = abs(held), True
        kind = OrderType.LIMIT if asked.type.is_limit else OrderType.MARKET
        tif = asked.tif if asked.type.is_limit else TimeInForce.GTC
        good_till = asked.good_till if tif is TimeInForce.GTD else 0
        return OrderRequest(
            asked.symbol,
            asked.side,
            kind,
            qty,
            asked.price,
            tif,
            reduce_only,
            algo.client_id,
            asked.stp,
            good_till,
            position_side=asked.position_side,
        )

    def _end(self, algo: AlgoOrder, status: AlgoStatus, now: int) -> None:
        self._waiting[algo.request.symbol].pop(algo.algo_id, None)
        algo.status, algo.updated = status, now
        self._tell(algo, now)

    # ---- telling
    def _tell(self, algo: AlgoOrder, now: int) -> None:
        self._untold.append(AlgoUpdate(algo.account, copy(algo), now))

    def _taken(self) -> list[AlgoUpdate]:
        untold, self._untold = self._untold, []
        return untold


def _check_stop(rules: Instrument, price: Decimal) -> None:
    """What is asked of any price that is waited for."""
    if price <= 0:
        raise VenueError(-4006, "Stop price less than zero.")
    check_precision(rules, price, ZERO)
    if rules.max_price and price > rules.max_price:
        raise VenueError(-4007, "Stop price greater than max price.")
    if price % rules.tick_size:
        raise VenueError(-4014, "Price not increased by tick size.")


def _reaches(request: AlgoRequest, price: Decimal) -> bool:
    """Whether `price` is at or past the trigger: stops follow the price, profits wait against it."""
    if not price:
        return False
    upward = (request.side is Side.BUY) is not request.type.is_profit
    return price >= request.trigger if upward else price <= request.trigger
