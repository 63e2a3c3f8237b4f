"""What the desk shows and how it says no: values for chat, REST and CLI. Codes and numbers, never sentences.

Pure. `bot/words.py` turns codes into words.
"""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from trading.model import Direction, Side, Sizing, Spacing
from trading.strategies.grid import GridPlan


class Refusal(Struct, frozen=True):
    """A clear no with what to do instead; `values` fill the blanks of its sentence (numbers as plain text)."""

    code: str
    values: dict[str, str] = {}


class Declined(Exception):
    """Raised where a wish cannot be granted; nothing was changed."""

    def __init__(self, *refusals: Refusal) -> None:
        super().__init__("; ".join(f"{r.code} {r.values}" for r in refusals))
        self.refusals = refusals

    def __reduce__(self) -> tuple[type[Declined], tuple[Refusal, ...]]:
        return Declined, self.refusals


class LevelRow(Struct, frozen=True):
    """One slot of a grid as it will start or stands now."""

    slot: int
    side: Side
    price: Decimal
    qty: Decimal
    filled: Decimal
    state: str
    """`working`, `sent`, or the `Reason` value why there is no order."""


class Preview(Struct, frozen=True):
    """Everything a person should know before money moves (product.md §3.3). Rates are fractions, money is quote."""

    plan: GridPlan
    direction: Direction
    spacing: Spacing
    sizing: Sizing
    step_low: Decimal
    """The smallest and largest step, in price."""
    step_high: Decimal
    profit_low: Decimal
    """Net profit per grid after both fees, as a fraction of cost: worst and best slot."""
    profit_high: Decimal
    investment: Decimal
    buying_power: Decimal
    initial_side: Side | None
    initial_qty: Decimal
    orders: int
    least_investment: Decimal
    """The least that this count can be run with."""
    worst_loss: Decimal
    """At the stop, or at the adverse bound without one; fees in."""
    liquidation_now: Decimal | None
    liquidation_low: Decimal | None
    """With every adverse order filled, price falling; None = none."""
    liquidation_high: Decimal | None
    """The same, price rising."""
    margin_fails_at: Decimal | None
    """The price over the range at which margin stops sufficing."""
    warnings: tuple[Refusal, ...] = ()
    """To be shown; those whose code is in `plan.CONFIRM` must be confirmed."""


class Card(Struct, frozen=True):
    """One bot at a glance."""

    id: int
    owner: int
    account: int
    account_name: str
    badge: str
    """LIVE, TESTNET, DEMO or PAPER."""
    symbol: str
    base: str
    quote: str
    direction: Direction
    lower: Decimal
    upper: Decimal
    grids: int
    leverage: int
    investment: Decimal
    status: str
    reason: str
    connected: bool
    price: Decimal | None
    """The mid now; None while unknown."""
    position: Decimal
    avg_entry: Decimal
    pairs: int
    fills: int
    matched: Decimal
    """Grid profit, net of both fees."""
    unmatched: Decimal | None
    """Floating PnL; None while there is no price."""
    funding: Decimal
    fees: Decimal
    total: Decimal | None
    started: int | None
    """ms; None before the first start."""
    created: int
    orders_working: int
    missing: tuple[LevelRow, ...]
    """Slots without an order, each with its reason."""
    stop_loss: Decimal | None
    stop_loss_high: Decimal | None
    take_profit: Decimal | None
    parameters: dict[str, str]
    note: str = ""


class Changed(Struct, frozen=True):
    """One parameter before and after, as canonical text; empty = none."""

    name: str
    before: str
    after: str


class Change(Struct, frozen=True):
    """What an edit of a bot would change."""

    fields: tuple[Changed, ...]
    worst_before: Decimal | None = None
    """Worst-case loss in quote; None where no plan runs."""
    worst_after: Decimal | None = None
    price: Decimal | None = None


class FillRow(Struct, frozen=True):
    """One trade of a bot, with what our ledger booked for it."""

    time: int
    side: Side
    price: Decimal
    qty: Decimal
    fee: Decimal
    """In quote."""
    matched: Decimal
    pairs: int
    slot: str
    """Its number, or `o` (initial order), `c` (closing)."""


class DayRow(Struct, frozen=True):
    """What one UTC day brought."""

    start: int
    """Midnight, ms."""
    matched: Decimal
    pairs: int
    fills: int
    fees: Decimal


class Performance(Struct, frozen=True):
    """How one bot has done. Money is quote; APRs are fractions a year, None under 24 h."""

    days: tuple[DayRow, ...]
    """Oldest first, those with fills."""
    running: int
    """ms from the first start until now, or until the last fill of a bot that is over."""
    grid_apr: Decimal | None
    total_apr: Decimal | None


class PanicBot(Struct, frozen=True):
    """One bot on its way down."""

    bot: int
    symbol: str
    status: str
    reason: str
    orders: int
    position: Decimal


class Aftermath(Struct, frozen=True):
    """What the exchange says is left on an account, read after everything was stopped."""

    ours: int
    """Resting orders of this installation."""
    foreign: int
    """Resting orders of others."""
    positions: tuple[PositionRow, ...]
    time: int


class OrderRow(Struct, frozen=True):
    """A resting order of the account."""

    symbol: str
    bot: int | None
    """None = not one of ours."""
    slot: str
    side: Side
    price: Decimal
    qty: Decimal
    executed: Decimal
    time: int


class PositionRow(Struct, frozen=True):
    symbol: str
    qty: Decimal
    entry: Decimal
    mark: Decimal
    unrealized_pnl: Decimal
    liquidation_price: Decimal
    leverage: int
    margin_mode: str


class BalanceRow(Struct, frozen=True):
    account: int
    name: str
    badge: str
    asset: str
    wallet: Decimal
    available: Decimal
    unrealized_pnl: Decimal


class HealthRow(Struct, frozen=True):
    """One part of the service: `ok`, and a code with values where it is not."""

    part: str
    """`database`, `telegram`, `account:<name>`, `rules:<venue>` …"""
    ok: bool
    code: str = ""
    values: dict[str, str] = {}
