"""A bot's way through its life: what commands set going, and the moves it makes by itself (product.md §3.4)."""

from __future__ import annotations

from trading.core import placing
from trading.core.lifecycle import IllegalMove, Move, Status, after
from trading.core.orders import OrderStatus
from trading.core.state import PATIENCE, State
from trading.messages import (
    Begin,
    Edit,
    Fail,
    NoticeKind,
    Pause,
    PlaceAgain,
    Reason,
    Refused,
    Reset,
    Resume,
    Start,
    Stop,
)
from trading.model import ZERO, Role

RETRY = 5_000
"""How long an order waits after a refusal that time may mend (margin, price band, an empty book), ms."""
CLOSE_TRIES = 5
"""So many closing orders in vain are told."""
_RUNNING = Status.RUNNING
# reading a member off its Enum is slow, and these are asked for at every event


def move(state: State, to: Move, reason: str = "") -> None:
    """Take one step on the table; IllegalMove, and nothing changed, where it has none."""
    state.kept.status = after(state.kept.status, to)
    state.kept.reason = reason
    state.kept.transition += 1
    state.must_commit = True


# --------------------------------------------------------------------------- beginning


def on_start(state: State, command: Start) -> None:
    assert state.strategy is not None
    kept, trigger = state.kept, state.strategy.trigger
    mid = (state.bid + state.ask) / 2
    waits = trigger is not None and mid != trigger
    move(state, Move.WAIT if waits else Move.START)
    kept.ending, kept.close = Move.STOPPED, command.close_first and bool(state.ledger.position)
    kept.first_started = kept.first_started or command.time
    kept.compared, kept.floor = command.time, state.ledger.books.floor
    state.ledger.books.foreign = ZERO
    _enter(state, command.time)
    if trigger is not None and waits:
        kept.trigger_side = 1 if mid < trigger else -1
        state.planned = 0
    else:
        _begin(state)


def _enter(state: State, time: int) -> None:
    """A run begins. A position that was kept goes on paying funding: that is counted from where it last was."""
    state.kept.started = time
    if not state.ledger.position:
        state.kept.held_from = time


def on_begin(state: State, command: Begin) -> None:
    """The plan that a Replan asked for is here."""
    if state.status is Status.WAITING:
        move(state, Move.START)
        _enter(state, command.time)
    else:
        move(state, Move.RUN)
        state.kept.close = False
    _begin(state)


def _begin(state: State) -> None:
    state.kept.trigger_side = 0
    state.beyond_since = 0
    state.is_verified = False
    state.kept.rested = None
    state.holds.release_all()
    placing.diff_all(state)


def on_fail(state: State, command: Fail) -> None:
    """The plan that a Replan asked for cannot be made."""
    ref = f"plan:{state.kept.transition}"
    state.teller.tell(NoticeKind.ERROR, ref, state.now, reason=command.reason, code="", text="")
    if state.status is Status.RESETTING:
        pause(state, "reset")
    elif state.status is Status.WAITING:
        state.kept.trigger_side = 0
        move(state, Move.STOP, command.reason)


# --------------------------------------------------------------------------- winding down


def on_stop(state: State, command: Stop) -> None:
    has_kept = state.status is Status.WAITING and bool(state.to_close)
    wind_down(state, Move.CLOSE if command.close and has_kept else Move.STOP, command.close)


def on_reset(state: State, command: Reset) -> None:
    wind_down(state, Move.RESET, command.flatten)


def wind_down(state: State, to: Move, close: bool, reason: str = "", ending: Move = Move.STOPPED) -> None:
    """Everything of ours is to go; `ending` says what the bot then is."""
    move(state, to, reason)
    state.kept.close = close
    state.kept.ending = ending
    state.kept.trigger_side = 0
    state.is_verified = False
    state.close_tries = 0
    state.asked = 0
    state.holds.release_all()
    placing.diff_all(state)


def not_closed(state: State, why: Refused) -> None:
    """A closing order was refused, or found an empty book: the next one waits; where it goes on so, it is told."""
    state.holds.put(Role.CLOSE, why.reason, why.time + RETRY)
    state.close_tries += 1
    if state.close_tries >= CLOSE_TRIES:
        state.teller.error(why)


def fail(state: State, reason: str) -> None:
    """The venue ended it: cancel what is left and be FAILED."""
    if state.status is not Status.WAITING and state.kept.ending is not Move.FAIL:
        wind_down(state, Move.STOP, False, reason, Move.FAIL)


# --------------------------------------------------------------------------- pausing, and what changes on the way


def on_pause(state: State, command: Pause) -> None:
    pause(state, command.reason)


def pause(state: State, reason: str) -> None:
    move(state, Move.PAUSE, reason)
    state.teller.tell(NoticeKind.PAUSED, str(state.kept.transition), state.now, reason=reason)
    placing.diff_all(state)


def on_resume(state: State, command: Resume) -> None:
    if state.status is Status.PAUSED and state.kept.close:
        # a reset or a start was to close what the plan knows nothing of any more: its slots must not rest again
        wind_down(state, Move.RESET, True)
        return
    resume(state)
    state.kept.resumed, state.kept.rested = command.time, None
    state.holds.release_all()
    assert state.strategy is not None
    state.strategy.obey(command)
    placing.diff_all(state)


def resume(state: State) -> None:
    move(state, Move.RESUME)
    state.teller.tell(NoticeKind.RESUMED, str(state.kept.transition), state.now)


def on_place_again(state: State, command: PlaceAgain) -> None:
    if state.strategy is not None:
        state.strategy.obey(command)
        state.must_commit = True
        placing.diff(state, (command.slot,))


def on_edit(state: State, command: Edit) -> None:
    """Other stops for the plan that runs: committed before anything is judged by them."""
    if state.status is Status.STOPPING or not state.status.is_live:
        raise IllegalMove(state.status, Move.EDIT)
    assert state.strategy is not None
    state.strategy.obey(command)
    state.beyond_since = 0
    state.must_commit = True


# --------------------------------------------------------------------------- by itself


def progress(state: State) -> None:
    """The moves a bot makes by itself: started, given up, wound down."""
    strategy = state.strategy
    if not state.is_synced or strategy is None:
        return
    status = state.kept.status
    if status is _RUNNING and not strategy.has_given_up:
        return  # nothing to do of itself: what every fill comes to
    if state.winds_down:
        if not state.orders and not state.strays:
            _wound_down(state)
    elif strategy.has_given_up and status in (Status.STARTING, Status.RUNNING):
        pause(state, Reason.INITIAL_ORDER.value)
    elif status is Status.STARTING and not strategy.is_opening:
        if any(order.status is OrderStatus.SENT for order in state.orders.values()):
            return
        move(state, Move.RUN)
        state.teller.tell(NoticeKind.STARTED, str(state.kept.transition), state.now, orders=len(state.orders))


def _wound_down(state: State) -> None:
    """No order of ours is left as far as we know: close where asked, let the venue confirm, go on."""
    if state.kept.close and state.to_close:
        if Role.CLOSE not in state.holds:
            placing.diff(state, (Role.CLOSE,))
        return
    if not state.is_verified:
        if state.now - state.asked > PATIENCE or not state.asked:
            state.reconcile()
        return
    if state.status is Status.STARTING:
        state.kept.close = False
        state.must_commit = True
        placing.diff_all(state)
    elif state.status is Status.RESETTING:
        if state.now - state.planned >= PATIENCE:
            state.replan()
    else:
        _rest(state)


def _rest(state: State) -> None:
    """Verified: nothing of ours is left."""
    kept, ledger = state.kept, state.ledger
    ending = kept.ending
    move(state, ending, kept.reason)
    kind = {Move.FINISH: NoticeKind.FINISHED, Move.FAIL: NoticeKind.FAILED}.get(ending, NoticeKind.STOPPED)
    price = state.mark or state.bid
    state.teller.tell(
        kind,
        str(kept.transition),
        state.now,
        closed=kept.close,
        reason=kept.reason,
        position=ledger.position,
        total=ledger.total(price) if price or not ledger.position else "",
    )
