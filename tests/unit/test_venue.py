"""The matching venue: order semantics, filters, margin, money and its invariants on random runs."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.core.venue import (
    BalanceUpdate,
    Execution,
    LeverageUpdate,
    Order,
    OrderRequest,
    OrderUpdate,
    Status,
    Venue,
    VenueError,
    VenueState,
)
from trading.model import MarginMode, OrderType, Side, TimeInForce
from trading.sandbox.instruments import LISTINGS

D = Decimal
BTC = "BTCUSDT"
BUY, SELL = Side.BUY, Side.SELL
GTC, GTX, IOC, FOK, GTD = (TimeInForce(name) for name in ("GTC", "GTX", "IOC", "FOK", "GTD"))


def new_venue(wallet: str = "100000", *accounts: str, through: bool = False) -> Venue:
    listings = LISTINGS.values()
    venue = Venue(
        (listing.instrument for listing in listings),
        {listing.instrument.symbol: listing.brackets for listing in listings},
        through=through,
    )
    for account in accounts or ("a", "b"):
        venue.open_account(account, D(wallet), 0)
    return venue


def quoted(bid: str = "64999.9", ask: str = "65000", qty: str = "10") -> Venue:
    venue = new_venue()
    venue.set_quote(BTC, D(bid), D(qty), D(ask), D(qty), 1)
    venue.drain()
    return venue


def walking(price: str = "65000", through: bool = False) -> Venue:
    venue = new_venue(through=through)
    venue.reach(BTC, D(price), 1)
    venue.drain()
    return venue


def limit(side: Side, price: str, qty: str = "0.01", tif: TimeInForce = GTC, **more: object) -> OrderRequest:
    return OrderRequest(BTC, side, OrderType.LIMIT, D(qty), D(price), tif, **more)  # type: ignore[arg-type]


def market(side: Side, qty: str = "0.01", **more: object) -> OrderRequest:
    return OrderRequest(BTC, side, OrderType.MARKET, D(qty), **more)  # type: ignore[arg-type]


def refusal(venue: Venue, request: OrderRequest, account: str = "a") -> VenueError:
    """The refusal, after checking that it left nothing behind."""
    before = msgspec.msgpack.encode(venue.snapshot().accounts[0].orders)
    with pytest.raises(VenueError) as caught:
        venue.place(account, request, 5)
    assert venue.drain() == []
    assert msgspec.msgpack.encode(venue.snapshot().accounts[0].orders) == before
    return caught.value


def updates(venue: Venue) -> list[tuple[str, str, str]]:
    return [
        (str(event.execution), str(event.order.status), event.expiry_reason)
        for event in venue.drain()
        if isinstance(event, OrderUpdate)
    ]


class TestTimeInForce:
    def test_a_passive_limit_order_rests_and_says_new_only(self) -> None:
        venue = quoted()
        order = venue.place("a", limit(BUY, "64000"), 2)
        assert (order.status, venue.open_orders("a", BTC)) == (Status.NEW, [order])
        (event,) = venue.drain()
        assert isinstance(event, OrderUpdate)
        assert (event.execution, event.trade, event.bid_notional) == (Execution.NEW, None, D("640"))

    def test_an_order_that_is_only_checked_leaves_no_trace(self) -> None:
        venue = quoted()
        assert venue.check("a", limit(BUY, "60000"), 2).qty == D("0.01")
        with pytest.raises(VenueError, match="-5022"):
            venue.check("a", limit(BUY, "65000", tif=GTX), 2)
        assert venue.drain() == [] and venue.all_orders("a") == []

    def test_a_crossing_limit_order_takes_at_the_better_price_and_pays_the_taker_fee(self) -> None:
        venue = quoted()
        order = venue.place("a", limit(BUY, "65010"), 2)
        (trade,) = venue.trades("a")
        assert order.status is Status.FILLED
        assert (trade.price, trade.maker, trade.fee) == (D("65000"), False, D("0.32500000"))

    def test_a_resting_order_pays_the_maker_fee_at_its_own_price(self) -> None:
        venue = quoted()
        venue.place("a", limit(BUY, "64990", tif=GTX), 2)
        venue.print_trade(BTC, D("64990"), D(1), True, 3)
        (trade,) = venue.trades("a")
        assert (trade.price, trade.maker, trade.fee) == (D("64990"), True, D("0.12998000"))

    def test_post_only_that_would_take_is_refused_without_a_trace(self) -> None:
        venue = quoted()
        error = refusal(venue, limit(BUY, "65000", tif=GTX, client_id="g-1"))
        assert error.code == -5022
        assert error.text == (
            "Due to the order could not be executed as maker, the Post Only order will be rejected. "
            "The order will not be recorded in the order history"
        )
        with pytest.raises(VenueError, match="-2013"):
            venue.order("a", BTC, None, "g-1")
        assert venue.place("a", limit(BUY, "64999.9", tif=GTX, client_id="g-1"), 6).status is Status.NEW

    def test_what_an_ioc_cannot_fill_expires_with_reason_2(self) -> None:
        venue = quoted(qty="0.004")
        order = venue.place("a", limit(BUY, "65000", tif=IOC), 2)
        assert (order.status, order.executed) == (Status.EXPIRED, D("0.004"))
        assert updates(venue)[-1] == ("EXPIRED", "EXPIRED", "2")

    def test_fill_or_kill_fills_all_or_is_refused(self) -> None:
        venue = quoted(qty="0.02")
        assert refusal(venue, limit(BUY, "65000", "0.021", FOK)).code == -5021
        assert venue.place("a", limit(BUY, "65000", "0.02", FOK), 2).status is Status.FILLED

    def test_good_till_date_expires_when_its_second_has_come(self) -> None:
        venue = quoted()
        assert refusal(venue, limit(BUY, "64000", tif=GTD, good_till=600_000)).code == -5040
        order = venue.place("a", limit(BUY, "64000", tif=GTD, good_till=700_999), 5)
        assert order.good_till == 700_000
        venue.tick(699_999)
        assert order.status is Status.NEW
        venue.tick(700_000)
        assert order.status is Status.EXPIRED
        assert venue.open_orders("a") == []

    def test_a_market_order_walks_the_levels_and_its_rest_expires_with_reason_9(self) -> None:
        venue = new_venue()
        far = (D("65010"), D("0.02")), (D("90000"), D(5))
        venue.set_quote(BTC, D(64999), D(1), D(65001), D("0.01"), 1, asks=far)
        venue.drain()
        order = venue.place("a", market(BUY, "0.05"), 2)
        assert [(t.price, t.qty) for t in venue.trades("a")] == [(D(65001), D("0.01")), (D(65010), D("0.02"))]
        assert (order.status, order.executed) == (Status.EXPIRED, D("0.03"))
        assert updates(venue)[-1] == ("EXPIRED", "EXPIRED", "9")

    def test_a_market_order_reaches_as_far_from_the_mark_as_its_symbol_says(self) -> None:
        tight = msgspec.structs.replace(LISTINGS[BTC].instrument, market_take_bound=D("0.01"))
        for instrument, executed in ((LISTINGS[BTC].instrument, "0.02"), (tight, "0.01")):
            venue = Venue([instrument])
            venue.open_account("a", D(100_000), 0)
            venue.set_mark(BTC, D(65_000), 1)
            venue.set_quote(BTC, D(64_999), D(1), D(65_001), D("0.01"), 1, asks=((D(66_000), D(1)),))
            assert venue.place("a", market(BUY, "0.02"), 2).executed == D(executed)

    def test_a_market_order_without_a_counterpart_is_refused(self) -> None:
        venue = new_venue()
        venue.set_mark(BTC, D(65000), 1)
        venue.drain()
        assert refusal(venue, market(BUY)).code == -4131


class TestPriority:
    def test_better_price_first_then_the_earlier_order(self) -> None:
        venue = quoted()
        first = venue.place("a", limit(BUY, "64990"), 2)
        second = venue.place("b", limit(BUY, "64990"), 3)
        best = venue.place("b", limit(BUY, "64995"), 4)
        venue.print_trade(BTC, D("64990"), D("0.025"), True, 5)
        assert [o.executed for o in (best, first, second)] == [D("0.01"), D("0.01"), D("0.005")]
        assert second.status is Status.PARTIALLY_FILLED

    def test_an_amended_order_goes_to_the_back_of_its_price(self) -> None:
        venue = quoted()
        first = venue.place("a", limit(BUY, "64990", "0.02"), 2)
        second = venue.place("b", limit(BUY, "64990"), 3)
        venue.amend("a", BTC, first.order_id, None, BUY, D("64990"), D("0.01"), 4)
        venue.print_trade(BTC, D("64990"), D("0.01"), True, 5)
        assert (first.executed, second.executed) == (D(0), D("0.01"))

    def test_an_amended_order_remembers_how_its_price_of_now_was_found(self) -> None:
        venue = quoted()
        order = venue.place("a", limit(BUY, "64990", price_match="QUEUE_5"), 2)
        venue.amend("a", BTC, order.order_id, None, BUY, D("64980"), D("0.01"), 3)
        assert order.price_match == "NONE"
        venue.amend("a", BTC, order.order_id, None, BUY, D("64970"), D("0.01"), 4, price_match="QUEUE")
        assert order.price_match == "QUEUE"

    def test_the_queue_of_a_price_survives_a_restart(self) -> None:
        venue = quoted()
        first = venue.place("a", limit(BUY, "64990", "0.02"), 2)
        venue.place("b", limit(BUY, "64990"), 3)
        venue.amend("a", BTC, first.order_id, None, BUY, D("64990"), D("0.01"), 4)
        again = Venue.restore(venue.snapshot())
        again.print_trade(BTC, D("64990"), D("0.01"), True, 5)
        assert [len(again.trades(name)) for name in "ab"] == [0, 1]

    def test_accounts_trade_with_each_other_at_the_makers_price_under_one_trade_id(self) -> None:
        venue = quoted(bid="64000", ask="66000")
        venue.place("a", limit(SELL, "65000"), 2)
        venue.place("b", limit(BUY, "65100"), 3)
        (mine,), (theirs,) = venue.trades("a"), venue.trades("b")
        assert mine.price == theirs.price == D("65000")
        assert (mine.trade_id, mine.maker, theirs.maker) == (theirs.trade_id, True, False)

    def test_a_quote_that_moves_onto_resting_orders_fills_them_as_far_as_its_quantity_goes(self) -> None:
        venue = quoted()
        order = venue.place("a", limit(BUY, "64990", "0.03"), 2)
        venue.set_quote(BTC, D("64979.9"), D(1), D("64980"), D("0.02"), 3)
        assert (order.executed, order.average) == (D("0.02"), D("64990"))
        assert (venue.bid(BTC), venue.ask(BTC)) == (D("64990"), D(0))

    def test_an_order_that_joins_a_level_of_the_world_outside_stands_behind_it(self) -> None:
        venue = quoted(qty="0.02")
        for side, price in ((SELL, "65000"), (BUY, "64999.9")):
            own = venue.place("a", limit(side, price), 2)
            venue.place("b", market(side.opposite, "0.015"), 3)
            assert own.executed == 0
            venue.place("b", market(side.opposite, "0.01"), 4)
            assert own.executed == D("0.005")

    def test_an_outside_trade_worse_than_the_touch_does_not_reach_deeper_orders(self) -> None:
        venue = quoted()
        order = venue.place("a", limit(BUY, "64990"), 2)
        venue.print_trade(BTC, D("64990.1"), D(5), True, 3)
        venue.print_trade(BTC, D("64990"), D(5), False, 3)
        assert order.executed == 0

    def test_depth_joins_both_worlds(self) -> None:
        venue = quoted()
        venue.place("a", limit(BUY, "64999.9"), 2)
        venue.place("a", limit(BUY, "64000"), 2)
        bids, asks = venue.depth(BTC)
        assert [(level.price, level.qty) for level in bids] == [(D("64999.9"), D("10.01")), (D("64000"), D("0.01"))]
        assert [(level.price, level.qty) for level in asks] == [(D("65000"), D("10"))]
        assert venue.edges(BTC)[0] == D("64999.9")


class TestSelfTradePrevention:
    def pair(self, mode: str, tif: TimeInForce = GTC) -> tuple[Venue, Order, Order]:
        venue = quoted(bid="64000", ask="66000")
        maker = venue.place("a", limit(SELL, "65000"), 2)
        venue.drain()
        return venue, maker, venue.place("a", limit(BUY, "65000", tif=tif, stp=mode), 3)

    def test_the_takers_mode_says_who_expires(self) -> None:
        expected = {
            "EXPIRE_MAKER": (Status.EXPIRED_IN_MATCH, Status.NEW),
            "EXPIRE_TAKER": (Status.NEW, Status.EXPIRED_IN_MATCH),
            "EXPIRE_BOTH": (Status.EXPIRED_IN_MATCH, Status.EXPIRED_IN_MATCH),
            "NONE": (Status.FILLED, Status.FILLED),
        }
        for mode, statuses in expected.items():
            _, maker, taker = self.pair(mode)
            assert (maker.status, taker.status) == statuses, mode

    def test_an_ioc_stopped_by_it_gives_reason_3(self) -> None:
        venue, _, _ = self.pair("EXPIRE_TAKER", IOC)
        assert updates(venue)[-1] == ("EXPIRED", "EXPIRED_IN_MATCH", "3")

    def test_a_market_order_stopped_by_it_says_so_and_not_that_the_book_was_empty(self) -> None:
        venue = quoted(bid="64000", ask="66000")
        venue.place("a", limit(SELL, "65000"), 2)
        venue.drain()
        order = venue.place("a", market(BUY, "0.03", stp="EXPIRE_TAKER"), 3)
        assert (order.status, order.executed) == (Status.EXPIRED_IN_MATCH, D(0))
        assert updates(venue)[-1] == ("EXPIRED", "EXPIRED_IN_MATCH", "1")


class TestFilters:
    @pytest.mark.parametrize(
        ("request_", "code", "text"),
        [
            (limit(BUY, "64000.123"), -1111, "Precision is over the maximum defined for this asset."),
            (limit(BUY, "64000", "0.0015"), -1111, "Precision is over the maximum defined for this asset."),
            (limit(BUY, "64000.15"), -4014, "Price not increased by tick size."),
            (limit(BUY, "0"), -4001, "Price less than 0."),
            (limit(BUY, "500"), -4013, "Price less than min price."),
            (limit(SELL, "5000000"), -4002, "Price greater than max price."),
            (limit(BUY, "64000", "0"), -4003, "Quantity less than or equal to zero."),
            (limit(BUY, "64000", "1001"), -4005, "Quantity greater than max quantity."),
            (market(BUY, "121"), -4005, "Quantity greater than max quantity."),
            (limit(BUY, "600", "0.01"), -4164,
             "Order's notional must be no smaller than 50 (unless you choose reduce only)."),
            (limit(BUY, "68250.1"), -4016, "Limit price can't be higher than 68249.94."),
            (limit(SELL, "61749.9"), -4024, "Limit price can't be lower than 61749.96."),
            (limit(BUY, "64000", client_id="ä"), -4015, "Client order id is not valid."),
            (limit(BUY, "64000", client_id="x" * 37), -4015,
             "Client order id length should not be more than 36 chars"),
            (limit(BUY, "NaN"), -1102, "A mandatory parameter was not sent, was empty/null, or malformed."),
            (OrderRequest("NOSUCH", BUY, OrderType.MARKET, D(1)), -1121, "Invalid symbol."),
        ],
    )  # fmt: skip
    def test_a_request_against_the_rules_is_refused_with_binances_code(
        self, request_: OrderRequest, code: int, text: str
    ) -> None:
        error = refusal(quoted(), request_)
        assert (error.code, error.text) == (code, text)

    def test_trailing_zeros_are_not_precision(self) -> None:
        assert quoted().place("a", limit(BUY, "64000.10000", "0.0100000"), 2).status is Status.NEW

    def test_reduce_only_orders_may_be_small(self) -> None:
        venue = quoted()
        venue.place("a", market(BUY, "0.001"), 2)
        venue.set_quote(BTC, D("40000"), D(1), D("40000.1"), D(1), 3)
        assert venue.place("a", limit(SELL, "40001", "0.001", reduce_only=True), 4).status is Status.NEW

    def test_the_201st_open_order_is_refused(self) -> None:
        venue = quoted()
        for number in range(200):
            venue.place("a", limit(BUY, str(60000 + number), "0.001"), 2)
        venue.drain()
        assert refusal(venue, limit(BUY, "59999", "0.001")).code == -2025

    def test_a_client_id_is_unique_among_open_orders_only(self) -> None:
        venue = quoted()
        first = venue.place("a", limit(BUY, "64000", client_id="g-1"), 2)
        venue.drain()
        error = refusal(venue, limit(BUY, "63000", client_id="g-1"))
        assert (error.code, error.text) == (-4116, "ClientOrderId is duplicated.")
        venue.cancel("a", BTC, None, "g-1", 3)
        again = venue.place("a", limit(BUY, "63000", client_id="g-1"), 4)
        assert again.order_id > first.order_id
        assert venue.order("a", BTC, None, "g-1") is again
        assert venue.place("b", limit(BUY, "63000", client_id="g-1"), 5).is_open

    @pytest.mark.parametrize(
        ("changes", "request_", "code"),
        [
            ({"min_qty": D("0.005")}, limit(BUY, "64000", "0.004"), -4004),
            ({"qty_precision": 4}, limit(BUY, "64000", "0.0015"), -4023),
            ({"status": "SETTLING"}, limit(BUY, "64000"), -4140),
            ({"max_orders": 0}, limit(BUY, "64000"), 0),
            ({"multiplier_up": D("1.00001")}, market(BUY), -4131),
        ],
    )
    def test_the_symbols_own_rules_decide(self, changes: dict[str, object], request_: OrderRequest, code: int) -> None:
        venue = Venue([msgspec.structs.replace(LISTINGS[BTC].instrument, **changes)])
        venue.open_account("a", D(1000), 0)
        venue.set_quote(BTC, D(64900), D(1), D(65100), D(1), 1)
        venue.drain()
        if code:
            assert refusal(venue, request_).code == code
        else:
            assert venue.place("a", request_, 2).is_open

    def test_a_halted_symbol_and_a_tired_order_cannot_be_amended(self) -> None:
        for field, value, code in (
            ("status", "SETTLING", -5024),
            ("type", "MARKET", -5025),
            ("amendments", 10_000, -5026),
        ):
            venue = quoted()
            venue.place("a", limit(BUY, "64000"), 2)
            state = msgspec.to_builtins(venue.snapshot())
            (state["markets"][0]["instrument"] if field == "status" else state["accounts"][0]["orders"][0])[field] = (
                value
            )
            venue = Venue.restore(msgspec.convert(state, VenueState))
            with pytest.raises(VenueError, match=str(code)):
                venue.amend("a", BTC, 1, None, BUY, D(63000), D("0.01"), 3)


class TestAccounts:
    def test_money_that_comes_and_goes_is_told_and_written_down(self) -> None:
        venue = new_venue("100", "a")
        venue.deposit("a", D(50), 1)
        venue.deposit("a", D(-30), 2)
        told = [(e.reason, e.wallet, e.change) for e in venue.drain() if isinstance(e, BalanceUpdate)]
        assert told == [("DEPOSIT", 100, 100), ("DEPOSIT", 150, 50), ("WITHDRAW", 120, -30)]
        assert [row.amount for row in venue.income("a")] == [100, 50, -30]
        with pytest.raises(ValueError, match="exists"):
            venue.open_account("a", D(1), 3)
        assert venue.accounts == ("a",)

    def test_positions_are_those_with_a_position_or_open_orders(self) -> None:
        venue = quoted()
        assert venue.positions("a") == []
        order = venue.place("a", limit(BUY, "64000"), 2)
        assert [view.symbol for view in venue.positions("a")] == [BTC]
        venue.cancel("a", BTC, order.order_id, None, 3)
        assert venue.positions("a") == []
        assert venue.leverage("a", BTC) == 20
        assert venue.margin_mode("a", BTC) is MarginMode.CROSS
        assert venue.max_notional(BTC, 20) == 100_000_000

    def test_leverage_too_low_for_what_is_open_is_refused_and_stays(self) -> None:
        venue = new_venue("1000", "a")
        venue.set_quote(BTC, D(64999), D(100), D(65000), D(100), 1)
        venue.place("a", market(BUY, "0.2"), 2)
        with pytest.raises(VenueError, match="-2028"):
            venue.set_leverage("a", BTC, 5, 3)
        assert venue.leverage("a", BTC) == 20
        rich = new_venue("90000000", "a")
        rich.set_quote(BTC, D(64999), D(100), D(65000), D(100), 1)
        rich.place("a", market(BUY, "100"), 2)
        with pytest.raises(VenueError, match="-2027"):
            rich.set_leverage("a", BTC, 125, 3)

    def test_the_system_may_expire_a_resting_order_with_its_reason(self) -> None:
        venue = quoted()
        order = venue.place("a", limit(BUY, "64000"), 2)
        venue.drain()
        venue.expire("a", order.order_id, "7", 3)
        assert updates(venue) == [("EXPIRED", "EXPIRED", "7")]
        with pytest.raises(VenueError, match="-2011"):
            venue.expire("a", order.order_id, "7", 4)


class TestCancelAndAmend:
    def test_cancelling_what_is_not_open_is_unknown(self) -> None:
        venue = quoted()
        order = venue.place("a", limit(BUY, "64000"), 2)
        assert venue.cancel("a", BTC, order.order_id, None, 3).status is Status.CANCELED
        for order_id, account in ((order.order_id, "a"), (99, "a"), (order.order_id, "b")):
            with pytest.raises(VenueError, match=r"-2011: Unknown order sent\."):
                venue.cancel(account, BTC, order_id, None, 4)
        with pytest.raises(VenueError, match=r"-2013: Order does not exist\."):
            venue.order("a", BTC, 99)

    def test_cancel_all_leaves_other_symbols_and_accounts(self) -> None:
        venue = quoted()
        venue.set_quote("ETHUSDT", D(3199), D(5), D(3200), D(5), 1)
        mine = [venue.place("a", limit(BUY, price), 2) for price in ("64000", "63000")]
        eth = venue.place("a", OrderRequest("ETHUSDT", BUY, OrderType.LIMIT, D("0.1"), D(3000)), 2)
        theirs = venue.place("b", limit(BUY, "64000"), 2)
        assert venue.cancel_all("a", BTC, 3) == mine
        assert eth.is_open and theirs.is_open
        assert venue.cancel_all("a", BTC, 4) == []

    def test_an_amendment_keeps_ids_and_counts_what_is_filled(self) -> None:
        venue = quoted()
        order = venue.place("a", limit(BUY, "64990", "0.02"), 2)
        venue.print_trade(BTC, D("64990"), D("0.005"), True, 3)
        venue.drain()
        venue.amend("a", BTC, order.order_id, None, BUY, D("64980"), D("0.015"), 4)
        assert (order.price, order.remaining, order.status) == (D("64980"), D("0.010"), Status.PARTIALLY_FILLED)
        assert updates(venue) == [("AMENDMENT", "PARTIALLY_FILLED", "0")]
        assert venue.position("a", BTC).bid_notional == D("649.8")

    def test_an_amendment_below_what_is_filled_cancels(self) -> None:
        venue = quoted()
        order = venue.place("a", limit(BUY, "64990", "0.02"), 2)
        venue.print_trade(BTC, D("64990"), D("0.01"), True, 3)
        assert venue.amend("a", BTC, order.order_id, None, BUY, D("64990"), D("0.01"), 4).status is Status.CANCELED

    def test_a_post_only_order_amended_onto_the_other_side_is_cancelled_a_plain_one_trades(self) -> None:
        for tif, status in ((GTX, Status.CANCELED), (GTC, Status.FILLED)):
            venue = quoted()
            order = venue.place("a", limit(BUY, "64990", tif=tif), 2)
            venue.amend("a", BTC, order.order_id, None, BUY, D("65001"), D("0.01"), 3)
            assert order.status is status
            assert venue.open_orders("a") == []

    @pytest.mark.parametrize(
        ("side", "price", "qty", "reduce_only", "code"),
        [
            (BUY, "64990", "0.01", False, -5027),
            (BUY, "64990.05", "0.01", False, -4014),
            (BUY, "64990", "0", False, -4003),
            (BUY, "600", "0.001", False, -5029),
            (BUY, "64000", "0.01", True, -5047),
            (SELL, "64000", "0.01", False, -1117),
            (BUY, "64000", "200", False, -2019),
            (BUY, "69000", "0.01", False, -4016),
        ],
    )
    def test_a_refused_amendment_changes_nothing(
        self, side: Side, price: str, qty: str, reduce_only: bool, code: int
    ) -> None:
        venue = quoted()
        order = venue.place("a", limit(BUY, "64990"), 2)
        venue.drain()
        before = venue.snapshot()
        with pytest.raises(VenueError, match=str(code)):
            venue.amend("a", BTC, order.order_id, None, side, D(price), D(qty), 3, reduce_only)
        assert venue.snapshot() == before
        with pytest.raises(VenueError, match="-2013"):
            venue.amend("a", BTC, 99, None, BUY, D("64000"), D("0.01"), 3)


class TestReduceOnly:
    def test_it_needs_a_position_to_reduce(self) -> None:
        venue = quoted()
        assert refusal(venue, market(SELL, reduce_only=True)).text == "ReduceOnly Order is rejected."
        venue.place("a", market(BUY), 2)
        venue.drain()
        assert refusal(venue, market(BUY, reduce_only=True)).code == -2022

    def test_it_never_flips_the_position(self) -> None:
        venue = quoted()
        venue.place("a", market(BUY, "0.01"), 2)
        order = venue.place("a", market(SELL, "0.05", reduce_only=True), 3)
        assert (order.status, order.executed) == (Status.FILLED, D("0.01"))
        assert venue.position("a", BTC).qty == 0

    def test_two_that_together_exceed_the_position_conflict(self) -> None:
        venue = quoted()
        venue.place("a", market(BUY, "0.01"), 2)
        venue.place("a", limit(SELL, "66000", "0.006", reduce_only=True), 3)
        venue.drain()
        assert refusal(venue, limit(SELL, "67000", "0.006", reduce_only=True)).code == -2022
        assert venue.place("a", limit(SELL, "67000", "0.004", reduce_only=True), 4).is_open

    def test_at_the_market_it_comes_before_resting_ones(self) -> None:
        venue = quoted()
        venue.place("a", market(BUY, "0.01"), 2)
        resting = venue.place("a", limit(SELL, "66000", "0.01", reduce_only=True), 3)
        first = venue.place("a", market(SELL, "0.004", reduce_only=True), 4)
        assert (first.executed, resting.qty, resting.status) == (D("0.004"), D("0.006"), Status.NEW)
        venue.place("a", market(SELL, "0.01", reduce_only=True), 5)
        assert (venue.position("a", BTC).qty, resting.status) == (0, Status.EXPIRED)

    def test_resting_ones_shrink_and_expire_with_the_position(self) -> None:
        venue = quoted()
        venue.place("a", market(BUY, "0.01"), 2)
        older = venue.place("a", limit(SELL, "66000", "0.006", reduce_only=True), 3)
        newer = venue.place("a", limit(SELL, "67000", "0.004", reduce_only=True), 4)
        venue.place("a", market(SELL, "0.005"), 5)
        assert (older.qty, older.status, newer.status) == (D("0.005"), Status.NEW, Status.EXPIRED)
        venue.drain()
        venue.place("a", market(SELL, "0.005"), 6)
        assert older.status is Status.EXPIRED
        assert updates(venue)[-1] == ("EXPIRED", "EXPIRED", "4")
        assert venue.open_orders("a") == []

    def test_a_flip_of_the_same_size_ends_them_too(self) -> None:
        venue = quoted()
        venue.place("a", market(BUY, "0.01"), 2)
        order = venue.place("a", limit(SELL, "66000", "0.01", reduce_only=True), 3)
        venue.place("a", market(SELL, "0.02"), 4)
        assert (order.status, venue.position("a", BTC).qty) == (Status.EXPIRED, D("-0.01"))

    def test_an_amendment_may_not_outgrow_the_position(self) -> None:
        venue = quoted()
        venue.place("a", market(SELL, "0.01"), 2)
        order = venue.place("a", limit(BUY, "64000", "0.01", reduce_only=True), 3)
        with pytest.raises(VenueError, match="-2022"):
            venue.amend("a", BTC, order.order_id, None, BUY, D(64000), D("0.02"), 4, True)
        assert venue.amend("a", BTC, order.order_id, None, BUY, D(63000), D("0.005"), 4, True).qty == D("0.005")


class TestMoney:
    def test_the_average_entry_moves_only_when_the_position_grows(self) -> None:
        venue = quoted()
        venue.place("a", limit(BUY, "64000", "0.01"), 2)
        venue.place("a", limit(BUY, "63000", "0.03"), 2)
        venue.print_trade(BTC, D("63000"), D(1), True, 3)
        assert venue.position("a", BTC).entry == D("63250")
        venue.place("a", market(SELL, "0.02"), 4)
        assert venue.position("a", BTC).entry == D("63250")
        assert venue.trades("a")[-1].realized_pnl == D("34.99800000")

    def test_a_flip_realises_the_old_side_and_starts_at_the_fill(self) -> None:
        venue = quoted()
        venue.place("a", market(BUY, "0.01"), 2)
        venue.place("a", market(SELL, "0.03"), 3)
        position = venue.position("a", BTC)
        assert (position.qty, position.entry) == (D("-0.02"), D("64999.9"))
        assert venue.trades("a")[-1].realized_pnl == D("-0.00100000")

    def test_fees_are_rounded_half_up_to_eight_decimals(self) -> None:
        venue = new_venue()
        venue.set_quote("SOLUSDT", D("149.99"), D(50), D("150.01"), D(50), 1)
        venue.place("a", OrderRequest("SOLUSDT", BUY, OrderType.MARKET, D("0.37")), 2)
        assert venue.trades("a")[0].fee == D("0.02775185")
        odd = LISTINGS[BTC].instrument
        venue = Venue([msgspec.structs.replace(odd, maker_fee=D("0.00000005"), tick_size=D("0.1"))])
        venue.open_account("a", D(1000), 0)
        venue.reach(BTC, D(65000), 1)
        venue.place("a", limit(BUY, "60000.1", "0.001", GTX), 2)
        venue.reach(BTC, D(60000), 3)
        assert venue.trades("a")[0].fee == D("0.00000300")

    def test_income_rows_add_up_to_the_wallet(self) -> None:
        venue = quoted()
        venue.place("a", market(BUY, "0.03"), 2)
        venue.settle_funding(BTC, D("0.0001"), 3)
        venue.place("a", market(SELL, "0.03"), 4)
        rows = venue.income("a")
        assert [row.type for row in rows] == ["TRANSFER", "COMMISSION", "FUNDING_FEE", "REALIZED_PNL", "COMMISSION"]
        assert sum(row.amount for row in rows) == venue.wallet("a")
        assert len({row.tran_id for row in rows}) == 5

    def test_longs_pay_funding_and_shorts_receive_it(self) -> None:
        venue = quoted()
        venue.place("a", market(BUY, "0.02"), 2)
        venue.place("b", market(SELL, "0.02"), 2)
        venue.set_mark(BTC, D("65000"), 3)
        venue.drain()
        venue.settle_funding(BTC, D("0.0001"), 4)
        rows = [row.amount for name in "ab" for row in venue.income(name) if row.type == "FUNDING_FEE"]
        assert rows == [D("-0.13"), D("0.13")]
        first, second = venue.drain()
        assert isinstance(first, BalanceUpdate) and isinstance(second, BalanceUpdate)
        assert (first.reason, first.symbol, first.positions) == ("FUNDING_FEE", BTC, ())

    def test_every_fill_tells_the_order_and_the_balance(self) -> None:
        venue = quoted()
        venue.place("a", market(BUY, "0.01"), 2)
        new, trade, balance = venue.drain()
        assert isinstance(new, OrderUpdate) and isinstance(trade, OrderUpdate) and isinstance(balance, BalanceUpdate)
        assert (new.order.executed, trade.order.executed) == (D(0), D("0.01"))
        assert trade.trade == venue.trades("a")[0]
        assert (balance.wallet, balance.positions[0].qty) == (venue.wallet("a"), D("0.01"))
        assert balance.positions[0].break_even == D("65032.5")


class TestMargin:
    def test_the_worked_example_of_the_reference(self) -> None:
        """Long notional 10000, bids 1900, asks 2200, 2x: max(11900, 7800) / 2 = 5950."""
        venue = new_venue()
        venue.set_quote("ETHUSDT", D(2000), D(10), D("2000.01"), D(10), 1)
        venue.set_leverage("a", "ETHUSDT", 2, 1)
        venue.place("a", OrderRequest("ETHUSDT", BUY, OrderType.MARKET, D(5)), 2)
        venue.set_mark("ETHUSDT", D(2000), 2)
        venue.place("a", OrderRequest("ETHUSDT", BUY, OrderType.LIMIT, D(1), D(1900)), 3)
        venue.place("a", OrderRequest("ETHUSDT", SELL, OrderType.LIMIT, D(1), D(2200)), 3)
        view = venue.position("a", "ETHUSDT")
        assert (view.position_margin, view.open_order_margin, view.initial_margin) == (D(5000), D(950), D(5950))
        assert venue.available("a") == venue.wallet("a") + view.unrealized_pnl - D(5950)

    def test_an_order_beyond_the_available_balance_is_refused_and_one_at_it_is_not(self) -> None:
        venue = new_venue("1000", "a")
        venue.set_quote(BTC, D(64999), D(10), D(65001), D(10), 1)
        venue.set_leverage("a", BTC, 10, 1)
        venue.drain()
        error = refusal(venue, limit(BUY, "62500", "0.161"))
        assert (error.code, error.text) == (-2019, "Margin is insufficient.")
        venue.place("a", limit(BUY, "62500", "0.16"), 2)
        assert venue.available("a") == 0
        # The other side is covered by the same margin.
        assert venue.place("a", limit(SELL, "66000", "0.15"), 3).is_open

    def test_closing_needs_no_margin_even_with_nothing_left(self) -> None:
        venue = new_venue("700", "a")
        venue.set_quote(BTC, D(64999), D(10), D(65000), D(10), 1)
        venue.set_leverage("a", BTC, 10, 1)
        venue.place("a", market(BUY, "0.1"), 2)
        venue.set_quote(BTC, D(60000), D(10), D("60000.1"), D(10), 3)
        venue.drain()
        assert venue.available("a") == 0
        assert refusal(venue, market(BUY, "0.001")).code == -2019
        assert venue.place("a", market(SELL, "0.1"), 4).status is Status.FILLED

    def test_a_position_too_large_for_the_leverage_is_refused(self) -> None:
        venue = new_venue("10000000", "a")
        venue.set_quote(BTC, D(64999), D(100), D(65000), D(100), 1)
        venue.set_leverage("a", BTC, 125, 1)
        venue.drain()
        assert refusal(venue, market(BUY, "5")).code == -2027
        assert venue.position("a", BTC).max_notional == D(300_000)

    def test_isolated_margin_moves_into_the_positions_own_wallet_and_back(self) -> None:
        venue = quoted()
        venue.set_margin_mode("a", BTC, MarginMode.ISOLATED, 1)
        venue.set_leverage("a", BTC, 10, 1)
        venue.place("a", market(BUY, "0.04"), 2)
        assert venue.position("a", BTC).isolated_wallet == D("260")
        funds = venue.funds("a")
        assert funds.cross_wallet == funds.wallet - D("260") == funds.available
        venue.place("a", market(SELL, "0.01"), 3)
        assert venue.position("a", BTC).isolated_wallet == D("195")
        venue.settle_funding(BTC, D("0.001"), 4)
        assert venue.position("a", BTC).isolated_wallet == D("195") - D("1.9499985").quantize(D("1E-8"))
        venue.place("a", market(SELL, "0.05"), 5)
        assert venue.position("a", BTC).isolated_wallet == D("0.02") * D("64999.9") / 10
        venue.place("a", market(BUY, "0.02"), 6)
        assert venue.position("a", BTC).isolated_wallet == 0
        assert venue.funds("a").cross_wallet == venue.wallet("a")

    def test_the_isolated_liquidation_price_is_the_references(self) -> None:
        venue = quoted("59999.9", "60000")
        venue.set_margin_mode("a", BTC, MarginMode.ISOLATED, 1)
        venue.set_leverage("a", BTC, 20, 1)
        venue.place("a", market(BUY, "0.5"), 2)
        assert venue.position("a", BTC).liquidation_price.quantize(D("0.0001")) == D("57228.9157")

    def test_margin_mode_is_refused_when_same_or_in_use(self) -> None:
        venue = quoted()

        def code(mode: MarginMode) -> int:
            with pytest.raises(VenueError) as caught:
                venue.set_margin_mode("a", BTC, mode, 2)
            return caught.value.code

        assert code(MarginMode.CROSS) == -4046
        order = venue.place("a", limit(BUY, "64000"), 2)
        assert code(MarginMode.ISOLATED) == -4047
        venue.cancel("a", BTC, order.order_id, None, 2)
        venue.place("a", market(BUY), 2)
        assert code(MarginMode.ISOLATED) == -4048

    def test_leverage_is_told_when_it_changes_and_refused_out_of_bounds(self) -> None:
        venue = quoted()
        venue.set_leverage("a", BTC, 7, 2)
        venue.set_leverage("a", BTC, 7, 3)
        assert venue.drain() == [LeverageUpdate("a", BTC, 7, 2)]
        for leverage in (0, 126):
            with pytest.raises(VenueError, match="-4028"):
                venue.set_leverage("a", BTC, leverage, 4)
        venue.set_margin_mode("a", BTC, MarginMode.ISOLATED, 4)
        venue.place("a", market(BUY), 4)
        with pytest.raises(VenueError, match="-4161"):
            venue.set_leverage("a", BTC, 5, 5)


class TestCandlePath:
    def test_every_reached_order_fills_whole_at_its_own_price_in_path_order(self) -> None:
        venue = walking()
        orders = [venue.place("a", limit(BUY, price, "3", GTX), 2) for price in ("64000", "64500", "63000", "64800")]
        assert venue.reach(BTC, D("64000"), 3) == 3
        assert [t.price for t in venue.trades("a")] == [D("64800"), D("64500"), D("64000")]
        assert [order.status for order in orders] == [Status.FILLED, Status.FILLED, Status.NEW, Status.FILLED]
        assert all(trade.maker for trade in venue.trades("a"))

    def test_through_needs_one_tick_more(self) -> None:
        venue = walking(through=True)
        venue.place("a", limit(SELL, "65100", tif=GTX), 2)
        assert [venue.reach(BTC, D(price), 3) for price in ("65100", "65100.1")] == [0, 1]

    def test_takers_fill_whole_at_the_path_price(self) -> None:
        venue = walking()
        venue.place("a", market(BUY, "0.9"), 2)
        venue.place("b", limit(SELL, "64990", "0.5"), 2)
        assert [(t.price, t.qty) for name in "ab" for t in venue.trades(name)] == [
            (D(65000), D("0.9")),
            (D(65000), D("0.5")),
        ]

    def test_bid_and_ask_stand_one_tick_either_side_and_mark_is_the_point(self) -> None:
        venue = walking()
        assert (venue.bid(BTC), venue.ask(BTC), venue.mark(BTC)) == (D("64999.9"), D("65000.1"), D("65000"))
        assert venue.place("a", limit(BUY, "65000", tif=GTX), 2).is_open
        with pytest.raises(VenueError, match="-5022"):
            venue.place("a", limit(BUY, "65000.1", tif=GTX), 2)

    def test_a_path_forgets_the_quotes_before_it(self) -> None:
        venue = quoted()
        venue.reach(BTC, D(64000), 2)
        assert (venue.mark(BTC), venue.bid(BTC), venue.depth(BTC)) == (D(64000), D("63999.9"), ([], []))
        venue.set_quote(BTC, D(64100), D(1), D(64102), D(1), 3)
        assert (venue.mark(BTC), venue.last(BTC)) == (D(64101), D(64000))

    def test_a_jump_over_ten_levels_is_ten_fills(self) -> None:
        venue = walking()
        for step in range(1, 11):
            venue.place("a", limit(SELL, str(65000 + 100 * step), tif=GTX), 2)
        assert venue.reach(BTC, D(80000), 3) == 10
        assert venue.position("a", BTC).qty == D("-0.1")


PRICES = st.integers(64_994, 65_006).map(Decimal)
"""Few, so that orders meet."""
QTYS = st.integers(1, 60).map(lambda lots: lots * D("0.001"))
ACTION = st.one_of(
    st.tuples(st.just("place"), st.sampled_from("ab"), st.sampled_from([BUY, SELL]), PRICES, QTYS,
              st.sampled_from([GTC, GTX, IOC, FOK]), st.booleans(),
              st.sampled_from(["EXPIRE_MAKER", "EXPIRE_TAKER", "EXPIRE_BOTH", "NONE"])),
    st.tuples(st.just("market"), st.sampled_from("ab"), st.sampled_from([BUY, SELL]), QTYS, st.booleans()),
    st.tuples(st.just("cancel"), st.sampled_from("ab"), st.integers(0, 20)),
    st.tuples(st.just("amend"), st.sampled_from("ab"), st.integers(0, 20), PRICES, QTYS),
    st.tuples(st.just("quote"), PRICES, QTYS, QTYS),
    st.tuples(st.just("trade"), PRICES, QTYS, st.booleans()),
    st.tuples(st.just("reach"), PRICES),
    st.tuples(st.just("funding"), st.integers(-30, 30)),
)  # fmt: skip
MODES = st.sampled_from([MarginMode.CROSS, MarginMode.ISOLATED])


def start(mode: MarginMode, wallet: str) -> Venue:
    venue = new_venue(wallet, "a", "b")
    for account in "ab":
        venue.set_leverage(account, BTC, 10, 0)
        if mode is MarginMode.ISOLATED:
            venue.set_margin_mode(account, BTC, mode, 0)
    venue.set_quote(BTC, D(64999), D("0.05"), D(65001), D("0.05"), 0)
    return venue


def act(venue: Venue, action: tuple, now: int) -> Order | None:
    """Do `action`; the order it made, if any."""
    match action:
        case ("place", account, side, price, qty, tif, reduce_only, stp):
            request = OrderRequest(BTC, side, OrderType.LIMIT, qty, price, tif, reduce_only, stp=stp)
            return venue.place(account, request, now)
        case ("market", account, side, qty, reduce_only):
            return venue.place(account, market(side, str(qty), reduce_only=reduce_only), now)
        case ("cancel", account, number):
            if orders := venue.open_orders(account):
                venue.cancel(account, BTC, orders[number % len(orders)].order_id, None, now)
        case ("amend", account, number, price, qty):
            if orders := venue.open_orders(account):
                order = orders[number % len(orders)]
                venue.amend(account, BTC, order.order_id, None, order.side, price, qty, now)
        case ("quote", price, bid_qty, ask_qty):
            venue.set_quote(BTC, price, bid_qty, price + 1, ask_qty, now)
        case ("trade", price, qty, is_buyer_maker):
            venue.print_trade(BTC, price, qty, is_buyer_maker, now)
        case ("reach", price):
            venue.reach(BTC, price, now)
        case ("funding", rate):
            venue.settle_funding(BTC, D(rate) / 100_000, now)
    return None


def attempt(venue: Venue, action: tuple, now: int) -> str:
    try:
        act(venue, action, now)
    except VenueError as error:
        return str(error)
    return ""


def check_books(venue: Venue, wallet: str) -> None:
    for account in "ab":
        trades, orders = venue.trades(account), venue.all_orders(account)
        funding = sum((row.amount for row in venue.income(account) if row.type == "FUNDING_FEE"), D(0))
        fees, realized = sum((t.fee for t in trades), D(0)), sum((t.realized_pnl for t in trades), D(0))
        assert venue.wallet(account) == D(wallet) + realized - fees + funding
        position = venue.position(account, BTC)
        assert position.qty == sum((t.qty * t.side.sign for t in trades), D(0))
        # Cash view: money spent on the fills is where the mark says it is.
        spent = sum((t.qty * t.price * t.side.sign for t in trades), D(0))
        assert position.qty * position.mark - spent == realized + position.unrealized_pnl
        for order in orders:
            filled = [t for t in trades if t.order_id == order.order_id]
            assert order.executed == sum((t.qty for t in filled), D(0)) <= order.qty
            assert order.quote_executed == sum((t.qty * t.price for t in filled), D(0))
            assert (order.status is Status.FILLED) == (order.executed == order.qty)
        resting = venue.open_orders(account)
        plain = [o for o in resting if not o.reduce_only]
        assert position.bid_notional == sum((o.remaining * o.price for o in plain if o.side is BUY), D(0))
        assert position.ask_notional == sum((o.remaining * o.price for o in plain if o.side is SELL), D(0))
        for order in resting:
            if order.reduce_only:
                assert position.qty * order.side.sign < 0
        reducing = sum((o.remaining for o in resting if o.reduce_only), D(0))
        assert reducing <= abs(position.qty) or not reducing
        assert venue.funds(account).cross_wallet == venue.wallet(account) - position.isolated_wallet


class TestRandomRuns:
    @settings(max_examples=150, deadline=None)
    @given(st.lists(ACTION, min_size=10, max_size=80), MODES)
    def test_the_books_always_agree(self, actions: list[tuple], mode: MarginMode) -> None:
        venue = start(mode, "100000")
        for now, action in enumerate(actions, 1):
            attempt(venue, action, now)
            check_books(venue, "100000")

    @settings(max_examples=150, deadline=None)
    @given(st.lists(ACTION, min_size=10, max_size=80), MODES)
    def test_no_accepted_order_uses_more_than_the_available_balance(
        self, actions: list[tuple], mode: MarginMode
    ) -> None:
        venue = start(mode, "400")
        for now, action in enumerate(actions, 1):
            free = {name: venue._accounts[name].free for name in "ab"}  # the unclipped figure
            try:
                order = act(venue, action, now)
            except VenueError:
                continue
            # An order that rests as it came is the pure case: no fill has moved fees, marks or margin.
            if order is not None and order.is_open and not order.executed and not order.reduce_only:
                after = venue._accounts[order.account].free
                assert after >= 0 or after >= free[order.account]

    @settings(max_examples=100, deadline=None)
    @given(st.lists(ACTION, min_size=5, max_size=50), st.lists(ACTION, min_size=5, max_size=30), MODES)
    def test_a_restored_venue_goes_on_exactly_as_the_one_it_was_taken_from(
        self, before: list[tuple], after: list[tuple], mode: MarginMode
    ) -> None:
        venue = start(mode, "5000")
        for now, action in enumerate(before, 1):
            attempt(venue, action, now)
        state = msgspec.json.decode(msgspec.json.encode(venue.snapshot()), type=VenueState)
        twin = Venue.restore(state)
        assert twin.snapshot() == venue.snapshot()
        for now, action in enumerate(after, 100):
            assert attempt(venue, action, now) == attempt(twin, action, now)
        assert twin.drain() == venue.drain()
        assert twin.snapshot() == venue.snapshot()

    @settings(max_examples=150, deadline=None)
    @given(
        st.lists(st.tuples(st.sampled_from("ab"), PRICES, QTYS), min_size=1, max_size=30),
        st.lists(QTYS, min_size=1, max_size=20),
    )
    def test_resting_orders_fill_by_price_and_then_by_time(
        self, orders: list[tuple[str, Decimal, Decimal]], prints: list[Decimal]
    ) -> None:
        venue = new_venue("10000000")
        venue.set_quote(BTC, D(64_900), D(1), D(65_100), D(1), 0)
        placed = [venue.place(name, limit(BUY, str(price), str(qty), GTX), 1) for name, price, qty in orders]
        line = sorted(placed, key=lambda order: (-order.price, order.order_id))
        for qty in prints:
            venue.print_trade(BTC, D(64_994), qty, True, 2)
        left = sum(prints, D(0))
        for order in line:
            expected = min(left, order.qty)
            assert order.executed == expected
            left -= expected
