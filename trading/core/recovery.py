"""The venue's whole truth taken over: cold start, reconnect and audit are this one path (architecture §5).

A Snapshot is unfolded into what was missed, by the same steps as live events; then what rests is adopted, strays of
ours are cancelled, and what is missing is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from trading.core import execution, life, placing
from trading.core.lifecycle import Status
from trading.core.orders import Order, OrderStatus
from trading.core.state import State
from trading.messages import (
    Cancel,
    Closed,
    Delisted,
    Disconnected,
    Fail,
    Filled,
    Foreign,
    Funding,
    Reason,
    Snapshot,
    Working,
)
from trading.model import ClientOrderId, OrderType, Role, Target
from trading.ports import SnapshotRequest

MARGIN = 60_000
"""How far before the last Snapshot the next one looks for orders and fundings, ms."""
LAG = 3_000
"""How long after the venue's own acknowledgement "no such order" proves nothing, ms: its reads may be behind."""
ORDERS_UNKNOWN = "orders_unknown"

Missed = Filled | Closed | Funding | Foreign
"""What a Snapshot may tell that happened unseen."""


def request(state: State) -> SnapshotRequest:
    """What a gateway must know to read a Snapshot for this bot."""
    books = state.ledger.books
    counted = {order.cid: order.executed for order in state.orders.values()}
    for cid, executed in _unremembered(state):
        counted.setdefault(cid, executed)
    kept = state.kept
    since = kept.read_from - MARGIN
    return SnapshotRequest(
        symbol=state.instrument.symbol,
        install=state.install,
        bot=state.bot,
        since_trade=books.floor,
        since_time=max(since, kept.compared),
        since_funding=max(since, kept.held_from),
        is_first=books.floor == kept.floor,
        expected=tuple(counted),
        counted={str(cid): executed for cid, executed in counted.items()},
        position=books.position + books.foreign,
        counted_trades=frozenset(books.trades),
    )


def _unremembered(state: State) -> list[tuple[ClientOrderId, Decimal]]:
    """Orders that should rest though this process did not send them, and what was counted of each before it."""
    strategy, found = state.strategy, []
    if strategy is not None and (state.is_active or (state.is_cold and state.status is not Status.WAITING)):
        # a bot that was to send nothing when it died may have died before its cancels were told
        for key in strategy.keys():
            wish = strategy.wish(key)
            if isinstance(wish, Target) and key not in state.holds:
                found.append((wish.cid, strategy.executed(key)))
    close = placing.closing(state)
    if close is not None:
        found.append((close.cid, state.kept.close_done))
    return found


def on_disconnected(state: State, event: Disconnected) -> None:
    state.is_synced = False
    state.is_verified = False


def on_delisted(state: State, event: Delisted) -> None:
    """There is nothing to cancel and nothing to verify: the bot is over, with its books as they are."""
    for key in list(state.orders):
        state.forget(key)
    state.strays.clear()
    if state.status is Status.WAITING:
        life.on_fail(state, Fail(event.time, "delisted"))
        return
    life.fail(state, "delisted")
    state.is_synced = state.is_verified = True


def on_snapshot(state: State, snap: Snapshot) -> None:
    """Unfold what was missed, adopt what rests, ask for the rest."""
    sought = {cid for cid, _ in _unremembered(state) if state.mine(cid) is None}
    _unfold(state, snap)
    resting = {each.cid: each for each in snap.orders if each.cid is not None and _is_ours(state, each.cid)}
    if _is_forgotten(state, snap, resting):
        state.is_synced = False
        life.pause(state, ORDERS_UNKNOWN)
        return
    for order in list(state.orders.values()):
        _settle(state, order, resting, snap)
    for cid, working in resting.items():
        if state.mine(cid) is None:
            _adopt(state, cid, working)
    for cid in sought - resting.keys() - snap.absent:
        _wait_for(state, cid)
    state.strays = {cid: since for cid, since in state.strays.items() if cid in resting}
    state.ledger.settle(snap.last_trade)
    state.kept.read_from = snap.time
    state.is_synced, state.is_cold = True, False
    if state.is_held:
        life.resume(state)
    state.is_verified = not resting and not state.orders
    placing.diff_all(state)


def _is_ours(state: State, cid: ClientOrderId) -> bool:
    return cid.install == state.install and cid.bot == state.bot


def _is_forgotten(state: State, snap: Snapshot, resting: Mapping[ClientOrderId, Working]) -> bool:
    """A running bot none of whose names the venue knows, not even one that it took itself: it lost its books."""
    has_trace = bool(resting or snap.fills or snap.over) or state.kept.rested not in snap.absent
    if has_trace or state.status is not Status.RUNNING or state.strategy is None:
        return False
    wanted = [wish for wish in map(state.strategy.wish, state.strategy.keys()) if isinstance(wish, Target)]
    return len(wanted) > 1 and all(wish.cid in snap.absent for wish in wanted)


# --------------------------------------------------------------------------- what was missed


def _unfold(state: State, snap: Snapshot) -> None:
    """Step through everything that was missed, in the venue's order; ends after the fills of their order."""
    last = {fill.cid: fill.time for fill in sorted(snap.fills, key=lambda fill: fill.time)}
    missed: list[tuple[int, int, int, Missed]] = [(f.time, 0, f.trade, f) for f in snap.fills]
    missed += [(max(c.time, last.get(c.cid, 0)), 1, c.cid.turn, c) for c in snap.over]
    missed += [(f.time, 2, 0, f) for f in snap.fundings]
    missed += [(f.time, 3, f.trade, f) for f in snap.foreign]
    for *_, event in sorted(missed, key=lambda row: row[:3]):
        if isinstance(event, Filled):
            execution.count(state, event)
        elif isinstance(event, Closed):
            _missed_end(state, event)
        elif isinstance(event, Funding):
            execution.on_funding(state, event)
        else:
            execution.on_foreign(state, event)


def _missed_end(state: State, event: Closed) -> None:
    order = state.mine(event.cid)
    if order is None:
        order = _as_if_watched(state, event)
    if order is not None:
        execution.end(state, order, execution.judge(state, order, event))
    elif event.cid.slot is Role.CLOSE:
        execution.next_close(state, event.cid.turn + 1)
    elif state.strategy is not None:
        state.strategy.step(event)


def _as_if_watched(state: State, event: Closed) -> Order | None:
    """The order of that name where its slot still wants it: it ended while we were dead."""
    wish = state.strategy.wish(event.cid.slot) if state.strategy is not None else None
    if not isinstance(wish, Target) or wish.cid != event.cid:
        return None
    return Order(wish.cid, wish.side, wish.price, wish.qty, wish.type, status=OrderStatus.WORKING)


# --------------------------------------------------------------------------- what rests


def _settle(state: State, order: Order, resting: Mapping[ClientOrderId, Working], snap: Snapshot) -> None:
    """What the reading says of an order that we know."""
    working = resting.get(order.cid)
    if working is not None:
        if order.status is not OrderStatus.CANCELLING:
            order.status = OrderStatus.WORKING
        order.executed, order.order_id = working.executed, working.order_id
        order.price, order.qty = working.price, working.qty  # which a hand may have changed
    elif order.cid in snap.absent and not (order.order_id and snap.time - order.since < LAG):
        state.drop(order.cid.slot)
    elif order.status not in (OrderStatus.DRAINING, OrderStatus.SENT):
        # neither resting nor over nor unknown to the venue: it changed while it was read
        order.since = state.now
        state.doubt(order)


def _wait_for(state: State, cid: ClientOrderId) -> None:
    """An order that this process did not send, is still wanted, and of which the gateway does not say that there is
    none: it is under way, sent by a session that broke."""
    assert state.strategy is not None
    wish = placing.closing(state) if cid.slot is Role.CLOSE else state.strategy.wish(cid.slot)
    if isinstance(wish, Target) and wish.cid == cid and cid.slot not in state.orders:
        state.orders[cid.slot] = Order(cid, wish.side, wish.price, wish.qty, wish.type, since=state.now)
        state.doubt(state.orders[cid.slot])


def _adopt(state: State, cid: ClientOrderId, working: Working) -> None:
    """Take up a resting order that bears its slot's present name; cancel any other as a stray."""
    wish = state.strategy.wish(cid.slot) if state.strategy is not None else None
    if isinstance(wish, Target) and wish.cid == cid and cid.slot not in state.orders:
        state.orders[cid.slot] = Order(
            cid,
            working.side,
            working.price,
            working.qty,
            OrderType.LIMIT,
            working.executed,
            OrderStatus.WORKING,
            working.order_id,
        )
        state.holds.release(cid.slot)
        state.kept.rested = cid
        return
    state.strays.setdefault(cid, state.now)
    state.intents.append(Cancel(state.instrument.symbol, cid))
    if state.strategy is not None:
        # the name is used up: the slot's next order must not bear it
        state.strategy.step(Closed(state.now, cid, Reason.CANCELLED, working.executed))
