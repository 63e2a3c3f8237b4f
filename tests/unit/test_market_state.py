"""A market of the venue as it is looked at: halted, without a price yet, its touch, and its shortest account."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from tests.unit.test_venue import BTC, BUY, FOK, GTD, GTX, SELL, limit, market, new_venue, quoted, refusal, walking
from trading.core.broker import Broker
from trading.core.venue import Status, Venue
from trading.messages import Accepted, Amend, CancelRefused, Filled, Foreign, Reconcile
from trading.model import ClientOrderId
from trading.ports import SnapshotRequest
from trading.sandbox.instruments import LISTINGS

NAME = ClientOrderId("abcd", 7, 3, 0)


class TestVenue:
    def test_a_halted_symbol_refuses_orders_until_it_trades_again(self) -> None:
        venue = quoted()
        assert venue.set_status(BTC, "HALT").status == "HALT"
        assert refusal(venue, limit(BUY, "64000")).code == -4140
        venue.set_status(BTC, "TRADING")
        assert venue.place("a", limit(BUY, "64000"), 6).status is Status.NEW

    def test_an_account_is_opened_once_and_may_be_empty(self) -> None:
        venue = new_venue()
        with pytest.raises(ValueError, match="exists"):
            venue.open_account("a", D(1), 0)
        venue.drain()
        venue.open_account("poor", D(0), 0)
        assert (venue.wallet("poor"), venue.income("poor"), venue.drain()) == (0, [], [])

    def test_it_tells_its_brackets(self) -> None:
        assert new_venue().brackets[BTC] == LISTINGS[BTC].brackets

    def test_before_the_first_price_no_limit_is_too_far_and_no_market_order_is_taken(self) -> None:
        venue = new_venue()
        assert venue.place("a", limit(BUY, "100000"), 2).status is Status.NEW
        venue.drain()
        assert refusal(venue, market(BUY)).code == -4164, "nothing is worth anything yet"

    def test_a_good_till_date_that_comes_after_the_end_ends_nothing(self) -> None:
        venue = quoted()
        order = venue.place("a", limit(BUY, "64000", tif=GTD, good_till=700_000), 2)
        venue.cancel("a", BTC, order.order_id, None, 3)
        venue.drain()
        venue.tick(800_000)
        assert (order.status, venue.drain()) == (Status.CANCELED, [])

    def test_the_touch_counts_the_world_outside_and_our_own_orders_at_its_price(self) -> None:
        venue = quoted("64999.9", "65000", qty="10")
        venue.place("a", limit(BUY, "64999.9", "0.5"), 2)
        venue.place("a", limit(SELL, "65000.1", "0.5"), 2)
        bid, ask = venue.top(BTC)
        assert bid is not None and (bid.price, bid.qty) == (D("64999.9"), D("10.5"))
        assert ask is not None and (ask.price, ask.qty) == (D("65000"), D(10))
        venue.place("a", limit(BUY, "64999.9", "0.5"), 2)
        venue.set_quote(BTC, D("64999.8"), D(10), D("65000.2"), D(10), 3)
        bid, ask = venue.top(BTC)
        assert bid is not None and (bid.price, bid.qty) == (D("64999.9"), D("1.0"))
        assert ask is not None and (ask.price, ask.qty) == (D("65000.1"), D("0.5"))

    def test_an_amended_post_only_order_rests_at_its_new_price_without_taking(self) -> None:
        venue = quoted()
        order = venue.place("a", limit(BUY, "64000", tif=GTX), 2)
        venue.amend("a", BTC, order.order_id, None, BUY, D("64999.9"), order.qty, 3)
        assert (order.status, order.price, venue.trades("a")) == (Status.NEW, D("64999.9"), [])
        assert venue.open_orders("a") == [order]

    def test_numbers_go_on_above_those_of_an_exchange_that_was_there_before(self) -> None:
        venue = quoted()
        venue.count_from(1_000)
        order = venue.place("a", market(BUY, "0.02"), 2)
        (trade,) = venue.trades("a")
        rows = [row.tran_id for row in venue.income("a") if row.trade_id == trade.trade_id]
        assert (order.order_id, trade.trade_id) == (1_001, 1_001)
        assert rows and min(rows) > 1_000

    def test_fill_or_kill_counts_what_stands_up_to_its_price_and_no_further(self) -> None:
        venue = new_venue()
        venue.set_quote(BTC, D("64999.9"), D(1), D(65000), D(1), 1, [(D(64990), D(1))], [(D(65010), D(1))])
        venue.drain()
        assert refusal(venue, limit(BUY, "65005", "1.5", FOK)).code == -5021
        assert venue.place("a", limit(BUY, "65010", "1.5", FOK), 2).status is Status.FILLED
        assert venue.place("a", limit(SELL, "64990", "1.5", FOK), 3).status is Status.FILLED

    def test_on_a_path_fill_or_kill_fills_whole_where_it_crosses(self) -> None:
        venue = walking()
        assert refusal(venue, limit(BUY, "64900", "0.5", FOK)).code == -5021
        assert venue.place("a", limit(BUY, "65100", "0.5", FOK), 2).status is Status.FILLED

    def test_on_a_path_an_amended_order_rests_where_it_does_not_cross(self) -> None:
        venue = walking()
        order = venue.place("a", limit(BUY, "64000"), 2)
        venue.amend("a", BTC, order.order_id, None, BUY, D(64500), order.qty, 3)
        assert (order.is_open, venue.trades("a"), venue.edges(BTC)[0]) == (True, [], D(64500))

    def test_reduce_only_orders_that_still_fit_stay_as_they_are(self) -> None:
        venue = quoted()
        venue.place("a", market(BUY, "0.02"), 2)
        orders = [venue.place("a", limit(SELL, at, "0.006", reduce_only=True), 3) for at in ("66000", "67000")]
        venue.place("a", market(SELL, "0.005"), 4)
        assert [(order.qty, order.is_open) for order in orders] == [(D("0.006"), True)] * 2

    def test_a_funding_of_nothing_is_told_to_nobody(self) -> None:
        venue = walking()
        venue.place("a", market(BUY), 2)
        venue.drain()
        before = venue.income("a")
        venue.settle_funding(BTC, D(0), 3)
        assert (venue.drain(), venue.income("a")) == ([], before)

    def test_on_a_path_nothing_stands_at_the_touch(self) -> None:
        assert walking().top(BTC) == (None, None)

    def test_a_position_tells_its_notional_at_the_mark_with_its_sign(self) -> None:
        venue = walking()
        venue.place("a", market(SELL, "0.02"), 2)
        assert venue.position("a", BTC).notional == D("-0.02") * 65000

    def test_a_terse_venue_forgets_orders_when_they_are_over_and_not_before(self) -> None:
        venue = Venue([LISTINGS[BTC].instrument], is_terse=True)
        venue.open_account("a", D(1000), 0, is_ample=True)
        venue.set_quote(BTC, D(64999), D(1), D(65001), D(1), 1)
        order = venue.place("a", limit(BUY, "64000", "0.010"), 2)
        venue.print_trade(BTC, D(64000), D("0.004"), True, 3)
        assert venue.all_orders("a") == [order] and order.executed == D("0.004")
        venue.print_trade(BTC, D(64000), D("0.006"), True, 4)
        assert (venue.all_orders("a"), venue.trades("a")) == ([], [])


class TestBroker:
    def test_an_amend_is_carried_out_and_its_refusal_told(self) -> None:
        venue = quoted()
        broker = Broker(venue, "a")
        venue.place("a", limit(BUY, "64000", client_id=str(NAME)), 2)
        broker.take()
        broker.send(Amend(BTC, NAME, BUY, D(63000), D("0.01")), 3)
        assert (broker.take(), venue.open_orders("a")[0].price) == ([], D(63000))
        broker.send(Amend(BTC, ClientOrderId("abcd", 7, 4, 0), BUY, D(63000), D("0.01")), 4)
        ((symbol, answer),) = broker.take()
        assert (symbol, type(answer)) == (BTC, CancelRefused)

    def test_it_hears_only_its_own_account_and_tells_strangers_trades_as_foreign(self) -> None:
        venue = quoted()
        broker = Broker(venue, "a")
        venue.place("b", market(BUY), 2)
        venue.place("a", limit(BUY, "64000", client_id="web_1"), 2)
        venue.place("a", limit(BUY, "64100", client_id=str(NAME)), 2)
        assert broker.take() == []
        venue.print_trade(BTC, D(64000), D(1), True, 3)
        told = [event for _, event in broker.take()]
        assert [type(event) for event in told] == [Filled, Foreign]

    def test_a_snapshot_holds_every_resting_order_and_ends_of_our_own_only(self) -> None:
        venue = quoted()
        broker = Broker(venue, "a")
        for name in ("web_1", "web_2", str(NAME), str(ClientOrderId("abcd", 8, 0, 0))):
            venue.place("a", limit(BUY, "64000", client_id=name), 2)
        for name in ("web_2", str(NAME), str(ClientOrderId("abcd", 8, 0, 0))):
            venue.cancel("a", BTC, None, name, 3)
        expected = (NAME, replace(NAME, turn=1))
        snap = broker.snapshot(SnapshotRequest(BTC, "abcd", 7, 0, 0, 0, expected, {}, D(0), frozenset(), True), 4)
        assert [(order.client_id, order.cid) for order in snap.orders] == [("web_1", None)]
        assert [end.cid for end in snap.over] == [NAME]
        assert snap.absent == {replace(NAME, turn=1)}

    def test_what_is_no_request_is_not_sent(self) -> None:
        venue = quoted()
        broker = Broker(venue, "a")
        broker.send(Reconcile(BTC), 2)
        assert (broker.take(), venue.all_orders("a")) == ([], [])
        assert Accepted not in [type(event) for _, event in broker.take()]
