"""Auto-deleveraging: a venue closes a position that did nothing wrong, at the mark, when its insurance is empty."""

from __future__ import annotations

from decimal import Decimal

from trading.core.account import Account
from trading.core.floor import Floor
from trading.core.records import Execution, Order, PositionSide, SelfTrade, VenueError
from trading.model import ZERO, OrderType, Side, TimeInForce

CLIENT_ID = "adl_autoclose"
"""What every such order is called (binance-usdm.md §11.3)."""


def deleverage(floor: Floor, account: Account, symbol: str, qty: Decimal, now: int, side: PositionSide) -> Order:
    """Close `qty` of a position, 0 = all of it, without a fee; -2024 where there is less."""
    holding = floor.holding(account, symbol, side)
    held = holding.state.qty
    size = qty or abs(held)
    if not size or size > abs(held):
        raise VenueError(-2024, "Position is not sufficient.")
    market = holding.market
    tick = market.instrument.tick_size
    price = market.mark // tick * tick
    floor.orders += 1
    floor.ranks += 1
    order = account.orders[floor.orders] = Order(
        order_id=floor.orders,
        client_id=CLIENT_ID,
        account=account.name,
        symbol=symbol,
        side=Side.SELL if held > 0 else Side.BUY,
        type=OrderType.LIMIT,
        orig_type=OrderType.LIMIT,
        tif=TimeInForce.GTC,
        price=price,
        qty=size,
        reduce_only=False,
        stp=SelfTrade.NONE,
        good_till=0,
        created=now,
        updated=now,
        rank=floor.ranks,
        position_side=side,
        key=holding.key,
    )
    account.named[symbol, CLIENT_ID] = order
    floor.tell(holding, order, Execution.NEW, now)
    market.trades += 1
    floor.fill(order, price, size, False, now, ZERO, Execution.CALCULATED)
    return order
