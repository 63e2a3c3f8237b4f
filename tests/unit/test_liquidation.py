"""Liquidation on the matching venue: when, at what price, for what fee, and what is left."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from trading.core.venue import BalanceUpdate, Execution, OrderRequest, OrderUpdate, Venue
from trading.model import Bracket, Instrument, MarginMode, OrderType, Side, TimeInForce

BTC = Instrument("x:BTC", "BTCUSDT", "BTC", "USDT", D("0.1"), D("0.001"), D("0.001"), D(0), D(0), D(5))
BRACKETS = (Bracket(D(0), D(10**9), 125, D("0.004"), D(0)),)
BUY, SELL = Side.BUY, Side.SELL


def venue(mode: MarginMode = MarginMode.ISOLATED, wallet: str = "5000", leverage: int = 20) -> Venue:
    made = Venue([BTC], {"BTCUSDT": BRACKETS})
    made.open_account("a", D(wallet), 0)
    if mode is MarginMode.ISOLATED:
        made.set_margin_mode("a", "BTCUSDT", mode, 0)
    made.set_leverage("a", "BTCUSDT", leverage, 0)
    made.reach("BTCUSDT", D(60000), 1)
    return made


def taken(made: Venue, side: Side, qty: str = "0.5") -> None:
    made.place("a", OrderRequest("BTCUSDT", side, OrderType.MARKET, D(qty)), 2)


def rest(made: Venue, side: Side, price: str, qty: str = "0.01") -> None:
    made.place("a", OrderRequest("BTCUSDT", side, OrderType.LIMIT, D(qty), D(price), TimeInForce.GTX), 2)


def test_it_happens_below_the_liquidation_price_and_not_at_it() -> None:
    made = venue()
    taken(made, BUY)
    at = made.position("a", "BTCUSDT").liquidation_price
    assert abs(at - D("57228.9157")) < D("0.0001")  # binance-usdm.md §15: wallet 1500, mmr 0.4 %
    made.reach("BTCUSDT", D("57229.0"), 3)
    assert made.position("a", "BTCUSDT").qty == D("0.5")
    made.reach("BTCUSDT", D("57228.9"), 4)
    assert made.position("a", "BTCUSDT").qty == 0


@pytest.mark.parametrize(("side", "price"), [(BUY, "57228.9"), (SELL, "62749.1")])
def test_the_position_closes_at_the_path_for_the_liquidation_fee(side: Side, price: str) -> None:
    made = venue()
    taken(made, side)
    made.reach("BTCUSDT", D(price), 4)
    trade = made.trades("a")[-1]
    assert trade.client_id.startswith("autoclose-") and trade.side is side.opposite and not trade.maker
    left = D(1500) - abs(D(price) - 60000) * D("0.5")
    assert trade.price == D(price)
    assert trade.fee == left  # 1.25 % of the notional would be more than is left
    assert made.wallet("a") == 5000 - 15 - 1500
    rich = venue(wallet="50000", mode=MarginMode.CROSS)
    taken(rich, side, "8")
    rich.reach("BTCUSDT", rich.position("a", "BTCUSDT").liquidation_price.quantize(D("0.1")) - 5 * side.sign, 4)
    assert rich.trades("a")[-1].fee > 0 and rich.wallet("a") >= 0


def test_a_jump_past_bankruptcy_costs_the_margin_and_no_more() -> None:
    made = venue()
    taken(made, BUY)
    made.reach("BTCUSDT", D(40000), 4)
    trade = made.trades("a")[-1]
    assert (trade.price, trade.fee) == (D("57000.0"), 0)
    assert made.wallet("a") == D(5000) - 15 - 1500


def test_the_open_orders_of_the_symbol_go_first_with_reason_5() -> None:
    made = venue()
    taken(made, BUY)
    rest(made, SELL, "61000")
    rest(made, BUY, "30000")
    made.drain()
    made.reach("BTCUSDT", D("57000"), 4)
    told = [
        (event.execution, event.order.client_id[:9], event.expiry_reason)
        for event in made.drain()
        if isinstance(event, OrderUpdate)
    ]
    assert [(kind, why) for kind, _, why in told] == [
        (Execution.EXPIRED, "5"),
        (Execution.EXPIRED, "5"),
        (Execution.NEW, "0"),
        (Execution.CALCULATED, "0"),
    ]
    assert told[-1][1] == "autoclose" and not made.open_orders("a")


def test_a_cross_position_lives_on_the_whole_wallet() -> None:
    made = venue(MarginMode.CROSS, wallet="5015")
    taken(made, BUY)
    assert abs(made.position("a", "BTCUSDT").liquidation_price - D("50200.8032")) < D("0.0001")
    made.reach("BTCUSDT", D("50201"), 3)
    assert made.position("a", "BTCUSDT").qty == D("0.5")
    made.reach("BTCUSDT", D("50200"), 3)
    assert made.position("a", "BTCUSDT").qty == 0
    assert 0 <= made.wallet("a") < 100


def test_a_mark_that_is_set_liquidates_and_a_last_price_then_does_not() -> None:
    made = venue()
    taken(made, BUY)
    made.set_mark("BTCUSDT", D(60000), 3)
    made.reach("BTCUSDT", D(50000), 4)
    assert made.position("a", "BTCUSDT").qty == D("0.5")
    made.set_mark("BTCUSDT", D(57000), 5)
    assert made.position("a", "BTCUSDT").qty == 0


def test_a_quote_that_moves_the_mark_liquidates() -> None:
    made = venue()
    taken(made, BUY)
    made.set_quote("BTCUSDT", D("57100"), D(10), D("57100.2"), D(10), 5)
    assert made.trades("a")[-1].price == D("57100")


def test_funding_can_be_the_last_straw() -> None:
    made = venue()
    taken(made, BUY)
    made.reach("BTCUSDT", D("57230"), 4)
    made.settle_funding("BTCUSDT", D("0.001"), 5)
    assert made.position("a", "BTCUSDT").qty == 0


def test_without_brackets_nothing_is_liquidated() -> None:
    made = Venue([BTC])
    made.open_account("a", D(5000), 0)
    made.reach("BTCUSDT", D(60000), 1)
    taken(made, BUY)
    made.reach("BTCUSDT", D(1000), 4)
    assert made.position("a", "BTCUSDT").qty == D("0.5")


def test_the_way_stops_at_the_first_price_that_liquidates_and_orders_before_it_fill() -> None:
    made = venue()
    taken(made, BUY)
    rest(made, BUY, "58000")
    assert made.advance("BTCUSDT", D(40000), 4)
    assert made.last("BTCUSDT") == 58000 and made.position("a", "BTCUSDT").qty == D("0.51")
    at = made.position("a", "BTCUSDT").liquidation_price
    assert made.advance("BTCUSDT", D(40000), 5)
    assert at - BTC.tick_size <= made.last("BTCUSDT") < at
    assert made.position("a", "BTCUSDT").qty == 0
    assert not made.advance("BTCUSDT", D(40000), 6)
    assert made.last("BTCUSDT") == 40000


def test_the_other_account_is_left_alone() -> None:
    made = venue()
    made.open_account("b", D(500000), 0)
    taken(made, BUY)
    made.place("b", OrderRequest("BTCUSDT", BUY, OrderType.MARKET, D("0.5")), 2)
    made.drain()
    made.reach("BTCUSDT", D(57000), 4)
    assert made.position("b", "BTCUSDT").qty == D("0.5")
    assert {event.account for event in made.drain() if isinstance(event, BalanceUpdate)} == {"a"}
