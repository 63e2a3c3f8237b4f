"""Funding: what longs and shorts pay each other (binance-usdm.md §15)."""

from __future__ import annotations

from decimal import Decimal

from trading.core.account import booked
from trading.core.book import Market
from trading.core.floor import Floor


def settle_funding(floor: Floor, market: Market, rate: Decimal, now: int) -> None:
    """Every position pays for itself, so the sides of a hedge do, an isolated one from its own wallet."""
    symbol = market.instrument.symbol
    for account in floor.accounts.values():
        for holding in account.sides.get(symbol, ()):
            amount = -booked(holding.state.qty * market.mark * rate)
            if not amount:
                continue
            account.wallet += amount
            account.updated = now
            if holding.is_isolated:
                holding.state.isolated_wallet += amount
            floor.earn(account, "FUNDING_FEE", amount, symbol, now)
            shown = holding if holding.is_isolated else None
            floor.tell_balance(account, "FUNDING_FEE", shown, now, change=amount, symbol=symbol)
