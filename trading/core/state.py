"""What one bot knows while it lives: the engine's rooms read and change it, one event at a time."""

from __future__ import annotations

from decimal import Decimal
from typing import Protocol

from trading.core.checkpoint import Checkpoint
from trading.core.holds import Holds
from trading.core.ledger import Ledger
from trading.core.lifecycle import Status
from trading.core.orders import Order, OrderStatus
from trading.core.telling import Teller
from trading.messages import Edit, Filled, Intent, PlaceAgain, Quote, Reason, Reconcile, Replan, Resume
from trading.model import ZERO, ClientOrderId, Instrument, Side, Slot
from trading.ports import Booked, Strategy

READS_DISAGREE = "reads_disagree"
"""Why a bot pauses that cannot be read: its orders stay as they are until a reading agrees."""
PATIENCE = 1_000
"""How long a doubt or a missing fill may last before a Snapshot is asked for, ms."""
_RUNNING = Status.RUNNING
_BUY = Side.BUY
# reading a member off its Enum is slow, and these are asked for at every fill


class OpeningStrategy(Strategy, Protocol):
    """A strategy that may begin with an initial order."""

    @property
    def is_opening(self) -> bool: ...

    @property
    def has_given_up(self) -> bool: ...

    @property
    def watches_quotes(self) -> bool: ...

    @property
    def trigger(self) -> Decimal | None: ...

    @property
    def closes_on_stop(self) -> bool: ...

    def ending(self, mark: Decimal) -> str | None: ...

    def closes(self, key: Slot, side: Side) -> bool: ...

    def turn(self, key: Slot) -> int: ...

    def executed(self, key: Slot) -> Decimal: ...

    def obey(self, command: Resume | PlaceAgain | Edit) -> None: ...


class State:
    """One bot: checkpoint, books and strategy, its orders, the market as far as known, and what is to be asked."""

    def __init__(
        self,
        install: str,
        bot: int,
        instrument: Instrument,
        labels: dict[str, str] | None = None,
        checkpoint: Checkpoint | None = None,
        strategy: OpeningStrategy | None = None,
    ) -> None:
        self.install = install
        self.bot = bot
        self.instrument = instrument
        self.strategy = strategy
        self.kept = checkpoint if checkpoint is not None else Checkpoint()
        self.ledger = Ledger(self.kept.books)
        self.teller = Teller(bot, labels or {})
        self.fills: list[Filled] = []
        self.booked: list[Booked] = []
        """What each of `fills` brought."""

        self.orders: dict[Slot, Order] = {}
        self.holds = Holds()
        self.strays: dict[ClientOrderId, int] = {}
        """Orders of ours that no slot wants, and since when they are known, ms."""
        self.doubts: set[Slot] = set()
        self.cancelled_elsewhere: list[int] = []
        self.is_synced = False
        self.is_cold = checkpoint is not None
        """Whether nothing was read since the checkpoint: what became of its orders only the venue knows."""
        self.is_verified = False
        """Whether the venue said that nothing of ours is left, and nothing was sent since."""
        self.moves = 0
        """Counts every change of orders or fills: a Snapshot read meanwhile is stale."""
        self.close_tries = 0

        self.bid = self.ask = self.mark = ZERO
        self.seen = 0
        """When bid and ask were, ms."""
        self.beyond_since = 0
        self.confirm_after = PATIENCE
        """How long the mark must stay beyond a stop, ms; 0 = one sample suffices (backtest)."""

        self.now = 0
        self.must_commit = False
        self.intents: list[Intent] = []
        self.asked = self.planned = 0
        """When a Snapshot, and when a plan, was last asked for, ms."""

    # ------------------------------------------------------------------ where it stands

    @property
    def status(self) -> Status:
        return self.kept.status

    @property
    def is_active(self) -> bool:
        """Whether the strategy's wishes are followed. PAUSED(initial order) keeps its resting orders."""
        status = self.kept.status
        return (
            status is _RUNNING
            or (status is Status.STARTING and not self.kept.close)
            or (status is Status.PAUSED and self.kept.reason == Reason.INITIAL_ORDER.value)
        )

    @property
    def is_held(self) -> bool:
        """Whether it paused because readings disagree: nothing was cancelled, the next that agrees resumes it."""
        return self.kept.status is Status.PAUSED and self.kept.reason == READS_DISAGREE

    @property
    def winds_down(self) -> bool:
        """Whether everything of ours is to go: orders first, then the position where asked.

        So does a start that has still to close what the last run left.
        """
        status = self.kept.status
        return status in (Status.STOPPING, Status.RESETTING) or (status is Status.STARTING and self.kept.close)

    @property
    def watches_quotes(self) -> bool:
        return self.strategy is not None and self.strategy.watches_quotes

    # ------------------------------------------------------------------ the market

    def see(self, quote: Quote) -> None:
        """Take over the touch without acting on it."""
        self.bid, self.ask, self.seen = quote.bid, quote.ask, quote.time

    def learn(self, fill: Filled) -> None:
        """A resting order that filled tells where the market is before the next quote does, and nothing after it."""
        if not fill.maker or fill.time < self.seen or not (self.bid or self.ask):
            return
        if fill.side is _BUY:
            self.bid = min(self.bid, fill.price)
            self.ask = min(self.ask, fill.price + self.instrument.tick_size)
        elif self.bid:
            self.bid = max(self.bid, fill.price - self.instrument.tick_size)
            self.ask = max(self.ask, fill.price)

    # ------------------------------------------------------------------ orders

    def mine(self, cid: ClientOrderId) -> Order | None:
        """The order of that name, while it is not known to be over."""
        order = self.orders.get(cid.slot)
        return order if order is not None and order.cid == cid else None

    def doubt(self, order: Order) -> None:
        """Nobody knows what became of `order`: a Snapshot will tell."""
        order.status = OrderStatus.DOUBT
        self.doubts.add(order.cid.slot)

    def forget(self, key: Slot) -> None:
        self.orders.pop(key, None)
        self.doubts.discard(key)

    def drop(self, key: Slot) -> None:
        """An order is over: margin or a place may be free again."""
        self.forget(key)
        self.holds.has_room = True

    @property
    def to_close(self) -> Decimal:
        """What the exchange still has of our position, signed: a person may have closed it by hand."""
        ours = self.ledger.position
        there = ours + self.ledger.books.foreign
        if not ours or (ours > 0) is not (there > 0):
            return ZERO
        return min(ours, there, key=abs)

    # ------------------------------------------------------------------ what only the shell can find out

    def reconcile(self) -> None:
        self.asked = self.now
        self.intents.append(Reconcile(self.instrument.symbol))

    def replan(self) -> None:
        self.planned = self.now
        self.intents.append(Replan(self.instrument.symbol))
