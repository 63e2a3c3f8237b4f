"""The engine on the matching venue, without sockets: fills, counter-orders, pairs, pauses, stops, recovery."""

from decimal import Decimal as D

import pytest

from tests.unit.pit import BTC, Pit, neutral, plan
from trading.core import placing
from trading.core.engine import Engine
from trading.core.lifecycle import IllegalMove, Status
from trading.core.orders import OrderStatus
from trading.messages import (
    Accepted,
    Closed,
    Disconnected,
    Filled,
    Funding,
    NoticeKind,
    Pause,
    Place,
    PlaceAgain,
    Quote,
    Reason,
    Refused,
    Resume,
    Start,
    Stop,
    Tick,
    Uncertain,
)
from trading.model import ClientOrderId, Direction, Role, Side
from trading.strategies.grid import Grid


def test_a_neutral_grid_rests_one_order_per_slot_and_none_at_the_vacant_level():
    pit = Pit(neutral())
    pit.start()
    orders = pit.resting()
    assert len(orders) == 10
    assert {o.price for o in orders if o.side is Side.BUY} == {D(60000), D(61000), D(62000), D(63000), D(64000)}
    assert {o.price for o in orders if o.side is Side.SELL} == {D(66000), D(67000), D(68000), D(69000), D(70000)}
    assert pit.engine.status is Status.RUNNING


def test_a_filled_buy_is_answered_by_the_sell_one_level_up_and_that_by_the_buy_again():
    pit = Pit(neutral())
    pit.start()
    pit.walk("63900")
    assert sorted(o.price for o in pit.resting(Side.SELL))[0] == D(65000)
    pit.walk("65100")
    assert pit.engine.ledger.books.pairs == 1
    assert max(o.price for o in pit.resting(Side.BUY)) == D(64000)
    q = pit.plan.quantities[4]
    fees = (D(64000) + D(65000)) * q * D("0.0002")
    assert pit.engine.ledger.books.matched == D(1000) * q - fees
    pair = [n for n in pit.notices if n.kind is NoticeKind.PAIR]
    assert len(pair) == 1
    assert (pair[0].values["buy"], pair[0].values["sell"]) == ("64000.0", "65000.0")


def test_one_jump_over_ten_levels_is_ten_fills_and_ten_counter_orders():
    pit = Pit(plan(Direction.NEUTRAL, vacant=10))
    pit.start("70000")
    pit.walk("59000")
    assert pit.engine.ledger.books.fills == 10
    assert len(pit.resting(Side.SELL)) == 10
    assert pit.position() == sum(pit.plan.quantities)


@pytest.mark.parametrize(
    ("direction", "side", "key"), [(Direction.LONG, 1, Side.SELL), (Direction.SHORT, -1, Side.BUY)]
)
def test_a_directional_grid_takes_its_inventory_with_one_market_order(direction, side, key):
    pit = Pit(plan(direction))
    pit.start()
    slots = range(5, 10) if side > 0 else range(5)
    assert pit.position() == side * sum(pit.plan.quantities[i] for i in slots)
    assert len(pit.resting()) == 10
    assert len(pit.resting(key)) == 5
    names = {str(o.client_id).split(".")[2] for o in pit.venue.all_orders("me")}
    assert "o" in names


@pytest.mark.parametrize("direction", [Direction.LONG, Direction.SHORT])
def test_initial_lots_pair_with_their_real_entry(direction):
    pit = Pit(plan(direction))
    pit.start()
    pit.walk("66100" if direction is Direction.LONG else "63900")
    i = 5 if direction is Direction.LONG else 4
    q = pit.plan.quantities[i]
    exit_price = D(66000) if direction is Direction.LONG else D(64000)
    entry = pit.entry_price
    expected = abs(exit_price - entry) * q - exit_price * q * D("0.0002") - entry * q * D("0.0005")
    assert abs(pit.engine.ledger.books.matched - expected) < D("1e-8")


def test_without_the_initial_order_slots_wait_for_inventory_until_the_price_has_passed_them():
    pit = Pit(plan(Direction.LONG, initial=False))
    pit.start()
    assert pit.position() == 0
    assert len(pit.resting()) == 5
    assert pit.wait(5) == "no_inventory"
    pit.walk("66500")
    assert pit.wait(5) is None
    assert D(65000) in {o.price for o in pit.resting(Side.BUY)}


def test_a_duplicate_fill_counts_once():
    pit = Pit(neutral())
    pit.start()
    pit.walk("63900", deliver=False)
    events = pit.broker.take()
    for _, event in events + events:
        pit.handle(event)
    assert pit.engine.ledger.books.fills == 1
    pit.settle()
    pit.check()


def test_a_partial_fill_then_an_expiry_asks_for_the_rest_under_a_new_name():
    pit = Pit(neutral())
    pit.start()
    order = max(pit.resting(Side.BUY), key=lambda o: o.price)
    part = order.qty / 2
    pit.venue.set_quote("BTCUSDT", D(63999), D(9), D(64001), D(9), pit.now)
    pit.venue.print_trade("BTCUSDT", D(64000), part, True, pit.now)
    pit.settle()
    pit.venue.expire("me", order.order_id, "1", pit.now)
    pit.settle()
    again = max(pit.resting(Side.BUY), key=lambda o: o.price)
    assert again.client_id.endswith(".4.1")
    assert again.qty == order.qty - part
    pit.check()


def test_an_order_cancelled_by_somebody_else_waits_and_is_placed_when_asked():
    pit = Pit(neutral())
    pit.start()
    order = max(pit.resting(Side.BUY), key=lambda o: o.price)
    pit.venue.cancel("me", "BTCUSDT", order.order_id, None, pit.now)
    pit.settle()
    assert len(pit.resting()) == 9
    assert pit.wait(4) == "cancelled_elsewhere"
    assert any(n.kind is NoticeKind.SLOT_WAITS for n in pit.notices)
    pit.handle(PlaceAgain(pit.now, 4))
    pit.settle()
    assert len(pit.resting()) == 10


def test_three_foreign_cancels_in_a_minute_pause_the_bot():
    pit = Pit(neutral())
    pit.start()
    for order in pit.resting(Side.BUY)[:3]:
        pit.venue.cancel("me", "BTCUSDT", order.order_id, None, pit.now)
        pit.settle()
    assert pit.engine.status is Status.PAUSED
    assert pit.resting() == []
    pit.handle(Resume(pit.now))
    pit.settle()
    assert len(pit.resting()) == 10


def test_after_would_cross_a_slot_sends_the_same_order_at_the_first_quote_that_lets_it_rest():
    pit = Pit(neutral())
    pit.start()
    pit.walk("63900")
    first = [o for o in pit.venue.all_orders("me") if o.client_id.endswith(".4.1")]
    assert [o.price for o in first] == [D(65000)]
    pit.handle(Quote(pit.now, D(65500), D("65500.1")))
    engine = pit.engine
    cid = ClientOrderId("abcd", 7, 4, 2)
    engine.orders.pop(4)
    engine.strategy.state.slots[4].turn = 2
    engine.handle(Tick(pit.now))
    placing.diff(engine, (4,))
    assert 4 not in engine.orders and engine.holds.get(4).reason is Reason.WOULD_CROSS
    sent = engine.handle(Quote(pit.now + 1, D(64900), D("64900.1")))
    assert [(i.cid, i.price) for i in sent if isinstance(i, Place)] == [(cid, D(65000))]


def test_a_refused_post_only_order_keeps_its_name():
    pit = Pit(neutral())
    pit.start()
    order = pit.engine.orders[4]
    order.status = OrderStatus.SENT
    pit.handle(Refused(pit.now, order.cid, Reason.WOULD_CROSS, -5022, ""))
    assert 4 in pit.engine.holds
    sent = pit.engine.handle(Quote(pit.now + 1, D(65000), D("65000.1")))
    assert [i.cid for i in sent if isinstance(i, Place)] == [order.cid]


def test_a_margin_refusal_waits_with_its_reason_and_is_tried_again():
    pit = Pit(neutral())
    pit.start()
    order = pit.engine.orders[4]
    order.status = OrderStatus.SENT
    pit.handle(Refused(pit.now, order.cid, Reason.MARGIN, -2019, "Margin is insufficient."))
    assert pit.engine.status is Status.RUNNING
    assert pit.engine.holds.get(4).reason is Reason.MARGIN
    assert pit.engine.handle(Tick(pit.now + 1000)) == []
    sent = pit.engine.handle(Tick(pit.now + 6000))
    assert [i.cid for i in sent if isinstance(i, Place)] == [order.cid]


def test_an_uncertain_answer_is_never_sent_again_but_asked_about():
    pit = Pit(neutral())
    pit.start()
    order = pit.engine.orders[4]
    order.status = OrderStatus.SENT
    intents = pit.engine.handle(Uncertain(pit.now, order.cid))
    assert [type(i).__name__ for i in intents] == ["Reconcile"]
    assert not any(isinstance(i, Place) for i in pit.engine.handle(Tick(pit.now + 10_000)))
    pit.snapshot()
    assert pit.engine.orders[4].status is OrderStatus.WORKING


def test_an_end_that_overtakes_its_fills_waits_for_them():
    pit = Pit(neutral())
    pit.start()
    order = pit.engine.orders[4]
    pit.handle(Closed(pit.now, order.cid, Reason.EXPIRED, order.qty / 2))
    assert pit.engine.orders[4].status is OrderStatus.DRAINING
    fill = Filled(pit.now, order.cid, 9001, Side.BUY, order.price, order.qty / 2, D(0), "USDT", D(1), True)
    sent = pit.engine.handle(fill)
    assert [(i.cid.turn, i.qty) for i in sent if isinstance(i, Place)] == [(1, order.qty / 2)]


def test_a_late_fill_after_a_cancel_shrinks_what_is_asked_for():
    pit = Pit(neutral())
    pit.start()
    order = pit.engine.orders[4]
    pit.handle(Closed(pit.now, order.cid, Reason.EXPIRED, None))
    again = pit.engine.orders[4]
    assert again.cid.turn == 1
    pit.engine.handle(Accepted(pit.now, again.cid, 77))
    fill = Filled(pit.now, order.cid, 9002, Side.BUY, order.price, order.qty / 2, D(0), "USDT", D(1), True)
    kinds = [type(i).__name__ for i in pit.engine.handle(fill)]
    assert kinds == ["Cancel"]
    sent = pit.engine.handle(Closed(pit.now, again.cid, Reason.CANCELLED, D(0)))
    assert [(i.cid.turn, i.qty) for i in sent if isinstance(i, Place)] == [(2, order.qty / 2)]


def test_pause_cancels_and_keeps_the_position_and_resume_places_the_same_slots():
    pit = Pit(neutral())
    pit.start()
    pit.walk("63900")
    held = pit.position()
    before = sorted((o.side.value, o.price, o.qty) for o in pit.resting())
    pit.handle(Pause(pit.now))
    pit.settle()
    assert pit.resting() == [] and pit.position() == held
    pit.handle(Resume(pit.now))
    pit.settle()
    assert sorted((o.side.value, o.price, o.qty) for o in pit.resting()) == before
    pit.check()


@pytest.mark.parametrize("close", [False, True])
@pytest.mark.parametrize("direction", list(Direction))
def test_stop_leaves_nothing_resting_and_closes_when_asked(direction, close):
    pit = Pit(plan(direction))
    pit.start()
    pit.walk("63900")
    held = pit.position()
    pit.handle(Stop(pit.now, close))
    pit.settle()
    assert pit.engine.status is Status.STOPPED
    assert pit.resting() == []
    assert pit.position() == (0 if close else held)
    pit.check()
    stopped = [n for n in pit.notices if n.kind is NoticeKind.STOPPED]
    assert len(stopped) == 1


def test_an_illegal_command_changes_nothing():
    pit = Pit(neutral())
    pit.start()
    before = pit.engine.checkpoint()
    with pytest.raises(IllegalMove):
        pit.engine.handle(Start(pit.now))
    assert pit.engine.checkpoint() == before


def test_while_disconnected_nothing_is_sent_and_the_snapshot_catches_up():
    pit = Pit(neutral())
    pit.start()
    pit.handle(Disconnected(pit.now))
    pit.walk("62900", deliver=False)
    pit.broker.take()
    assert pit.engine.handle(Tick(pit.now)) == []
    pit.snapshot()
    pit.settle()
    assert pit.engine.ledger.books.fills == 2
    assert len(pit.resting()) == 10
    pit.check()


def test_a_restart_with_seven_fills_missed_resumes_from_the_checkpoint_without_flattening():
    pit = Pit(plan(Direction.NEUTRAL, vacant=10))
    pit.start("70000")
    saved = pit.engine.checkpoint()
    pit.walk("62900", deliver=False)
    pit.broker.take()
    pit.restart(saved)
    assert pit.engine.ledger.books.fills == 7
    assert pit.position() > 0
    assert len(pit.resting()) == 10
    pit.check()


def test_a_crash_between_the_commit_of_start_and_its_orders_places_what_is_missing():
    pit = Pit(neutral())
    pit.begin()
    pit.engine.handle(Start(pit.now))
    saved = pit.engine.checkpoint()
    pit.restart(saved)
    assert len(pit.resting()) == 10
    assert pit.engine.status is Status.RUNNING


def test_a_checkpoint_several_turns_old_follows_the_venue_and_reuses_no_name():
    pit = Pit(neutral())
    pit.start()
    saved = pit.engine.checkpoint()
    for price in ("63900", "65100", "63900", "65100", "62900"):
        pit.walk(price)
    pit.restart(saved)
    pit.check()
    assert pit.engine.ledger.books.pairs == 2
    names = [o.client_id for o in pit.venue.all_orders("me")]
    assert len(names) == len(set(names))


def test_foreign_orders_are_left_alone_and_a_foreign_trade_pauses():
    pit = Pit(neutral())
    pit.start()
    foreign = pit.foreign_order(Side.BUY, "60500", "0.01")
    pit.handle(Pause(pit.now))
    pit.settle()
    assert [o.order_id for o in pit.resting()] == [foreign.order_id]
    pit.handle(Resume(pit.now))
    pit.settle()
    pit.walk("60400")
    assert pit.engine.status is Status.PAUSED
    assert pit.engine.kept.reason == "foreign_trade"


def test_a_venue_that_forgot_everything_pauses_the_bot():
    pit = Pit(neutral())
    pit.start()
    saved = pit.engine.checkpoint()
    pit.fresh_venue()
    pit.restart(saved)
    assert pit.engine.status is Status.PAUSED
    assert pit.engine.kept.reason == "orders_unknown"
    assert pit.resting() == []


def test_a_stray_order_of_ours_is_cancelled():
    pit = Pit(neutral())
    pit.start()
    pit.foreign_order(Side.BUY, "60500", "0.01", client_id=str(ClientOrderId("abcd", 7, 3, 9)))
    pit.snapshot()
    pit.settle()
    assert len(pit.resting()) == 10
    assert not any(o.client_id.endswith(".3.9") for o in pit.resting())
    pit.check()


def test_the_initial_order_is_tried_four_times_then_the_bot_pauses_and_keeps_its_orders():
    pit = Pit(plan(Direction.LONG))
    pit.begin()
    pit.engine.handle(Start(pit.now))
    pit.snapshot(deliver=False)
    for turn in range(4):
        order = pit.engine.orders[Role.OPEN]
        assert order.cid.turn == turn
        pit.handle(Accepted(pit.now, order.cid, 500 + turn))
        pit.handle(Closed(pit.now, order.cid, Reason.EXPIRED, D(0)))
    assert pit.engine.status is Status.PAUSED
    assert pit.engine.kept.reason == "initial_order"
    assert len([k for k in pit.engine.orders if isinstance(k, int)]) == 5
    sent = pit.engine.handle(Resume(pit.now))
    assert [i.cid.turn for i in sent if isinstance(i, Place) and i.cid.slot is Role.OPEN] == [4]


def test_turns_go_on_when_a_stopped_bot_starts_again():
    pit = Pit(neutral())
    pit.start()
    pit.walk("63900")
    pit.handle(Stop(pit.now, close=True))
    pit.settle()
    pit.begin()
    pit.handle(Start(pit.now))
    pit.snapshot()
    pit.settle()
    names = [o.client_id for o in pit.venue.all_orders("me")]
    assert len(names) == len(set(names))
    assert pit.engine.status is Status.RUNNING
    assert BTC.symbol == "BTCUSDT"
    pit.check()


def test_an_initial_order_that_fills_in_parts_is_left_alone():
    pit = Pit(plan(Direction.LONG))
    pit.begin()
    pit.engine.handle(Start(pit.now))
    pit.snapshot(deliver=False)
    order = pit.engine.orders[Role.OPEN]
    pit.engine.handle(Accepted(pit.now, order.cid, 1))
    for trade in range(4):
        fill = Filled(pit.now, order.cid, trade + 1, Side.BUY, D(65000), D("0.012"), D(0), "USDT", D(1), False)
        sent = pit.engine.handle(fill)
        assert all(isinstance(i, Place) and i.side is Side.SELL for i in sent)
    assert Role.OPEN in pit.engine.orders


def test_what_was_counted_of_a_partly_filled_order_is_known_after_a_crash():
    pit = Pit(neutral())
    pit.start()
    (order,) = (o for o in pit.resting(Side.BUY) if o.price == D(64000))
    pit.venue.print_trade("BTCUSDT", D(64000), D("0.004"), True, pit.now)
    pit.settle()
    kept = Engine.read(pit.engine.checkpoint())
    again = Engine("abcd", 7, BTC, checkpoint=kept, strategy=Grid.unpack(kept.strategy, "abcd", 7))
    assert again.request().counted[order.client_id] == D("0.004")


def test_a_closing_order_that_filled_while_nobody_watched_uses_up_its_name():
    pit = Pit(neutral())
    pit.start()
    pit.walk("63900")
    intents = pit.engine.handle(Stop(pit.now, close=True))
    saved = pit.engine.checkpoint()
    pit.carry_out(intents)
    pit.settle()  # all of it happens after the last commit
    pit.restart(saved)
    assert pit.engine.status is Status.STOPPED
    assert pit.engine.kept.close_turn == 1


def test_a_closing_order_filled_in_part_before_a_crash_is_known_by_how_much():
    pit = Pit(neutral())
    pit.start()
    pit.walk("63900")
    pit.handle(Stop(pit.now, close=True))
    for _, event in pit.broker.take():
        if Role.CLOSE not in pit.engine.orders:
            pit.handle(event)
    close = pit.engine.orders[Role.CLOSE]
    pit.engine.handle(Filled(pit.now, close.cid, 99, Side.SELL, D(63900), D("0.004"), D(0), "USDT", D(1), False))
    kept = Engine.read(pit.engine.checkpoint())
    again = Engine("abcd", 7, BTC, checkpoint=kept, strategy=Grid.unpack(kept.strategy, "abcd", 7))
    assert again.request().counted[str(close.cid)] == D("0.004")


def test_a_funding_is_a_change_to_be_committed_and_one_told_twice_is_not():
    pit = Pit(neutral())
    pit.start()
    before = pit.engine.moves
    pit.handle(Funding(pit.now, D("-0.5"), "USDT"))
    assert pit.engine.moves == before + 1
    pit.handle(Funding(pit.now, D("-0.5"), "USDT"))
    assert pit.engine.moves == before + 1


@pytest.mark.parametrize("command", [Pause(1_700_000_000_000), Stop(1_700_000_000_000)])
def test_names_cancelled_before_a_crash_are_used_up_though_nobody_heard_of_it(command):
    pit = Pit(neutral())
    pit.start()
    intents = pit.engine.handle(command)
    saved = pit.engine.checkpoint()
    pit.carry_out(intents)  # every cancel arrives, and then the process dies
    pit.restart(saved)
    assert pit.resting() == []
    if pit.engine.status is Status.PAUSED:
        pit.handle(Resume(pit.now))
    else:
        assert pit.engine.status is Status.STOPPED
        pit.begin()
        pit.handle(Start(pit.now))
        pit.snapshot()
    pit.settle()
    assert len(pit.resting()) == 10
    names = [o.client_id for o in pit.venue.all_orders("me")]
    assert len(names) == len(set(names)) == 20


def test_a_paused_bot_asks_once_for_the_orders_of_before_its_crash():
    pit = Pit(neutral())
    pit.start()
    pit.handle(Pause(pit.now))
    pit.settle()
    kept = Engine.read(pit.engine.checkpoint())
    pit.engine = Engine("abcd", 7, BTC, checkpoint=kept, strategy=Grid.unpack(kept.strategy, "abcd", 7))
    assert len(pit.engine.request().expected) == 10
    pit.snapshot()
    assert pit.engine.request().expected == ()


def test_a_refusal_that_overtakes_its_quote_is_tried_again_without_another_quote():
    pit = Pit(neutral())
    pit.start()
    pit.walk("63900")
    order = pit.engine.orders[4]
    pit.venue.cancel("me", "BTCUSDT", None, str(order.cid), pit.now)
    pit.broker.take()  # as if it had never been: the venue refused it
    order.status = OrderStatus.SENT
    pit.quote()
    assert pit.engine.handle(Refused(pit.now, order.cid, Reason.WOULD_CROSS, -5022, "")) == []
    assert pit.engine.handle(Tick(pit.now + 1_000)) == []
    (again,) = pit.engine.handle(Tick(pit.now + 6_000))
    assert isinstance(again, Place) and again.cid == order.cid


def test_a_bot_whose_orders_never_arrived_is_not_forgotten_but_places_them():
    pit = Pit(neutral())
    pit.begin()
    pit.engine.handle(Start(pit.now))
    pit.snapshot(deliver=False)
    for order in list(pit.engine.orders.values()):
        pit.engine.handle(Uncertain(pit.now, order.cid))
    assert pit.engine.status is Status.RUNNING
    pit.snapshot()
    pit.settle()
    assert pit.engine.status is Status.RUNNING
    assert len(pit.resting()) == 10


def test_a_bot_whose_every_counter_order_was_lost_on_the_way_places_them_again():
    pit = Pit(plan(Direction.NEUTRAL, vacant=1, grids=2))
    pit.start()
    for price in ("60000", "70000"):
        pit.walk(price, deliver=False)
        for _, event in pit.broker.take():
            pit.engine.handle(event)  # what it asks for is lost on the way
    for _ in range(2):
        for order in list(pit.engine.orders.values()):
            pit.engine.handle(Uncertain(pit.now, order.cid))
        pit.snapshot(deliver=False)  # and lost again
    assert pit.engine.status is Status.RUNNING
    pit.restart(pit.engine.checkpoint())
    assert pit.engine.status is Status.RUNNING
    assert [(order.side, order.price) for order in pit.resting()] == [(Side.BUY, 65000)]
    assert 0 in pit.engine.holds  # its sell would cross at 70000


def test_right_after_a_resume_nothing_rests_and_nobody_is_forgotten():
    pit = Pit(neutral())
    pit.start()
    pit.handle(Pause(pit.now))
    pit.settle()
    pit.engine.handle(Resume(pit.now))
    pit.restart(pit.engine.checkpoint())
    assert pit.engine.status is Status.RUNNING
    assert len(pit.resting()) == 10
