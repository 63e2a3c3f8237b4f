"""The grid strategy: slots that buy at their floor and sell at their ceiling, in turns (product.md §3.3, §3.5)."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from trading.model import Direction, Instrument, MarginMode, Side


class GridPlan(Struct, frozen=True):
    """Everything a grid needs to run, fixed when it starts: made by `plan.py`, committed before the first order.

    N slots lie between N + 1 levels; slot i rests a buy at levels[i] or a sell at levels[i + 1].
    """

    instrument: Instrument
    direction: Direction
    levels: tuple[Decimal, ...]
    quantities: tuple[Decimal, ...]
    """Per slot, base units, on the lot."""
    vacant: int
    """The level nearest to the price at the start: slots below it start with a buy, the others with a sell."""
    price: Decimal
    """P0: the price the plan was made at."""
    investment: Decimal
    """Margin in quote."""
    leverage: int = 1
    margin_mode: MarginMode = MarginMode.ISOLATED
    post_only: bool = True
    initial: bool = True
    """Whether a directional grid takes its inventory with one MARKET order at the start."""
    reverse_distance: int = 1
    """Grids between entry and exit."""
    max_position: Decimal | None = None
    """In quote; entries that would pass it wait."""
    trigger: Decimal | None = None
    stop_loss: Decimal | None = None
    """LONG below the range, SHORT above it; NEUTRAL: the lower stop."""
    stop_loss_high: Decimal | None = None
    """NEUTRAL only: the upper stop."""
    take_profit: Decimal | None = None
    close_on_stop: bool = True
    max_open_orders: int = 200

    def entry(self, slot: int) -> Side:
        """The side that opens a lot in `slot`."""
        if self.direction is Direction.LONG:
            return Side.BUY
        if self.direction is Direction.SHORT:
            return Side.SELL
        return Side.BUY if slot < self.vacant else Side.SELL

    def first(self, slot: int) -> Side:
        """The side of the order that `slot` starts with."""
        return Side.BUY if slot < self.vacant else Side.SELL

    def opens_with_inventory(self, slot: int) -> bool:
        """Whether the first order of `slot` closes a lot of the initial order."""
        return self.first(slot) is not self.entry(slot)
