"""The engine where events come late, in another order, or where nobody expects them."""

from decimal import Decimal as D

import msgspec
import pytest

from tests.unit.pit import BTC, Pit, neutral, plan
from trading.core.engine import Engine
from trading.core.lifecycle import Status
from trading.core.orders import OrderStatus
from trading.messages import (
    Accepted,
    CancelRefused,
    Closed,
    Fail,
    Filled,
    Foreign,
    Mark,
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
    Start,
    Stop,
    Tick,
)
from trading.model import ClientOrderId, Direction, Role, Side


def name(slot, turn: int) -> ClientOrderId:
    return ClientOrderId("abcd", 7, slot, turn)


def filled(pit: Pit, slot, turn: int, trade: int, side: Side, price: str, qty: str, maker: bool = True) -> Filled:
    return Filled(pit.now, name(slot, turn), trade, side, D(price), D(qty), D(0), "USDT", D(1), maker)


def places(intents: list) -> list[tuple]:
    return [(i.cid.slot, i.cid.turn, i.qty) for i in intents if isinstance(i, Place)]


def closing(direction: Direction = Direction.LONG) -> Pit:
    """A bot whose closing order c.0 was sent and acknowledged, and nothing more."""
    pit = Pit(plan(direction))
    pit.start()
    pit.engine.handle(Stop(pit.now, close=True))
    for order in list(pit.engine.orders.values()):
        pit.engine.handle(Closed(pit.now, order.cid, Reason.CANCELLED, D(0)))
    pit.engine.handle(Accepted(pit.now, name(Role.CLOSE, 0), 900))
    return pit


# ------------------------------------------------------------------ closing orders


def test_what_a_closing_order_leaves_is_closed_under_the_next_name():
    pit = closing()
    pit.engine.handle(filled(pit, Role.CLOSE, 0, 9001, Side.SELL, "65000", "0.020", maker=False))
    intents = pit.engine.handle(Closed(pit.now, name(Role.CLOSE, 0), Reason.EXPIRED, D("0.020")))
    assert places(intents) == [(Role.CLOSE, 1, D("0.030"))]


def test_a_fill_of_an_earlier_closing_order_uses_up_no_later_name():
    pit = closing()
    pit.engine.handle(Closed(pit.now, name(Role.CLOSE, 0), Reason.EXPIRED, D(0)))
    pit.engine.handle(filled(pit, Role.CLOSE, 0, 9001, Side.SELL, "65000", "0.010", maker=False))
    assert pit.engine.kept.close_turn == 1
    pit.engine.handle(Tick(pit.now + 6_000))
    assert pit.engine.orders[Role.CLOSE].cid.turn == 1


def test_a_fill_of_a_forgotten_closing_order_is_not_counted_to_the_next_one():
    pit = closing()
    pit.engine.handle(filled(pit, Role.CLOSE, 3, 9001, Side.SELL, "65000", "0.010", maker=False))
    assert pit.engine.kept.close_turn == 4, "the names up to the filled one are used up"
    pit.engine.handle(filled(pit, Role.CLOSE, 0, 9002, Side.SELL, "65000", "0.010", maker=False))
    assert pit.engine.kept.close_done == 0
    assert pit.engine.ledger.position == D("0.030")


def test_a_closing_order_that_ended_unfilled_while_nobody_watched_uses_up_its_name():
    pit = Pit(plan(Direction.LONG))
    pit.start()
    pit.carry_out(pit.engine.handle(Stop(pit.now, close=True)))
    pit.broker.take()
    kept = Engine.read(pit.engine.checkpoint())
    pit.engine = Engine("abcd", 7, BTC, checkpoint=kept, strategy=pit.engine.strategy)
    snap = pit.broker.snapshot(pit.engine.request(), pit.now)
    over = (*snap.over, Closed(pit.now, name(Role.CLOSE, 0), Reason.EXPIRED, D(0)))
    intents = pit.engine.handle(msgspec.structs.replace(snap, over=over))
    assert places(intents) == [(Role.CLOSE, 1, D("0.050"))]


# ------------------------------------------------------------------ prices


def test_a_sell_that_filled_says_nothing_of_a_bid_that_nobody_knows():
    pit = Pit(neutral())
    pit.start()
    pit.handle(Quote(pit.now, D(0), D("66000.1")))
    pit.engine.handle(filled(pit, 5, 0, 9001, Side.SELL, "66000", "0.010"))
    assert (pit.engine.bid, pit.engine.ask) == (0, D("66000.1"))


def test_a_mark_beyond_the_stop_ends_nothing_before_the_bot_runs():
    pit = Pit(msgspec.structs.replace(neutral(), trigger=D(63000), stop_loss=D(58000)))
    pit.quote()
    pit.start()
    for later in (0, 5000):
        assert pit.engine.handle(Mark(pit.now + later, D(57000))) == []
    assert (pit.engine.status, pit.engine.mark) == (Status.WAITING, D(57000))


# ------------------------------------------------------------------ refusals where they change little


def test_the_rest_of_an_initial_order_that_is_refused_again_waits_and_the_bot_runs_on():
    pit = Pit(plan(Direction.LONG))
    pit.begin()
    pit.engine.handle(Start(pit.now))
    pit.snapshot(deliver=False)
    for _ in range(2):
        refused = Refused(pit.now, name(Role.OPEN, 0), Reason.MARGIN, -2019, "Margin is insufficient.")
        pit.engine.handle(refused)
        assert pit.engine.kept.reason in ("initial_order", "")
        if pit.engine.status is Status.PAUSED:
            assert places(pit.engine.handle(Resume(pit.now)))[0][:2] == (Role.OPEN, 0)
    assert pit.engine.status is Status.RUNNING
    assert pit.engine.holds.get(Role.OPEN).reason is Reason.MARGIN
    again = pit.engine.handle(Tick(pit.now + 5000))
    assert places(again) == [(Role.OPEN, 0, D("0.050"))]


def test_a_grave_refusal_leaves_a_bot_that_is_paused_already_with_its_reason():
    pit = Pit(plan(Direction.LONG))
    pit.begin()
    pit.engine.handle(Start(pit.now))
    pit.snapshot(deliver=False)
    pit.engine.handle(Refused(pit.now, name(Role.OPEN, 0), Reason.MARGIN, -2019, ""))
    pit.engine.handle(Refused(pit.now, name(2, 0), Reason.NOT_ALLOWED, -2015, "Invalid API-key"))
    assert (pit.engine.status, pit.engine.kept.reason) == (Status.PAUSED, "initial_order")
    assert [n.values["code"] for n in pit.notices if n.kind is NoticeKind.ERROR] == ["-2019", "-2015"]


def test_a_refused_cancel_of_an_order_that_waits_for_its_fills_changes_nothing():
    pit = Pit(neutral())
    pit.start()
    order = pit.engine.orders[4]
    pit.handle(Closed(pit.now, order.cid, Reason.EXPIRED, order.qty))
    assert pit.engine.handle(CancelRefused(pit.now, order.cid, -2011, "Unknown order sent.")) == []
    assert order.status is OrderStatus.DRAINING


def test_a_plan_that_fails_after_the_bot_was_stopped_is_told_and_changes_nothing():
    pit = Pit(neutral())
    pit.start()
    pit.handle(Reset(pit.now))
    pit.settle()
    pit.engine.handle(Stop(pit.now))
    before = pit.engine.status
    pit.engine.handle(Fail(pit.now, "over_balance"))
    assert pit.engine.status is before
    assert pit.engine.kept.reason == ""
    assert any(n.kind is NoticeKind.ERROR and n.values["reason"] == "over_balance" for n in pit.notices)


def test_a_reset_asks_for_its_plan_again_only_after_a_while():
    pit = Pit(neutral())
    pit.start()
    pit.handle(Reset(pit.now))
    pit.settle()
    assert pit.asked_to_plan == 1
    assert not any(isinstance(i, Replan) for i in pit.engine.handle(Tick(pit.now + 900)))
    assert any(isinstance(i, Replan) for i in pit.engine.handle(Tick(pit.now + 1000)))


# ------------------------------------------------------------------ what the venue tells unasked


def test_a_foreign_trade_while_paused_is_counted_and_told_and_the_reason_stays():
    pit = Pit(neutral())
    pit.start()
    pit.handle(Pause(pit.now))
    pit.settle()
    pit.handle(Foreign(pit.now, 31, Side.SELL, D(65000), D("0.01"), "web_1"))
    assert (pit.engine.status, pit.engine.kept.reason) == (Status.PAUSED, "asked")
    assert pit.engine.ledger.books.foreign == D("-0.01")
    assert [n.values["client_id"] for n in pit.notices if n.kind is NoticeKind.FOREIGN_TRADE] == ["web_1"]


def test_an_order_that_ends_by_liquidation_fails_the_bot_and_cancels_the_others():
    pit = Pit(neutral())
    pit.start()
    intents = pit.engine.handle(Closed(pit.now, name(4, 0), Reason.LIQUIDATED, D(0)))
    assert (pit.engine.status, pit.engine.kept.reason) == (Status.STOPPING, "liquidated")
    assert not places(intents)
    pit.engine.handle(Closed(pit.now, name(3, 0), Reason.LIQUIDATED, D(0)))
    pit.carry_out([i for i in intents if i.cid.slot not in (3, 4)])
    for slot in (3, 4):
        (order,) = (o for o in pit.resting() if o.client_id == str(name(slot, 0)))
        pit.venue.expire("me", order.order_id, "5", pit.now)
    pit.settle()
    assert (pit.engine.status, pit.engine.kept.reason) == (Status.FAILED, "liquidated")
    assert len([n for n in pit.notices if n.kind is NoticeKind.FAILED]) == 1


def test_an_order_that_neither_rests_nor_is_over_nor_unknown_is_asked_about_again():
    pit = Pit(neutral())
    pit.start()
    snap = pit.broker.snapshot(pit.engine.request(), pit.now)
    orders = tuple(w for w in snap.orders if w.cid != name(4, 0))
    assert pit.engine.handle(msgspec.structs.replace(snap, orders=orders)) == []
    assert pit.engine.orders[4].status is OrderStatus.DOUBT
    assert pit.engine.handle(Tick(pit.now + 999)) == []
    assert [type(i) for i in pit.engine.handle(Tick(pit.now + 1000))] == [Reconcile]
    pit.snapshot()
    assert pit.engine.orders[4].status is OrderStatus.WORKING


def test_a_bot_without_a_plan_cancels_what_bears_its_name_and_takes_everything_else_calmly():
    pit = Pit(neutral())
    pit.foreign_order(Side.BUY, "60500", "0.010", client_id=str(name(3, 0)))
    snap = pit.broker.snapshot(pit.engine.request(), pit.now)
    over = (Closed(pit.now, name(2, 0), Reason.EXPIRED, D(0)),)
    intents = pit.engine.handle(msgspec.structs.replace(snap, over=over))
    assert [i.cid for i in intents] == [name(3, 0)]
    assert pit.engine.handle(PlaceAgain(pit.now, 3)) == []
    assert pit.engine.handle(Tick(pit.now)) == []
    assert pit.engine.status is Status.CREATED


@pytest.mark.parametrize("side", list(Side))
def test_a_fill_learns_the_price_only_from_resting_orders(side):
    pit = Pit(neutral())
    pit.start()
    touch = pit.engine.bid, pit.engine.ask
    slot, price = (4, "64000") if side is Side.BUY else (5, "66000")
    pit.engine.handle(filled(pit, slot, 0, 9001, side, price, "0.010", maker=False))
    assert (pit.engine.bid, pit.engine.ask) == touch
