"""Liquidation: what a venue does with a position whose margin no longer covers its maintenance (binance-usdm.md §15).

Judged on the mark: isolated positions each by their own wallet, cross positions all together by the cross wallet. The
open orders go first (EXPIRED, `er` 5), then the position as one IOC limit order `autoclose-…` at the price at which
nothing would be left; what the market does not take at that price or better, the insurance fund does. The fee is
`liquidation_fee` of the notional, but never more than what is left: nobody owes the venue money.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from trading.core.account import Account, Holding, booked
from trading.core.book import Market
from trading.core.floor import Floor
from trading.core.records import Execution, Order, SelfTrade, Status
from trading.model import ZERO, OrderType, Side, TimeInForce

LIQUIDATED = "5"
"""`er` of orders that end with a liquidation."""
PREFIX = "autoclose-"


def liquidate(floor: Floor, market: Market, now: int) -> bool:
    """Close what `market`'s mark leaves without its maintenance margin; whether anything was."""
    if not market.brackets:
        return False
    symbol, happened = market.instrument.symbol, False
    for account in floor.accounts.values():
        for holding in account.sides.get(symbol, ()):
            if not holding.state.qty:
                continue
            doomed = [holding] if holding.is_isolated else _cross(account)
            if _is_short_of_margin(account, doomed):
                _close_all(floor, account, doomed, now)
                happened = True
    return happened


def first_doom(floor: Floor, market: Market, price: Decimal) -> Decimal | None:
    """The first price on the tick, on a path from the last price to `price`, at which a position is liquidated."""
    symbol, tick, last = market.instrument.symbol, market.instrument.tick_size, market.last
    found: list[Decimal] = []
    for account in floor.accounts.values():
        for holding in account.sides.get(symbol, ()):
            if not holding.state.qty:
                continue
            at = account.liquidation_at(holding)
            # A hedge is liquidated as what is left of it: its LONG may have to fear a rise.
            falls = at < market.mark if account.is_hedged else holding.state.qty > 0
            if at and falls:
                found.append(((at / tick).quantize(_ONE, rounding=ROUND_CEILING) - 1) * tick)
            elif at:
                found.append(((at / tick).quantize(_ONE, rounding=ROUND_FLOOR) + 1) * tick)
    on_the_way = [at for at in found if price <= at < last or last < at <= price]
    return min(on_the_way, key=lambda at: abs(at - last), default=None)


def _cross(account: Account) -> list[Holding]:
    return [holding for holding in account.holdings.values() if not holding.is_isolated]


def _wallet(account: Account, holding: Holding) -> Decimal:
    """What stands behind `holding` beside its own profit."""
    if holding.is_isolated:
        return holding.state.isolated_wallet
    others = sum((other.unrealized for other in _cross(account) if other is not holding), ZERO)
    return account.cross_wallet + others


def _is_short_of_margin(account: Account, holdings: Iterable[Holding]) -> bool:
    holdings = list(holdings)
    wallet = holdings[0].state.isolated_wallet if holdings[0].is_isolated else account.cross_wallet
    balance = wallet + sum((holding.unrealized for holding in holdings), ZERO)
    return balance < sum((holding.maintenance for holding in holdings), ZERO)


def _close_all(floor: Floor, account: Account, holdings: Iterable[Holding], now: int) -> None:
    holdings = list(holdings)
    for holding in holdings:
        for order in sorted(holding.open.values(), key=lambda order: order.order_id):
            floor.end(order, Status.EXPIRED, now, LIQUIDATED)
    for holding in holdings:
        if holding.state.qty:
            _close(floor, account, holding, now)


def _close(floor: Floor, account: Account, holding: Holding, now: int) -> None:
    market, qty = holding.market, holding.state.qty
    side = Side.SELL if qty > 0 else Side.BUY
    wallet = _wallet(account, holding)
    limit = _bankruptcy(holding, wallet)
    there = market.last if market.walks else (market.bid if qty > 0 else market.ask) or market.mark
    price = max(there, limit) if qty > 0 else min(there, limit)
    left = wallet + qty * price - (holding.state.cost if qty > 0 else -holding.state.cost)
    fee = min(booked(abs(qty) * price * market.instrument.liquidation_fee), max(ZERO, booked(left)))
    order = _order(floor, account, holding, side, limit, now)
    floor.tell(holding, order, Execution.NEW, now)
    market.trades += 1
    floor.fill(order, price, abs(qty), False, now, fee, Execution.CALCULATED)


def _order(floor: Floor, account: Account, holding: Holding, side: Side, price: Decimal, now: int) -> Order:
    floor.orders += 1
    floor.ranks += 1
    order = account.orders[floor.orders] = Order(
        order_id=floor.orders,
        client_id=f"{PREFIX}{now}{floor.orders:06d}",
        account=account.name,
        symbol=holding.state.symbol,
        side=side,
        type=OrderType.LIMIT,
        orig_type=OrderType.LIMIT,
        tif=TimeInForce.IOC,
        price=price,
        qty=abs(holding.state.qty),
        reduce_only=True,
        stp=SelfTrade.NONE,
        good_till=0,
        created=now,
        updated=now,
        rank=floor.ranks,
        position_side=holding.state.position_side,
        key=holding.key,
    )
    account.named[order.symbol, order.client_id] = order
    return order


def _bankruptcy(holding: Holding, wallet: Decimal) -> Decimal:
    """The last price on the tick at which the position's closing leaves no debt."""
    state, tick = holding.state, holding.market.instrument.tick_size
    if state.qty > 0:
        return max(tick, ((state.cost - wallet) / state.qty / tick).quantize(_ONE, rounding=ROUND_CEILING) * tick)
    return ((state.cost + wallet) / -state.qty / tick).quantize(_ONE, rounding=ROUND_FLOOR) * tick


_ONE = Decimal(1)
