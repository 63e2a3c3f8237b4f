"""The grid strategy: slots that buy at their floor and sell at their ceiling, in turns (product.md §3.3, §3.5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from trading.messages import Closed, Edit, Event, Filled, PlaceAgain, Quote, Reason, Resume
from trading.model import (
    ZERO,
    ClientOrderId,
    Direction,
    Instrument,
    MarginMode,
    OrderType,
    Role,
    Side,
    Slot,
    Target,
    TimeInForce,
)
from trading.ports import Waits

_BUY = Side.BUY
_GTX = TimeInForce.GTX
_OPEN = Role.OPEN
# reading a member off its Enum is slow, and these are asked for at every fill


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


class SlotState(Struct):
    """One slot: the order it wants now and the lot it holds."""

    side: Side
    want: Decimal
    """Quantity of the present order."""
    turn: int = 0
    """Orders of this slot that are over."""
    done: Decimal = ZERO
    """Filled of the present order."""
    lot: Decimal = ZERO
    """Base held for this slot (unsigned): what its exit will close."""
    wait: Reason | None = None


class GridState(Struct):
    """Everything that changes while a grid runs."""

    slots: list[SlotState]
    open_turn: int = 0
    open_want: Decimal = ZERO
    """What the initial order has still to trade."""
    open_size: Decimal = ZERO
    """Quantity of the present initial order."""
    open_done: Decimal = ZERO
    """Filled of it."""
    open_tries: int = 0
    undealt: Decimal = ZERO
    """Initial fills that no slot has yet."""
    held: Decimal = ZERO
    """Signed base of all lots and undealt fills."""
    low: int = 0
    """The first slot of those near the price that may rest orders, where not all may."""
    later_turns: list[int] = []
    """Turns of the slots beyond this plan's last, which an earlier, larger grid had."""


OPEN_TRIES = 4
"""One initial order and three more for what MARKET leaves unfilled."""


class Grid:
    """A running range grid: the plan, and the slots' states that fills and ends of orders move.

    Implements `ports.Strategy`. The state changes in place, so a fill costs the same with 10 slots and with 500.
    """

    def __init__(self, plan: GridPlan, install: str, bot: int, state: GridState | None = None) -> None:
        self.plan = plan
        self.install = install
        self.bot = bot
        self.state = state if state is not None else GridState([])
        self._plan_bytes = msgspec.Raw(msgspec.msgpack.encode(plan))
        self._entries = [plan.entry(i) for i in range(len(plan.quantities))]
        self._gates = self._waiting_gates()
        self._is_windowed = plan.max_open_orders < len(plan.quantities)
        self._over_cap: frozenset[int] | None = None
        """What `_capped` found; None once something has happened."""

    @classmethod
    def begin(cls, plan: GridPlan, install: str, bot: int, before: Grid | None = None, carried: Decimal = ZERO) -> Grid:
        """A grid at its start. Turns go on from `before`, so that no name is ever used twice.

        `carried` is the signed base this bot kept from its last run; the initial order takes only what is missing.
        """
        turns = [slot.turn for slot in before.state.slots] + before.state.later_turns if before is not None else []
        slots = []
        for i, qty in enumerate(plan.quantities):
            slot = SlotState(plan.first(i), qty, turn=turns[i] if i < len(turns) else 0)
            if plan.opens_with_inventory(i):
                slot.wait = Reason.INITIAL_ORDER if plan.initial else Reason.NO_INVENTORY
            slots.append(slot)
        state = GridState(slots, before.state.open_turn if before is not None else 0, later_turns=turns[len(slots) :])
        grid = cls(plan, install, bot, state)
        state.low = grid._window(plan.vacant)
        if plan.initial:
            needed = sum((q for i, q in enumerate(plan.quantities) if plan.opens_with_inventory(i)), ZERO)
            kept = min(abs(carried), needed) if carried * grid._sign() > 0 else ZERO
            state.open_want = needed - kept
            state.undealt = kept
            state.held = kept * grid._sign()
            grid._next_opening(state.open_turn)
            grid._deal()
        return grid

    # ------------------------------------------------------------------ the protocol

    def keys(self) -> Iterable[Slot]:
        return [Role.OPEN, *range(len(self.state.slots))]

    def step(self, event: Event) -> Iterable[Slot]:
        if self.plan.max_position is None:
            return self._step(event)
        before = self._capped()
        changed = self._step(event)
        if changed or type(event) is not Quote:
            self._over_cap = None
        return list(dict.fromkeys((*changed, *sorted(before ^ self._capped()))))

    def _step(self, event: Event) -> Iterable[Slot]:
        if type(event) is Filled:
            return self._filled(event)
        if type(event) is Closed:
            return self._closed(event)
        if type(event) is Quote:
            return self._quoted(event)
        return ()

    def wish(self, key: Slot) -> Target | Waits | None:
        if not isinstance(key, int):
            return self._initial() if key is Role.OPEN else None
        slots = self.state.slots
        if not 0 <= key < len(slots):
            return None  # a name of some other grid
        slot = slots[key]
        if slot.wait is not None:
            return Waits(slot.wait.value, self._price(key, slot.side))
        price = self._price(key, slot.side)
        plan = self.plan
        if not 0 <= key - self.state.low < plan.max_open_orders:
            return Waits(Reason.ORDER_LIMIT.value, price)
        if key in self._capped():
            return Waits(Reason.MAX_POSITION.value, price)
        tif = _GTX if plan.post_only else TimeInForce.GTC
        return Target(ClientOrderId(self.install, self.bot, key, slot.turn), slot.side, price, slot.want, tif=tif)

    def pack(self) -> bytes:
        return msgspec.msgpack.encode((self._plan_bytes, self.state))

    @classmethod
    def unpack(cls, data: bytes, install: str, bot: int) -> Grid:
        """The grid as `pack` kept it."""
        plan, state = msgspec.msgpack.decode(data, type=tuple[GridPlan, GridState])
        return cls(plan, install, bot, state)

    # ------------------------------------------------------------------ what a person asks

    def obey(self, command: Resume | PlaceAgain | Edit) -> None:
        """Resume places what was cancelled elsewhere; PlaceAgain does so for one slot; Edit moves the stops."""
        self._over_cap = None
        if isinstance(command, Edit):
            self._move_stops(command)
            return
        only = command.slot if isinstance(command, PlaceAgain) else None
        for i, slot in enumerate(self.state.slots):
            if slot.wait is Reason.CANCELLED_ELSEWHERE and only in (None, i):
                slot.wait = None
        if isinstance(command, Resume):
            self.state.open_tries = 0
            if command.skip_initial:
                self.state.open_want = ZERO
                for slot in self.state.slots:
                    if slot.wait is Reason.INITIAL_ORDER:
                        slot.wait = Reason.NO_INVENTORY
                self._gates = self._waiting_gates()

    def _move_stops(self, edit: Edit) -> None:
        self.plan = replace(
            self.plan,
            stop_loss=edit.stop_loss,
            stop_loss_high=edit.stop_loss_high,
            take_profit=edit.take_profit,
        )
        self._plan_bytes = msgspec.Raw(msgspec.msgpack.encode(self.plan))

    @property
    def is_opening(self) -> bool:
        """Whether the initial order has still something to trade."""
        return self.state.open_want > 0

    @property
    def has_given_up(self) -> bool:
        """Whether the initial order was tried as often as it may be."""
        return self.state.open_want > 0 and self.state.open_tries >= OPEN_TRIES

    @property
    def watches_quotes(self) -> bool:
        """Whether a quote can change any wish."""
        return self._gates is not None

    @property
    def gate(self) -> Decimal | None:
        """The next price whose passing gives a slot without inventory its entry; None where none waits."""
        if not self._gates:
            return None
        i = self._gates[0]
        return self.plan.levels[i + 1] if self._sign() > 0 else self.plan.levels[i]

    @property
    def trigger(self) -> Decimal | None:
        return self.plan.trigger

    @property
    def closes_on_stop(self) -> bool:
        return self.plan.close_on_stop

    def ending(self, mark: Decimal) -> str | None:
        """`stop_loss` or `take_profit` where `mark` is at or beyond it."""
        plan = self.plan
        sign = -1 if plan.direction is Direction.SHORT else 1
        if plan.stop_loss is not None and sign * (mark - plan.stop_loss) <= 0:
            return "stop_loss"
        if plan.stop_loss_high is not None and mark >= plan.stop_loss_high:
            return "stop_loss"
        if plan.take_profit is not None and sign * (mark - plan.take_profit) >= 0:
            return "take_profit"
        return None

    def closes(self, key: Slot, side: Side) -> bool:
        """Whether an order of `side` closes a lot of slot `key`."""
        return isinstance(key, int) and 0 <= key < len(self._entries) and side is not self._entries[key]

    def turn(self, key: Slot) -> int:
        """How many orders of `key` are over: the turn of the present one."""
        if key is _OPEN:
            return self.state.open_turn
        slots = self.state.slots
        return slots[key].turn if isinstance(key, int) and 0 <= key < len(slots) else 0

    def executed(self, key: Slot) -> Decimal:
        """What was filled of the present order at `key`."""
        if key is Role.OPEN:
            return self.state.open_done
        return self.state.slots[key].done if isinstance(key, int) else ZERO

    # ------------------------------------------------------------------ moves

    def _sign(self) -> int:
        return {Direction.LONG: 1, Direction.SHORT: -1, Direction.NEUTRAL: 0}[self.plan.direction]

    def _price(self, i: int, side: Side) -> Decimal:
        return self.plan.levels[i] if side is _BUY else self.plan.levels[i + 1]

    def _initial(self) -> Target | Waits | None:
        state = self.state
        if state.open_want <= 0:
            return None
        if self.has_given_up:
            return Waits(Reason.INITIAL_ORDER.value)
        side = Side.BUY if self._sign() > 0 else Side.SELL
        cid = ClientOrderId(self.install, self.bot, Role.OPEN, state.open_turn)
        return Target(cid, side, ZERO, state.open_size, OrderType.MARKET, TimeInForce.GTC)

    def _capped(self) -> frozenset[int]:
        """Entries that have to wait so that the cap holds even when one jump fills everything that rests."""
        cap, up = self.plan.max_position, range(len(self.state.slots))
        if self._over_cap is None:
            found = () if cap is None else (*self._passing(cap, Side.BUY, up[::-1]), *self._passing(cap, Side.SELL, up))
            self._over_cap = frozenset(found)
        return self._over_cap

    def _passing(self, cap: Decimal, side: Side, nearest_first: range) -> Iterator[int]:
        """Entries of `side` that would pass the cap once the initial order and all nearer ones have filled."""
        sign = side.sign
        held = (self.state.held + self._sign() * self.state.open_want) * sign
        for i in nearest_first:
            slot = self.state.slots[i]
            if slot.side is not side or slot.wait is not None:
                continue
            after = held + slot.want - slot.done
            is_free = side is not self._entries[i] or slot.done > 0
            if is_free or after * self._price(i, side) <= cap:
                held = after
            else:
                yield i

    def _filled(self, fill: Filled) -> Iterable[Slot]:
        key = fill.cid.slot
        self.state.held += fill.qty if fill.side is _BUY else -fill.qty
        if key is _OPEN:
            return self._opened(fill)
        if not isinstance(key, int) or key >= len(self.state.slots):
            return ()
        slot = self.state.slots[key]
        if fill.cid.turn > slot.turn:
            # an order we do not remember sending: those before it are over
            slot.turn, slot.done = fill.cid.turn, ZERO
            self._renew(key, slot)
        slot.lot += fill.qty if fill.side is self._entries[key] else -fill.qty
        if fill.cid.turn == slot.turn:
            slot.done += fill.qty
            if slot.done >= slot.want:
                slot.turn += 1
                slot.done = ZERO
                self._turn(key, slot)
        else:
            self._late(key, slot)
        return (key, *self._follow(key)) if self._is_windowed else (key,)

    def _window(self, slot: int) -> int:
        """The first slot of a window with `slot` in its middle."""
        count, most = len(self.state.slots), self.plan.max_open_orders
        return max(0, min(slot - most // 2, count - most))

    def _follow(self, slot: int) -> Iterable[Slot]:
        """Keep orders where the price is: once a fill leaves the middle half of the window, it moves."""
        low, most = self.state.low, self.plan.max_open_orders
        wanted = self._window(slot)
        if abs(wanted - low) < max(1, most // 4):
            return ()
        self.state.low = wanted
        before, now = set(range(low, low + most)), set(range(wanted, wanted + most))
        return sorted(before ^ now)

    def _opened(self, fill: Filled) -> Iterable[Slot]:
        state = self.state
        state.open_want -= fill.qty
        state.undealt += fill.qty
        changed = self._deal()
        if fill.cid.turn >= state.open_turn:
            state.open_done = fill.qty if fill.cid.turn > state.open_turn else state.open_done + fill.qty
            if state.open_done >= state.open_size or state.open_want <= 0:
                self._next_opening(fill.cid.turn + 1)
        elif state.open_done == 0:
            self._next_opening(state.open_turn)
        return [Role.OPEN, *changed]

    def _next_opening(self, turn: int) -> None:
        """What the initial order of `turn` is to trade: what is still missing, as far as one order may."""
        state, most = self.state, self.plan.instrument.market_max_qty
        state.open_turn, state.open_done = turn, ZERO
        state.open_size = min(state.open_want, most) if most else state.open_want

    def _deal(self) -> list[Slot]:
        """Give initial fills to the slots that open with inventory, nearest to P0 first."""
        plan, state = self.plan, self.state
        count = len(state.slots)
        order = range(plan.vacant, count) if self._sign() > 0 else range(plan.vacant - 1, -1, -1)
        changed: list[Slot] = []
        for i in order:
            if state.undealt <= 0:
                break
            slot = state.slots[i]
            if slot.wait is not Reason.INITIAL_ORDER:
                continue
            part = min(state.undealt, plan.quantities[i] - slot.lot)
            slot.lot += part
            state.undealt -= part
            if slot.lot >= plan.quantities[i]:
                slot.wait = None
                slot.want = slot.lot
                changed.append(i)
        return changed

    def _turn(self, i: int, slot: SlotState) -> None:
        """The order of `slot` is complete: the other side's turn."""
        if slot.side is self._entries[i]:
            slot.side, slot.want = slot.side.opposite, slot.lot
        else:
            slot.side, slot.want = slot.side.opposite, self.plan.quantities[i] - slot.lot
        if slot.want <= 0 or self._is_small(i, slot):
            self._renew(i, slot)

    def _renew(self, i: int, slot: SlotState) -> None:
        """Ask for what is still missing on this side; where that is too small, turn with what there is."""
        entry = self._entries[i]
        missing = self.plan.quantities[i] - slot.lot
        if slot.side is entry:
            choices = ((entry, missing), (entry.opposite, slot.lot))
        else:
            choices = ((entry.opposite, slot.lot), (entry, missing))
        for side, want in choices:
            slot.side, slot.want, slot.wait = side, want, None
            if want > 0 and not self._is_small(i, slot):
                return
        slot.wait = Reason.BELOW_MINIMUM

    def _is_small(self, i: int, slot: SlotState) -> bool:
        return self.plan.instrument.is_too_small(self._price(i, slot.side), slot.want)

    def _late(self, i: int, slot: SlotState) -> None:
        """A fill of an order thought to be over: what the present order should be has changed."""
        if slot.done:
            missing = self.plan.quantities[i] - slot.lot if slot.side is self._entries[i] else slot.lot
            slot.want = slot.done + max(missing, ZERO)
        else:
            wait = slot.wait
            self._renew(i, slot)
            slot.wait = slot.wait or wait

    def _closed(self, end: Closed) -> Iterable[Slot]:
        key, turn = end.cid.slot, end.cid.turn
        state = self.state
        if key is Role.OPEN:
            if turn >= state.open_turn:
                self._next_opening(turn + 1)
                state.open_tries += 1
            return (key,)
        if not isinstance(key, int) or key >= len(state.slots):
            return ()
        slot = state.slots[key]
        if turn < slot.turn:
            return (key,)
        slot.turn = turn + 1
        slot.done = ZERO
        if slot.wait in (Reason.INITIAL_ORDER, Reason.NO_INVENTORY):
            return (key,)
        self._renew(key, slot)
        if end.reason is Reason.CANCELLED_ELSEWHERE and slot.wait is None:
            slot.wait = Reason.CANCELLED_ELSEWHERE
        return (key,)

    def _waiting_gates(self) -> list[int] | None:
        """Slots without inventory, in the order in which the price will pass their far levels."""
        waiting = [i for i, slot in enumerate(self.state.slots) if slot.wait is Reason.NO_INVENTORY]
        if not waiting:
            return None
        return waiting if self._sign() > 0 else waiting[::-1]

    def _quoted(self, quote: Quote) -> Iterable[Slot]:
        """A slot without inventory starts with its entry once the price has passed its far level."""
        mid = (quote.bid + quote.ask) / 2
        changed: list[Slot] = []
        while self._gates:
            i = self._gates[0]
            if not (mid > self.plan.levels[i + 1] if self._sign() > 0 else mid < self.plan.levels[i]):
                break
            slot = self.state.slots[i]
            slot.side = self._entries[i]
            slot.wait = None
            self._renew(i, slot)
            changed.append(i)
            del self._gates[0]
        self._gates = self._gates or None
        return changed
