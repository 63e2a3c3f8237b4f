"""Conditional orders on the matching venue: triggers, life cycle, refusals."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.core.algo import AlgoBook, AlgoOrder, AlgoRequest, AlgoState, AlgoType, AlgoUpdate
from trading.core.records import OrderRequest, OrderUpdate, VenueError
from trading.core.venue import Venue
from trading.model import OrderType, Side, TimeInForce
from trading.sandbox.instruments import LISTINGS

BTC = LISTINGS["BTCUSDT"]
ME = "me"
D = Decimal


class World:
    """A venue on a candle path, with its book of conditional orders; prices move by `to`."""

    def __init__(self, wallet: int = 10_000, **rules: Any) -> None:
        self.venue = Venue([msgspec.structs.replace(BTC.instrument, **rules)], {"BTCUSDT": BTC.brackets})
        self.venue.open_account(ME, D(wallet), 0)
        self.venue.reach("BTCUSDT", D(60_000), 1)
        self.book = AlgoBook(self.venue)
        self.now = 1
        self.step()

    def step(self) -> list[Any]:
        self.now += 1
        return self.book.follow(self.venue.drain(), self.now)

    def to(self, price: object) -> list[Any]:
        self.venue.reach("BTCUSDT", D(str(price)), self.now)
        return self.step()

    def mark(self, price: object) -> list[Any]:
        self.venue.set_mark("BTCUSDT", D(str(price)), self.now)
        return self.step()

    def buy(self, qty: str) -> None:
        request = OrderRequest("BTCUSDT", Side.BUY, OrderType.MARKET, D(qty), D(0), TimeInForce.GTC)
        self.venue.place(ME, request, self.now)
        self.step()

    def ask(self, side: Side = Side.SELL, kind: AlgoType = AlgoType.STOP_MARKET, **more: Any) -> AlgoOrder:
        fields: dict[str, Any] = {"qty": D("0.010"), "trigger": D(59_000)} | {
            name: D(str(value)) if isinstance(value, int | float) and not isinstance(value, bool) else value
            for name, value in more.items()
        }
        return self.book.place(ME, AlgoRequest(symbol="BTCUSDT", side=side, type=kind, **fields), self.now)


def statuses(told: list[Any]) -> list[str]:
    return [each.algo.status.value for each in told if isinstance(each, AlgoUpdate)]


@pytest.mark.parametrize(
    ("kind", "side", "trigger", "short_of", "there"),
    [
        (AlgoType.STOP_MARKET, Side.SELL, 59_000, 59_000.1, 59_000),
        (AlgoType.STOP_MARKET, Side.BUY, 61_000, 60_999.9, 61_000),
        (AlgoType.TAKE_PROFIT_MARKET, Side.SELL, 61_000, 60_999.9, 61_500),
        (AlgoType.TAKE_PROFIT_MARKET, Side.BUY, 59_000, 59_000.1, 58_000),
    ],
)
def test_a_trigger_goes_off_when_its_price_is_there_and_not_before(
    kind: AlgoType, side: Side, trigger: int, short_of: float, there: float
) -> None:
    world = World()
    world.ask(side, kind, trigger=trigger)
    assert statuses(world.step()) == ["NEW"]
    assert world.to(short_of) == []
    told = world.to(there)
    assert statuses(told) == ["TRIGGERING", "TRIGGERED", "FINISHED"]
    (fill,) = [each.trade for each in told if isinstance(each, OrderUpdate) and each.trade]
    assert (fill.side, fill.qty) == (side, D("0.010"))
    assert world.book.open_orders(ME) == []
    (over,) = world.book.all_orders(ME)
    assert (over.executed, over.average, over.order_id) == (D("0.010"), fill.price, fill.order_id)
    assert fill.client_id == over.client_id
    assert world.to(there) == []


def test_a_stop_limit_rests_at_its_own_price_until_it_is_filled() -> None:
    world = World()
    world.ask(Side.SELL, AlgoType.STOP, price=59_500)
    world.step()
    assert statuses(world.to(59_000)) == ["TRIGGERING", "TRIGGERED"]
    (order,) = world.venue.open_orders(ME)
    assert (order.price, order.type) == (D(59_500), OrderType.LIMIT)
    assert statuses(world.to(59_600)) == ["FINISHED"]


def test_a_cancelled_order_finishes_its_conditional_one() -> None:
    world = World()
    world.ask(Side.SELL, AlgoType.STOP, price=59_500)
    world.to(59_000)
    (order,) = world.venue.open_orders(ME)
    world.venue.cancel(ME, "BTCUSDT", order.order_id, None, world.now)
    assert statuses(world.step()) == ["FINISHED"]


def test_the_mark_triggers_only_who_watches_it() -> None:
    world = World()
    by_last, by_mark = world.ask(), world.ask(by_mark=True)
    world.step()
    assert statuses(world.mark(58_900)) == ["TRIGGERING", "TRIGGERED", "FINISHED"]
    assert [algo.algo_id for algo in world.book.open_orders(ME)] == [by_last.algo_id]
    assert by_mark.order_id


def test_a_trailing_stop_follows_and_goes_off_after_its_callback() -> None:
    world = World()
    world.ask(kind=AlgoType.TRAILING_STOP_MARKET, trigger=0, activate=61_000, callback=1)
    assert statuses(world.step()) == ["NEW"]
    assert world.to(60_900) == []
    assert world.to(59_000) == []
    (told,) = world.to(61_000)
    assert told.algo.is_active and told.algo.status == "NEW"
    assert world.to(63_000) == []
    assert world.to(62_400) == []
    assert statuses(world.to(62_370)) == ["TRIGGERING", "TRIGGERED", "FINISHED"]


def test_a_trailing_buy_without_activation_follows_at_once() -> None:
    world = World()
    algo = world.ask(Side.BUY, AlgoType.TRAILING_STOP_MARKET, trigger=0, callback=2)
    assert algo.is_active
    world.to(58_000)
    assert statuses(world.to(59_100)) == []
    assert statuses(world.to(59_160)) == ["TRIGGERING", "TRIGGERED", "FINISHED"]


def test_closing_a_position_closes_all_of_it_and_expires_without_one() -> None:
    world = World()
    world.buy("0.025")
    world.ask(qty=0, close_position=True)
    assert statuses(world.to(59_000)) == ["NEW", "TRIGGERING", "TRIGGERED", "FINISHED"]
    assert world.venue.position(ME, "BTCUSDT").qty == 0
    world.ask(qty=0, close_position=True, trigger=58_000)
    assert statuses(world.to(58_000)) == ["NEW", "TRIGGERING", "EXPIRED"]


def test_no_margin_is_asked_before_the_trigger_and_the_refusal_then_is_told() -> None:
    world = World(wallet=10)
    world.ask(Side.BUY, trigger=61_000, qty=1)
    assert world.venue.funds(ME).available == 10
    told = world.to(61_000)
    assert statuses(told) == ["NEW", "TRIGGERING", "REJECTED"]
    assert told[-1].algo.reason == "Margin is insufficient."


def test_a_protected_trigger_waits_while_last_and_mark_are_apart() -> None:
    world = World()
    world.ask(protected=True)
    world.mark(64_000)
    assert statuses(world.to(58_900)) == []
    assert statuses(world.mark(60_000)) == ["TRIGGERING", "TRIGGERED", "FINISHED"]


def test_how_far_apart_they_may_be_is_a_rule_of_the_symbol() -> None:
    world = World(trigger_protect=D("0.01"))
    world.ask(trigger=59_000, protected=True)
    world.mark(60_000)
    assert "TRIGGERED" not in statuses(world.to(59_000))
    assert "TRIGGERED" in statuses(world.mark(59_500))


def test_one_trigger_may_set_off_the_next() -> None:
    world = World()
    venue = world.venue
    venue.set_quote("BTCUSDT", D(60_000), D(1), D("60000.1"), D(1), 1, [(D(59_000), D(1))], [])
    world.step()
    world.ask(trigger=59_990, qty=1.5)
    world.ask(trigger=59_500, qty=D("0.010"))
    world.step()
    venue.print_trade("BTCUSDT", D(59_990), D("0.001"), True, 5)
    told = world.step()
    assert statuses(told)[:2] == ["TRIGGERING", "TRIGGERED"]
    assert statuses(told).count("FINISHED") == 2


def test_triggers_that_set_off_one_another_without_end_are_cut_and_go_on_next_time() -> None:
    world = World()
    deeper = [(D(59_980 - 10 * i), D("0.010")) for i in range(1, 80)]
    world.venue.set_quote("BTCUSDT", D(59_980), D("0.010"), D(60_001), D(1), 1, deeper, [])
    for i in range(60):
        world.ask(trigger=59_990 - 10 * i)
    world.step()
    world.venue.print_trade("BTCUSDT", D(59_990), D("0.001"), True, 5)
    assert statuses(world.step()).count("FINISHED") == 50
    assert statuses(world.step()).count("FINISHED") == 10
    assert not world.book.is_busy


def test_before_the_first_price_nothing_is_reached() -> None:
    world = World()
    world.venue = Venue([BTC.instrument], {"BTCUSDT": BTC.brackets})
    world.venue.open_account(ME, D(1000), 0)
    world.book = AlgoBook(world.venue)
    world.ask(Side.BUY, trigger=61_000)
    world.ask(Side.SELL, trigger=59_000)
    assert statuses(world.step()) == ["NEW", "NEW"]
    assert len(world.book.open_orders(ME)) == 2


def test_a_reduce_only_stop_limit_may_be_small() -> None:
    world = World()
    world.buy("0.010")
    assert world.ask(
        Side.SELL, AlgoType.STOP, price=40_000, trigger=41_000, qty=D("0.001"), reduce_only=True
    ).is_waiting


@pytest.mark.parametrize(("symbol", "status", "code"), [("NOPE", "TRADING", -1121), ("BTCUSDT", "HALT", -4140)])
def test_a_symbol_that_is_unknown_or_does_not_trade_is_refused(symbol: str, status: str, code: int) -> None:
    world = World()
    world.venue.set_status("BTCUSDT", status)
    request = AlgoRequest(symbol=symbol, side=Side.SELL, type=AlgoType.STOP_MARKET, qty=D(1), trigger=D(59_000))
    with pytest.raises(VenueError) as error:
        world.book.place(ME, request, 1)
    assert error.value.code == code


def test_good_till_date_ends_a_waiting_order() -> None:
    world = World()
    world.ask(tif=TimeInForce.GTD, good_till=5)
    world.now = 10
    assert statuses(world.step()) == ["NEW", "EXPIRED"]


@pytest.mark.parametrize(
    ("code", "side", "kind", "fields"),
    [
        (-2021, Side.SELL, AlgoType.STOP_MARKET, {"trigger": 60_000}),
        (-2021, Side.BUY, AlgoType.STOP_MARKET, {"trigger": 59_999}),
        (-2021, Side.BUY, AlgoType.TAKE_PROFIT_MARKET, {"trigger": 60_001}),
        (-2021, Side.SELL, AlgoType.TRAILING_STOP_MARKET, {"activate": 59_000, "callback": 1}),
        (-2021, Side.BUY, AlgoType.TRAILING_STOP_MARKET, {"activate": 61_000, "callback": 1}),
        (-2007, Side.SELL, AlgoType.TRAILING_STOP_MARKET, {"callback": 21}),
        (-2007, Side.SELL, AlgoType.TRAILING_STOP_MARKET, {"callback": 0.01}),
        (-4006, Side.BUY, AlgoType.TRAILING_STOP_MARKET, {"callback": 1, "activate": -1}),
        (-1111, Side.BUY, AlgoType.TRAILING_STOP_MARKET, {"callback": 1, "activate": 59_000.001}),
        (-4014, Side.SELL, AlgoType.TRAILING_STOP_MARKET, {"callback": 1, "activate": 61_000.05}),
        (-4007, Side.SELL, AlgoType.TRAILING_STOP_MARKET, {"callback": 1, "activate": 5_000_000}),
        (-4006, Side.SELL, AlgoType.STOP_MARKET, {"trigger": 0}),
        (-4014, Side.SELL, AlgoType.STOP_MARKET, {"trigger": 59_000.05}),
        (-4007, Side.BUY, AlgoType.STOP_MARKET, {"trigger": 5_000_000}),
        (-1111, Side.SELL, AlgoType.STOP_MARKET, {"trigger": 59_000.001}),
        (-1111, Side.SELL, AlgoType.STOP_MARKET, {"qty": 0.0001}),
        (-4003, Side.SELL, AlgoType.STOP_MARKET, {"qty": 0}),
        (-4164, Side.SELL, AlgoType.STOP, {"price": 40_000, "qty": 0.001}),
        (-4184, Side.SELL, AlgoType.STOP, {"price": 56_000}),
        (-4183, Side.BUY, AlgoType.STOP, {"price": 64_100, "trigger": 61_000}),
        (-4014, Side.SELL, AlgoType.STOP, {"price": 59_000.05}),
    ],
)
def test_what_cannot_wait_is_refused(code: int, side: Side, kind: AlgoType, fields: dict[str, Any]) -> None:
    world = World()
    with pytest.raises(VenueError) as error:
        world.ask(side, kind, **fields)
    assert error.value.code == code
    assert world.step() == [] and world.book.all_orders(ME) == []


def test_names_numbers_and_counts_are_checked() -> None:
    world = World()
    algo = world.ask(client_id="sl-1")
    for code, attempt in [
        (-4116, lambda: world.ask(client_id="sl-1")),
        (-2013, lambda: world.book.order(ME, 7)),
        (-2011, lambda: world.book.cancel(ME, 7, None, 1)),
        (-2013, lambda: world.book.order("you", algo.algo_id)),
    ]:
        with pytest.raises(VenueError) as error:
            attempt()
        assert error.value.code == code
    assert world.book.order(ME, None, "sl-1") is world.book.order(ME, algo.algo_id) is algo
    assert world.book.cancel(ME, None, "sl-1", 1).status == "CANCELED"
    with pytest.raises(VenueError):
        world.book.cancel(ME, algo.algo_id, None, 1)
    for _ in range(200):
        world.ask()
    with pytest.raises(VenueError) as error:
        world.ask()
    assert error.value.code == -4045
    world.book.cancel_all(ME, "BTCUSDT", 1)
    assert world.book.open_orders(ME) == []


def test_the_book_goes_on_after_it_was_kept() -> None:
    world = World()
    world.ask(Side.SELL, AlgoType.STOP, price=59_500)
    world.to(59_000)
    world.ask(client_id="later", trigger=58_000)
    world.step()
    kept = msgspec.msgpack.decode(msgspec.msgpack.encode(world.book.state()), type=AlgoState)
    world.venue = Venue.restore(world.venue.snapshot())
    world.book = AlgoBook(world.venue, kept)
    assert [algo.client_id for algo in world.book.open_orders(ME)] == ["later"]
    assert statuses(world.to(59_600)) == ["FINISHED"]
    assert statuses(world.to(58_000)) == ["TRIGGERING", "TRIGGERED", "FINISHED"]
    assert world.ask(trigger=57_000).algo_id > kept.last_id - 1


def test_a_book_that_begins_anew_gives_no_number_again() -> None:
    world = World()
    world.book.count_from(1_790_000_000_000)
    first = world.ask().algo_id
    world.book = AlgoBook(world.venue)
    world.book.count_from(1_790_000_000_001)
    assert first < world.ask().algo_id < 2**53


PATHS = st.lists(st.integers(570, 630).map(lambda hundreds: hundreds * 100), min_size=1, max_size=25)


@given(PATHS, st.sampled_from(list(Side)), st.sampled_from([AlgoType.STOP_MARKET, AlgoType.TAKE_PROFIT_MARKET]))
@settings(max_examples=100, deadline=None)
def test_on_any_path_a_trigger_goes_off_at_the_first_price_that_reaches_it(
    path: list[int], side: Side, kind: AlgoType
) -> None:
    world = World()
    upward = (side is Side.BUY) is (kind is AlgoType.STOP_MARKET)
    trigger = 61_000 if upward else 59_000
    algo = world.ask(side, kind, trigger=trigger)
    world.step()
    reached = [price >= trigger if upward else price <= trigger for price in path]
    for number, price in enumerate(path):
        told = statuses(world.to(price))
        is_first = reached[number] and not any(reached[:number])
        assert told == (["TRIGGERING", "TRIGGERED", "FINISHED"] if is_first else [])
    assert algo.is_waiting is not any(reached)


@given(PATHS, st.integers(1, 30))
@settings(max_examples=100, deadline=None)
def test_on_any_path_a_trailing_stop_goes_off_at_the_first_fall_from_the_highest_price(
    path: list[int], tenths: int
) -> None:
    world = World()
    rate = D(tenths) / 10
    algo = world.ask(kind=AlgoType.TRAILING_STOP_MARKET, trigger=0, callback=float(rate))
    highest = D(60_000)
    for price in path:
        highest = max(highest, D(price))
        is_due = algo.is_waiting and price <= highest * (1 - rate / 100)
        assert ("TRIGGERED" in statuses(world.to(price))) is is_due
