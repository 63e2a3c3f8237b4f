"""The messages of the main road: what happened, what to do, what a person asks, what to tell.

Events are past tense, intents and commands imperative. Frozen: a message never changes after creation.
Pure: standard library, msgspec and `model` only.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

from msgspec import Struct

from trading.model import ZERO, ClientOrderId, OrderType, Position, Side, StopOrder, TimeInForce

# --------------------------------------------------------------------------- events: what happened


class Event(Struct, frozen=True, tag=True, tag_field="event"):
    """Something that happened to one bot's instrument or orders; `time` is the venue's, ms UTC."""

    time: int


class Quote(Event, frozen=True):
    """Best bid and ask of the instrument."""

    bid: Decimal
    ask: Decimal


class Mark(Event, frozen=True):
    """The mark price, on which stops and liquidation are judged."""

    price: Decimal


class Accepted(Event, frozen=True):
    """An order of ours rests (or was taken up) on the venue."""

    cid: ClientOrderId
    order_id: int


class Filled(Event, frozen=True):
    """A trade of one of our orders. `trade` is unique per symbol: count each once."""

    cid: ClientOrderId
    trade: int
    side: Side
    price: Decimal
    qty: Decimal
    fee: Decimal
    """Paid when positive, a rebate when negative, in `fee_asset`."""
    fee_asset: str
    fee_rate: Decimal
    """Quote per fee asset at the fill; 1 for quote."""
    maker: bool
    realized_pnl: Decimal = ZERO
    """As the venue books it (average entry, before fees)."""


class Reason(Enum):
    """Why an order is over, or why a slot has none."""

    # over on the venue (Closed)
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    """Ended by the system (IOC remainder, self-trade prevention, reduce-only, GTD): placed again."""
    LIQUIDATED = "liquidated"
    # refused: no order came to be (Refused)
    WOULD_CROSS = "would_cross"
    """-5022: wait for the first quote at which it no longer crosses."""
    MARGIN = "margin"
    """-2019: wait until margin is freed."""
    FILTER = "filter"
    """Price, quantity, notional or count rule of the venue."""
    TOO_MANY_ORDERS = "too_many_orders"
    PRICE_BAND = "price_band"
    """-4016, -4024: too far from the mark price for now."""
    THROTTLED = "throttled"
    """Certainly not executed, may be sent again as it is (429, -1008, -1001, 503 Service Unavailable)."""
    REDUCE_ONLY = "reduce_only"
    """-2022: nothing left to reduce, or conflicts with other reduce-only orders."""
    DUPLICATE = "duplicate"
    """-4116: an order of this name is open, so an earlier attempt arrived: ask."""
    NOT_ALLOWED = "not_allowed"
    """Keys, permissions, account or symbol status: stop and tell."""
    REFUSED = "refused"
    """Any other refusal."""
    # waits that the strategy or engine itself decides
    INITIAL_ORDER = "initial_order"
    NO_INVENTORY = "no_inventory"
    CANCELLED_ELSEWHERE = "cancelled_elsewhere"
    MAX_POSITION = "max_position"
    ORDER_LIMIT = "order_limit"
    BELOW_MINIMUM = "below_minimum"
    UNCERTAIN = "uncertain"
    """Sent, and not yet known whether it arrived."""


class Closed(Event, frozen=True):
    """An order that had rested is over without being wholly filled."""

    cid: ClientOrderId
    reason: Reason
    executed: Decimal | None = None
    """Cumulative quantity filled as the venue states it; None where it does not say."""


class Refused(Event, frozen=True):
    """A placement was refused: no order exists, the name stays free."""

    cid: ClientOrderId
    reason: Reason
    code: int = 0
    text: str = ""


class CancelRefused(Event, frozen=True):
    """A cancel was refused, mostly because the order is already over: ask for a Snapshot."""

    cid: ClientOrderId
    code: int = 0
    text: str = ""


class Uncertain(Event, frozen=True):
    """Nobody knows whether a request arrived (timeout, -1006, -1007, 503 unknown): ask, never send again."""

    cid: ClientOrderId


class Foreign(Event, frozen=True):
    """A trade on the bot's instrument that is not one of our orders."""

    trade: int
    side: Side
    price: Decimal
    qty: Decimal
    client_id: str
    """Venue closures: `autoclose-…` liquidation, `adl_autoclose`, `settlement_autoclose-…`."""
    fee: Decimal = ZERO
    """In quote, positive = paid; counted for closures of the venue only."""


class Funding(Event, frozen=True):
    """A funding settlement: `amount` is added to the wallet (negative = paid)."""

    amount: Decimal
    asset: str


class StopMoved(Event, frozen=True):
    """A stop on the venue was placed, set off, or is over. For whoever placed it: no bot's engine gets it."""

    stop: StopOrder


class Working(Struct, frozen=True):
    """An order as the venue states it, in a Snapshot."""

    cid: ClientOrderId | None
    """None = not one of ours."""
    client_id: str
    order_id: int
    side: Side
    price: Decimal
    qty: Decimal
    executed: Decimal
    time: int
    """Creation time."""


class Delisted(Event, frozen=True):
    """The venue does not know the instrument any more: nothing of it rests, and nothing of it can be read."""


class Snapshot(Event, frozen=True):
    """The venue's whole truth about one bot's instrument, read consistently (architecture §5).

    `time` is when the reading began. Everything about fills is since the last counted trade.
    """

    orders: tuple[Working, ...]
    """Every resting order on the instrument, foreign ones too."""
    over: tuple[Closed, ...]
    """Orders of this bot found to be over; wholly filled ones too, as EXPIRED: a hand may have made them smaller than
    the bot believes, and what is then missing may be asked for again."""
    absent: frozenset[ClientOrderId]
    """Names that were asked about and that the venue does not know. Never one whose request is still under way:
    waiting for budget, or sent and unanswered."""
    fills: tuple[Filled, ...]
    """This bot's trades not older than asked for, ascending; may overlap counted ones."""
    foreign: tuple[Foreign, ...]
    fundings: tuple[Funding, ...]
    position: Position
    last_trade: int
    """The highest trade id seen on the instrument; everything up to it is in here or was counted."""


class Tick(Event, frozen=True):
    """A second has passed: retries hang on it."""


class Disconnected(Event, frozen=True):
    """The account stream is down: nothing is sent until the next Snapshot."""


# --------------------------------------------------------------------------- intents: what to do


class Intent(Struct, frozen=True, tag=True, tag_field="intent"):
    """One thing the shell should ask of the venue. Its outcome comes back as an event."""


class Place(Intent, frozen=True):
    symbol: str
    cid: ClientOrderId
    side: Side
    type: OrderType
    tif: TimeInForce
    price: Decimal
    qty: Decimal
    reduce_only: bool = False


class Amend(Intent, frozen=True):
    symbol: str
    cid: ClientOrderId
    side: Side
    price: Decimal
    qty: Decimal


class Cancel(Intent, frozen=True):
    symbol: str
    cid: ClientOrderId


class Replan(Intent, frozen=True):
    """Make a plan at the price of now and begin with it (trigger reached, reset)."""

    symbol: str


class Reconcile(Intent, frozen=True):
    """Ask the venue for a Snapshot: something is uncertain."""

    symbol: str


# --------------------------------------------------------------------------- commands: what a person asks


class Command(Struct, frozen=True, tag=True, tag_field="command"):
    """A person's (or the scheduler's) wish for one bot; committed before its first order leaves."""

    time: int


class Start(Command, frozen=True):
    """Begin with the plan that the engine was given, or wait for its trigger price."""

    close_first: bool = False
    """Close what is left of the last run first; otherwise it is carried into the new plan."""


class Begin(Command, frozen=True):
    """Go on with a plan made after a Replan: the trigger was reached, or a reset is through."""


class Fail(Command, frozen=True):
    """What a Replan asked for could not be planned: stop, or pause a reset, and say why."""

    reason: str


class Reset(Command, frozen=True):
    """Cancel everything, flatten or carry the inventory, plan anew at the price of then."""

    flatten: bool = False


class Stop(Command, frozen=True):
    close: bool = False
    """Close the position after cancelling; otherwise it is kept."""


class Pause(Command, frozen=True):
    reason: str = "asked"
    """Else a code: `reads_disagree`, `orders_unknown` …"""


class Resume(Command, frozen=True):
    skip_initial: bool = False
    """After PAUSED(initial order): start the slots without inventory as "no inventory" instead of trying the rest."""


class Edit(Command, frozen=True):
    """Replace the stops of the plan that runs; None = none. The levels stay."""

    stop_loss: Decimal | None = None
    stop_loss_high: Decimal | None = None
    take_profit: Decimal | None = None


class PlaceAgain(Command, frozen=True):
    """Place the order of a slot that somebody cancelled on the exchange."""

    slot: int


# --------------------------------------------------------------------------- notices: what to tell


class NoticeKind(Enum):
    STARTED = "started"
    STOPPED = "stopped"
    PAUSED = "paused"
    RESUMED = "resumed"
    FAILED = "failed"
    FINISHED = "finished"
    FILL = "fill"
    PAIR = "pair"
    SLOT_WAITS = "slot_waits"
    """A slot lost its order for a reason a person should know (cancelled elsewhere, margin…)."""
    FOREIGN_TRADE = "foreign_trade"
    ERROR = "error"
    DISCONNECTED = "disconnected"
    RECOVERED = "recovered"


class Notice(Struct, frozen=True):
    """Something to tell the owner; unique on (bot, kind, ref), so recounting after a crash tells nothing twice."""

    bot: int
    """0 for an account's own notices."""
    kind: NoticeKind
    ref: str
    """The order name, the transition number, or (account, time)."""
    time: int
    values: dict[str, str]
    """Codes and numbers, never sentences: `bot/words.py` writes those. The keys of each kind are listed there."""
