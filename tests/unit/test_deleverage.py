"""What a venue does with positions beside matching: auto-deleveraging and margin that is moved by hand."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from trading.core.venue import BalanceUpdate, Execution, OrderRequest, OrderUpdate, Venue, VenueError
from trading.model import Bracket, Instrument, MarginMode, OrderType, Side, TimeInForce

BTC = Instrument("x:BTC", "BTCUSDT", "BTC", "USDT", D("0.1"), D("0.001"), D("0.001"), D(0), D(0), D(5))
ETH = Instrument("x:ETH", "ETHUSDT", "ETH", "USDT", D("0.1"), D("0.001"), D("0.001"), D(0), D(0), D(5))
BRACKETS = (Bracket(D(0), D(10**9), 125, D("0.004"), D(0)),)
BUY, SELL = Side.BUY, Side.SELL


def venue(mode: MarginMode = MarginMode.ISOLATED, wallet: str = "5000") -> Venue:
    made = Venue([BTC, ETH], {"BTCUSDT": BRACKETS, "ETHUSDT": BRACKETS})
    made.open_account("a", D(wallet), 0)
    if mode is MarginMode.ISOLATED:
        made.set_margin_mode("a", "BTCUSDT", mode, 0)
    made.set_leverage("a", "BTCUSDT", 20, 0)
    made.reach("BTCUSDT", D(60000), 1)
    made.reach("ETHUSDT", D(3000), 1)
    return made


def taken(made: Venue, side: Side, qty: str = "0.5") -> Venue:
    made.place("a", OrderRequest("BTCUSDT", side, OrderType.MARKET, D(qty)), 2)
    made.drain()
    return made


def code(verb: object, *args: object) -> int:
    with pytest.raises(VenueError) as caught:
        verb(*args)  # type: ignore[operator]
    return caught.value.code


class TestDeleveraging:
    @pytest.mark.parametrize(("side", "price", "gain"), [(BUY, "61000", "500"), (SELL, "59000.06", "499.97")])
    def test_it_closes_the_whole_position_at_the_mark_on_the_tick_without_a_fee(
        self, side: Side, price: str, gain: str
    ) -> None:
        made = taken(venue(), side)
        before = made.wallet("a")
        made.set_mark("BTCUSDT", D(price), 3)
        order = made.deleverage("a", "BTCUSDT", D(0), 4)
        (trade,) = (trade for trade in made.trades("a") if trade.order_id == order.order_id)
        assert (trade.client_id, trade.side, trade.qty, trade.fee) == ("adl_autoclose", side.opposite, D("0.5"), 0)
        assert trade.price == D(price) // D("0.1") * D("0.1")
        assert made.position("a", "BTCUSDT").qty == 0
        assert abs(made.wallet("a") - before - D(gain)) <= D("0.05")

    def test_part_of_a_position_may_go_and_it_is_told_as_calculated(self) -> None:
        made = taken(venue(), BUY)
        made.deleverage("a", "BTCUSDT", D("0.2"), 4)
        told = [event.execution for event in made.drain() if isinstance(event, OrderUpdate)]
        assert told == [Execution.NEW, Execution.CALCULATED]
        assert made.position("a", "BTCUSDT").qty == D("0.3")

    def test_more_than_there_is_is_refused(self) -> None:
        made = venue()
        assert code(made.deleverage, "a", "BTCUSDT", D(0), 4) == -2024
        taken(made, BUY)
        assert code(made.deleverage, "a", "BTCUSDT", D("0.6"), 4) == -2024
        assert made.position("a", "BTCUSDT").qty == D("0.5")


class TestMovedMargin:
    def test_margin_put_in_moves_the_liquidation_away_and_taken_out_brings_it_back(self) -> None:
        made = taken(venue(), BUY)
        before = made.position("a", "BTCUSDT").liquidation_price
        made.move_margin("a", "BTCUSDT", D(498), 3)
        (told,) = (event for event in made.drain() if isinstance(event, BalanceUpdate))
        assert (told.reason, told.wallet) == ("MARGIN_TRANSFER", made.wallet("a"))
        # binance-usdm.md §15: each 1 of margin moves it by 1 / (qty · (1 - mmr))
        assert abs(before - made.position("a", "BTCUSDT").liquidation_price - D(1000)) < D("0.0001")
        made.move_margin("a", "BTCUSDT", D(-498), 4)
        assert made.position("a", "BTCUSDT").liquidation_price == before

    def test_it_needs_an_isolated_position(self) -> None:
        assert code(venue(MarginMode.CROSS).move_margin, "a", "BTCUSDT", D(1), 3) == -4049
        assert code(venue().move_margin, "a", "BTCUSDT", D(1), 3) == -4054

    def test_only_what_is_free_goes_in_and_what_the_position_needs_stays(self) -> None:
        made = taken(venue(wallet="2000"), BUY)  # 1500 of it is the position's, 15 were fees
        assert code(made.move_margin, "a", "BTCUSDT", D(486), 3) == -4050
        made.move_margin("a", "BTCUSDT", D(485), 3)
        assert code(made.move_margin, "a", "BTCUSDT", D(-486), 4) == -4051
        made.reach("BTCUSDT", D(59900), 5)
        assert code(made.move_margin, "a", "BTCUSDT", D(-485), 6) == -4051, "50 of it are lost as it stands"
        made.move_margin("a", "BTCUSDT", D(-430), 6)


def test_a_position_of_one_times_its_margin_has_no_price_that_liquidates_it() -> None:
    made = Venue([BTC], {"BTCUSDT": BRACKETS})
    made.open_account("a", D(40000), 0)
    made.set_leverage("a", "BTCUSDT", 1, 0)
    made.reach("BTCUSDT", D(60000), 1)
    taken(made, BUY)
    assert made.position("a", "BTCUSDT").liquidation_price == 0
    assert made.advance("BTCUSDT", D("0.1"), 2) is False
    assert made.position("a", "BTCUSDT").qty == D("0.5")


def test_a_cross_liquidation_ends_the_orders_of_symbols_without_a_position_too() -> None:
    made = venue(MarginMode.CROSS, wallet="3100")
    made.place("a", OrderRequest("ETHUSDT", BUY, OrderType.LIMIT, D("0.1"), D(2900), TimeInForce.GTX), 2)
    taken(made, BUY, "1")
    made.reach("BTCUSDT", D(57000), 3)
    assert (made.position("a", "BTCUSDT").qty, made.open_orders("a")) == (0, [])
    assert len([trade for trade in made.trades("a") if trade.client_id.startswith("autoclose-")]) == 1
