"""The grid strategy alone: what it wishes for after what happened."""

from decimal import Decimal as D

import msgspec
import pytest

from tests.unit.pit import BTC, plan
from trading.messages import Closed, Edit, Filled, Mark, Quote, Reason, Resume
from trading.model import ClientOrderId, Direction, Role, Side, Target
from trading.ports import Waits
from trading.strategies.grid import Grid


def grid(direction=Direction.NEUTRAL, **changes) -> Grid:
    kwargs = {k: changes.pop(k) for k in ("vacant", "initial", "grids", "qty") if k in changes}
    return Grid.begin(msgspec.structs.replace(plan(direction, **kwargs), **changes), "abcd", 7)


def fill(grid: Grid, slot, turn: int, side: Side, qty: str, trade: int = 1):
    cid = ClientOrderId("abcd", 7, slot, turn)
    return grid.step(Filled(0, cid, trade, side, D(65000), D(qty), D(0), "USDT", D(1), True))


def closed(grid: Grid, slot, turn: int, reason=Reason.EXPIRED):
    return grid.step(Closed(0, ClientOrderId("abcd", 7, slot, turn), reason, None))


def wants(grid: Grid, slot) -> tuple:
    wish = grid.wish(slot)
    assert isinstance(wish, Target)
    return wish.cid.turn, wish.side, wish.price, wish.qty


def reason(grid: Grid, slot) -> str | None:
    wish = grid.wish(slot)
    return wish.reason if isinstance(wish, Waits) else None


def test_turns_of_a_slot():
    g = grid()
    assert wants(g, 4) == (0, Side.BUY, D(64000), D("0.010"))
    assert list(fill(g, 4, 0, Side.BUY, "0.004")) == [4]
    assert wants(g, 4) == (0, Side.BUY, D(64000), D("0.010"))
    fill(g, 4, 0, Side.BUY, "0.006")
    assert wants(g, 4) == (1, Side.SELL, D(65000), D("0.010"))
    fill(g, 4, 1, Side.SELL, "0.010")
    assert wants(g, 4) == (2, Side.BUY, D(64000), D("0.010"))


def test_initial_fills_are_dealt_nearest_first_and_a_partly_filled_lot_waits():
    g = grid(Direction.LONG)
    assert wants(g, Role.OPEN)[3] == D("0.050")
    changed = list(fill(g, Role.OPEN, 0, Side.BUY, "0.025"))
    assert changed == [Role.OPEN, 5, 6]
    assert wants(g, 5) == (0, Side.SELL, D(66000), D("0.010"))
    assert reason(g, 7) == "initial_order"
    fill(g, Role.OPEN, 0, Side.BUY, "0.025", 2)
    assert wants(g, 9)[3] == D("0.010")
    assert g.wish(Role.OPEN) is None


def test_a_short_deals_downwards():
    g = grid(Direction.SHORT)
    assert list(fill(g, Role.OPEN, 0, Side.SELL, "0.011")) == [Role.OPEN, 4]
    assert wants(g, 4) == (0, Side.BUY, D(64000), D("0.010"))


def test_what_market_leaves_is_asked_for_under_the_next_turn_of_o():
    g = grid(Direction.LONG)
    fill(g, Role.OPEN, 0, Side.BUY, "0.030")
    closed(g, Role.OPEN, 0)
    assert wants(g, Role.OPEN)[::3] == (1, D("0.020"))
    for turn in range(1, 4):
        closed(g, Role.OPEN, turn)
    assert g.has_given_up
    assert reason(g, Role.OPEN) == "initial_order"
    g.obey(Resume(0))
    assert wants(g, Role.OPEN)[0] == 4


def test_the_initial_order_is_cut_to_what_one_market_order_may_be():
    small = msgspec.structs.replace(BTC, market_max_qty=D("0.02"))
    g = grid(Direction.LONG, instrument=small)
    for turn, qty in enumerate(("0.02", "0.02", "0.01")):
        assert wants(g, Role.OPEN)[3] == D(qty)
        fill(g, Role.OPEN, turn, Side.BUY, qty, turn)
        if turn < 2:
            assert g.state.open_turn == turn + 1, "each order that is over uses up its name"
    assert not g.is_opening


def test_a_remainder_under_the_minimum_turns_with_what_it_has_and_the_next_entry_is_topped_up():
    g = grid()
    fill(g, 4, 0, Side.BUY, "0.0095")
    closed(g, 4, 0)
    assert wants(g, 4) == (1, Side.SELL, D(65000), D("0.0095"))
    fill(g, 4, 1, Side.SELL, "0.0095", 2)
    assert wants(g, 4) == (2, Side.BUY, D(64000), D("0.010"))


def test_an_exit_whose_rest_is_under_the_minimum_keeps_it_and_buys_the_less():
    g = grid()
    fill(g, 4, 0, Side.BUY, "0.010")
    fill(g, 4, 1, Side.SELL, "0.0095", 2)
    closed(g, 4, 1)
    assert wants(g, 4) == (2, Side.BUY, D(64000), D("0.0095"))


def test_a_lot_that_is_too_small_either_way_says_so():
    g = grid(qty="0.001")
    fill(g, 4, 0, Side.BUY, "0.0005")
    closed(g, 4, 0)
    assert reason(g, 4) == "below_minimum"


def test_entries_that_would_pass_max_position_wait_and_exits_never_do():
    g = grid(max_position=D(1300))
    for n, slot in enumerate((4, 3)):
        fill(g, slot, 0, Side.BUY, "0.010", n)
    assert reason(g, 2) == "max_position"
    assert wants(g, 4)[1] is Side.SELL
    assert list(fill(g, 4, 1, Side.SELL, "0.010", 9)) == [4]
    assert wants(g, 4)[1] is Side.BUY, "the nearest entry has the room that became free"
    assert reason(g, 2) == "max_position"


def test_one_jump_through_every_resting_entry_stays_under_max_position():
    bought = [wants(g, i)[2] for g in (grid(max_position=D(2000)),) for i in range(5) if reason(g, i) is None]
    assert bought == [62000, 63000, 64000], "0.01 each: 1,860 at the lowest, a fourth would be 2,440"
    long, short = (grid(each, max_position=D(4600)) for each in (Direction.LONG, Direction.SHORT))
    assert [i for i in range(5) if reason(long, i) is None] == [3, 4], "0.05 of the initial order and two at 63,000"
    assert [i for i in range(5, 10) if reason(short, i) is None] == [5], "0.06 at 66,000, and 0.07 at 67,000 is over"


def test_a_cap_under_the_initial_order_keeps_every_entry_waiting_until_enough_is_sold():
    g = grid(Direction.LONG, max_position=D(2900))
    assert [reason(g, i) for i in range(5)] == ["max_position"] * 5
    fill(g, Role.OPEN, 0, Side.BUY, "0.050")
    assert [reason(g, i) for i in range(5)] == ["max_position"] * 5
    for trade, slot in enumerate((5, 6), 2):
        changed = list(fill(g, slot, 0, Side.SELL, "0.010", trade))
    assert changed == [6]
    assert [i for i in range(7) if reason(g, i) is None] == [6], "0.04 at 66,000 are 2,640, 0.05 at 60,000 too many"


def test_max_position_holds_back_short_entries_too():
    g = grid(max_position=D(1400))
    for n, slot in enumerate((5, 6)):
        fill(g, slot, 0, Side.SELL, "0.010", n)
    assert reason(g, 7) == "max_position"
    assert wants(g, 4)[1] is Side.BUY


def test_only_the_nearest_orders_rest_where_not_all_may():
    g = grid(grids=20, vacant=10, max_open_orders=8)
    resting = [i for i in range(20) if reason(g, i) is None]
    assert resting == [6, 7, 8, 9, 10, 11, 12, 13]
    assert reason(g, 0) == "order_limit"
    changed: set = set()
    for n, slot in enumerate((9, 8, 7)):
        changed |= set(fill(g, slot, 0, Side.BUY, "0.010", n))
    resting = [i for i in range(20) if reason(g, i) is None]
    assert len(resting) == 8
    assert resting[0] < 6
    assert {5, 13} <= changed or {4, 12} <= changed


@pytest.mark.parametrize(
    ("direction", "prices", "entry"),
    [
        (Direction.LONG, ("66050", "65950"), (Side.BUY, D(65000))),
        (Direction.SHORT, ("63950", "64050"), (Side.SELL, D(65000))),
    ],
)
def test_a_slot_without_inventory_starts_with_its_entry_once_passed(direction, prices, entry):
    g = grid(direction, initial=False)
    slot = 5 if direction is Direction.LONG else 4
    assert g.watches_quotes
    assert list(g.step(Quote(0, D(65000), D(65000)))) == []
    assert list(g.step(Quote(0, D(prices[0]), D(prices[0])))) == [slot]
    assert wants(g, slot)[1:3] == entry
    for price in ("99999", "10"):
        g.step(Quote(0, D(price), D(price)))
    assert not g.watches_quotes


def test_without_post_only_orders_are_plain_limits():
    assert grid(post_only=False).wish(4).tif.value == "GTC"


def test_a_fill_of_an_unknown_later_turn_uses_up_the_names_before_it():
    g = grid()
    fill(g, 4, 3, Side.BUY, "0.010")
    assert wants(g, 4) == (4, Side.SELL, D(65000), D("0.010"))


def test_a_late_fill_while_the_next_order_has_begun_shrinks_it():
    g = grid()
    closed(g, 4, 0)
    fill(g, 4, 1, Side.BUY, "0.004")
    fill(g, 4, 0, Side.BUY, "0.003", 2)
    assert wants(g, 4) == (1, Side.BUY, D(64000), D("0.007"))
    fill(g, 4, 1, Side.BUY, "0.003", 3)
    assert wants(g, 4) == (2, Side.SELL, D(65000), D("0.010"))


def test_a_late_fill_does_not_wake_a_slot_that_somebody_cancelled():
    g = grid()
    closed(g, 4, 0, Reason.CANCELLED_ELSEWHERE)
    fill(g, 4, 0, Side.BUY, "0.003")
    assert reason(g, 4) == "cancelled_elsewhere"


def test_events_of_slots_that_a_smaller_grid_no_longer_has_are_taken_calmly():
    g = grid(grids=4, vacant=2)
    assert list(fill(g, 9, 0, Side.BUY, "0.01")) == []
    assert list(closed(g, 9, 0)) == []
    assert list(closed(g, Role.CLOSE, 0)) == []
    assert list(g.step(Mark(0, D(1)))) == []
    assert g.wish(Role.CLOSE) is None


def test_a_state_that_was_packed_is_the_same_state():
    g = grid(Direction.LONG)
    fill(g, Role.OPEN, 0, Side.BUY, "0.033")
    again = Grid.unpack(g.pack(), "abcd", 7)
    assert again.state == g.state
    assert [again.wish(k) for k in again.keys()] == [g.wish(k) for k in g.keys()]


def test_turns_go_on_from_the_grid_before():
    g = grid()
    fill(g, 4, 0, Side.BUY, "0.010")
    fill(g, 4, 1, Side.SELL, "0.010", 2)
    again = Grid.begin(g.plan, "abcd", 7, g)
    assert wants(again, 4)[0] == 2


def test_turns_of_a_large_grid_outlive_a_small_one():
    g = grid(qty="0.010")
    fill(g, 9, 0, Side.SELL, "0.010")
    small = Grid.begin(plan(Direction.NEUTRAL, vacant=2, grids=4), "abcd", 7, g)
    smaller = Grid.begin(plan(Direction.NEUTRAL, vacant=1, grids=2), "abcd", 7, Grid.unpack(small.pack(), "abcd", 7))
    again = Grid.begin(g.plan, "abcd", 7, smaller)
    assert [wants(again, slot)[0] for slot in (1, 3, 8, 9)] == [0, 0, 0, 1]
    assert again.state.later_turns == []


def test_inventory_of_the_other_side_is_not_carried_into_lots():
    g = Grid.begin(plan(Direction.LONG), "abcd", 7, None, D("-0.020"))
    assert wants(g, Role.OPEN)[3] == D("0.050")


def test_an_entry_that_was_filled_in_part_is_not_taken_back_when_others_reach_max_position():
    g = grid(max_position=D(1300))
    fill(g, 3, 0, Side.BUY, "0.004")
    fill(g, 4, 0, Side.BUY, "0.010", 2)
    assert reason(g, 2) == "max_position"
    assert wants(g, 3) == (0, Side.BUY, D(63000), D("0.010"))


def test_a_late_fill_of_an_initial_order_shrinks_the_next_one_unless_that_fills_already():
    g = grid(Direction.LONG)
    closed(g, Role.OPEN, 0)
    assert wants(g, Role.OPEN)[::3] == (1, D("0.050"))
    fill(g, Role.OPEN, 0, Side.BUY, "0.010")
    assert wants(g, Role.OPEN)[::3] == (1, D("0.040"))
    fill(g, Role.OPEN, 1, Side.BUY, "0.010", 2)
    fill(g, Role.OPEN, 0, Side.BUY, "0.010", 3)
    assert wants(g, Role.OPEN)[::3] == (1, D("0.040")), "an order under way keeps its size"
    assert g.state.open_want == D("0.020")


def test_the_end_of_an_initial_order_is_one_try_however_often_it_is_told():
    g = grid(Direction.LONG)
    for _ in range(5):
        closed(g, Role.OPEN, 0)
    assert not g.has_given_up
    assert wants(g, Role.OPEN)[0] == 1


@pytest.mark.parametrize(("initial", "why"), [(True, "initial_order"), (False, "no_inventory")])
def test_an_old_order_that_ends_uses_up_its_name_and_wakes_no_slot_that_has_no_inventory(initial, why):
    g = grid(Direction.LONG, initial=initial)
    closed(g, 7, 4, Reason.CANCELLED)
    assert reason(g, 7) == why
    assert g.state.slots[7].turn == 5


def test_an_exit_that_is_too_small_at_its_lower_price_says_so():
    fine = msgspec.structs.replace(BTC, lot_size=D("0.00001"), min_qty=D("0.00001"))
    g = grid(Direction.SHORT, instrument=fine, qty="0.00083", vacant=0)
    assert wants(g, 0)[1:3] == (Side.SELL, D(61000))
    fill(g, 0, 0, Side.SELL, "0.00083")  # 50.63 when it opened, 49.80 when it is to close
    assert reason(g, 0) == "below_minimum"


def test_an_edit_moves_the_stops_and_nothing_else_and_is_kept():
    g = grid(stop_loss=D(58000))
    before = [g.wish(key) for key in g.keys()]
    g.obey(Edit(0, stop_loss_high=D(72000), take_profit=None))
    assert (g.ending(D(57000)), g.ending(D(72000))) == (None, "stop_loss")
    assert [g.wish(key) for key in g.keys()] == before
    assert Grid.unpack(g.pack(), "abcd", 7).plan == g.plan


def test_a_slot_that_gets_its_entry_by_a_quote_takes_the_room_of_a_farther_one():
    g = grid(Direction.LONG, initial=False, max_position=D(1300))
    assert [i for i in range(10) if reason(g, i) is None] == [3, 4]
    assert list(g.step(Quote(1, D(65999), D(66000)))) == []
    assert list(g.step(Quote(2, D(66001), D(66002)))) == [5, 3]
    assert [i for i in range(10) if reason(g, i) is None] == [4, 5]
