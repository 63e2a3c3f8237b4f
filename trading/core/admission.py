"""What a venue asks before it takes an order: filters, side, room to reduce, counts, position limit, margin, prices."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from trading.core.account import Account, Holding, exposure
from trading.core.book import Market
from trading.core.filters import check_counter_price, check_percent_price, check_request
from trading.core.records import Order, OrderRequest, PositionSide, VenueError
from trading.model import ZERO, OrderType, Side, TimeInForce

_LIMIT = OrderType.LIMIT
_BUY = Side.BUY
_SELL = Side.SELL
_GTX = TimeInForce.GTX
_FOK = TimeInForce.FOK
_GTD = TimeInForce.GTD
_BOTH = PositionSide.BOTH
# reading a member off its Enum is slow, and these are asked for at every order

SHORT_MARKUP = Decimal("1.0015")
"""A sell is assumed to cost margin at the last price times this (binance-usdm.md §15)."""

NOT_MAKER = (
    "Due to the order could not be executed as maker, the Post Only order will be rejected. "
    "The order will not be recorded in the order history"
)
NOT_FILLABLE = (
    "Due to the order could not be filled immediately, the FOK order has been rejected. "
    "The order will not be recorded in the order history"
)


def admit(account: Account, holding: Holding, request: OrderRequest, number: int, rank: int, now: int) -> Order:
    """The order that `request` asks for, after every check; or a VenueError."""
    market, side = holding.market, request.position_side
    if account.is_hedged and side.is_closed_by(request.side):
        request = msgspec.structs.replace(request, reduce_only=True)
    check_request(request, market.instrument, market.mark, now)
    if side is not _BOTH or account.is_hedged:
        account.check_side(side)
    qty = _admitted(account, holding, request)
    if request.type is _LIMIT:
        check_taking(market, request.side, request.price, qty, request.tif)
    return Order(
        number,
        request.client_id or f"v{number:021d}",
        account.name,
        request.symbol,
        request.side,
        request.type,
        request.type,
        request.tif,
        request.price,
        qty,
        request.reduce_only,
        request.stp,
        request.good_till // 1000 * 1000 if request.tif is _GTD else 0,
        now,
        now,
        rank,
        price_match=request.price_match,
        position_side=side,
        key=holding.key,
    )


def _admitted(account: Account, holding: Holding, request: OrderRequest) -> Decimal:
    """The quantity the order may have."""
    market = holding.market
    qty = request.qty
    if request.reduce_only:
        # MARKET comes before the resting ones in a hedge too (unconfirmed): a stop closes what a profit waits to.
        qty = reducible(holding, request.side, qty, is_first=request.type is not _LIMIT)
    if request.type is _LIMIT:
        resting = len(holding.open)
        if account.is_hedged:
            resting = sum(len(side.open) for side in account.sides[request.symbol])
        if resting >= market.instrument.max_orders > 0:
            raise VenueError(-2025, "Reach max open order limit.")
    if request.client_id:
        earlier = account.named.get((request.symbol, request.client_id))
        if earlier is not None and earlier.is_open:
            raise VenueError(-4116, "ClientOrderId is duplicated.")
    if not request.reduce_only and not account.is_ample:
        check_margin(account, holding, request.side, request.price, qty)
    if request.type is _LIMIT:
        check_percent_price(market.instrument, request.side, request.price, market.mark)
    elif not market.walks:
        check_counter_price(market.instrument, request.side, _counter_price(market, request.side), market.mark)
    return qty


def reducible(holding: Holding, side: Side, qty: Decimal, own: Decimal = ZERO, is_first: bool = False) -> Decimal:
    """How much of a reduce-only `qty` the position allows, in a hedge all or nothing; `own` = what the order itself
    already has open.

    `is_first`: it fills at once, and what rests gives way to it.
    """
    position = holding.state.qty
    others = ZERO if is_first else sum((order.remaining for order in holding.reducing.values()), ZERO) - own
    room = abs(position) - others
    is_whole = others or holding.state.position_side is not _BOTH
    if not position or (position > 0) is (side is _BUY) or room <= 0 or (is_whole and qty > room):
        raise VenueError(-2022, "ReduceOnly Order is rejected.")
    return min(qty, room)


def check_margin(account: Account, holding: Holding, side: Side, price: Decimal, qty: Decimal) -> None:
    """-2027 for a position too large at this leverage, -2019 for want of margin; `price` 0 = MARKET."""
    if qty <= holding.closable(side):
        return
    market, state = holding.market, holding.state
    mark = market.mark
    assumed = _assumed_price(market, side, price)
    notional = state.qty * mark
    bids, asks = holding.bids, holding.asks
    before = exposure(notional, bids, asks)
    if side is _BUY:
        bids += qty * assumed
        reach = notional + bids
    else:
        asks += qty * assumed
        reach = asks - notional
    most = market.most_notional(state.leverage)
    if most and reach > most:
        raise VenueError(-2027, "Exceeded the maximum allowable position at current leverage.")
    cost = (exposure(notional, bids, asks) - before) / state.leverage
    if side is _BUY:
        cost += qty * max(ZERO, assumed - mark)
    if cost and cost > account.free:
        raise VenueError(-2019, "Margin is insufficient.")


def check_taking(market: Market, side: Side, price: Decimal, qty: Decimal, tif: TimeInForce) -> None:
    """Orders that are refused rather than recorded: post-only that would take, fill-or-kill that cannot be filled."""
    if tif is _GTX and market.crosses(side, price):
        raise VenueError(-5022, NOT_MAKER)
    if tif is _FOK and not _fillable(market, side, price, qty):
        raise VenueError(-5021, NOT_FILLABLE)


def _fillable(market: Market, side: Side, price: Decimal, qty: Decimal) -> bool:
    if market.walks:
        return market.crosses(side, price)
    there = ZERO
    for level in market.depth(side.opposite):
        if (level.price > price) if side is _BUY else (level.price < price):
            break
        there += level.qty
    return there >= qty


def _counter_price(market: Market, side: Side) -> Decimal:
    return market.ask if side is _BUY else market.bid


def _assumed_price(market: Market, side: Side, price: Decimal) -> Decimal:
    if side is _SELL:
        return max(market.last * SHORT_MARKUP, market.mark, price)
    if price:
        return price
    return market.last if market.walks else market.ask
