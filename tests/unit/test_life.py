"""Triggers, stops by price, resets and restarts, on the matching venue."""

from decimal import Decimal as D

import msgspec
import pytest

from tests.unit.pit import Pit, neutral, plan
from trading.core.lifecycle import Status
from trading.core.orders import OrderStatus
from trading.core.venue import OrderRequest
from trading.messages import (
    Accepted,
    Begin,
    CancelRefused,
    Closed,
    Disconnected,
    Fail,
    Filled,
    Foreign,
    Funding,
    Mark,
    NoticeKind,
    Pause,
    Place,
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
from trading.model import Direction, OrderType, Role, Side, TimeInForce


def with_(plan_, **changes):
    return msgspec.structs.replace(plan_, **changes)


def replan(pit: Pit) -> None:
    """What a session does with a Replan."""
    pit.begin_again()
    pit.handle(Begin(pit.now))
    pit.settle()


# ------------------------------------------------------------------ trigger


@pytest.mark.parametrize(
    ("trigger", "short_of", "beyond", "vacant"),
    [("63000", "63100", "62900", 3), ("67000", "66900", "67100", 7)],
)
def test_a_waiting_bot_places_nothing_until_the_price_comes_from_its_side(trigger, short_of, beyond, vacant):
    pit = Pit(with_(neutral(), trigger=D(trigger)))
    pit.quote()
    pit.start()
    assert pit.engine.status is Status.WAITING
    assert pit.resting() == []
    pit.walk(short_of)
    assert pit.asked_to_plan == 0
    pit.walk(beyond)
    assert pit.asked_to_plan == 1
    pit.plan = plan(Direction.NEUTRAL, vacant=vacant)
    replan(pit)
    assert pit.engine.status is Status.RUNNING
    assert len(pit.resting()) == 10


def test_a_trigger_that_is_already_reached_starts_at_once():
    pit = Pit(with_(neutral(), trigger=D("65000")))
    pit.quote()
    pit.start()
    assert pit.engine.status is Status.RUNNING


def test_a_waiting_bot_survives_a_crash_with_its_side():
    pit = Pit(with_(neutral(), trigger=D("63000")))
    pit.quote()
    pit.start()
    pit.restart(pit.engine.checkpoint())
    assert pit.engine.status is Status.WAITING
    pit.walk("62900")
    assert pit.asked_to_plan == 1


def test_a_trigger_that_cannot_be_planned_ends_in_stopped_with_its_reason():
    pit = Pit(with_(neutral(), trigger=D("63000")))
    pit.quote()
    pit.start()
    pit.handle(Fail(pit.now, "over_balance"))
    assert pit.engine.status is Status.STOPPED
    assert pit.engine.kept.reason == "over_balance"
    assert pit.notices[-1].kind is NoticeKind.ERROR


# ------------------------------------------------------------------ stops


@pytest.mark.parametrize(
    ("direction", "stops", "mark", "reason"),
    [
        (Direction.LONG, {"stop_loss": "58000"}, "57999", "stop_loss"),
        (Direction.LONG, {"take_profit": "72000"}, "72000", "take_profit"),
        (Direction.SHORT, {"stop_loss": "72000"}, "72001", "stop_loss"),
        (Direction.SHORT, {"take_profit": "58000"}, "57000", "take_profit"),
        (Direction.NEUTRAL, {"stop_loss": "58000"}, "58000", "stop_loss"),
        (Direction.NEUTRAL, {"stop_loss_high": "72000"}, "72000", "stop_loss"),
    ],
)
def test_two_marks_a_second_apart_beyond_the_stop_close_everything(direction, stops, mark, reason):
    pit = Pit(with_(plan(direction), **{name: D(price) for name, price in stops.items()}))
    pit.start()
    pit.walk("63900")
    pit.handle(Mark(pit.now, D("65000")))
    pit.handle(Mark(pit.now, D(mark)))
    pit.handle(Mark(pit.now + 900, D(mark)))
    assert pit.engine.status is Status.RUNNING
    pit.handle(Mark(pit.now + 1000, D(mark)))
    pit.settle()
    assert pit.engine.status is Status.FINISHED
    assert pit.engine.kept.reason == reason
    assert pit.resting() == []
    assert pit.position() == 0
    assert pit.notices[-1].kind is NoticeKind.FINISHED
    pit.check()


def test_a_mark_that_comes_back_does_not_stop():
    pit = Pit(with_(plan(Direction.LONG), stop_loss=D(58000)))
    pit.start()
    for later, price in ((0, 57000), (500, 59000), (1000, 57000), (1900, 57000)):
        pit.handle(Mark(pit.now + later, D(price)))
    assert pit.engine.status is Status.RUNNING


def test_a_stop_may_keep_the_position():
    pit = Pit(with_(plan(Direction.LONG), stop_loss=D(58000), close_on_stop=False))
    pit.start()
    held = pit.position()
    for later in (0, 1000):
        pit.handle(Mark(pit.now + later, D(57000)))
    pit.settle()
    assert pit.engine.status is Status.FINISHED
    assert pit.position() == held


# ------------------------------------------------------------------ reset and restart


@pytest.mark.parametrize("flatten", [True, False])
@pytest.mark.parametrize("direction", list(Direction))
def test_a_reset_cancels_verifies_flattens_or_carries_and_plans_anew(direction, flatten):
    pit = Pit(plan(direction))
    pit.start()
    pit.walk("62900")
    held = pit.position()
    pit.handle(Reset(pit.now, flatten))
    pit.settle()
    assert pit.engine.status is Status.RESETTING
    assert pit.resting() == []
    assert pit.position() == (0 if flatten else held)
    assert pit.asked_to_plan == 1
    replan(pit)
    assert pit.engine.status is Status.RUNNING
    pit.quote()
    pit.settle()
    pit.check()
    names = [o.client_id for o in pit.venue.all_orders("me")]
    assert len(names) == len(set(names))


def test_a_crash_in_the_middle_of_a_reset_goes_on_from_where_it_was():
    pit = Pit(plan(Direction.LONG))
    pit.start()
    pit.engine.handle(Reset(pit.now, True))
    saved = pit.engine.checkpoint()
    pit.restart(saved)
    assert pit.engine.status is Status.RESETTING
    assert pit.position() == 0
    assert pit.asked_to_plan == 1


def test_a_fill_between_cancel_and_verify_of_a_reset_makes_no_counter_order():
    pit = Pit(neutral())
    pit.start()
    order = pit.engine.orders[4]
    pit.engine.handle(Reset(pit.now, False))
    fill = Filled(pit.now, order.cid, 501, Side.BUY, order.price, order.qty, D(0), "USDT", D(1), True)
    assert [i for i in pit.engine.handle(fill) if isinstance(i, Place)] == []
    assert pit.engine.ledger.position == order.qty


def test_a_reset_that_cannot_be_planned_pauses():
    pit = Pit(neutral())
    pit.start()
    pit.handle(Reset(pit.now, False))
    pit.settle()
    pit.handle(Fail(pit.now, "over_balance"))
    assert (pit.engine.status, pit.engine.kept.reason) == (Status.PAUSED, "reset")


def test_a_resume_goes_on_with_a_reset_that_closed_the_lots_of_its_old_plan():
    pit = Pit(plan(Direction.LONG))
    pit.start()
    pit.handle(Reset(pit.now, True))
    pit.settle()
    pit.handle(Fail(pit.now, "over_balance"))
    pit.now += 2000
    pit.handle(Resume(pit.now))
    pit.settle()
    pit.handle(Tick(pit.now))
    assert (pit.engine.status, pit.position(), pit.resting()) == (Status.RESETTING, 0, [])
    replan(pit)
    assert (pit.engine.status, pit.position()) == (Status.RUNNING, sum(pit.plan.quantities[5:]))
    pit.check()


def test_a_start_that_was_paused_before_it_had_closed_first_closes_when_it_is_resumed():
    pit = Pit(plan(Direction.LONG))
    pit.start()
    pit.handle(Stop(pit.now, False))
    pit.settle()
    pit.begin(close_first=True)
    pit.handle(Start(pit.now, close_first=True))
    pit.handle(Pause(pit.now))
    pit.handle(Resume(pit.now))
    pit.snapshot()
    pit.settle()
    assert (pit.engine.status, pit.position()) == (Status.RESETTING, 0)
    replan(pit)
    pit.check()


def test_a_start_may_close_first_what_the_last_run_left():
    pit = Pit(plan(Direction.LONG))
    pit.start()
    pit.handle(Stop(pit.now, False))
    pit.settle()
    assert pit.position() > 0
    pit.begin(close_first=True)
    pit.handle(Start(pit.now, close_first=True))
    pit.snapshot()
    pit.settle()
    pit.handle(Tick(pit.now + 2000))
    pit.settle()
    assert pit.engine.status is Status.RUNNING
    assert len([o for o in pit.venue.all_orders("me") if ".c." in o.client_id]) == 1
    assert pit.position() == sum(pit.plan.quantities[5:])
    pit.check()


def test_kept_lots_are_carried_and_only_what_is_missing_is_bought():
    pit = Pit(plan(Direction.LONG))
    pit.start()
    pit.walk("66100")
    pit.handle(Stop(pit.now, False))
    pit.settle()
    kept = pit.position()
    pit.walk("65000")
    pit.begin()
    pit.handle(Start(pit.now))
    pit.snapshot()
    pit.settle()
    bought = [o for o in pit.venue.all_orders("me") if ".o." in o.client_id]
    assert bought[-1].qty == sum(pit.plan.quantities[5:]) - kept
    assert len(pit.resting()) == 10
    pit.check()


# ------------------------------------------------------------------ refusals, doubts, foreign things


def refused(pit: Pit, key, reason: Reason, code: int = -1) -> list:
    order = pit.engine.orders[key]
    order.status = OrderStatus.SENT
    return pit.engine.handle(Refused(pit.now, order.cid, reason, code, "why"))


def test_a_margin_refusal_of_an_order_that_closes_pauses_the_bot():
    pit = Pit(neutral())
    pit.start()
    pit.walk("63900")
    refused(pit, 4, Reason.MARGIN, -2019)
    assert (pit.engine.status, pit.engine.kept.reason) == (Status.PAUSED, "margin")
    assert any(n.kind is NoticeKind.ERROR for n in pit.notices)


def test_an_order_that_is_not_allowed_pauses_the_bot():
    pit = Pit(neutral())
    pit.start()
    refused(pit, 2, Reason.NOT_ALLOWED, -2015)
    assert pit.engine.status is Status.PAUSED


def test_a_filter_refusal_is_told_and_waits_a_minute():
    pit = Pit(neutral())
    pit.start()
    refused(pit, 2, Reason.FILTER, -4014)
    assert pit.engine.status is Status.RUNNING
    assert pit.notices[-1].values["code"] == "-4014"
    assert pit.engine.handle(Tick(pit.now + 59_000)) == []
    assert len(pit.engine.handle(Tick(pit.now + 61_000))) == 1


def test_a_throttled_order_is_sent_again_as_it_is():
    pit = Pit(neutral())
    pit.start()
    name = pit.engine.orders[2].cid
    refused(pit, 2, Reason.THROTTLED)
    sent = pit.engine.handle(Tick(pit.now + 1000))
    assert [i.cid for i in sent] == [name]


def test_a_duplicate_name_is_asked_about():
    pit = Pit(neutral())
    pit.start()
    intents = refused(pit, 2, Reason.DUPLICATE, -4116)
    assert [type(i) for i in intents] == [Reconcile]
    pit.snapshot()
    assert pit.engine.orders[2].status is OrderStatus.WORKING


def test_a_refused_initial_order_pauses_and_keeps_the_resting_orders():
    pit = Pit(plan(Direction.LONG))
    pit.begin()
    pit.engine.handle(Start(pit.now))
    pit.snapshot(deliver=False)
    refused(pit, Role.OPEN, Reason.MARGIN, -2019)
    assert (pit.engine.status, pit.engine.kept.reason) == (Status.PAUSED, "initial_order")
    assert not any(isinstance(i, Place) for i in pit.engine.handle(Tick(pit.now + 60_000)))
    assert len(pit.engine.orders) == 5


def test_resume_may_start_the_slots_without_inventory():
    pit = Pit(plan(Direction.LONG))
    pit.begin()
    pit.engine.handle(Start(pit.now))
    pit.snapshot(deliver=False)
    refused(pit, Role.OPEN, Reason.MARGIN, -2019)
    pit.handle(Resume(pit.now, skip_initial=True))
    assert pit.wait(5) == "no_inventory"
    assert Role.OPEN not in pit.engine.orders


def test_a_cancel_that_is_refused_asks_once_it_stays_unclear():
    pit = Pit(neutral())
    pit.start()
    order = pit.engine.orders[4]
    pit.engine.handle(Pause(pit.now))
    assert order.status is OrderStatus.CANCELLING
    pit.engine.handle(CancelRefused(pit.now, order.cid, -2011, "Unknown order sent."))
    assert pit.engine.handle(Tick(pit.now + 500)) == []
    assert [type(i) for i in pit.engine.handle(Tick(pit.now + 2000))] == [Reconcile]


def test_a_close_that_is_refused_again_and_again_is_told():
    pit = Pit(plan(Direction.LONG))
    pit.start()
    pit.engine.handle(Stop(pit.now, True))
    for key in list(pit.engine.orders):
        pit.engine.handle(Closed(pit.now, pit.engine.orders[key].cid, Reason.CANCELLED, D(0)))
    for turn in range(5):
        pit.engine.handle(Tick(pit.now + turn * 6000))
        close = pit.engine.orders[Role.CLOSE]
        pit.engine.handle(Refused(pit.now + turn * 6000, close.cid, Reason.REDUCE_ONLY, -2022, "no"))
    assert pit.notices[-1].kind is NoticeKind.ERROR
    assert pit.engine.status is Status.STOPPING


def test_closing_orders_that_find_nobody_are_not_sent_without_end():
    pit = Pit(plan(Direction.LONG))
    pit.start()
    sent = []
    pit.carry_out(pit.engine.handle(Stop(pit.now, close=True)))
    for _, event in pit.broker.take():
        sent += pit.engine.handle(event)
    for second in range(25):
        orders = [intent for intent in sent if isinstance(intent, Place)]
        if len(orders) > second // 5:
            assert pit.engine.handle(Closed(pit.now, orders[-1].cid, Reason.EXPIRED, D(0))) == []
        pit.now += 1_000
        sent += pit.engine.handle(Tick(pit.now))
    assert [intent.cid.turn for intent in sent if isinstance(intent, Place)] == [0, 1, 2, 3, 4, 5]
    assert [n.values["reason"] for n in pit.notices if n.kind is NoticeKind.ERROR] == ["expired"]


def test_foreign_trades_count_once_and_only_while_live():
    pit = Pit(neutral())
    trade = Foreign(pit.now, 3, Side.BUY, D(65000), D("0.01"), "web_1")
    pit.handle(trade)
    assert pit.engine.ledger.books.foreign == 0
    pit.start()
    pit.handle(trade)
    pit.handle(trade)
    assert pit.engine.ledger.books.foreign == D("0.01")


def test_funding_is_booked_from_stream_and_snapshot_once():
    pit = Pit(plan(Direction.LONG))
    pit.start()
    pit.venue.settle_funding("BTCUSDT", D("0.0001"), pit.now + 10)
    for _, event in pit.broker.take():
        assert isinstance(event, Funding)
        pit.handle(event)
    pit.snapshot()
    assert pit.engine.ledger.books.funding < 0
    pit.check()


def stopped_with_lots() -> Pit:
    pit = Pit(plan(Direction.LONG))
    pit.start()
    pit.handle(Stop(pit.now, False))
    pit.settle()
    assert (pit.engine.status, pit.position() > 0) == (Status.STOPPED, True)
    return pit


def settled_unheard(pit: Pit) -> D:
    """A funding that nobody hears of, a day later; what it was."""
    pit.now += 86_400_000
    pit.venue.settle_funding("BTCUSDT", D("0.0001"), pit.now)
    pit.broker.take()
    pit.now += 86_400_000
    return pit.venue.income("me")[-1].amount


def by_hand(pit: Pit, side: Side) -> None:
    """Somebody trades while the bot is stopped."""
    request = OrderRequest("BTCUSDT", side, OrderType.MARKET, D("0.01"), tif=TimeInForce.GTC, client_id=f"web_{side}")
    pit.venue.place("me", request, pit.now)
    pit.broker.take()


@pytest.mark.parametrize("close_first", [False, True])
def test_funding_of_lots_that_a_stopped_bot_kept_is_booked_when_it_starts_again(close_first):
    pit = stopped_with_lots()
    paid = settled_unheard(pit)
    pit.begin(close_first)
    pit.handle(Start(pit.now, close_first))
    pit.snapshot()
    pit.settle()
    pit.snapshot()
    assert pit.engine.ledger.books.funding == paid < 0
    pit.check()


def test_funding_of_kept_lots_is_booked_though_the_bot_waits_for_its_trigger():
    pit = stopped_with_lots()
    paid = settled_unheard(pit)
    pit.plan = with_(pit.plan, trigger=D("63000"))
    pit.begin()
    pit.handle(Start(pit.now))
    again = settled_unheard(pit)
    assert pit.engine.status is Status.WAITING
    pit.plan = with_(pit.plan, trigger=None)
    pit.begin_again()
    pit.handle(Begin(pit.now))
    pit.snapshot()
    pit.settle()
    assert pit.engine.ledger.books.funding == paid + again
    pit.check()


def test_funding_from_before_a_start_without_a_position_is_somebody_elses():
    pit = stopped_with_lots()
    pit.begin()
    pit.handle(Start(pit.now))
    pit.snapshot()
    pit.handle(Stop(pit.now, close=True))
    pit.settle()
    assert (pit.engine.status, pit.position()) == (Status.STOPPED, 0)
    by_hand(pit, Side.BUY)
    assert settled_unheard(pit) < 0
    by_hand(pit, Side.SELL)
    before = pit.engine.ledger.books.funding
    pit.begin()
    pit.handle(Start(pit.now))
    pit.snapshot()
    assert pit.engine.ledger.books.funding == before


def test_late_answers_of_orders_that_are_over_change_nothing():
    pit = Pit(neutral())
    pit.start()
    old = pit.engine.orders[4].cid
    pit.walk("63900")
    before = pit.engine.checkpoint()
    for event in (
        Accepted(pit.now, old, 9),
        Closed(pit.now, old, Reason.CANCELLED, D(0)),
        Refused(pit.now, old, Reason.MARGIN),
        CancelRefused(pit.now, old),
    ):
        assert pit.engine.handle(event) == []
    assert pit.engine.checkpoint() == before


def test_quotes_while_disconnected_place_nothing():
    pit = Pit(neutral())
    pit.start()
    refused(pit, 4, Reason.WOULD_CROSS)
    pit.engine.handle(Disconnected(pit.now))
    assert pit.engine.handle(Quote(pit.now, D(65000), D("65000.1"))) == []


def test_reads_that_agree_again_resume_a_bot_that_paused_for_them():
    pit = Pit(neutral())
    pit.start()
    pit.engine.is_synced = False
    pit.handle(Pause(pit.now, "reads_disagree"))
    assert len(pit.resting()) == 10
    pit.snapshot()
    assert pit.engine.status is Status.RUNNING


def test_a_plan_is_asked_for_once_a_second_at_most():
    pit = Pit(with_(neutral(), trigger=D("63000")))
    pit.quote()
    pit.start()
    low = Quote(pit.now + 5000, D(62000), D(62001))
    assert [type(i) for i in pit.engine.handle(low)] == [Replan]
    assert pit.engine.handle(low) == []


def test_a_trigger_of_the_next_run_does_not_wait_for_the_plan_of_the_last():
    pit = Pit(with_(neutral(), trigger=D("63000")))
    pit.quote()
    pit.start()
    low, high = Quote(pit.now + 5000, D(62000), D(62001)), Quote(pit.now + 5001, D(65000), D(65001))
    assert [type(i) for i in pit.engine.handle(low)] == [Replan]
    pit.engine.handle(Stop(pit.now + 5001))
    pit.begin()
    pit.engine.handle(high)
    pit.engine.handle(Start(pit.now + 5002))
    assert [type(i) for i in pit.engine.handle(Quote(pit.now + 5003, D(62000), D(62001)))] == [Replan]
