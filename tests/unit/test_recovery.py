"""What a Snapshot, a hand on the exchange and names from elsewhere bring to a bot."""

from decimal import Decimal as D

import msgspec
import pytest

from tests.unit.pit import BTC, Pit, neutral, plan
from trading.core.engine import Engine
from trading.core.lifecycle import LIVE, IllegalMove, Status
from trading.core.orders import OrderStatus
from trading.core.venue import OrderRequest
from trading.messages import (
    Accepted,
    Begin,
    Delisted,
    Disconnected,
    Edit,
    Filled,
    Foreign,
    NoticeKind,
    Pause,
    Place,
    PlaceAgain,
    Reason,
    Reconcile,
    Refused,
    Reset,
    Resume,
    Start,
    Stop,
    Tick,
    Uncertain,
)
from trading.model import ClientOrderId, Direction, OrderType, Role, Side, TimeInForce
from trading.strategies.grid import Grid


def filled(pit: Pit, slot, turn: int, trade: int, side: Side, price: str) -> Filled:
    cid = ClientOrderId("abcd", 7, slot, turn)
    return Filled(pit.now, cid, trade, side, D(price), D("0.010"), D(0), "USDT", D(1), True)


def trade_by_hand(pit: Pit, side: Side, qty: str, name: str = "web_1") -> None:
    request = OrderRequest("BTCUSDT", side, OrderType.MARKET, D(qty), tif=TimeInForce.GTC, client_id=name)
    pit.venue.place("me", request, pit.now)


# ------------------------------------------------------------------ every completed order is told, every pair counted


def test_a_pair_counts_though_its_order_left_the_window_while_it_filled():
    pit = Pit(msgspec.structs.replace(neutral(), max_open_orders=4))
    pit.start()
    pit.engine.handle(filled(pit, 4, 0, 9001, Side.BUY, "64000"))
    assert pit.engine.orders[4].side is Side.SELL
    pit.engine.strategy.state.low = 0  # the price ran away: slot 4 may rest no order any more
    assert pit.wait(4) == "order_limit"
    pit.engine.handle(filled(pit, 4, 1, 9002, Side.SELL, "65000"))
    assert pit.engine.ledger.books.pairs == 1
    assert [n.values["slot"] for n in pit.notices if n.kind is NoticeKind.PAIR] == ["4"]


def test_a_fill_is_told_though_its_order_would_not_be_placed_any_more():
    pit = Pit(msgspec.structs.replace(neutral(), max_position=D(1_000)))
    pit.start()
    pit.engine.handle(filled(pit, 4, 0, 9001, Side.BUY, "64000"))
    assert pit.wait(3) == "max_position"
    pit.engine.handle(filled(pit, 3, 0, 9002, Side.BUY, "63000"))
    assert [n.values["slot"] for n in pit.notices if n.kind is NoticeKind.FILL] == ["4", "3"]


def test_a_fill_of_a_turn_that_nobody_remembers_is_told_and_completes_its_pair():
    pit = Pit(neutral())
    pit.start()
    pit.engine.handle(filled(pit, 4, 3, 9001, Side.BUY, "64000"))
    pit.engine.handle(filled(pit, 4, 4, 9002, Side.SELL, "65000"))
    assert [n.kind for n in pit.notices if n.values.get("slot") == "4"] == [NoticeKind.FILL, NoticeKind.PAIR]


# ------------------------------------------------------------------ names of slots that the plan does not have


@pytest.mark.parametrize("slot", [10, 99, -1])
def test_a_stray_of_a_slot_that_the_grid_does_not_have_is_cancelled(slot):
    pit = Pit(neutral())
    pit.start()
    pit.foreign_order(Side.BUY, "60500", "0.01", client_id=str(ClientOrderId("abcd", 7, slot, 0)))
    pit.snapshot()
    pit.settle()
    assert len(pit.resting()) == 10
    assert pit.engine.handle(PlaceAgain(pit.now, slot)) == []
    pit.check()


@pytest.mark.parametrize("slot", [10, -1])
def test_a_fill_of_a_slot_that_the_grid_does_not_have_is_booked(slot):
    pit = Pit(neutral())
    pit.start()
    assert pit.engine.handle(filled(pit, slot, 0, 9001, Side.BUY, "64000")) == []
    assert pit.engine.ledger.position == D("0.010")


# ------------------------------------------------------------------ commands out of turn


def in_status(status: Status) -> Pit:
    pit = Pit(msgspec.structs.replace(neutral(), trigger=D(63000)) if status is Status.WAITING else neutral())
    pit.quote()
    if status is Status.CREATED:
        pit.begin()
        return pit
    pit.start()
    if status is Status.PAUSED:
        pit.handle(Pause(pit.now))
    elif status is Status.RESETTING:
        pit.engine.handle(Reset(pit.now, flatten=True))
    elif status in (Status.STOPPING, Status.STOPPED):
        intents = pit.engine.handle(Stop(pit.now, close=True))
        if status is Status.STOPPED:
            pit.carry_out(intents)
            pit.settle()
    assert pit.engine.status is status
    return pit


@pytest.mark.parametrize(
    "status", [Status.CREATED, *sorted(LIVE - {Status.STARTING}, key=lambda s: s.value), Status.STOPPED]
)
def test_a_command_out_of_turn_changes_nothing_at_all(status):
    later = 1_700_000_999_000
    for command in (Start(later, True), Begin(later), Stop(later, True), Pause(later), Resume(later), Reset(later)):
        pit = in_status(status)
        before = pit.engine.checkpoint()
        try:
            pit.engine.handle(command)
        except IllegalMove:
            assert pit.engine.checkpoint() == before, command
    if not status.is_live:
        with pytest.raises(IllegalMove):
            in_status(status).engine.handle(Edit(later, stop_loss=D(50000)))


# ------------------------------------------------------------------ answers that contradict what is known


@pytest.mark.parametrize("status", [OrderStatus.CANCELLING, OrderStatus.DRAINING])
def test_a_refusal_of_an_order_that_was_accepted_does_not_make_it_forgotten(status):
    pit = Pit(neutral())
    pit.start()
    order = pit.engine.orders[4]
    order.status = status
    pit.engine.handle(Refused(pit.now, order.cid, Reason.MARGIN, -2019, "Margin is insufficient."))
    assert pit.engine.orders[4] is order
    assert 4 not in pit.engine.holds
    if status is OrderStatus.CANCELLING:
        assert [type(i) for i in pit.engine.handle(Tick(pit.now + 1000))] == [Reconcile]


# ------------------------------------------------------------------ a person's hand on the exchange


def held(pit: Pit) -> None:
    """Readings disagreed: the bot says that it is paused, and its orders rest."""
    pit.start()
    pit.engine.is_synced = False
    pit.handle(Pause(pit.now, "reads_disagree"))
    assert len(pit.resting()) == 10
    pit.now += 5_000


@pytest.mark.parametrize(("cancelled", "status"), [(1, Status.RUNNING), (3, Status.PAUSED)])
def test_what_a_person_cancels_while_readings_disagree_is_not_placed_again(cancelled, status):
    pit = Pit(neutral())
    held(pit)
    for order in pit.resting()[:cancelled]:
        pit.venue.cancel("me", BTC.symbol, order.order_id, None, pit.now)
    pit.broker.take()
    pit.snapshot()
    pit.settle()
    assert pit.engine.status is status
    assert len(pit.resting()) == (10 - cancelled if status is Status.RUNNING else 0)
    if status is Status.PAUSED:
        assert pit.engine.kept.reason == "cancelled_elsewhere"


def test_a_trade_by_hand_while_readings_disagree_pauses_for_itself():
    pit = Pit(neutral())
    held(pit)
    trade_by_hand(pit, Side.BUY, "0.010")
    pit.broker.take()
    pit.snapshot()
    pit.settle()
    assert (pit.engine.status, pit.engine.kept.reason, pit.resting()) == (Status.PAUSED, "foreign_trade", [])


def change_by_hand(pit: Pit, slot: int, price: str, qty: str) -> None:
    order = next(each for each in pit.resting() if each.client_id == str(pit.engine.orders[slot].cid))
    pit.venue.amend("me", BTC.symbol, order.order_id, None, order.side, D(price), D(qty), pit.now)


@pytest.mark.parametrize("is_told", [True, False])
@pytest.mark.parametrize(("price", "qty"), [("64000", "0.005"), ("63500", "0.010"), ("64000", "0.020")])
def test_an_order_that_a_hand_changed_is_put_right(is_told, price, qty):
    pit = Pit(neutral())
    pit.start()
    change_by_hand(pit, 4, price, qty)
    if not is_told:
        pit.broker.take()
        pit.snapshot()
    pit.settle()
    resting = {each.client_id: (each.price, each.qty) for each in pit.resting()}
    assert resting["tabcd.7.4.1"] == (D(64000), D("0.010"))
    assert len(resting) == 10
    pit.check()


@pytest.mark.parametrize("is_told", [True, False])
@pytest.mark.parametrize("dies", [False, True])
def test_an_order_that_a_hand_made_smaller_and_that_filled_is_made_up_for(is_told, dies):
    pit = Pit(neutral())
    pit.start()
    saved = pit.engine.checkpoint()
    change_by_hand(pit, 4, "64000", "0.005")
    pit.venue.reach(BTC.symbol, D("63900"), pit.now)
    if not is_told:
        pit.broker.take()
    if dies:
        pit.restart(saved)
    else:
        pit.snapshot()
    pit.settle()
    pit.walk("64500")
    resting = {each.client_id: each.qty for each in pit.resting()}
    assert resting["tabcd.7.4.1"] == D("0.005"), "what is missing of the lot"
    pit.check()


def test_an_order_that_a_hand_made_smaller_and_that_fills_while_it_is_cancelled_leaves_its_name_used():
    pit = Pit(neutral())
    pit.start()
    change_by_hand(pit, 4, "64000", "0.005")
    pit.broker.take()
    snap = pit.broker.snapshot(pit.engine.request(), pit.now)
    cancels = pit.engine.handle(snap)
    assert [i.cid.slot for i in cancels] == [4]
    pit.venue.reach(BTC.symbol, D("63900"), pit.now)
    pit.carry_out(cancels)
    pit.settle()
    pit.walk("64500")
    assert {each.client_id: each.qty for each in pit.resting()}["tabcd.7.4.1"] == D("0.005")
    names = [each.client_id for each in pit.venue.all_orders("me")]
    assert len(names) == len(set(names))
    pit.check()


def test_trades_of_others_that_the_venue_has_forgotten_by_the_next_start_are_not_missed():
    pit = Pit(neutral())
    pit.start()
    pit.walk("63900")
    pit.handle(Stop(pit.now, close=True))
    pit.settle()
    for side in (Side.BUY, Side.SELL):
        pit.now += 1000
        trade_by_hand(pit, side, "0.010", f"web_{side.value}")
    pit.broker.take()
    pit.walk("65000")
    pit.now += 120 * 86_400_000
    pit.begin()
    pit.engine.handle(Start(pit.now))
    asked = pit.engine.request()
    assert asked.is_first
    assert asked.since_trade > 0
    snap = pit.broker.snapshot(asked, pit.now)
    assert (snap.foreign, pit.engine.ledger.books.foreign) == ((), 0)
    pit.quote()
    pit.carry_out(pit.engine.handle(snap))
    pit.settle()
    pit.walk("63900")
    pit.snapshot()
    assert not pit.engine.request().is_first, "a trade of this run is settled"
    assert pit.engine.status is Status.RUNNING
    assert pit.engine.ledger.position == pit.position() == D("0.010")


def test_a_trade_by_hand_from_before_the_start_that_is_told_late_is_in_the_position_already():
    pit = Pit(neutral())
    pit.start()
    pit.handle(Foreign(pit.engine.kept.compared - 1, 9001, Side.BUY, D(65000), D("0.01"), "web_1"))
    assert (pit.engine.status, pit.engine.ledger.books.foreign) == (Status.RUNNING, 0)


def test_an_order_that_was_acknowledged_a_moment_ago_is_not_believed_to_be_unknown():
    pit = Pit(neutral())
    pit.start()
    order = pit.engine.orders[4]
    for later, intent in ((0, None), (4_000, Place)):
        pit.now += later
        snap = pit.broker.snapshot(pit.engine.request(), pit.now)
        resting = tuple(each for each in snap.orders if each.cid != order.cid)
        snap = msgspec.structs.replace(snap, orders=resting, absent=frozenset({order.cid}))
        found = [type(each) for each in pit.engine.handle(snap)]
        assert found == ([intent] if intent else [])


@pytest.mark.parametrize("status", sorted(LIVE - {Status.STARTING}, key=lambda s: s.value))
def test_a_bot_whose_instrument_is_listed_no_more_is_over(status):
    pit = in_status(status)
    pit.notices.clear()
    pit.engine.handle(Disconnected(pit.now))
    assert pit.engine.handle(Delisted(pit.now)) == []
    assert pit.engine.status is (Status.STOPPED if status is Status.WAITING else Status.FAILED)
    assert (pit.engine.kept.reason, pit.engine.orders) == ("delisted", {})
    told = NoticeKind.ERROR if status is Status.WAITING else NoticeKind.FAILED
    assert [(n.kind, n.values["reason"]) for n in pit.notices] == [(told, "delisted")]


def test_what_a_broken_session_left_under_way_is_waited_for():
    pit = Pit(neutral())
    pit.start()
    kept = Engine.read(pit.engine.checkpoint())
    cid = pit.engine.orders[4].cid
    pit.engine = Engine("abcd", 7, BTC, checkpoint=kept, strategy=Grid.unpack(kept.strategy, "abcd", 7))
    snap = pit.broker.snapshot(pit.engine.request(), pit.now)
    orders = tuple(each for each in snap.orders if each.cid != cid)
    assert pit.engine.handle(msgspec.structs.replace(snap, orders=orders)) == []
    assert pit.engine.orders[4].status is OrderStatus.DOUBT
    pit.handle(Tick(pit.now + 2_000))
    assert pit.engine.orders[4].status is OrderStatus.WORKING


@pytest.mark.parametrize(("by_hand", "closed"), [("0.050", "0"), ("0.070", "0"), ("0.020", "0.030")])
def test_a_stop_closes_only_what_a_person_left_to_close(by_hand, closed):
    pit = Pit(plan(Direction.LONG))
    pit.start()
    trade_by_hand(pit, Side.SELL, by_hand)
    pit.settle()
    assert (pit.engine.status, pit.engine.kept.reason) == (Status.PAUSED, "foreign_trade")
    pit.handle(Stop(pit.now, close=True))
    pit.settle()
    for later in range(1, 4):
        pit.handle(Tick(pit.now + 6000 * later))
        pit.settle()
    assert pit.engine.status is Status.STOPPED
    assert pit.position() == min(D(0), D("0.050") - D(by_hand))
    traded = [o.executed for o in pit.venue.all_orders("me") if ".c." in o.client_id]
    assert sum(traded) == D(closed)


def started_again(pit: Pit, *names: str) -> None:
    """The bot is stopped, somebody buys and sells under these names, and it starts again."""
    pit.start()
    pit.walk("63900")
    pit.handle(Stop(pit.now, close=True))
    pit.settle()
    for side, name in zip((Side.BUY, Side.SELL), names, strict=True):
        pit.now += 1000
        trade_by_hand(pit, side, "0.010", name)
        pit.settle()
    pit.walk("65000")
    pit.now += 60_000
    pit.begin()
    pit.handle(Start(pit.now))
    pit.snapshot()
    pit.settle()


@pytest.mark.parametrize("name", ["web_2", "autoclose-1"])
def test_what_happened_on_the_exchange_while_a_bot_was_stopped_is_not_its_business(name):
    pit = Pit(neutral())
    started_again(pit, "web_1", name)
    assert pit.engine.status is Status.RUNNING
    assert not [n for n in pit.notices if n.kind is NoticeKind.FOREIGN_TRADE]
    assert (pit.engine.ledger.position, pit.engine.ledger.books.foreign) == (0, 0)


def test_what_a_person_took_back_while_the_bot_was_stopped_is_counted():
    pit = Pit(neutral())
    pit.start()
    pit.walk("63900")
    trade_by_hand(pit, Side.BUY, "0.020")
    pit.settle()
    assert pit.engine.ledger.books.foreign == D("0.020")
    pit.handle(Stop(pit.now, close=True))
    pit.settle()
    assert pit.position() == D("0.020")
    pit.now += 1000
    trade_by_hand(pit, Side.SELL, "0.020", "web_2")
    pit.settle()
    pit.walk("65000")
    pit.begin()
    pit.handle(Start(pit.now))
    pit.snapshot()
    pit.settle()
    assert pit.engine.status is Status.RUNNING
    assert pit.engine.ledger.books.foreign == 0


# ------------------------------------------------------------------ waiting with kept lots


def waiting_with_lots() -> Pit:
    pit = Pit(plan(Direction.LONG))
    pit.start()
    pit.handle(Stop(pit.now))
    pit.settle()
    pit.plan = msgspec.structs.replace(pit.plan, trigger=D(63000))
    pit.begin()
    pit.quote()
    pit.handle(Start(pit.now))
    pit.snapshot()
    assert pit.engine.status is Status.WAITING
    assert pit.position() > 0
    return pit


def test_a_stop_that_keeps_ends_a_waiting_bot_at_once():
    pit = waiting_with_lots()
    assert pit.engine.handle(Stop(pit.now)) == []
    assert pit.engine.status is Status.STOPPED
    assert pit.position() > 0


def test_a_stop_that_closes_closes_what_a_waiting_bot_kept():
    pit = waiting_with_lots()
    sent = pit.engine.handle(Stop(pit.now, close=True))
    assert [i.cid.slot for i in sent if isinstance(i, Place)] == [Role.CLOSE]
    pit.carry_out(sent)
    pit.settle()
    assert pit.engine.status is Status.STOPPED
    assert pit.position() == 0
    pit.check()


# ------------------------------------------------------------------ doubts that pass


def test_an_acceptance_that_comes_after_the_doubt_settles_it():
    pit = Pit(neutral())
    pit.start()
    order = pit.engine.orders[4]
    order.status = OrderStatus.SENT
    pit.engine.handle(Uncertain(pit.now, order.cid))
    pit.engine.handle(Accepted(pit.now, order.cid, 9))
    assert pit.engine.handle(Tick(pit.now + 5000)) == []
    assert pit.engine.doubts == set()


def test_an_acceptance_that_comes_after_the_cancel_changes_nothing():
    pit = Pit(neutral())
    pit.start()
    order = pit.engine.orders[4]
    pit.engine.handle(Pause(pit.now))
    assert pit.engine.handle(Accepted(pit.now, order.cid, 9)) == []
    assert order.status is OrderStatus.CANCELLING


def test_an_order_on_its_way_while_the_venue_was_read_is_left_alone():
    pit = Pit(neutral())
    pit.begin()
    pit.engine.handle(Start(pit.now))
    pit.snapshot(deliver=False)
    snap = pit.broker.snapshot(pit.engine.request(), pit.now)
    assert pit.engine.handle(msgspec.structs.replace(snap, absent=frozenset())) == []
    assert {order.status for order in pit.engine.orders.values()} == {OrderStatus.SENT}


def test_an_order_that_ended_while_the_line_was_down_is_asked_for_again_under_its_next_name():
    pit = Pit(neutral())
    pit.start()
    pit.handle(Disconnected(pit.now))
    (order,) = (o for o in pit.resting() if o.client_id.endswith(".4.0"))
    pit.venue.expire("me", order.order_id, "1", pit.now)
    pit.broker.take()
    pit.snapshot()
    pit.settle()
    assert pit.engine.orders[4].cid.turn == 1
    pit.check()


def test_a_venue_that_knows_but_one_of_our_orders_has_not_forgotten_us():
    pit = Pit(neutral())
    pit.start()
    rested = pit.engine.kept.rested
    pit.now += 5_000
    snap = pit.broker.snapshot(pit.engine.request(), pit.now)
    orders = tuple(each for each in snap.orders if each.cid != rested)
    snap = msgspec.structs.replace(snap, orders=orders, absent=frozenset({rested}))
    assert [i.cid for i in pit.engine.handle(snap) if isinstance(i, Place)] == [rested]
    assert pit.engine.status is Status.RUNNING


def test_cancels_of_a_pause_that_nobody_lived_to_hear_of_were_our_own_after_a_resume():
    pit = Pit(plan(Direction.NEUTRAL))
    pit.start()
    pit.handle(Pause(pit.now))
    assert pit.resting() == []
    saved = Engine.read(pit.engine.checkpoint())
    pit.broker.take()  # killed before the cancels were told
    pit.engine = Engine("abcd", 7, BTC, checkpoint=saved, strategy=Grid.unpack(saved.strategy, "abcd", 7))
    pit.now += 5000
    pit.handle(Resume(pit.now))
    pit.quote()
    pit.snapshot()
    pit.settle()
    assert pit.engine.status is Status.RUNNING
    assert len(pit.resting()) == 10
