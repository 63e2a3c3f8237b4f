"""What the venue tells of our orders and of the account: booked once, stepped through, answered."""

from __future__ import annotations

from trading.core import life, placing
from trading.core.lifecycle import Status
from trading.core.orders import Order, OrderStatus
from trading.core.state import State
from trading.messages import (
    Accepted,
    CancelRefused,
    Closed,
    Filled,
    Foreign,
    Funding,
    NoticeKind,
    Reason,
    Refused,
    Uncertain,
)
from trading.model import ZERO, Role, Slot
from trading.ports import Booked

_WORKING = OrderStatus.WORKING
_CLOSE = Role.CLOSE
# reading a member off its Enum is slow, and these are asked for at every fill

CANCEL_STORM = 3
"""So many orders cancelled by somebody else within a minute pause the bot."""
CLOSURES = {"autoclose-": "liquidated", "adl_autoclose": "deleveraged", "settlement_autoclose-": "delisted"}
"""How the venue names its own closing orders, and what a bot then failed of."""


def on_accepted(state: State, event: Accepted) -> None:
    order = state.mine(event.cid)
    if order is None:
        return
    state.moves += 1
    order.take(event, event.time)
    order.order_id = event.order_id
    state.kept.rested = event.cid
    if order.status is _WORKING:
        placing.diff(state, (event.cid.slot,))


# --------------------------------------------------------------------------- fills


def on_filled(state: State, fill: Filled) -> None:
    changed = count(state, fill)
    if changed:
        placing.diff(state, changed)


def count(state: State, fill: Filled) -> list[Slot]:
    """Book a fill once and let the strategy take its step; the keys to look at."""
    books = state.ledger.books
    matched, pairs = books.matched, books.pairs
    if not state.ledger.count(fill):
        return []
    state.moves += 1
    state.learn(fill)
    key = fill.cid.slot
    order = state.mine(fill.cid)
    if key is _CLOSE:
        _count_close(state, fill, order)
    ended = _fill(state, order, fill) if order is not None else None
    changed = _step(state, key, fill)
    state.fills.append(fill)
    state.booked.append(Booked(books.matched - matched, books.pairs - pairs))
    if order is not None:
        # only now: the fill must reach the strategy before the end that waited for it
        if ended is None and key is not _CLOSE and order.executed >= order.qty and _is_wanted(state, fill):
            ended = Closed(fill.time, fill.cid, Reason.EXPIRED, order.executed)  # a hand had made it smaller
        if ended is not None:
            changed += end(state, order, ended)
    return changed


def _is_wanted(state: State, fill: Filled) -> bool:
    """Whether the strategy does not take the order of `fill` for over."""
    return state.strategy is not None and state.strategy.turn(fill.cid.slot) <= fill.cid.turn


def _fill(state: State, order: Order, fill: Filled) -> Closed | None:
    """Add to what was traded of `order`; the end that waited for it, where nothing is missing any more."""
    order.take(fill, fill.time)
    order.executed += fill.qty
    if order.executed >= order.qty:
        state.drop(fill.cid.slot)
    elif order.closed is not None and order.executed >= (order.closed.executed or ZERO):
        return order.closed
    return None


def _step(state: State, key: Slot, fill: Filled) -> list[Slot]:
    """The strategy's step for a fill, and what to tell where it made an order complete."""
    strategy, teller, turn = state.strategy, state.teller, fill.cid.turn
    if strategy is None or key is _CLOSE:
        return [key]
    is_known_over = strategy.turn(key) > turn
    changed = list(strategy.step(fill))
    if is_known_over or strategy.turn(key) <= turn:
        return changed
    if isinstance(key, int) and strategy.closes(key, fill.side):
        books, round_ = state.ledger.books, state.ledger.pair(key)
        teller.pair(fill, round_, books.pairs, books.matched, state.instrument)
    elif not teller.is_silent:
        teller.fill(key, fill, strategy.wish(key))
    return changed


def _count_close(state: State, fill: Filled, order: Order | None) -> None:
    """Closing orders are MARKET and never rest: one that is not remembered is over, and its name is used up."""
    if order is None or order.executed + fill.qty >= order.qty:
        next_close(state, fill.cid.turn + 1)
    elif fill.cid.turn == state.kept.close_turn:
        state.kept.close_done += fill.qty


def next_close(state: State, turn: int) -> None:
    """The name of the next closing order, never one that was used."""
    if turn > state.kept.close_turn:
        state.kept.close_turn, state.kept.close_done = turn, ZERO


# --------------------------------------------------------------------------- ends and doubts


def on_closed(state: State, event: Closed) -> None:
    state.strays.pop(event.cid, None)
    order = state.mine(event.cid)
    if order is None:
        return
    state.moves += 1
    judged = judge(state, order, event)
    if event.executed is not None and event.executed > order.executed:
        order.status, order.closed, order.since = OrderStatus.DRAINING, judged, event.time
        state.doubts.add(event.cid.slot)
        return
    order.take(judged, event.time)
    placing.diff(state, end(state, order, judged))


def judge(state: State, order: Order, event: Closed) -> Closed:
    """An order cancelled though we did not ask was cancelled by somebody else."""
    is_ours = not (state.is_active or state.is_held)  # whoever is neither cancels everything
    asked = order.status is OrderStatus.CANCELLING or is_ours or event.time < state.kept.resumed
    if event.reason is Reason.CANCELLED and not asked and order.status is not OrderStatus.DOUBT:
        return Closed(event.time, event.cid, Reason.CANCELLED_ELSEWHERE, event.executed)
    return event


def end(state: State, order: Order, event: Closed) -> list[Slot]:
    """An order is over without being filled: its slot's next turn."""
    key = order.cid.slot
    state.drop(key)
    if key is Role.CLOSE:
        next_close(state, event.cid.turn + 1)
        if not order.executed:
            life.not_closed(state, Refused(event.time, event.cid, event.reason))
        return [Role.CLOSE]
    changed = list(state.strategy.step(event)) if state.strategy is not None else []
    if event.reason is Reason.CANCELLED_ELSEWHERE:
        state.teller.waiting(key, order, event.reason, event.time)
        recent = [time for time in state.cancelled_elsewhere if event.time - time < 60_000]
        state.cancelled_elsewhere = [*recent, event.time]
        may_pause = state.status is Status.RUNNING or state.is_held
        if len(state.cancelled_elsewhere) >= CANCEL_STORM and may_pause:
            life.pause(state, Reason.CANCELLED_ELSEWHERE.value)
    elif event.reason is Reason.LIQUIDATED:
        life.fail(state, CLOSURES["autoclose-"])
    return changed


def on_doubt(state: State, event: CancelRefused | Uncertain) -> None:
    order = state.mine(event.cid)
    if order is None:
        return
    state.moves += 1
    order.take(event, event.time)
    if order.status is OrderStatus.DOUBT:
        order.since = event.time
        state.doubts.add(event.cid.slot)
        if isinstance(event, Uncertain):
            state.reconcile()


# --------------------------------------------------------------------------- not our orders


def on_foreign(state: State, event: Foreign) -> None:
    if not state.ledger.is_new(event.trade) or not state.status.is_live:
        return
    if event.time < state.kept.compared:
        return  # it is in the position that the start found
    state.moves += 1
    failure = next((why for prefix, why in CLOSURES.items() if event.client_id.startswith(prefix)), None)
    if failure is not None:
        state.ledger.close(event)
        life.fail(state, failure)
        return
    books = state.ledger.books
    books.trades.add(event.trade)
    books.foreign += event.qty * event.side.sign
    values = {"side": event.side.value, "price": event.price, "qty": event.qty, "client_id": event.client_id}
    state.teller.tell(NoticeKind.FOREIGN_TRADE, f"{event.trade}", state.now, **values)
    if state.status in (Status.RUNNING, Status.STARTING) or state.is_held:
        life.pause(state, NoticeKind.FOREIGN_TRADE.value)


def on_funding(state: State, event: Funding) -> None:
    if state.ledger.pay(event):
        state.moves += 1
