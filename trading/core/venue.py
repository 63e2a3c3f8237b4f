"""A matching venue: market data and requests in, account events out; pure and deterministic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from heapq import heappop

import msgspec

from trading.core.account import Account, Holding
from trading.core.admission import admit
from trading.core.amendment import amend
from trading.core.book import Market
from trading.core.deleverage import deleverage
from trading.core.floor import Floor
from trading.core.funding import settle_funding
from trading.core.liquidation import first_doom, liquidate
from trading.core.modes import set_leverage, set_margin_mode, set_position_mode
from trading.core.records import (
    AccountEvent,
    BalanceUpdate,
    Execution,
    Funds,
    Income,
    Level,
    LeverageUpdate,
    Order,
    OrderRequest,
    OrderUpdate,
    PositionLine,
    PositionSide,
    PositionView,
    SelfTrade,
    Status,
    Trade,
    VenueError,
    VenueState,
)
from trading.core.transfer import move_margin
from trading.model import ZERO, Bracket, Instrument, MarginMode, Side

__all__ = [
    "AccountEvent",
    "BalanceUpdate",
    "Execution",
    "Funds",
    "Income",
    "Level",
    "LeverageUpdate",
    "Order",
    "OrderRequest",
    "OrderUpdate",
    "PositionLine",
    "PositionSide",
    "PositionView",
    "SelfTrade",
    "Status",
    "Trade",
    "Venue",
    "VenueError",
    "VenueState",
]

_BOTH = PositionSide.BOTH


class Venue:
    """Accounts, orders and prices of one venue. Time enters as `now` (ms UTC), ids are counters.

    Unknown accounts raise KeyError (the caller authenticates); every refusal of a request is a VenueError.
    """

    def __init__(
        self,
        instruments: Iterable[Instrument],
        brackets: Mapping[str, tuple[Bracket, ...]] | None = None,
        quote_asset: str = "USDT",
        through: bool = False,
        is_terse: bool = False,
    ) -> None:
        """`through`: in candle mode an order fills only when the path passes it by a tick.

        A symbol without brackets has neither a maximum position nor maintenance margin. `is_terse`: no trades, no
        income rows of trades and no filled orders are kept, and of the events only ends, trades and funding come:
        for a backtest, whose only reader drains after every step.
        """
        self._floor = Floor(quote_asset, is_terse)
        self._markets = self._floor.markets
        self._accounts = self._floor.accounts
        self._through = through
        for instrument in instruments:
            self._markets[instrument.symbol] = Market(instrument, (brackets or {}).get(instrument.symbol, ()))

    @property
    def instruments(self) -> dict[str, Instrument]:
        return {symbol: market.instrument for symbol, market in self._markets.items()}

    @property
    def brackets(self) -> dict[str, tuple[Bracket, ...]]:
        return {symbol: market.brackets for symbol, market in self._markets.items()}

    @property
    def quote_asset(self) -> str:
        return self._floor.quote_asset

    # ---- accounts
    def open_account(self, account: str, wallet: Decimal, now: int, is_ample: bool = False) -> None:
        """A new account with `wallet` transferred in; ValueError if it exists. `is_ample`: no margin is asked of it."""
        if account in self._accounts:
            raise ValueError("the account exists")
        opened = self._accounts[account] = Account(account, ZERO, now, is_ample)
        if wallet:
            self._transfer(opened, wallet, now)

    def deposit(self, account: str, amount: Decimal, now: int) -> None:
        """Money comes in, or goes out below 0."""
        self._transfer(self._accounts[account], amount, now)

    def _transfer(self, account: Account, amount: Decimal, now: int) -> None:
        account.wallet += amount
        account.updated = now
        self._floor.earn(account, "TRANSFER", amount, "", now, info="TRANSFER")
        self._floor.tell_balance(account, "DEPOSIT" if amount > 0 else "WITHDRAW", None, now, amount)

    @property
    def accounts(self) -> tuple[str, ...]:
        return tuple(self._accounts)

    def set_position_mode(self, account: str, is_hedged: bool) -> None:
        """One position on every symbol, or with `is_hedged` two, LONG and SHORT."""
        set_position_mode(self._accounts[account], is_hedged)

    def is_hedged(self, account: str) -> bool:
        return self._accounts[account].is_hedged

    def set_leverage(self, account: str, symbol: str, leverage: int, now: int) -> None:
        set_leverage(self._floor, self._accounts[account], symbol, leverage, now)

    def set_margin_mode(self, account: str, symbol: str, mode: MarginMode, now: int) -> None:
        set_margin_mode(self._floor, self._accounts[account], symbol, mode, now)

    def move_margin(self, account: str, symbol: str, amount: Decimal, now: int, side: PositionSide = _BOTH) -> None:
        """Into an isolated position, or out of it below 0."""
        move_margin(self._floor, self._accounts[account], symbol, amount, now, side)

    def leverage(self, account: str, symbol: str) -> int:
        return self._floor.holding(self._accounts[account], symbol).state.leverage

    def margin_mode(self, account: str, symbol: str) -> MarginMode:
        return self._floor.holding(self._accounts[account], symbol).state.margin_mode

    def max_notional(self, symbol: str, leverage: int) -> Decimal:
        """The largest position at `leverage`; 0 = unlimited."""
        return self._floor.market(symbol).most_notional(leverage)

    def position(self, account: str, symbol: str, side: PositionSide = _BOTH) -> PositionView:
        owner = self._accounts[account]
        return owner.view(self._floor.holding(owner, symbol, side))

    def positions(self, account: str, symbol: str | None = None) -> list[PositionView]:
        """Those that hold something or have open orders."""
        owner = self._accounts[account]
        holdings = owner.holdings.values() if symbol is None else owner.sides.get(symbol, ())
        return [owner.view(holding) for holding in holdings if holding.state.qty or holding.open]

    def funds(self, account: str) -> Funds:
        return self._accounts[account].funds(self.quote_asset)

    def wallet(self, account: str) -> Decimal:
        return self._accounts[account].wallet

    def available(self, account: str) -> Decimal:
        return self.funds(account).available

    def trades(self, account: str, symbol: str | None = None) -> list[Trade]:
        """Oldest first."""
        return [trade for trade in self._accounts[account].trades if symbol is None or trade.symbol == symbol]

    def income(self, account: str) -> list[Income]:
        """Oldest first."""
        return list(self._accounts[account].income)

    # ---- orders
    def place(self, account: str, request: OrderRequest, now: int) -> Order:
        """The order as it stands after matching (the live object: copy it if you keep it)."""
        floor, owner = self._floor, self._accounts[account]
        holding = self._meant(owner, request)
        number, rank = floor.orders + 1, floor.ranks + 1
        order = admit(owner, holding, request, number, rank, now)
        floor.orders, floor.ranks = number, rank
        floor.enter(owner, holding, order, now)
        return order

    def check(self, account: str, request: OrderRequest, now: int) -> Order:
        """Every check of `place` and nothing more; the order that it would be, numbered 0."""
        owner = self._accounts[account]
        return admit(owner, self._meant(owner, request), request, 0, 0, now)

    def _meant(self, owner: Account, request: OrderRequest) -> Holding:
        # A side that does not go with the mode is refused after the filters, whichever holding stands for it (§13).
        return self._floor.holding(owner, request.symbol, request.position_side if owner.is_hedged else _BOTH)

    def check_side(self, account: str, side: PositionSide) -> None:
        """-4061 where positions of `account` have no such side."""
        self._accounts[account].check_side(side)

    def deleverage(self, account: str, symbol: str, qty: Decimal, now: int, side: PositionSide = _BOTH) -> Order:
        """Close `qty` of a position at the mark as an ADL does; 0 = all of it."""
        return deleverage(self._floor, self._accounts[account], symbol, qty, now, side)

    def cancel(self, account: str, symbol: str, order_id: int | None, client_id: str | None, now: int) -> Order:
        """`order_id` wins where both are given. -2011 for what is not open."""
        order = self.find(account, symbol, order_id, client_id)
        if order is None or not order.is_open:
            raise VenueError(-2011, "Unknown order sent.")
        self._floor.end(order, Status.CANCELED, now)
        return order

    def cancel_all(self, account: str, symbol: str, now: int) -> list[Order]:
        orders = self.open_orders(account, symbol)
        for order in orders:
            self._floor.end(order, Status.CANCELED, now)
        return orders

    def amend(
        self,
        account: str,
        symbol: str,
        order_id: int | None,
        client_id: str | None,
        side: Side,
        price: Decimal,
        qty: Decimal,
        now: int,
        reduce_only: bool = False,
        modify_id: str = "",
        price_match: str = "NONE",
    ) -> Order:
        """New price and whole quantity for a resting order (binance-usdm.md §12.8); it may come back over."""
        order = self.find(account, symbol, order_id, client_id)
        if order is None or not order.is_open:
            raise VenueError(-2013, "Order does not exist.")
        return amend(self._floor, order, side, price, qty, reduce_only, now, modify_id, price_match)

    def order(self, account: str, symbol: str, order_id: int | None, client_id: str | None = None) -> Order:
        """-2013 for what never was. A client id that was used twice names its newest order."""
        order = self.find(account, symbol, order_id, client_id)
        if order is None:
            raise VenueError(-2013, "Order does not exist.")
        return order

    def open_orders(self, account: str, symbol: str | None = None) -> list[Order]:
        """By order id."""
        holdings = self._accounts[account].holdings.values()
        orders = [o for h in holdings if symbol is None or h.state.symbol == symbol for o in h.open.values()]
        return sorted(orders, key=lambda order: order.order_id)

    def all_orders(self, account: str, symbol: str | None = None) -> list[Order]:
        """Open and over, by order id."""
        return [order for order in self._accounts[account].orders.values() if symbol is None or order.symbol == symbol]

    def expire(self, account: str, order_id: int, reason: str, now: int) -> Order:
        """The system ends a resting order (a fault switch, a delisting): EXPIRED with `er` = reason."""
        order = self._accounts[account].orders.get(order_id)
        if order is None or not order.is_open:
            raise VenueError(-2011, "Unknown order sent.")
        self._floor.end(order, Status.EXPIRED, now, reason)
        return order

    def tick(self, now: int) -> None:
        """Expire GTD orders whose time has come."""
        timers = self._floor.timers
        while timers and timers[0][0] <= now:
            _, order_id, account = heappop(timers)
            order = self._accounts[account].orders[order_id]
            if order.is_open:
                self._floor.end(order, Status.EXPIRED, now)

    def find(self, account: str, symbol: str, order_id: int | None, client_id: str | None) -> Order | None:
        """None for what never was. `order_id` wins where both are given."""
        owner = self._accounts[account]
        self._floor.market(symbol)
        if order_id is None:
            return owner.named.get((symbol, client_id or ""))
        order = owner.orders.get(order_id)
        return order if order is not None and order.symbol == symbol else None

    # ---- market
    def set_status(self, symbol: str, status: str) -> Instrument:
        """Halt or resume a symbol; its rules as they are then."""
        market = self._floor.market(symbol)
        market.instrument = msgspec.structs.replace(market.instrument, status=status)
        return market.instrument

    def set_quote(
        self,
        symbol: str,
        bid: Decimal,
        bid_qty: Decimal,
        ask: Decimal,
        ask_qty: Decimal,
        now: int,
        bids: Sequence[tuple[Decimal, Decimal]] = (),
        asks: Sequence[tuple[Decimal, Decimal]] = (),
    ) -> None:
        """The outside world's touch (and deeper levels, best first, touch not repeated).

        A touch that moves onto resting orders fills them as far as its quantity goes.
        """
        market = self._floor.market(symbol)
        market.walks = False
        market.outer_bids = [Level(price, qty) for price, qty in ((bid, bid_qty), *bids) if qty]
        market.outer_asks = [Level(price, qty) for price, qty in ((ask, ask_qty), *asks) if qty]
        if not market.last:
            market.last = bid
        if market.bids.edge >= ask:
            self._floor.meet_outside(market, Side.BUY, now)
        if market.asks.edge <= bid:
            self._floor.meet_outside(market, Side.SELL, now)
        liquidate(self._floor, market, now)

    def print_trade(self, symbol: str, price: Decimal, qty: Decimal, is_buyer_maker: bool, now: int) -> None:
        """A trade of the outside world: fills resting orders by price and time up to `qty`; the last price."""
        market = self._floor.market(symbol)
        market.last = price
        market.trades += 1
        self._floor.print(market, Side.BUY if is_buyer_maker else Side.SELL, price, qty, now)
        liquidate(self._floor, market, now)

    def reach(self, symbol: str, price: Decimal, now: int) -> int:
        """Candle mode: the path goes straight to `price`; how many orders filled.

        Every resting order the path has come to fills whole at its own price, in path order, as maker.
        """
        market = self._markets[symbol]
        market.last = price
        market.walks = True
        floor, count = self._floor, 0
        if not market.bids.edge < price < market.asks.edge:
            beyond = market.instrument.tick_size if self._through else ZERO
            count = floor.sweep(market, Side.BUY, price + beyond, now)
            count += floor.sweep(market, Side.SELL, price - beyond, now)
        liquidate(floor, market, now)
        return count

    def advance(self, symbol: str, price: Decimal, now: int) -> bool:
        """Candle mode, order by order: the path goes towards `price` and stands at the first order it reaches.

        True = that order filled, and whatever answers it is live for the rest of the path; False = arrived. Where a
        mark on the way costs somebody the maintenance margin, the path stands there too.
        """
        market = self._markets[symbol]
        market.walks = True
        floor = self._floor
        beyond = market.instrument.tick_size if self._through else ZERO
        if not market.brackets:
            return floor.step(market, price, beyond, now)
        doom = first_doom(floor, market, price)
        if doom is None or market.bids.edge - beyond >= doom or market.asks.edge + beyond <= doom:
            stopped = floor.step(market, price, beyond, now)
        else:
            stopped, market.last = True, doom
        liquidate(floor, market, now)
        return stopped

    def set_mark(self, symbol: str, price: Decimal, now: int) -> None:
        """The mark price, from now on as set; 0 = derived again (mid, on a path the point)."""
        market = self._floor.market(symbol)
        market.marked = price
        liquidate(self._floor, market, now)

    def settle_funding(self, symbol: str, rate: Decimal, now: int) -> None:
        """Longs pay `rate` of their notional at the mark to shorts; an isolated position pays from its own wallet."""
        market = self._floor.market(symbol)
        settle_funding(self._floor, market, rate, now)
        liquidate(self._floor, market, now)

    def last(self, symbol: str) -> Decimal:
        """0 before the first price."""
        return self._floor.market(symbol).last

    def mark(self, symbol: str) -> Decimal:
        return self._floor.market(symbol).mark

    def bid(self, symbol: str) -> Decimal:
        """The best of the world outside and our accounts, on a candle path a tick below it; 0 = none."""
        return self._floor.market(symbol).bid

    def ask(self, symbol: str) -> Decimal:
        return self._floor.market(symbol).ask

    def top(self, symbol: str) -> tuple[Level | None, Level | None]:
        """What stands at the best bid and ask; None for nothing, as at the touch of a candle path."""
        market = self._floor.market(symbol)
        return market.top(Side.BUY, market.bid), market.top(Side.SELL, market.ask)

    def depth(self, symbol: str, limit: int = 1000) -> tuple[list[Level], list[Level]]:
        """Bids and asks, best first, resting orders included."""
        market = self._floor.market(symbol)
        return market.depth(Side.BUY)[:limit], market.depth(Side.SELL)[:limit]

    def edges(self, symbol: str) -> tuple[Decimal, Decimal]:
        """The highest resting buy (-1 = none) and lowest resting sell (Infinity = none): between them nothing fills."""
        market = self._markets[symbol]
        return market.bids.edge, market.asks.edge

    # ---- events and state
    def drain(self) -> list[AccountEvent]:
        """What happened since the last drain, in order."""
        floor = self._floor
        events, floor.pending = floor.pending, []
        return events

    def count_from(self, number: int) -> None:
        """Give the coming orders, trades and income rows numbers above `number`."""
        floor = self._floor
        floor.orders, floor.transactions = number, number
        for market in self._markets.values():
            market.trades = number

    def snapshot(self) -> VenueState:
        """A copy of everything, ready for msgspec."""
        floor = self._floor
        state = VenueState(
            quote_asset=floor.quote_asset,
            markets=[market.state() for market in self._markets.values()],
            accounts=[account.state() for account in self._accounts.values()],
            orders=floor.orders,
            ranks=floor.ranks,
            transactions=floor.transactions,
            pending=floor.pending,
        )
        return msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=VenueState)

    @classmethod
    def restore(cls, state: VenueState, through: bool = False) -> Venue:
        """The venue that goes on exactly where `state` was taken; it takes the state over."""
        venue = cls((), quote_asset=state.quote_asset, through=through)
        floor = venue._floor
        floor.orders, floor.ranks, floor.transactions = state.orders, state.ranks, state.transactions
        floor.pending = state.pending
        for market in state.markets:
            floor.markets[market.instrument.symbol] = Market.restored(market)
        for account in state.accounts:
            floor.readmit(account)
        floor.rest_again()
        return venue
