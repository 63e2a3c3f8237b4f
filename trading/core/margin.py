"""The margin rules of Binance USDⓈ-M futures: brackets, initial and maintenance margin, liquidation price.

Pure functions of `binance-usdm.md` §15. Money is quote, `qty` is signed (short below zero).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext

from trading.model import ZERO, Bracket, MarginMode

EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)
"""Independent of the decimal context of the process."""


def bracket(brackets: Sequence[Bracket], notional: Decimal) -> Bracket:
    """The bracket that `notional` lies in; beyond the last cap the last one."""
    for row in brackets:
        if notional < row.cap:
            return row
    return brackets[-1]


def maintenance_margin(brackets: Sequence[Bracket], qty: Decimal, mark: Decimal) -> Decimal:
    """What the position must be worth to live: |q| · mark · mmr - cum."""
    with localcontext(EXACT):
        notional = abs(qty) * mark
        row = bracket(brackets, notional)
        return notional * row.mmr - row.cum


def initial_margin(qty: Decimal, mark: Decimal, leverage: int, bids: Decimal = ZERO, asks: Decimal = ZERO) -> Decimal:
    """Margin of a position and its resting orders; `bids`, `asks`: Σ remaining · limit price of each side."""
    with localcontext(EXACT):
        return max(abs(qty * mark + bids), abs(qty * mark - asks)) / leverage


def unrealized_pnl(qty: Decimal, entry: Decimal, mark: Decimal) -> Decimal:
    with localcontext(EXACT):
        return qty * (mark - entry)


def most_notional(brackets: Iterable[Bracket], leverage: int) -> Decimal:
    """The largest notional that may be held at `leverage`; 0 where no bracket allows it."""
    return max((row.cap for row in brackets if row.max_leverage >= leverage), default=ZERO)


def liquidation_price(
    brackets: Sequence[Bracket],
    qty: Decimal,
    entry: Decimal,
    wallet: Decimal,
    *,
    mode: MarginMode = MarginMode.ISOLATED,
    other_maintenance: Decimal = ZERO,
    other_pnl: Decimal = ZERO,
) -> Decimal | None:
    """The mark price at which the margin balance equals the maintenance margin; None = never.

    `wallet`: ISOLATED the position's own wallet (the others are then ignored), CROSS the cross wallet, with
    maintenance margin and PnL of the account's other positions. Unrounded.
    """
    if qty == 0:
        return None
    with localcontext(EXACT):
        if mode is MarginMode.CROSS:
            wallet = wallet - other_maintenance + other_pnl
        size, sign = abs(qty), 1 if qty > 0 else -1
        # Maintenance margin is the greatest of the brackets' lines (rates rise, `cum` joins them), so the bracket
        # that holds its own solution is the one that liquidates first.
        prices = [
            (wallet + row.cum - sign * size * entry) / (size * row.mmr - sign * size)
            for row in brackets
            if row.mmr != sign
        ]
        price = max(prices) if qty > 0 else min(prices)
    return price if price > 0 else None


def hedge_liquidation_price(
    brackets: Sequence[Bracket], long: Decimal, short: Decimal, worth: Decimal, mark: Decimal
) -> Decimal | None:
    """As `liquidation_price` for a cross hedge of the quantities `long` and `short`; None = never.

    `worth`: the margin balance at a price of 0, less the maintenance margin of the other positions. A hedge lives
    between two prices, as its maintenance margin grows on both sides: the one nearer to `mark` is told.
    """
    with localcontext(EXACT):
        lines = [
            (worth + high.cum + low.cum, long * high.mmr + short * low.mmr - long + short)
            for high in brackets
            for low in brackets
        ]
        # As above the greatest line holds: of the prices that fall to one side, the first on the way.
        falling = max((left / slope for left, slope in lines if slope < 0), default=ZERO)
        rising = min((left / slope for left, slope in lines if slope > 0), default=ZERO)
        found = [price for price in (falling, rising) if price > 0]
        return min(found, key=lambda price: abs(price - mark), default=None)
