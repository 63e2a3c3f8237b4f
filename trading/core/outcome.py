"""What a replay leaves: its numbers, and what a picture is drawn from."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from trading.core.lifecycle import Status


class Outcome(Struct, frozen=True):
    """What came of it; money in quote."""

    candles: int
    first: Decimal
    last: Decimal
    levels: tuple[Decimal, ...]
    quantities: tuple[Decimal, ...]
    fills: int
    """Grid orders filled, the initial one not counted."""
    pairs: int
    matched: Decimal
    unmatched: Decimal
    fees: Decimal
    funding: Decimal
    total: Decimal
    position: Decimal
    avg_entry: Decimal
    max_position: Decimal
    """The largest |position| after any fill, in base."""
    max_drawdown: Decimal
    """The largest fall of `total` from its running peak."""
    grid_apr: Decimal | None
    total_apr: Decimal | None
    """Fractions a year; None under 24 hours."""
    margin_refusals: int
    """Orders that the venue refused for want of margin, each once however often it was tried."""
    liquidated: bool
    status: Status
    reason: str


class Deal(Struct, frozen=True):
    """A fill, as pictures need it."""

    time: int
    price: Decimal
    qty: Decimal
    """Signed."""


class Moment(Struct, frozen=True):
    """Where things stood at one candle's close, as pictures need it."""

    time: int
    price: Decimal
    position: Decimal
    total: Decimal


class Trace:
    """What a picture is drawn from: every fill, and the state at evenly spread moments."""

    MOST = 4000

    def __init__(self) -> None:
        self.deals: list[Deal] = []
        self.moments: list[Moment] = []
        self.step = 1
        """Candles from moment to moment."""

    def add(self, moment: Moment) -> None:
        self.moments.append(moment)
        if len(self.moments) >= self.MOST:
            del self.moments[1::2]
            self.step *= 2
