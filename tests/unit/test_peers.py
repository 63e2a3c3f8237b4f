"""What other grid systems get wrong (peers.md §8), as tests that this one must pass."""

from decimal import Decimal as D

import msgspec
import pytest

from tests.crash import trial
from tests.unit.pit import Pit, neutral, plan
from trading.core.lifecycle import Status
from trading.core.orders import OrderStatus
from trading.messages import (
    Accepted,
    CancelRefused,
    Closed,
    Disconnected,
    Filled,
    Foreign,
    Mark,
    Pause,
    Place,
    Quote,
    Reason,
    Refused,
    Reset,
    Tick,
    Uncertain,
)
from trading.model import Direction, Side


def test_an_order_that_is_gone_is_not_taken_for_filled():
    """A poller that finds an order missing asks what became of it; a cancel makes no counter-order."""
    pit = Pit(neutral())
    pit.start()
    order = pit.engine.orders[4]
    pit.handle(Disconnected(pit.now))
    pit.venue.cancel("me", "BTCUSDT", order.order_id, None, pit.now)
    pit.broker.take()
    pit.snapshot()
    pit.settle()
    assert pit.engine.ledger.books.fills == 0
    assert not [o for o in pit.resting(Side.SELL) if o.price == D(65000)]
    assert pit.wait(4) == "cancelled_elsewhere"


def test_a_partial_fill_that_was_then_cancelled_is_counted_and_the_rest_asked_for():
    pit = Pit(neutral())
    pit.start()
    order = pit.engine.orders[4]
    half = order.qty / 2
    pit.handle(Filled(pit.now, order.cid, 1, Side.BUY, order.price, half, D(0), "USDT", D(1), True))
    sent = pit.engine.handle(Closed(pit.now, order.cid, Reason.EXPIRED, half))
    assert [(i.cid.turn, i.qty) for i in sent] == [(1, half)]
    assert pit.engine.ledger.position == half


def test_no_answer_and_then_the_order_exists_makes_one_order_not_two():
    pit = Pit(neutral())
    pit.start()
    order = pit.engine.orders[4]
    order.status = OrderStatus.SENT
    pit.handle(Uncertain(pit.now, order.cid))
    for later in range(1, 5):
        pit.handle(Tick(pit.now + later * 1000))
    pit.settle()
    assert len(pit.resting()) == 10
    assert len([o for o in pit.venue.all_orders("me") if o.price == D(64000)]) == 1


def test_no_answer_and_the_order_never_came_is_placed_once_the_venue_has_said_so():
    pit = Pit(neutral())
    pit.start()
    order = pit.engine.orders[4]
    pit.venue.expire("me", order.order_id, "1", pit.now)
    pit.broker.take()
    pit.engine.strategy.state.slots[4].turn = 1
    fresh = msgspec.structs.replace(order.cid, turn=1)
    order.cid, order.status, order.order_id = fresh, OrderStatus.SENT, 0
    pit.handle(Uncertain(pit.now, fresh))
    pit.settle()
    assert len(pit.resting()) == 10
    pit.check()


def test_a_restart_with_seven_of_twenty_slots_filled_goes_on_without_flattening():
    pit = Pit(plan(Direction.NEUTRAL, vacant=20, grids=20))
    pit.start("70000")
    saved = pit.engine.checkpoint()
    pit.walk("66400", deliver=False)
    pit.restart(saved)
    assert pit.engine.ledger.books.fills == 7
    assert pit.position() == 7 * pit.plan.quantities[0]
    assert len(pit.resting()) == 20
    pit.check()


def test_a_fill_between_cancel_and_verify_of_a_reset_is_kept_and_leaves_no_stray_order():
    pit = Pit(neutral())
    pit.start()
    order = pit.engine.orders[4]
    intents = pit.engine.handle(Reset(pit.now, flatten=True))
    pit.venue.set_quote("BTCUSDT", D(63999), D(9), D(64001), D(9), pit.now)
    pit.venue.print_trade("BTCUSDT", order.price, order.qty, True, pit.now)
    pit.carry_out(intents)
    pit.settle()
    pit.handle(Tick(pit.now + 2000))
    pit.settle()
    assert pit.engine.status is Status.RESETTING
    assert pit.resting() == []
    assert pit.position() == 0 == pit.engine.ledger.position
    assert pit.engine.ledger.books.fills == 2


@pytest.mark.parametrize("direction", [Direction.LONG, Direction.SHORT])
def test_a_stop_closes_a_short_by_buying_and_a_long_by_selling(direction):
    """Sizes are signed all the way: nobody doubles a short by 'closing' it."""
    stop = D(72000) if direction is Direction.SHORT else D(58000)
    pit = Pit(msgspec.structs.replace(plan(direction), stop_loss=stop))
    pit.start()
    assert pit.position() != 0
    for later in (0, 1000):
        pit.handle(Mark(pit.now + later, stop))
    pit.settle()
    close = next(o for o in pit.venue.all_orders("me") if ".c." in o.client_id)
    assert close.side is (Side.BUY if direction is Direction.SHORT else Side.SELL)
    assert close.reduce_only
    assert pit.position() == 0


def test_one_tick_over_ten_levels_is_ten_fills_and_ten_answers():
    pit = Pit(plan(Direction.NEUTRAL, vacant=10))
    pit.start("70000")
    pit.walk("59000")
    assert pit.engine.ledger.books.fills == 10
    assert {o.price for o in pit.resting(Side.SELL)} == set(pit.plan.levels[1:])


def test_without_a_price_nothing_is_decided_and_none_is_made_up():
    pit = Pit(msgspec.structs.replace(neutral(), stop_loss=D(58000), stop_loss_high=D(72000)))
    pit.start()
    pit.handle(Disconnected(pit.now))
    for later in range(1, 100):
        assert pit.engine.handle(Tick(pit.now + later * 1000)) == []
    assert pit.engine.status is Status.RUNNING


def test_drift_is_told_and_pauses_and_never_trades():
    pit = Pit(plan(Direction.SHORT))
    pit.start()
    before = pit.position()
    sent = pit.engine.handle(Foreign(pit.now, 900, Side.SELL, D(65000), D("0.02"), "web_x"))
    assert not any(isinstance(i, Place) for i in sent)
    assert pit.engine.status is Status.PAUSED
    assert pit.position() == before


def test_a_post_only_refusal_does_not_shrink_the_grid_for_ever():
    pit = Pit(neutral())
    pit.start()
    order = pit.engine.orders[4]
    pit.engine.handle(Closed(pit.now, order.cid, Reason.EXPIRED, D(0)))
    assert isinstance(pit.engine.orders[4].cid.turn, int)
    cid = pit.engine.orders[4].cid
    pit.engine.handle(Refused(pit.now, cid, Reason.WOULD_CROSS, -5022, ""))
    assert 4 not in pit.engine.orders
    sent = pit.engine.handle(Quote(pit.now, D(64500), D("64500.1")))
    assert [i.cid for i in sent] == [cid]


def test_a_cancel_that_races_a_fill_ends_with_the_fill_counted():
    pit = Pit(neutral())
    pit.start()
    order = pit.engine.orders[4]
    pit.engine.handle(Pause(pit.now))
    pit.engine.handle(CancelRefused(pit.now, order.cid, -2011, "Unknown order sent."))
    pit.engine.handle(Filled(pit.now, order.cid, 7, Side.BUY, order.price, order.qty, D(0), "USDT", D(1), True))
    pit.engine.handle(Accepted(pit.now, order.cid, 3))
    assert 4 not in pit.engine.orders
    assert pit.engine.ledger.position == order.qty


def test_total_equals_the_wallet_under_random_fills_with_funding():
    for seed in range(40):
        trial(seed)
