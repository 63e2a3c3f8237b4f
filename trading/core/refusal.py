"""What a refused order leads to: wait, try again, tell, or pause where it is grave."""

from __future__ import annotations

from trading.core import life
from trading.core.life import RETRY
from trading.core.lifecycle import Status
from trading.core.orders import Order, OrderStatus
from trading.core.state import PATIENCE, State
from trading.messages import Reason, Refused
from trading.model import Role, Slot

LONG_RETRY = 60_000
"""How long after one that is the venue's rule."""


def on_refused(state: State, event: Refused) -> None:
    order = state.mine(event.cid)
    if order is None or order.status is OrderStatus.WORKING:
        return
    state.moves += 1
    key = event.cid.slot
    if event.reason is Reason.DUPLICATE:
        state.doubt(order)
        state.reconcile()
        return
    order.take(event, event.time)
    if order.status is not OrderStatus.OVER:
        # it was taken once: a refusal does not make that undone
        state.doubts.add(key)
        return
    state.forget(key)
    if event.reason is Reason.WOULD_CROSS:
        # the quote that would release it may have come before this answer
        state.holds.put(key, event.reason, event.time + RETRY)
    elif event.reason is Reason.THROTTLED:
        state.holds.put(key, event.reason, event.time + PATIENCE)
    else:
        _refused_for_good(state, key, order, event)


def _refused_for_good(state: State, key: Slot, order: Order, event: Refused) -> None:
    """A refusal that the next second will not mend."""
    state.holds.put(key, event.reason, event.time + RETRY)
    if key is Role.CLOSE:
        life.not_closed(state, event)
        state.reconcile()
    elif key is Role.OPEN:
        state.teller.error(event)
        if state.status is Status.STARTING:
            life.pause(state, Reason.INITIAL_ORDER.value)
    elif _is_grave(state, order, event):
        state.teller.error(event)
        if state.status in (Status.RUNNING, Status.STARTING):
            life.pause(state, event.reason.value)
    elif event.reason in (Reason.FILTER, Reason.REFUSED):
        state.holds.put(key, event.reason, event.time + LONG_RETRY)
        state.teller.error(event)
    else:
        state.teller.waiting(key, order, event.reason, event.time)


def _is_grave(state: State, order: Order, event: Refused) -> bool:
    """No order will be taken any more, or one that closes was not."""
    if event.reason is Reason.MARGIN and state.strategy is not None:
        return state.strategy.closes(order.cid.slot, order.side)
    return event.reason is Reason.NOT_ALLOWED
