"""What should rest, held against what works: the difference is what is asked of the venue."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from trading.core.lifecycle import Status
from trading.core.orders import Order, OrderStatus
from trading.core.state import State
from trading.messages import Cancel, Place, Reason
from trading.model import ZERO, ClientOrderId, OrderType, Role, Side, Slot, Target, TimeInForce
from trading.ports import Waits

Wish = Target | Waits | None
_WORKING = OrderStatus.WORKING
_CLOSE = Role.CLOSE
_OPEN = Role.OPEN
_GTX = TimeInForce.GTX
_BUY = Side.BUY
# reading a member off its Enum is slow, and these are asked for at every fill
_CANCEL = Cancel("", ClientOrderId("", 0, 0, 0))


def wish(state: State, key: Slot) -> Wish:
    """What should rest at `key` now, the state of the bot considered."""
    if key is _CLOSE:
        return closing(state)
    if state.strategy is None or not state.is_active:
        return None
    if key is _OPEN and state.kept.status is Status.PAUSED:
        return Waits(Reason.INITIAL_ORDER.value)
    return state.strategy.wish(key)


def closing(state: State) -> Target | None:
    """The reduce-only order that flattens, once nothing else of ours is left."""
    if not state.winds_down or not state.kept.close:
        return None
    position = state.to_close
    if not position:
        return None
    if any(key is not Role.CLOSE for key in state.orders) or state.strays:
        return None
    order = state.orders.get(Role.CLOSE)
    qty = order.qty if order is not None else abs(position)
    most = state.instrument.market_max_qty
    if most:
        qty = min(qty, most)
    side = Side.SELL if position > 0 else Side.BUY
    cid = ClientOrderId(state.install, state.bot, Role.CLOSE, state.kept.close_turn)
    return Target(cid, side, ZERO, qty, OrderType.MARKET, TimeInForce.GTC, reduce_only=True)


def diff(state: State, keys: Iterable[Slot]) -> None:
    """Ask for the difference between what should rest and what works, at `keys`."""
    if state.is_synced:
        for key in keys:
            _serve(state, key, wish(state, key))


def diff_all(state: State) -> None:
    """The same everywhere: the initial order first, then what is nearest to the price, the closing order last."""
    if not state.is_synced:
        return
    wishes = {key: wish(state, key) for key in state.strategy.keys()} if state.strategy is not None else {}
    mid = (state.bid + state.ask) / 2 if state.bid and state.ask else ZERO

    def far(key: Slot) -> Decimal:
        wanted = wishes[key]
        if not isinstance(key, int):
            return Decimal(-1)
        return abs(wanted.price - mid) if isinstance(wanted, Target) else ZERO

    unwanted = [key for key in state.orders if key not in wishes and key is not Role.CLOSE]
    for key in sorted(wishes, key=far):
        _serve(state, key, wishes[key])
    diff(state, (*unwanted, Role.CLOSE))


def _serve(state: State, key: Slot, wanted: Wish) -> None:
    order = state.orders.get(key)
    if order is None:
        if isinstance(wanted, Target) and key not in state.holds:
            _place(state, key, wanted)
    elif order.status is _WORKING and not (isinstance(wanted, Target) and order.serves(wanted)):
        order.take(_CANCEL, state.now)
        state.moves += 1
        state.intents.append(Cancel(state.instrument.symbol, order.cid))


def _place(state: State, key: Slot, target: Target) -> None:
    if target.tif is _GTX and crosses(state, target):
        state.holds.put(key, Reason.WOULD_CROSS)
        return
    cid, side, price, qty = target.cid, target.side, target.price, target.qty
    state.orders[key] = Order(cid, side, price, qty, target.type, since=state.now)
    state.moves += 1
    state.is_verified = False
    state.intents.append(
        Place(state.instrument.symbol, cid, side, target.type, target.tif, price, qty, target.reduce_only)
    )


def crosses(state: State, target: Target) -> bool:
    """Whether a post-only order would surely be refused; unknown quotes do not cross."""
    if target.side is _BUY:
        return bool(state.ask) and target.price >= state.ask
    return bool(state.bid) and target.price <= state.bid
