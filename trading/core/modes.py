"""What an account sets for itself: its position mode, and leverage and margin mode of a symbol (binance-usdm.md §7)."""

from __future__ import annotations

from trading.core.account import Account, exposure
from trading.core.floor import Floor
from trading.core.records import LeverageUpdate, PositionSide, VenueError
from trading.model import MarginMode


def set_position_mode(account: Account, is_hedged: bool) -> None:
    """Trade one position on every symbol, or two."""
    if is_hedged is account.is_hedged:
        raise VenueError(-4059, "No need to change position side.")
    if any(holding.open for holding in account.holdings.values()):
        raise VenueError(-4067, "Position side cannot be changed if there exists open orders.")
    if any(holding.state.qty for holding in account.holdings.values()):
        raise VenueError(-4068, "Position side cannot be changed if there exists position.")
    account.is_hedged = is_hedged


def set_leverage(floor: Floor, account: Account, symbol: str, leverage: int, now: int) -> None:
    """For both sides of a hedge, each of which must bear it."""
    state = floor.holding(account, symbol).state
    sides, market = account.sides[symbol], floor.market(symbol)
    before = state.leverage
    if not 1 <= leverage <= market.instrument.max_leverage:
        raise VenueError(-4028, f"Leverage {leverage} is not valid")
    if leverage < before and state.margin_mode is MarginMode.ISOLATED and any(side.state.qty for side in sides):
        raise VenueError(-4161, "Leverage reduction is not supported in Isolated Margin Mode with open positions.")
    most = market.most_notional(leverage)
    if most and any(exposure(side.state.qty * market.mark, side.bids, side.asks) > most for side in sides):
        raise VenueError(-2027, "Exceeded the maximum allowable position at current leverage.")
    for side in sides:
        side.state.leverage = leverage
    if leverage < before and account.free < 0:
        for side in sides:
            side.state.leverage = before
        raise VenueError(-2028, "Leverage is smaller than permitted: insufficient margin balance")
    if leverage != before:
        floor.pending.append(LeverageUpdate(account.name, symbol, leverage, now))


def set_margin_mode(floor: Floor, account: Account, symbol: str, mode: MarginMode, now: int) -> None:
    """For both sides of a hedge, neither of which may be in use."""
    holding = floor.holding(account, symbol, PositionSide.LONG if account.is_hedged else PositionSide.BOTH)
    sides = account.sides[symbol]
    if mode is holding.state.margin_mode:
        raise VenueError(-4046, "No need to change margin type.")
    if any(side.open for side in sides):
        raise VenueError(-4047, "Margin type cannot be changed if there exists open orders.")
    if any(side.state.qty for side in sides):
        raise VenueError(-4048, "Margin type cannot be changed if there exists position.")
    for side in sides:
        side.state.margin_mode = mode
        side.state.updated = now
    floor.tell_balance(account, "MARGIN_TYPE_CHANGE", holding, now)
