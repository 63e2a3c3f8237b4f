"""Margin that moves between the cross wallet and an isolated position (binance-usdm.md §7)."""

from __future__ import annotations

from decimal import Decimal

from trading.core.account import Account, booked
from trading.core.floor import Floor
from trading.core.records import PositionSide, VenueError
from trading.model import ZERO


def move_margin(floor: Floor, account: Account, symbol: str, amount: Decimal, now: int, side: PositionSide) -> None:
    """`amount` goes into the isolated position of `symbol`, below 0 out of it."""
    holding = floor.holding(account, symbol, side)
    state = holding.state
    if not holding.is_isolated:
        raise VenueError(-4049, "Add margin only support for isolated position.")
    if not state.qty:
        raise VenueError(-4054, "Cannot add position margin: position is 0.")
    if amount > 0 and amount > max(ZERO, account.free):
        raise VenueError(-4050, "Cross balance insufficient.")
    if amount < 0 and state.isolated_wallet + amount + min(ZERO, holding.unrealized) < holding.position_margin:
        raise VenueError(-4051, "Isolated balance insufficient.")
    state.isolated_wallet += booked(amount)
    state.updated = account.updated = now
    floor.tell_balance(account, "MARGIN_TRANSFER", holding, now)
