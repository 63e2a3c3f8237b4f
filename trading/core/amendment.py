"""Changing a resting order's price and quantity (binance-usdm.md §12.8)."""

from __future__ import annotations

from decimal import Decimal

from trading.core.account import Account, Holding
from trading.core.admission import check_margin, reducible
from trading.core.filters import check_notional, check_percent_price, check_precision, check_price, check_qty
from trading.core.floor import Floor
from trading.core.records import Execution, Order, PositionSide, SelfTrade, Status, VenueError
from trading.model import OrderType, Side, TimeInForce

MOST_AMENDMENTS = 10_000


def amend(
    floor: Floor,
    order: Order,
    side: Side,
    price: Decimal,
    qty: Decimal,
    reduce_only: bool,
    now: int,
    modify_id: str = "",
    price_match: str = "NONE",
) -> Order:
    """Amend the open `order`; a refusal leaves it as it was. `qty` is the whole quantity, filled part included."""
    account = floor.accounts[order.account]
    holding = account.holdings[order.key]
    _check(holding, order, side, price, qty, reduce_only)
    market = holding.market
    if order.executed and qty <= order.executed:
        floor.end(order, Status.CANCELED, now)
        return order
    _check_account(account, holding, order, price, qty)
    check_percent_price(market.instrument, order.side, price, market.mark)
    if order.tif is TimeInForce.GTX and market.crosses(order.side, price):
        floor.end(order, Status.CANCELED, now)
        return order
    floor.lift(order)
    floor.ranks += 1
    order.price, order.qty, order.rank = price, qty, floor.ranks
    order.amendments += 1
    order.modify_id, order.price_match = modify_id, price_match
    order.stp = SelfTrade.NONE
    order.updated = now
    holding.count(order, order.remaining)  # the event tells the notional with the order as it is now
    floor.tell(holding, order, Execution.AMENDMENT, now)
    holding.count(order, -order.remaining)
    floor.work(holding, order, now)
    return order


def _check(holding: Holding, order: Order, side: Side, price: Decimal, qty: Decimal, reduce_only: bool) -> None:
    instrument = holding.market.instrument
    if instrument.status != "TRADING":
        raise VenueError(-5024, "Symbol is not in trading status. Order amendment is not permitted.")
    if order.type is not OrderType.LIMIT:
        raise VenueError(-5025, "Only limit order is supported.")
    if side is not order.side:
        raise VenueError(-1117, "Invalid side.")
    if reduce_only and not order.reduce_only:
        raise VenueError(-5047, "The original order is not a reduce-only order.")
    if order.amendments >= MOST_AMENDMENTS:
        raise VenueError(-5026, "Exceed maximum modify order limit.")
    if price == order.price and qty == order.qty:
        raise VenueError(-5027, "No need to modify the order.")
    check_precision(instrument, price, qty)
    check_price(instrument, price)
    check_qty(instrument, qty, instrument.max_qty)
    is_closing = order.reduce_only and order.position_side is not PositionSide.BOTH  # whose owner cannot say so
    if not (reduce_only or is_closing):
        check_notional(instrument, price, qty, -5029)


def _check_account(account: Account, holding: Holding, order: Order, price: Decimal, qty: Decimal) -> None:
    """Margin and reduce-only room as if the order were not there and came anew."""
    remaining = qty - order.executed
    if order.reduce_only:
        if remaining > reducible(holding, order.side, remaining, own=order.remaining):
            raise VenueError(-2022, "ReduceOnly Order is rejected.")
        return
    holding.count(order, -order.remaining)
    try:
        check_margin(account, holding, order.side, price, remaining)
    finally:
        holding.count(order, order.remaining)
