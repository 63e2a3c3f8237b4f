"""How a bot has done, from its ledger and its stored fills. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal

from trading.messages import Filled
from trading.model import MONEY
from trading.ports import Booked, Day
from trading.views import Card, DayRow, FillRow, Performance

YEAR = 365 * 86_400_000
LEAST = 86_400_000
"""A rate a year that was measured over less than a day says nothing."""
_PLACES = Decimal("0.0001")


def performance(card: Card, days: Iterable[Day], until: int) -> Performance:
    """`until`: now, or when a bot that is over had its last fill."""
    rows = tuple(DayRow(day.start, day.matched, day.pairs, day.fills, day.fees) for day in days)
    running = max(0, until - card.started) if card.started is not None else 0
    return Performance(
        rows, running, _apr(card.matched, card.investment, running), _apr(card.total, card.investment, running)
    )


def _apr(gain: Decimal | None, investment: Decimal, running: int) -> Decimal | None:
    if gain is None or running < LEAST or investment <= 0:
        return None
    return (gain / investment * YEAR / running).quantize(_PLACES, rounding=ROUND_HALF_UP)


def fill(trade: Filled, booked: Booked) -> FillRow:
    """A stored trade as it is shown."""
    fee = (trade.fee * trade.fee_rate).quantize(MONEY, rounding=ROUND_HALF_UP)
    slot = trade.cid.slot
    return FillRow(
        trade.time, trade.side, trade.price, trade.qty, fee, booked.matched, booked.pairs,
        str(slot) if isinstance(slot, int) else slot.value,
    )  # fmt: skip
