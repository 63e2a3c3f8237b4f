"""The trading floor: where orders meet, fills are booked and account events are written down."""

from __future__ import annotations

from copy import copy
from decimal import Decimal
from heapq import heappush

from trading.core.account import Account, Holding, booked
from trading.core.book import Market
from trading.core.records import (
    AccountEvent,
    AccountState,
    BalanceUpdate,
    Execution,
    Income,
    Order,
    OrderUpdate,
    PositionLine,
    PositionSide,
    PositionState,
    SelfTrade,
    Status,
    Trade,
    VenueError,
)
from trading.model import ZERO, OrderType, Side, TimeInForce

_BUY = Side.BUY
_SELL = Side.SELL
_LIMIT = OrderType.LIMIT
_MARKET = OrderType.MARKET
_GTX = TimeInForce.GTX
_IOC = TimeInForce.IOC
_FOK = TimeInForce.FOK
_NEW = Execution.NEW
_CALCULATED = Execution.CALCULATED
_FILLED = Status.FILLED
_PARTIALLY_FILLED = Status.PARTIALLY_FILLED
_BOTH = PositionSide.BOTH
# reading a member off its Enum is slow, and these are asked for at every order

STP_REASON, IOC_REASON, IOC_STP_REASON, REDUCE_REASON, MARKET_REASON = "1", "2", "3", "4", "9"


class Floor:
    """Markets, accounts, counters and the events nobody has read yet."""

    def __init__(self, quote_asset: str, is_terse: bool = False) -> None:
        """`is_terse`: nobody but one in-process reader listens, who drains after every step: see `Venue`."""
        self.quote_asset = quote_asset
        self.is_terse = is_terse
        self.markets: dict[str, Market] = {}
        self.accounts: dict[str, Account] = {}
        self.orders = 0
        self.ranks = 0
        self.transactions = 0
        self.pending: list[AccountEvent] = []
        self.timers: list[tuple[int, int, str]] = []
        """A heap of (good till, order id, account)."""

    def market(self, symbol: str) -> Market:
        try:
            return self.markets[symbol]
        except KeyError:
            raise VenueError(-1121, "Invalid symbol.") from None

    def holding(self, account: Account, symbol: str, side: PositionSide = _BOTH) -> Holding:
        holding = account.holdings.get(symbol if side is _BOTH else side.key(symbol))
        if holding is not None:
            return holding
        market = self.market(symbol)
        if side is _BOTH:
            # The venue's default, unless the symbol does not go that far.
            return account.hold(market, PositionState(symbol, leverage=min(20, market.instrument.max_leverage)))
        account.check_side(side)
        both = self.holding(account, symbol).state
        for each in (PositionSide.LONG, PositionSide.SHORT):
            account.hold(market, PositionState(symbol, both.leverage, both.margin_mode, position_side=each))
        return account.holdings[side.key(symbol)]

    # ---- an order's way
    def enter(self, account: Account, holding: Holding, order: Order, now: int) -> None:
        """A checked order comes in: tell it, match it, and let it rest or expire."""
        account.orders[order.order_id] = order
        account.named[order.symbol, order.client_id] = order
        if _is_passive(holding.market, order):
            self._rest(holding, order)
            self.tell(holding, order, _NEW, now)
            return
        self.tell(holding, order, _NEW, now)
        self.work(holding, order, now)

    def work(self, holding: Holding, order: Order, now: int) -> None:
        """Match `order`, which does not rest, and let what is left rest or expire."""
        market = holding.market
        stopped = ""
        if market.walks:
            if order.type is _MARKET or market.crosses(order.side, order.price):
                market.trades += 1
                self.fill(order, market.last, order.remaining, False, now)
        elif order.tif is not _GTX:
            stopped = self._take(market, order, now)
        if not order.is_open or not order.remaining:
            return
        if stopped:
            self.end(order, Status.EXPIRED_IN_MATCH, now, IOC_STP_REASON if order.tif is _IOC else STP_REASON)
        elif order.type is _MARKET:
            self.end(order, Status.EXPIRED, now, MARKET_REASON)
        elif order.tif in (_IOC, _FOK):
            self.end(order, Status.EXPIRED, now, IOC_REASON)
        else:
            self._rest(holding, order)

    def _rest(self, holding: Holding, order: Order) -> None:
        holding.add(order)
        holding.market.shelf(order.side).add(order)
        if order.good_till:
            heappush(self.timers, (order.good_till, order.order_id, order.account))

    def lift(self, order: Order) -> None:
        """Take a resting order out of its queue."""
        holding = self.accounts[order.account].holdings[order.key]
        if order.order_id in holding.open:
            holding.drop(order)
            holding.market.shelf(order.side).remove(order)

    def end(self, order: Order, status: Status, now: int, reason: str = "0") -> None:
        """The rest of `order` is not wanted or not possible any more."""
        self.lift(order)
        order.status = status
        order.updated = now
        cancelled = status is Status.CANCELED
        holding = self.accounts[order.account].holdings[order.key]
        self.tell(holding, order, Execution.CANCELED if cancelled else Execution.EXPIRED, now, reason)

    # ---- matching
    def _take(self, market: Market, order: Order, now: int) -> str:
        """Trade `order` against resting orders and the world outside; a reason when self-trade prevention ends it."""
        other = order.side.opposite
        shelf, outer, limit = market.shelf(other), market.outer(other), _limit(market, order)
        buys = order.side is _BUY
        while order.remaining:
            resting = shelf.best()
            if resting is not None and outer:
                # Inside a price the world outside counts as the earlier one.
                ahead = resting.price < outer[0].price if buys else resting.price > outer[0].price
                resting = resting if ahead else None
            price = resting.price if resting else outer[0].price if outer else None
            if price is None or (limit and (price > limit if buys else price < limit)):
                return ""
            if resting is None:
                self._match_outside(market, order, outer[0].qty, price, now)
            elif resting.account == order.account and _prevents(order):
                if self._prevent(order, resting, now):
                    return STP_REASON
            else:
                self._match(market, order, resting, now)
        return ""

    def _match(self, market: Market, taker: Order, maker: Order, now: int) -> None:
        qty, price = min(taker.remaining, maker.remaining), maker.price
        market.trades += 1
        market.last = price
        self.fill(maker, price, qty, True, now)
        self.fill(taker, price, qty, False, now)

    def _match_outside(self, market: Market, taker: Order, there: Decimal, price: Decimal, now: int) -> None:
        qty = min(taker.remaining, there)
        market.trades += 1
        market.last = price
        market.take_outer(taker.side.opposite, qty)
        self.fill(taker, price, qty, False, now)

    def _prevent(self, taker: Order, maker: Order, now: int) -> bool:
        """Expire whom the taker's mode names; whether the taker is over."""
        if taker.stp != SelfTrade.EXPIRE_TAKER:
            self.end(maker, Status.EXPIRED_IN_MATCH, now, STP_REASON)
        return taker.stp != SelfTrade.EXPIRE_MAKER

    def meet_outside(self, market: Market, side: Side, now: int) -> None:
        """The outside quote moved onto resting orders of `side`: they fill at their own prices as far as it goes."""
        shelf, outer = market.shelf(side), market.outer(side.opposite)
        while outer:
            order = shelf.reached(outer[0].price)
            if order is None:
                return
            qty = min(order.remaining, outer[0].qty)
            market.take_outer(side.opposite, qty)
            market.trades += 1
            market.last = order.price
            self.fill(order, order.price, qty, True, now)

    def print(self, market: Market, side: Side, price: Decimal, qty: Decimal, now: int) -> None:
        """An outside trade at `price` reaches resting orders of `side`, by price and time, up to `qty`."""
        shelf = market.shelf(side)
        while qty:
            order = shelf.reached(price)
            if order is None:
                return
            part = min(qty, order.remaining)
            qty -= part
            market.trades += 1
            self.fill(order, order.price, part, True, now)

    def step(self, market: Market, price: Decimal, beyond: Decimal, now: int) -> bool:
        """A path on its way to `price` stops at the first resting order it reaches, which fills whole."""
        bid, ask = market.bids.edge, market.asks.edge
        if beyond:
            bid, ask = bid - beyond, ask + beyond
        if bid < price < ask:
            market.last = price
            return False
        shelf, market.last = (market.bids, bid) if bid >= price else (market.asks, ask)
        order = shelf.best()
        assert order is not None
        market.trades += 1
        self.fill(order, order.price, order.qty - order.executed, True, now)
        return True

    def sweep(self, market: Market, side: Side, price: Decimal, now: int) -> int:
        """A path has come to `price`: every resting order of `side` it reached fills whole, in path order."""
        shelf = market.shelf(side)
        count = 0
        while (order := shelf.reached(price)) is not None:
            market.trades += 1
            self.fill(order, order.price, order.remaining, True, now)
            count += 1
        return count

    # ---- booking
    def fill(
        self,
        order: Order,
        price: Decimal,
        qty: Decimal,
        maker: bool,
        now: int,
        fee: Decimal | None = None,
        execution: Execution = Execution.TRADE,
    ) -> None:
        """Book one side of one execution, the last of the market's trade ids; `fee` None: by the rates."""
        account = self.accounts[order.account]
        holding = account.holdings[order.key]
        market, side = holding.market, order.side
        whole = qty == order.qty - order.executed
        if order.order_id in holding.open:
            if not whole:
                holding.count(order, -qty)
            else:
                holding.drop(order)
                market.shelf(side).remove(order)
        realized = holding.fill(side, price, qty, now)
        notional = price * qty
        if fee is None:
            fee = booked(notional * (market.instrument.maker_fee if maker else market.instrument.taker_fee))
        if holding.state.qty:
            holding.state.fees += fee
        account.wallet += realized - fee
        account.updated = order.updated = now
        order.executed += qty
        order.quote_executed += notional
        order.status = _FILLED if whole else _PARTIALLY_FILLED
        trade = Trade(
            market.trades,
            order.order_id,
            order.client_id,
            order.account,
            order.symbol,
            side,
            price,
            qty,
            fee,
            self.quote_asset,
            maker,
            realized,
            now,
            order.position_side,
        )
        if self.is_terse:
            self._tell_trade(account, holding, order, trade, execution, now)
        else:
            account.trades.append(trade)
            if realized:
                self.earn(account, "REALIZED_PNL", realized, order.symbol, now, trade.trade_id)
            if fee:
                self.earn(account, "COMMISSION", -fee, order.symbol, now, trade.trade_id)
            self.tell(holding, order, execution, now, trade=trade)
            self.tell_balance(account, "ORDER", holding, now)
        if holding.reducing:
            self._trim(holding, now)

    def _trim(self, holding: Holding, now: int) -> None:
        """Reduce-only orders never exceed the position: the newest give way first."""
        room = holding.state.qty
        for order in sorted(holding.reducing.values(), key=lambda order: order.rank):
            closes = room > 0 if order.side is _SELL else room < 0
            if not closes:
                self.end(order, Status.EXPIRED, now, REDUCE_REASON)
            elif order.remaining > abs(room):
                cut = order.remaining - abs(room)
                holding.count(order, -cut)
                order.qty -= cut
                order.updated = now
                self.tell(holding, order, Execution.AMENDMENT, now)
                room = ZERO
            else:
                room += order.remaining * order.side.sign

    def earn(
        self, account: Account, kind: str, amount: Decimal, symbol: str, now: int, trade: int = 0, info: str = ""
    ) -> None:
        """Write an income row (the wallet is the caller's)."""
        self.transactions += 1
        account.income.append(Income(self.transactions, kind, amount, self.quote_asset, symbol, now, trade, info))

    # ---- telling
    def _tell_trade(
        self, account: Account, holding: Holding, order: Order, trade: Trade, execution: Execution, now: int
    ) -> None:
        """The trade alone, with the order itself, which is forgotten when it is over."""
        self.pending.append(OrderUpdate(account.name, order, execution, trade, "0", holding.bids, holding.asks, now))
        if execution is _CALCULATED:
            account.trades.append(trade)  # the end of a bot: its last Snapshot must know it
        if order.status is _FILLED:
            del account.orders[order.order_id], account.named[order.symbol, order.client_id]

    def tell(
        self,
        holding: Holding,
        order: Order,
        execution: Execution,
        now: int,
        reason: str = "0",
        trade: Trade | None = None,
    ) -> None:
        if self.is_terse and execution is _NEW:
            return
        self.pending.append(
            OrderUpdate(order.account, copy(order), execution, trade, reason, holding.bids, holding.asks, now)
        )

    def tell_balance(
        self, account: Account, reason: str, holding: Holding | None, now: int, change: Decimal = ZERO, symbol: str = ""
    ) -> None:
        lines: tuple[PositionLine, ...] = (holding.line(),) if holding is not None else ()
        if holding is not None and account.is_hedged:
            # told whole, with an empty BOTH before its sides, as on the live stream
            lines = tuple(side.line() for side in account.sides[holding.state.symbol])
        self.pending.append(
            BalanceUpdate(
                account.name, reason, self.quote_asset, account.wallet, account.cross_wallet, change, lines, symbol, now
            )
        )

    # ---- coming back
    def readmit(self, state: AccountState) -> None:
        """An account as it was kept; its open orders rest again with `rest_again`, when all accounts are back."""
        account = self.accounts[state.name] = Account(state.name, state.wallet, state.updated)
        account.trades, account.income, account.is_hedged = state.trades, state.income, state.is_hedged
        for position in state.positions.values():
            account.hold(self.market(position.symbol), position)
        for order in state.orders:
            order.key = order.key or order.symbol  # kept before there were hedges
            account.orders[order.order_id] = order
            account.named[order.symbol, order.client_id] = order

    def rest_again(self) -> None:
        """Put every open order back into its queue, in the old order."""
        resting = [order for account in self.accounts.values() for order in account.orders.values() if order.is_open]
        for order in sorted(resting, key=lambda order: order.rank):
            self._rest(self.accounts[order.account].holdings[order.key], order)


def _is_passive(market: Market, order: Order) -> bool:
    """Whether `order` goes straight to its queue."""
    if order.type is _MARKET or order.tif is _IOC or order.tif is _FOK:
        return False
    return order.tif is _GTX or not market.crosses(order.side, order.price)


def _limit(market: Market, order: Order) -> Decimal:
    """The worst price `order` may trade at; 0 = none."""
    if order.type is _LIMIT:
        return order.price
    return market.mark * (1 + order.side.sign * market.instrument.market_take_bound)


def _prevents(taker: Order) -> bool:
    return taker.stp != SelfTrade.NONE and taker.tif not in (TimeInForce.FOK, _GTX)
