"""One account on the venue: wallet, positions, orders, trades and the margin they ask for."""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal

from trading.core.book import Market
from trading.core.margin import hedge_liquidation_price, liquidation_price, maintenance_margin
from trading.core.records import (
    AccountState,
    Funds,
    Income,
    Order,
    PositionLine,
    PositionSide,
    PositionState,
    PositionView,
    Trade,
    VenueError,
)
from trading.model import MONEY, ZERO, MarginMode, Side

_BUY = Side.BUY
_SELL = Side.SELL
_ISOLATED = MarginMode.ISOLATED
_BOTH = PositionSide.BOTH
# reading a member off its Enum is slow, and these are asked for at every order

CENT = Decimal("1E-8")
"""The quantum of everything the venue books (product.md §9: fees half up to 8 decimals)."""


def booked(amount: Decimal) -> Decimal:
    """`amount` as the venue books it."""
    return amount.quantize(CENT, ROUND_HALF_UP)  # by position: by name takes twice as long


def exposure(notional: Decimal, bids: Decimal, asks: Decimal) -> Decimal:
    """What margin is asked for: the worse of all buys or all sells filling; the position's `notional` is signed."""
    return max(abs(notional + bids), abs(notional - asks))


class Holding:
    """One position of an account and the open orders about it."""

    __slots__ = ("asks", "bids", "buying", "key", "market", "open", "reducing", "selling", "state")

    def __init__(self, market: Market, state: PositionState) -> None:
        self.market = market
        self.state = state
        self.key = state.position_side.key(state.symbol)
        self.open: dict[int, Order] = {}
        self.reducing: dict[int, Order] = {}
        """The reduce-only ones among `open`: they ask for no margin."""
        self.bids = ZERO
        """Notional of the open buys that may open something, at their own prices."""
        self.asks = ZERO
        self.buying = ZERO
        """Quantity of all open buys."""
        self.selling = ZERO

    # ---- open orders
    def add(self, order: Order) -> None:
        self.open[order.order_id] = order
        if order.reduce_only:
            self.reducing[order.order_id] = order
        self.count(order, order.remaining)

    def drop(self, order: Order) -> None:
        del self.open[order.order_id]
        self.reducing.pop(order.order_id, None)
        self.count(order, order.executed - order.qty)

    def count(self, order: Order, qty: Decimal) -> None:
        """The open part of `order` grew by `qty`."""
        if order.side is _BUY:
            self.buying += qty
            if not order.reduce_only:
                self.bids += qty * order.price
        else:
            self.selling += qty
            if not order.reduce_only:
                self.asks += qty * order.price

    def closable(self, side: Side) -> Decimal:
        """How much an order of `side` may still close beside the open orders of that side; 0 when it would open."""
        if side is _SELL:
            return max(ZERO, self.state.qty - self.selling)
        return max(ZERO, -self.state.qty - self.buying)

    # ---- the position
    @property
    def entry(self) -> Decimal:
        state = self.state
        if not state.qty:
            return ZERO
        return (state.cost / abs(state.qty)).quantize(MONEY, rounding=ROUND_HALF_UP)

    @property
    def unrealized(self) -> Decimal:
        state = self.state
        if not state.qty:
            return ZERO
        return state.qty * self.market.mark - (state.cost if state.qty > 0 else -state.cost)

    @property
    def is_isolated(self) -> bool:
        return self.state.margin_mode is _ISOLATED

    @property
    def position_margin(self) -> Decimal:
        return abs(self.state.qty) * self.market.mark / self.state.leverage

    @property
    def order_margin(self) -> Decimal:
        """What the open orders ask for beyond the position's own margin."""
        notional = self.state.qty * self.market.mark
        return (exposure(notional, self.bids, self.asks) - abs(notional)) / self.state.leverage

    @property
    def maintenance(self) -> Decimal:
        brackets = self.market.brackets
        return maintenance_margin(brackets, self.state.qty, self.market.mark) if brackets else ZERO

    def fill(self, side: Side, price: Decimal, qty: Decimal, now: int) -> Decimal:
        """Book a fill into the position; what it realised, before fees."""
        state = self.state
        held, buys = state.qty, side is _BUY
        realized, opening = ZERO, qty
        if held and (held > ZERO) is not buys:
            size = abs(held)
            closing = qty if qty < size else size
            realized = self._close(price, closing)
            opening = qty - closing
        if opening:
            state.qty += opening if buys else -opening
            state.cost += opening * price
            if state.margin_mode is _ISOLATED:
                state.isolated_wallet += booked(opening * price / state.leverage)
        state.updated = now
        return realized

    def _close(self, price: Decimal, qty: Decimal) -> Decimal:
        """Close `qty` of the position. Its share of the cost is booked exactly, so nothing is lost to rounding."""
        state = self.state
        held = state.qty
        size = abs(held)
        if qty == size:
            part, state.cost, state.qty = state.cost, ZERO, ZERO
            state.isolated_wallet = state.fees = ZERO
        else:
            part = booked(state.cost * qty / size)
            state.cost -= part
            state.qty = held - qty if held > ZERO else held + qty
            state.fees -= booked(state.fees * qty / size)
            if state.isolated_wallet:
                state.isolated_wallet -= booked(state.isolated_wallet * qty / size)
        realized = booked(price * qty - part if held > ZERO else part - price * qty)
        state.accumulated += realized
        return realized

    def line(self) -> PositionLine:
        state = self.state
        return PositionLine(
            state.symbol,
            state.qty,
            self.entry,
            self.break_even,
            state.accumulated,
            booked(self.unrealized),
            state.margin_mode,
            state.isolated_wallet,
            state.position_side,
        )

    @property
    def break_even(self) -> Decimal:
        """The entry with the fees paid so far; the fee of the exit is not in it."""
        state = self.state
        if not state.qty:
            return ZERO
        fees = state.fees if state.qty > 0 else -state.fees
        return ((state.cost + fees) / abs(state.qty)).quantize(MONEY, rounding=ROUND_HALF_UP)


class Account:
    """Wallet and holdings of one API key."""

    __slots__ = (
        "holdings",
        "income",
        "is_ample",
        "is_hedged",
        "name",
        "named",
        "orders",
        "sides",
        "trades",
        "updated",
        "wallet",
    )

    def __init__(self, name: str, wallet: Decimal, now: int, is_ample: bool = False) -> None:
        self.name = name
        self.is_ample = is_ample
        """Taken as large enough for everything: no margin is asked of it."""
        self.is_hedged = False
        """Trades two positions on a symbol, LONG and SHORT."""
        self.wallet = wallet
        self.holdings: dict[str, Holding] = {}
        """By `PositionSide.key`, which orders carry."""
        self.sides: dict[str, tuple[Holding, ...]] = {}
        """By symbol: BOTH, then LONG and SHORT where there was a hedge. They share leverage and margin mode."""
        self.orders: dict[int, Order] = {}
        """All, open and over, by id."""
        self.named: dict[tuple[str, str], Order] = {}
        """By symbol and client id; a name used twice is its newest order."""
        self.trades: list[Trade] = []
        self.income: list[Income] = []
        self.updated = now

    def hold(self, market: Market, state: PositionState) -> Holding:
        """Begin to keep a position; BOTH comes before LONG and SHORT."""
        holding = Holding(market, state)
        self.holdings[holding.key] = holding
        self.sides[state.symbol] = (*self.sides.get(state.symbol, ()), holding)
        return holding

    def check_side(self, side: PositionSide) -> None:
        """-4061 where this account has no such positions."""
        if self.is_hedged is (side is _BOTH):
            raise VenueError(-4061, "Order's position side does not match user's setting.")

    @property
    def cross_wallet(self) -> Decimal:
        return self.wallet - sum((h.state.isolated_wallet for h in self.holdings.values() if h.is_isolated), ZERO)

    @property
    def free(self) -> Decimal:
        """What is left for new orders, below 0 when losses have eaten it."""
        left = self.wallet
        for holding in self.holdings.values():
            left -= holding.order_margin
            if holding.is_isolated:
                left -= holding.state.isolated_wallet
            elif holding.state.qty:
                left += holding.unrealized - holding.position_margin
        return left

    def funds(self, asset: str) -> Funds:
        holdings = self.holdings.values()
        return Funds(
            asset=asset,
            wallet=self.wallet,
            cross_wallet=self.cross_wallet,
            unrealized_pnl=booked(sum((h.unrealized for h in holdings), ZERO)),
            cross_unrealized_pnl=booked(sum((h.unrealized for h in holdings if not h.is_isolated), ZERO)),
            position_margin=booked(sum((h.position_margin for h in holdings), ZERO)),
            open_order_margin=booked(sum((h.order_margin for h in holdings), ZERO)),
            maintenance=booked(sum((h.maintenance for h in holdings), ZERO)),
            available=max(ZERO, self.free).quantize(CENT, rounding=ROUND_DOWN),
            updated=self.updated,
        )

    def view(self, holding: Holding) -> PositionView:
        state, market = holding.state, holding.market
        position_margin, orders_margin = booked(holding.position_margin), booked(holding.order_margin)
        return PositionView(
            symbol=state.symbol,
            qty=state.qty,
            entry=holding.entry,
            break_even=holding.break_even,
            mark=market.mark,
            unrealized_pnl=booked(holding.unrealized),
            accumulated=state.accumulated,
            leverage=state.leverage,
            margin_mode=state.margin_mode,
            isolated_wallet=state.isolated_wallet,
            initial_margin=position_margin + orders_margin,
            position_margin=position_margin,
            open_order_margin=orders_margin,
            maintenance=booked(holding.maintenance),
            bid_notional=holding.bids,
            ask_notional=holding.asks,
            liquidation_price=self.liquidation_at(holding),
            max_notional=market.most_notional(state.leverage),
            updated=state.updated,
            position_side=state.position_side,
        )

    def liquidation_at(self, holding: Holding) -> Decimal:
        """The mark below (a short: above) which the position is liquidated; 0 = none.

        The sides of a cross hedge share one, above the mark or below it.
        """
        state, brackets = holding.state, holding.market.brackets
        if not state.qty or not brackets:
            return ZERO
        entry = state.cost / abs(state.qty)
        if holding.is_isolated:
            price = liquidation_price(brackets, state.qty, entry, state.isolated_wallet)
            return booked(price) if price is not None else ZERO
        twin = self._twin(holding) if self.is_hedged else None
        others = [h for h in self.holdings.values() if h is not holding and h is not twin and not h.is_isolated]
        maintenance = sum((h.maintenance for h in others), ZERO)
        pnl = sum((h.unrealized for h in others), ZERO)
        if twin is None:
            price = liquidation_price(
                brackets,
                state.qty,
                entry,
                self.cross_wallet,
                mode=MarginMode.CROSS,
                other_maintenance=maintenance,
                other_pnl=pnl,
            )
        else:
            long, short = (state, twin.state) if state.qty > 0 else (twin.state, state)
            worth = self.cross_wallet - maintenance + pnl - long.cost + short.cost
            price = hedge_liquidation_price(brackets, long.qty, -short.qty, worth, holding.market.mark)
        return booked(price) if price is not None else ZERO

    def _twin(self, holding: Holding) -> Holding | None:
        """The other side of a hedge, where it holds something."""
        sides = self.sides[holding.state.symbol]
        return next((side for side in sides if side is not holding and side.state.qty), None)

    def state(self) -> AccountState:
        positions = {key: holding.state for key, holding in self.holdings.items()}
        orders = list(self.orders.values())
        return AccountState(
            self.name, self.wallet, positions, orders, self.trades, self.income, self.updated, self.is_hedged
        )
