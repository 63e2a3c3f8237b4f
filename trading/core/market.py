"""What prices and the passing of time set off."""

from __future__ import annotations

from trading.core import life, placing
from trading.core.lifecycle import Move, Status
from trading.core.orders import OrderStatus
from trading.core.state import PATIENCE, State
from trading.messages import Mark, Quote, Tick
from trading.model import Slot, Target

STRAY_PATIENCE = 5 * PATIENCE
"""How long a stray may stay after its cancel before a Snapshot is asked for, ms."""


def on_quote(state: State, quote: Quote) -> None:
    """A touch that something waits for; it was seen already."""
    changed: list[Slot] = []
    if state.kept.trigger_side:
        _await_trigger(state)
    if state.strategy is not None and state.strategy.watches_quotes and state.is_active:
        changed.extend(state.strategy.step(quote))
    for key in list(state.holds.crossing):
        wanted = placing.wish(state, key)
        if not isinstance(wanted, Target) or not placing.crosses(state, wanted):
            state.holds.release(key)
            changed.append(key)
    if changed:
        placing.diff(state, changed)


def _await_trigger(state: State) -> None:
    """Ask for a plan when the price reaches the trigger from the side it was on at the start command."""
    trigger = state.strategy.trigger if state.strategy is not None else None
    if state.status is not Status.WAITING or trigger is None or state.now - state.planned < PATIENCE:
        return
    mid = (state.bid + state.ask) / 2
    if (mid - trigger) * state.kept.trigger_side >= 0:
        state.replan()


def on_mark(state: State, mark: Mark) -> None:
    """Stops are judged on the mark price: two samples beyond, a second apart."""
    state.mark = mark.price
    if state.status not in (Status.RUNNING, Status.PAUSED) or state.strategy is None:
        return
    ending = state.strategy.ending(mark.price)
    if ending is None:
        state.beyond_since = 0
    elif not state.beyond_since:
        state.beyond_since = mark.time
    if ending is not None and mark.time - state.beyond_since >= state.confirm_after:
        life.wind_down(state, Move.STOP, state.strategy.closes_on_stop, ending, Move.FINISH)


def on_tick(state: State, tick: Tick) -> None:
    """A second has passed: try again what is due, ask about what stayed unclear."""
    due = state.holds.release_due(tick.time)
    if due:
        placing.diff(state, due)
    if not state.is_synced:
        return
    late = [key for key in list(state.doubts) if _is_late(state, key)]
    strays = [cid for cid, since in state.strays.items() if tick.time - since > STRAY_PATIENCE]
    if (late or strays) and tick.time - state.asked > PATIENCE:
        state.reconcile()


def _is_late(state: State, key: Slot) -> bool:
    order = state.orders.get(key)
    if order is None or order.status not in (OrderStatus.DOUBT, OrderStatus.DRAINING):
        state.doubts.discard(key)
        return False
    return state.now - order.since >= PATIENCE
