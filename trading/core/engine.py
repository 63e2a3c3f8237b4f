"""The deterministic heart of one bot: an event or a command in, order intents out.

The strategy says what should rest; the engine holds that against what works and asks for the difference. It never
reads an answer: a refusal, an end, a doubt are events like any other. Nothing is sent while the account stream is
down; the Snapshot that follows settles what happened meanwhile (architecture §5), by the same steps as live fills.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from trading.core.holds import Holds
from trading.core.ledger import Books, Ledger
from trading.core.lifecycle import IllegalMove, Move, Status, after
from trading.core.orders import Order, OrderStatus
from trading.core.telling import Teller
from trading.messages import (
    Accepted,
    Begin,
    Cancel,
    CancelRefused,
    Closed,
    Command,
    Disconnected,
    Edit,
    Event,
    Fail,
    Filled,
    Foreign,
    Funding,
    Intent,
    Mark,
    Notice,
    NoticeKind,
    Pause,
    Place,
    PlaceAgain,
    Quote,
    Reason,
    Reconcile,
    Refused,
    Replan,
    Reset,
    Resume,
    Snapshot,
    Start,
    Stop,
    Tick,
    Uncertain,
    Working,
)
from trading.model import ZERO, ClientOrderId, Instrument, OrderType, Role, Side, Slot, Target, TimeInForce
from trading.ports import Booked, SnapshotRequest, Strategy, Waits

PATIENCE = 1_000
"""How long a doubt or a missing fill may last before a Snapshot is asked for, ms."""
MARGIN = 60_000
"""How far before the last Snapshot the next one looks for orders and fundings, ms."""
RETRY = 5_000
"""How long a slot waits after a refusal that time may mend (margin, price band), ms."""
CANCEL_STORM = 3
"""So many orders cancelled by somebody else within a minute pause the bot."""
CLOSE_TRIES = 5
CLOSURES = {"autoclose-": "liquidated", "adl_autoclose": "deleveraged", "settlement_autoclose-": "delisted"}
"""How the venue names its own closing orders, and what a bot then failed of."""
Missed = Filled | Closed | Funding | Foreign
"""What a Snapshot may tell that happened unseen."""
READS_DISAGREE = "reads_disagree"
ORDERS_UNKNOWN = "orders_unknown"


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

    def is_exit(self, slot: int) -> bool: ...

    def executed(self, key: Slot) -> Decimal: ...

    def obey(self, command: Resume | PlaceAgain | Edit) -> None: ...


class Checkpoint(Struct):
    """Everything that must outlive a crash."""

    status: Status = Status.CREATED
    reason: str = ""
    ending: Move = Move.STOPPED
    """Where STOPPING leads."""
    close: bool = False
    """Whether the position is to be closed on the way (stop, reset, a start that closes first)."""
    trigger_side: int = 0
    """While WAITING: +1 = the price was below the trigger at the start command, -1 = above."""
    close_turn: int = 0
    close_done: Decimal = ZERO
    """Filled of the present closing order."""
    rested: ClientOrderId | None = None
    """The latest order of ours that the venue took since the start or the last resume: a venue must know its name."""
    transition: int = 0
    started: int = 0
    """When the present run began, ms."""
    read_from: int = 0
    """Trades and fundings before this were settled by a Snapshot, ms."""
    first_started: int = 0
    books: Books = msgspec.field(default_factory=Books)
    strategy: bytes = b""


class Engine:
    """One bot. Call `handle` with one event at a time; it returns what to ask of the venue, in order."""

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
        self.teller = Teller(bot, labels or {})
        self.kept = checkpoint if checkpoint is not None else Checkpoint()
        self.ledger = Ledger(self.kept.books)
        self.strategy = strategy
        self.orders: dict[Slot, Order] = {}
        self.holds = Holds()
        self.strays: dict[ClientOrderId, int] = {}
        self.doubts: set[Slot] = set()
        self.cancelled_elsewhere: list[int] = []
        self.fills: list[Filled] = []
        self.booked: list[Booked] = []
        """What each of `fills` brought."""
        self.bid = self.ask = self.mark = ZERO
        self.is_synced = False
        self._is_cold = checkpoint is not None
        """Whether nothing was read since the checkpoint: what became of its orders only the venue knows."""
        self.must_commit = False
        self.is_verified = False
        self.moves = 0
        """Counts every change of orders or fills: a Snapshot read meanwhile is stale."""
        self._asked = 0
        self._planned = 0
        """When a Snapshot, and when a plan, was last asked for, ms."""
        self._close_tries = 0
        self._beyond_since = 0
        self.confirm_after = 1_000
        """How long the mark must stay beyond a stop, ms; 0 = one sample suffices (backtest)."""
        self._now = 0
        self._intents: list[Intent] = []
        self._handlers: dict[type, Callable[[Any], None]] = {
            Quote: self._on_quote,
            Mark: self._on_mark,
            Accepted: self._on_accepted,
            Filled: self._on_filled,
            Closed: self._on_closed,
            Refused: self._on_refused,
            CancelRefused: self._on_doubt,
            Uncertain: self._on_doubt,
            Foreign: self._on_foreign,
            Funding: self._on_funding,
            Snapshot: self._on_snapshot,
            Tick: self._on_tick,
            Disconnected: self._on_disconnected,
            Start: self._on_start,
            Begin: self._on_begin,
            Fail: self._on_fail,
            Reset: self._on_reset,
            Stop: self._on_stop,
            Pause: self._on_pause,
            Resume: self._on_resume,
            PlaceAgain: self._on_place_again,
            Edit: self._on_edit,
        }

    # ------------------------------------------------------------------ from outside

    @property
    def notices(self) -> list[Notice]:
        """What is to be told and not yet committed."""
        return self.teller.notices

    @property
    def status(self) -> Status:
        return self.kept.status

    def handle(self, event: Event | Command) -> list[Intent]:
        """Take in one event; the intents to send, in order. Raises IllegalMove for a command out of turn."""
        kind = type(event)
        if kind is Quote:
            self.see(event)  # type: ignore[arg-type]
            if not (self.holds.crossing or self.kept.trigger_side or self._watches_quotes):
                return []
        self._now = event.time
        intents: list[Intent] = []
        self._intents = intents
        self.must_commit = False
        self._handlers[kind](event)
        if kind is not Quote or self.must_commit:
            self._progress()
        return intents

    def see(self, quote: Quote) -> None:
        """Take over the touch without acting on it."""
        self.bid, self.ask, self._seen = quote.bid, quote.ask, quote.time

    @property
    def _watches_quotes(self) -> bool:
        return self.strategy is not None and self.strategy.watches_quotes

    def adopt(self, strategy: OpeningStrategy) -> None:
        """The strategy that the next Start begins with."""
        self.strategy = strategy

    def checkpoint(self) -> bytes:
        """The state of this instant, for the journal."""
        self.kept.strategy = self.strategy.pack() if self.strategy is not None else b""
        return msgspec.msgpack.encode(self.kept)

    @staticmethod
    def read(checkpoint: bytes) -> Checkpoint:
        """A checkpoint as `checkpoint` wrote it."""
        return msgspec.msgpack.decode(checkpoint, type=Checkpoint)

    def request(self) -> SnapshotRequest:
        """What a gateway must know to read a Snapshot for this bot."""
        books = self.ledger.books
        expected = [order.cid for order in self.orders.values()]
        known = set(expected)
        counted = {str(order.cid): order.executed for order in self.orders.values()}
        if self.strategy is not None and (self._is_active or (self._is_cold and self.status is not Status.WAITING)):
            # a bot that was to send nothing when it died may have died before its cancels were told
            for key in list(self.strategy.keys()):
                wish = self.strategy.wish(key)
                if isinstance(wish, Target) and wish.cid not in known and key not in self.holds:
                    expected.append(wish.cid)
                    # after a crash the order is not remembered, but what was counted of it is
                    counted[str(wish.cid)] = self.strategy.executed(key)
        close = self._close_target()
        if close is not None and close.cid not in known:
            expected.append(close.cid)
            counted[str(close.cid)] = self.kept.close_done
        return SnapshotRequest(
            symbol=self.instrument.symbol,
            install=self.install,
            bot=self.bot,
            since_trade=books.floor,
            since_time=max(self.kept.read_from - MARGIN, self.kept.started),
            expected=tuple(expected),
            counted=counted,
            position=books.position + books.foreign,
            counted_trades=frozenset(books.trades),
        )

    # ------------------------------------------------------------------ what should rest

    @property
    def _is_active(self) -> bool:
        """Whether the strategy's wishes are followed. PAUSED(initial order) keeps its resting orders."""
        status = self.kept.status
        return (
            status is Status.RUNNING
            or (status is Status.STARTING and not self._closes_first)
            or (status is Status.PAUSED and self.kept.reason == Reason.INITIAL_ORDER.value)
        )

    @property
    def _closes_first(self) -> bool:
        """Whether a start has still to close what the last run left."""
        return self.kept.status is Status.STARTING and self.kept.close

    @property
    def _winds_down(self) -> bool:
        """Whether everything of ours is to go: orders first, then the position where asked."""
        return self.kept.status in (Status.STOPPING, Status.RESETTING) or self._closes_first

    def wish(self, key: Slot) -> Target | Waits | None:
        """What should rest at `key` now, the state of the bot considered."""
        if key is Role.CLOSE:
            return self._close_target()
        if self.strategy is None or not self._is_active:
            return None
        if key is Role.OPEN and self.kept.status is Status.PAUSED:
            return Waits(Reason.INITIAL_ORDER.value)
        return self.strategy.wish(key)

    def _close_target(self) -> Target | None:
        """The reduce-only order that flattens, once nothing else of ours is left."""
        position = self.ledger.position
        if not self._winds_down or not self.kept.close or not position:
            return None
        if any(key is not Role.CLOSE for key in self.orders) or self.strays:
            return None
        order = self.orders.get(Role.CLOSE)
        qty = order.qty if order is not None else abs(position)
        most = self.instrument.market_max_qty
        if most:
            qty = min(qty, most)
        side = Side.SELL if position > 0 else Side.BUY
        cid = ClientOrderId(self.install, self.bot, Role.CLOSE, self.kept.close_turn)
        return Target(cid, side, ZERO, qty, OrderType.MARKET, TimeInForce.GTC, reduce_only=True)

    def _diff(self, keys: Iterable[Slot]) -> None:
        """Ask for the difference between what should rest and what works, at `keys`."""
        if not self.is_synced:
            return
        for key in keys:
            wish = self.wish(key)
            order = self.orders.get(key)
            if order is None:
                if isinstance(wish, Target) and key not in self.holds:
                    self._place(key, wish)
            elif order.status is OrderStatus.WORKING and not (isinstance(wish, Target) and order.serves(wish)):
                order.take(_CANCEL, self._now)
                self.moves += 1
                self._intents.append(Cancel(self.instrument.symbol, order.cid))

    def _place(self, key: Slot, target: Target) -> None:
        if target.tif is TimeInForce.GTX and self._crosses(target.side, target.price):
            self.holds.put(key, Reason.WOULD_CROSS)
            return
        self.orders[key] = Order(target.cid, target.side, target.price, target.qty, target.type, since=self._now)
        self.moves += 1
        self.is_verified = False
        self._intents.append(
            Place(
                self.instrument.symbol,
                target.cid,
                target.side,
                target.type,
                target.tif,
                target.price,
                target.qty,
                target.reduce_only,
            )
        )

    def _crosses(self, side: Side, price: Decimal) -> bool:
        """Whether a post-only order would surely be refused; unknown quotes do not cross."""
        if side is Side.BUY:
            return bool(self.ask) and price >= self.ask
        return bool(self.bid) and price <= self.bid

    def _by_distance(self) -> list[Slot]:
        """Every key, the initial order first, then nearest to the price first: the order of placing."""
        assert self.strategy is not None
        mid = (self.bid + self.ask) / 2 if self.bid and self.ask else ZERO

        def far(key: Slot) -> Decimal:
            if not isinstance(key, int):
                return Decimal(-1)
            wish = self.wish(key)
            return abs(wish.price - mid) if isinstance(wish, Target) else ZERO

        return sorted(self.strategy.keys(), key=far)

    def _diff_all(self) -> None:
        keys: list[Slot] = self._by_distance() if self.strategy is not None else []
        self._diff([*keys, *(key for key in self.orders if key not in keys), Role.CLOSE])

    # ------------------------------------------------------------------ market events

    def _on_quote(self, quote: Quote) -> None:
        changed: list[Slot] = []
        if self.kept.trigger_side:
            self._await_trigger()
        if self.strategy is not None and self.strategy.watches_quotes and self._is_active:
            changed.extend(self.strategy.step(quote))
        for key in list(self.holds.crossing):
            wish = self.wish(key)
            if not isinstance(wish, Target) or not self._crosses(wish.side, wish.price):
                self.holds.release(key)
                changed.append(key)
        if changed:
            self._diff(changed)

    def _await_trigger(self) -> None:
        """Ask for a plan when the price reaches the trigger from the side it was on at the start command."""
        trigger = self.strategy.trigger if self.strategy is not None else None
        if self.status is not Status.WAITING or trigger is None or self._now - self._planned < PATIENCE:
            return
        mid = (self.bid + self.ask) / 2
        if (mid - trigger) * self.kept.trigger_side >= 0:
            self._replan()

    def _on_mark(self, mark: Mark) -> None:
        """Stops are judged on the mark price: two samples beyond, a second apart."""
        self.mark = mark.price
        if self.status not in (Status.RUNNING, Status.PAUSED) or self.strategy is None:
            return
        ending = self.strategy.ending(mark.price)
        if ending is None:
            self._beyond_since = 0
        elif not self._beyond_since:
            self._beyond_since = mark.time
        if ending is not None and mark.time - self._beyond_since >= self.confirm_after:
            self._wind_down(Move.STOP, self.strategy.closes_on_stop, ending)
            self.kept.ending = Move.FINISH

    def _on_tick(self, tick: Tick) -> None:
        due = self.holds.release_due(tick.time)
        if due:
            self._diff(due)
        if not self.is_synced:
            return
        late = [key for key in list(self.doubts) if self._is_late(key)]
        strays = [cid for cid, since in self.strays.items() if tick.time - since > 5 * PATIENCE]
        if (late or strays) and tick.time - self._asked > PATIENCE:
            self._reconcile()

    def _is_late(self, key: Slot) -> bool:
        order = self.orders.get(key)
        if order is None or order.status not in (OrderStatus.DOUBT, OrderStatus.DRAINING):
            self.doubts.discard(key)
            return False
        return self._now - order.since >= PATIENCE

    def _replan(self) -> None:
        self._planned = self._now
        self._intents.append(Replan(self.instrument.symbol))

    def _reconcile(self) -> None:
        self._asked = self._now
        self._intents.append(Reconcile(self.instrument.symbol))

    # ------------------------------------------------------------------ order events

    def _mine(self, cid: ClientOrderId) -> Order | None:
        order = self.orders.get(cid.slot)
        return order if order is not None and order.cid == cid else None

    def _on_accepted(self, event: Accepted) -> None:
        order = self._mine(event.cid)
        if order is None:
            return
        self.moves += 1
        order.take(event, event.time)
        order.order_id = event.order_id
        self.kept.rested = event.cid
        if order.status is OrderStatus.WORKING:
            self._diff((event.cid.slot,))

    def _on_filled(self, fill: Filled) -> None:
        changed = self._count(fill)
        if changed:
            self._diff(changed)

    def _count(self, fill: Filled) -> list[Slot]:
        """Book a fill once and let the strategy take its step; the keys to look at."""
        books = self.ledger.books
        matched, pairs = books.matched, books.pairs
        if not self.ledger.count(fill):
            return []
        self.moves += 1
        if fill.maker and (self.bid or self.ask):
            self._learn_price(fill)
        key = fill.cid.slot
        order = self._mine(fill.cid)
        ended: Closed | None = None
        if key is Role.CLOSE:
            self._count_close(fill, order)
        if order is not None:
            order.take(fill, fill.time)
            order.executed += fill.qty
            if order.executed >= order.qty:
                self._drop(key)
            elif order.closed is not None and order.executed >= (order.closed.executed or ZERO):
                ended = order.closed
        changed = self._step(key, fill)
        self.fills.append(fill)
        self.booked.append(Booked(books.matched - matched, books.pairs - pairs))
        if order is not None and ended is not None:
            # only now: the fill must reach the strategy before the end that waited for it
            changed += self._end(order, ended)
        return changed

    def _count_close(self, fill: Filled, order: Order | None) -> None:
        """Closing orders are MARKET and never rest: one that is not remembered is over, and its name is used up."""
        if order is None or order.executed + fill.qty >= order.qty:
            self._next_close(fill.cid.turn + 1)
        elif fill.cid.turn == self.kept.close_turn:
            self.kept.close_done += fill.qty

    def _next_close(self, turn: int) -> None:
        """The name of the next closing order, never one that was used."""
        if turn > self.kept.close_turn:
            self.kept.close_turn, self.kept.close_done = turn, ZERO

    def _learn_price(self, fill: Filled) -> None:
        """A resting order that filled tells where the market is before the next quote does, and nothing after it."""
        if fill.time < self._seen:
            return
        if fill.side is Side.BUY:
            self.bid = min(self.bid, fill.price)
            self.ask = min(self.ask, fill.price + self.instrument.tick_size)
        elif self.bid:
            self.bid = max(self.bid, fill.price - self.instrument.tick_size)
            self.ask = max(self.ask, fill.price)

    def _step(self, key: Slot, fill: Filled) -> list[Slot]:
        """The strategy's step for a fill, and what to tell of it."""
        if self.strategy is None or key is Role.CLOSE:
            return [key]
        before = self.strategy.wish(key)
        mine = isinstance(before, Target) and before.cid == fill.cid
        was_exit = mine and isinstance(key, int) and self.strategy.is_exit(key)
        changed = list(self.strategy.step(fill))
        after_ = self.strategy.wish(key)
        if mine and not (isinstance(after_, Target) and after_.cid == fill.cid):
            if was_exit:
                assert isinstance(key, int)
                turn = self.ledger.pair(key)
                books = self.ledger.books
                self.teller.pair(fill, turn, books.pairs, books.matched, self.instrument)
            else:
                self.teller.fill(key, fill, after_)
        return changed

    def _on_closed(self, event: Closed) -> None:
        self.strays.pop(event.cid, None)
        order = self._mine(event.cid)
        if order is None:
            return
        self.moves += 1
        if event.executed is not None and event.executed > order.executed:
            order.status, order.closed, order.since = OrderStatus.DRAINING, self._judged(order, event), event.time
            self.doubts.add(event.cid.slot)
            return
        event = self._judged(order, event)
        order.take(event, event.time)
        self._diff(self._end(order, event))

    def _judged(self, order: Order, event: Closed) -> Closed:
        """An order cancelled though we did not ask was cancelled by somebody else."""
        asked = order.status is OrderStatus.CANCELLING or not self._is_active
        if event.reason is Reason.CANCELLED and not asked and order.status is not OrderStatus.DOUBT:
            return Closed(event.time, event.cid, Reason.CANCELLED_ELSEWHERE, event.executed)
        return event

    def _end(self, order: Order, event: Closed) -> list[Slot]:
        """An order is over without being filled: its slot's next turn."""
        key = order.cid.slot
        self._drop(key)
        if key is Role.CLOSE:
            self._next_close(event.cid.turn + 1)
            return [Role.CLOSE]
        changed = list(self.strategy.step(event)) if self.strategy is not None else []
        if event.reason is Reason.CANCELLED_ELSEWHERE:
            self.teller.waiting(key, order, event.reason, event.time)
            self.cancelled_elsewhere = [t for t in self.cancelled_elsewhere if event.time - t < 60_000] + [event.time]
            if len(self.cancelled_elsewhere) >= CANCEL_STORM and self.status is Status.RUNNING:
                self._pause(Reason.CANCELLED_ELSEWHERE.value)
        elif event.reason is Reason.LIQUIDATED:
            self._fail(CLOSURES["autoclose-"])
        return changed

    def _drop(self, key: Slot) -> None:
        """An order is over: margin or a place may be free again."""
        self._forget(key)
        self.holds.has_room = True

    def _forget(self, key: Slot) -> None:
        self.orders.pop(key, None)
        self.doubts.discard(key)

    def _on_refused(self, event: Refused) -> None:
        order = self._mine(event.cid)
        if order is None or order.status is OrderStatus.WORKING:
            return
        self.moves += 1
        key = event.cid.slot
        if event.reason is Reason.DUPLICATE:
            order.status = OrderStatus.DOUBT
            self.doubts.add(key)
            self._reconcile()
            return
        order.take(event, event.time)
        self._forget(key)
        if event.reason is Reason.WOULD_CROSS:
            # the quote that would release it may have come before this answer
            self.holds.put(key, event.reason, event.time + RETRY)
        elif event.reason is Reason.THROTTLED:
            self.holds.put(key, event.reason, event.time + PATIENCE)
        else:
            self._refused_for_good(key, order, event)

    def _refused_for_good(self, key: Slot, order: Order, event: Refused) -> None:
        """A refusal that the next second will not mend: hold the slot, tell, and pause where it is grave."""
        self.holds.put(key, event.reason, event.time + RETRY)
        if key is Role.CLOSE:
            self._close_tries += 1
            self._reconcile()
            if self._close_tries >= CLOSE_TRIES:
                self.teller.error(event)
            return
        if key is Role.OPEN:
            self.teller.error(event)
            if self.status is Status.STARTING:
                self._pause(Reason.INITIAL_ORDER.value)
            return
        closes = isinstance(key, int) and self.strategy is not None and self.strategy.is_exit(key)
        if event.reason is Reason.NOT_ALLOWED or (event.reason is Reason.MARGIN and closes):
            self.teller.error(event)
            if self.status in (Status.RUNNING, Status.STARTING):
                self._pause(event.reason.value)
        elif event.reason in (Reason.FILTER, Reason.REFUSED):
            self.holds.put(key, event.reason, event.time + 60_000)
            self.teller.error(event)
        else:
            self.teller.waiting(key, order, event.reason, event.time)

    def _on_doubt(self, event: CancelRefused | Uncertain) -> None:
        order = self._mine(event.cid)
        if order is None:
            return
        self.moves += 1
        order.take(event, event.time)
        if order.status is OrderStatus.DOUBT:
            order.since = event.time
            self.doubts.add(event.cid.slot)
            if isinstance(event, Uncertain):
                self._reconcile()

    def _on_foreign(self, event: Foreign) -> None:
        if not self.ledger.is_new(event.trade) or not self.status.is_live:
            return
        self.moves += 1
        for prefix, failure in CLOSURES.items():
            if event.client_id.startswith(prefix):
                self.ledger.close(event)
                self._fail(failure)
                return
        books = self.ledger.books
        books.trades.add(event.trade)
        books.foreign += event.qty * event.side.sign
        values = {"side": event.side.value, "price": event.price, "qty": event.qty, "client_id": event.client_id}
        self.teller.tell(NoticeKind.FOREIGN_TRADE, f"{event.trade}", self._now, **values)
        if self.status in (Status.RUNNING, Status.STARTING):
            self._pause(NoticeKind.FOREIGN_TRADE.value)

    def _fail(self, reason: str) -> None:
        """The venue ended it: cancel what is left and be FAILED."""
        if self.status is not Status.WAITING and self.kept.ending is not Move.FAIL:
            self._wind_down(Move.STOP, False, reason)
            self.kept.ending = Move.FAIL

    def _on_funding(self, event: Funding) -> None:
        if self.ledger.pay(event):
            self.moves += 1

    # ------------------------------------------------------------------ connection and recovery

    def _on_disconnected(self, event: Disconnected) -> None:
        self.is_synced = False
        self.is_verified = False

    def _on_snapshot(self, snap: Snapshot) -> None:
        """The venue's whole truth: unfold what was missed, adopt what rests, ask for the rest (architecture §5)."""
        self._unfold(snap)
        resting = {w.cid: w for w in snap.orders if w.cid is not None and self._is_ours(w.cid)}
        if self._is_forgotten(snap, resting):
            self.is_synced = False
            self._pause(ORDERS_UNKNOWN)
            return
        for key, order in list(self.orders.items()):
            self._settle_order(key, order, resting, snap)
        for cid, working in resting.items():
            if self._mine(cid) is None:
                self._adopt_resting(cid, working)
        self.strays = {cid: since for cid, since in self.strays.items() if cid in resting}
        self.ledger.settle(snap.last_trade)
        self.kept.read_from = snap.time
        self.is_synced, self._is_cold = True, False
        if self.status is Status.PAUSED and self.kept.reason == READS_DISAGREE:
            self._move(Move.RESUME)
            self.teller.tell(NoticeKind.RESUMED, str(self.kept.transition), self._now)
        self.is_verified = not resting and not self.orders
        self._diff_all()

    def _is_forgotten(self, snap: Snapshot, resting: dict[ClientOrderId, Working]) -> bool:
        """A running bot none of whose names the venue knows, not even one that it took itself: it lost its books."""
        if self.status is not Status.RUNNING or self.kept.rested not in snap.absent or self.strategy is None:
            return False
        if resting or snap.fills or snap.over:
            return False
        wanted = [wish for wish in map(self.strategy.wish, self.strategy.keys()) if isinstance(wish, Target)]
        return len(wanted) > 1 and all(wish.cid in snap.absent for wish in wanted)

    def _is_ours(self, cid: ClientOrderId) -> bool:
        return cid.install == self.install and cid.bot == self.bot

    def _unfold(self, snap: Snapshot) -> None:
        """Step through everything that was missed, in the venue's order; ends after the fills of their order."""
        missed: list[tuple[int, int, int, Missed]] = [(f.time, 0, f.trade, f) for f in snap.fills]
        missed += [(c.time, 1, c.cid.turn, c) for c in snap.over]
        missed += [(f.time, 2, 0, f) for f in snap.fundings]
        missed += [(f.time, 3, f.trade, f) for f in snap.foreign]
        fills = {c.cid: max((f.time for f in snap.fills if f.cid == c.cid), default=0) for c in snap.over}
        missed = [(max(t, fills[e.cid]) if isinstance(e, Closed) else t, n, m, e) for t, n, m, e in missed]
        for _, _, _, event in sorted(missed, key=lambda row: row[:3]):
            if isinstance(event, Filled):
                self._count(event)
            elif isinstance(event, Closed):
                self._missed_end(event)
            elif isinstance(event, Funding):
                self._on_funding(event)
            else:
                self._on_foreign(event)

    def _missed_end(self, event: Closed) -> None:
        order = self._mine(event.cid)
        if order is not None:
            self._end(order, self._judged(order, event))
        elif event.cid.slot is Role.CLOSE:
            self._next_close(event.cid.turn + 1)
        elif self.strategy is not None:
            wish = self.strategy.wish(event.cid.slot)
            if isinstance(wish, Target) and wish.cid == event.cid:
                # ended while we were dead: judged as if we had watched it
                order = Order(event.cid, wish.side, wish.price, wish.qty, wish.type, status=OrderStatus.WORKING)
                self._end(order, self._judged(order, event))
            else:
                self.strategy.step(event)

    def _settle_order(self, key: Slot, order: Order, resting: dict[ClientOrderId, Working], snap: Snapshot) -> None:
        working = resting.get(order.cid)
        if working is not None:
            if order.status is not OrderStatus.CANCELLING:
                order.status = OrderStatus.WORKING
            order.executed, order.order_id = working.executed, working.order_id
        elif order.cid in snap.absent:
            self._drop(key)
        elif order.status not in (OrderStatus.DRAINING, OrderStatus.SENT):
            # neither resting nor over nor unknown to the venue: it changed while it was read
            order.status, order.since = OrderStatus.DOUBT, self._now
            self.doubts.add(key)

    def _adopt_resting(self, cid: ClientOrderId, working: Working) -> None:
        """Take up a resting order that bears its slot's present name; cancel any other as a stray."""
        wish = self.strategy.wish(cid.slot) if self.strategy is not None else None
        if isinstance(wish, Target) and wish.cid == cid and cid.slot not in self.orders:
            self.orders[cid.slot] = Order(
                cid,
                working.side,
                working.price,
                working.qty,
                OrderType.LIMIT,
                working.executed,
                OrderStatus.WORKING,
                working.order_id,
            )
            self.holds.release(cid.slot)
            self.kept.rested = cid
            return
        self.strays.setdefault(cid, self._now)
        self._intents.append(Cancel(self.instrument.symbol, cid))
        if self.strategy is not None:
            # the name is used up: the slot's next order must not bear it
            self.strategy.step(Closed(self._now, cid, Reason.CANCELLED, working.executed))

    # ------------------------------------------------------------------ life

    def _move(self, move: Move, reason: str = "") -> None:
        self.kept.status = after(self.kept.status, move)
        self.kept.reason = reason
        self.kept.transition += 1
        self.must_commit = True

    def _on_start(self, command: Start) -> None:
        assert self.strategy is not None
        trigger = self.strategy.trigger
        mid = (self.bid + self.ask) / 2
        self.kept.ending, self.kept.close = Move.STOPPED, command.close_first and bool(self.ledger.position)
        self.kept.first_started = self.kept.first_started or command.time
        self.kept.started = self.kept.read_from = command.time
        if trigger is not None and mid != trigger:
            self._move(Move.WAIT)
            self.kept.trigger_side = 1 if mid < trigger else -1
            return
        self._begin(Move.START)

    def _begin(self, move: Move) -> None:
        self.kept.trigger_side = 0
        self._beyond_since = 0
        self.is_verified = False
        self._move(move)
        self.kept.rested = None
        self.holds.release_all()
        self._diff_all()

    def _on_begin(self, command: Begin) -> None:
        """The plan that a Replan asked for is here."""
        if self.status is Status.WAITING:
            self.kept.started = self.kept.read_from = command.time
            self._begin(Move.START)
        else:
            self.kept.close = False
            self._begin(Move.RUN)

    def _on_fail(self, command: Fail) -> None:
        self.teller.tell(
            NoticeKind.ERROR, f"plan:{self.kept.transition}", self._now, reason=command.reason, code="", text=""
        )
        if self.status is Status.RESETTING:
            self._pause("reset")
        elif self.status is Status.WAITING:
            self.kept.trigger_side = 0
            self._move(Move.STOP, command.reason)

    def _wind_down(self, move: Move, close: bool, reason: str = "") -> None:
        self._move(move, reason)
        self.kept.close = close
        self.kept.ending = Move.STOPPED
        self.kept.trigger_side = 0
        self.is_verified = False
        self._close_tries = 0
        self._asked = 0
        self.holds.release_all()
        self._diff_all()

    def _on_stop(self, command: Stop) -> None:
        self._wind_down(Move.STOP, command.close)

    def _on_reset(self, command: Reset) -> None:
        self._wind_down(Move.RESET, command.flatten)

    def _on_pause(self, command: Pause) -> None:
        self._pause(command.reason)

    def _pause(self, reason: str) -> None:
        self._move(Move.PAUSE, reason)
        self.teller.tell(NoticeKind.PAUSED, str(self.kept.transition), self._now, reason=reason)
        self._diff_all()

    def _on_resume(self, command: Resume) -> None:
        self._move(Move.RESUME)
        self.kept.rested = None
        self.holds.release_all()
        assert self.strategy is not None
        self.strategy.obey(command)
        self.teller.tell(NoticeKind.RESUMED, str(self.kept.transition), self._now)
        self._diff_all()

    def _on_place_again(self, command: PlaceAgain) -> None:
        if self.strategy is not None:
            self.strategy.obey(command)
            self.must_commit = True
            self._diff((command.slot,))

    def _on_edit(self, command: Edit) -> None:
        """Other stops for the plan that runs: committed before anything is judged by them."""
        if self.status is Status.STOPPING or not self.status.is_live:
            raise IllegalMove(self.status, Move.EDIT)
        assert self.strategy is not None
        self.strategy.obey(command)
        self._beyond_since = 0
        self.must_commit = True

    def _progress(self) -> None:
        """The moves a bot makes by itself: started, given up, wound down."""
        if not self.is_synced or self.strategy is None:
            return
        if self.kept.status is Status.RUNNING and not self.strategy.has_given_up:
            return  # nothing to do of itself: what every fill comes to
        if self._winds_down:
            if not self.orders and not self.strays:
                self._wound_down()
        elif self.strategy.has_given_up and self.status in (Status.STARTING, Status.RUNNING):
            self._pause(Reason.INITIAL_ORDER.value)
        elif self.status is Status.STARTING and not self.strategy.is_opening:
            if any(order.status is OrderStatus.SENT for order in self.orders.values()):
                return
            self._move(Move.RUN)
            self.teller.tell(NoticeKind.STARTED, str(self.kept.transition), self._now, orders=len(self.orders))

    def _wound_down(self) -> None:
        """No order of ours is left as far as we know: close where asked, let the venue confirm, go on."""
        if self.kept.close and self.ledger.position:
            if Role.CLOSE not in self.holds:
                self._diff((Role.CLOSE,))
            return
        if not self.is_verified:
            if self._now - self._asked > PATIENCE or not self._asked:
                self._reconcile()
            return
        if self.status is Status.STARTING:
            self.kept.close = False
            self.must_commit = True
            self._diff_all()
        elif self.status is Status.RESETTING:
            if self._now - self._planned >= PATIENCE:
                self._replan()
        else:
            self._rest()

    def _rest(self) -> None:
        """Verified: nothing of ours is left."""
        move = self.kept.ending
        self._move(move, self.kept.reason)
        kind = {Move.FINISH: NoticeKind.FINISHED, Move.FAIL: NoticeKind.FAILED}.get(move, NoticeKind.STOPPED)
        price = self.mark or self.bid
        self.teller.tell(
            kind,
            str(self.kept.transition),
            self._now,
            closed=self.kept.close,
            reason=self.kept.reason,
            position=self.ledger.position,
            total=self.ledger.total(price) if price or not self.ledger.position else "",
        )


_CANCEL = Cancel("", ClientOrderId("", 0, 0, 0))
