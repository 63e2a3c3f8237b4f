"""Hedge mode: two positions on a symbol, each with its own orders, margin, funding and end."""

from __future__ import annotations

from decimal import Decimal as D

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.core.algo import AlgoBook, AlgoRequest, AlgoStatus, AlgoType, AlgoUpdate
from trading.core.margin import bracket
from trading.core.venue import (
    BalanceUpdate,
    Order,
    OrderRequest,
    OrderUpdate,
    PositionSide,
    Status,
    Venue,
    VenueError,
    VenueState,
)
from trading.model import Bracket, Instrument, MarginMode, OrderType, Side, TimeInForce

BTC = Instrument(
    "x:BTC", "BTCUSDT", "BTC", "USDT", D("0.1"), D("0.001"), D("0.001"), D(1000), D(120), D(100), max_orders=200
)
ETH = Instrument("x:ETH", "ETHUSDT", "ETH", "USDT", D("0.01"), D("0.001"), D("0.001"), D(0), D(0), D(5))
LADDER = (
    Bracket(D(0), D(300_000), 125, D("0.004"), D(0)),
    Bracket(D(300_000), D(800_000), 100, D("0.005"), D(300)),
    Bracket(D(800_000), D(10**9), 20, D("0.0065"), D(1500)),
)
BUY, SELL = Side.BUY, Side.SELL
BOTH, LONG, SHORT = PositionSide.BOTH, PositionSide.LONG, PositionSide.SHORT
GTC, GTX = TimeInForce.GTC, TimeInForce.GTX
SYMBOL = "BTCUSDT"


def venue(wallet: str = "100000", mode: MarginMode = MarginMode.CROSS, brackets: tuple[Bracket, ...] = LADDER) -> Venue:
    made = Venue([BTC, ETH], {SYMBOL: brackets, "ETHUSDT": brackets})
    for account in "ab":
        made.open_account(account, D(wallet), 0)
        made.set_position_mode(account, True)
        if mode is MarginMode.ISOLATED:
            made.set_margin_mode(account, SYMBOL, mode, 0)
    made.reach(SYMBOL, D(60000), 1)
    made.reach("ETHUSDT", D(3000), 1)
    made.drain()
    return made


def market(side: Side, of: PositionSide, qty: str = "0.5", **more: object) -> OrderRequest:
    return OrderRequest(SYMBOL, side, OrderType.MARKET, D(qty), position_side=of, **more)  # type: ignore[arg-type]


def limit(side: Side, of: PositionSide, price: str, qty: str = "0.5", **more: object) -> OrderRequest:
    return OrderRequest(SYMBOL, side, OrderType.LIMIT, D(qty), D(price), position_side=of, **more)  # type: ignore[arg-type]


def opened(made: Venue, long: str = "0.5", short: str = "0.5") -> Venue:
    if D(long):
        made.place("a", market(BUY, LONG, long), 2)
    if D(short):
        made.place("a", market(SELL, SHORT, short), 2)
    made.drain()
    return made


def held(made: Venue, account: str = "a") -> tuple[D, D]:
    return made.position(account, SYMBOL, LONG).qty, made.position(account, SYMBOL, SHORT).qty


def code(verb: object, *args: object) -> int:
    with pytest.raises(VenueError) as caught:
        verb(*args)  # type: ignore[operator]
    return caught.value.code


class TestOrders:
    def test_each_side_opens_and_closes_its_own_position(self) -> None:
        made = opened(venue(), "0.5", "0.3")
        assert held(made) == (D("0.5"), D("-0.3"))
        made.place("a", market(SELL, LONG, "0.2"), 3)
        made.place("a", market(BUY, SHORT, "0.3"), 3)
        assert held(made) == (D("0.3"), 0)
        assert [trade.position_side for trade in made.trades("a")] == [LONG, SHORT, LONG, SHORT]
        assert [(row.symbol, row.position_side) for row in made.positions("a")] == [(SYMBOL, LONG)]
        assert made.positions("a", "ETHUSDT") == []

    def test_the_side_must_go_with_the_mode_and_is_looked_at_after_the_filters(self) -> None:
        made = venue()
        made.open_account("c", D(1000), 0)
        assert code(made.place, "a", market(BUY, BOTH), 2) == -4061
        assert code(made.place, "c", market(BUY, LONG), 2) == -4061
        assert code(made.place, "c", market(BUY, LONG, "0"), 2) == -4003
        assert code(made.position, "c", SYMBOL, SHORT) == -4061
        for account, side in (("a", BOTH), ("c", LONG)):
            assert code(made.check_side, account, side) == -4061
        made.check_side("a", LONG)
        assert made.snapshot().accounts[2].positions.keys() == {SYMBOL}, "a refused order opens no side"

    @pytest.mark.parametrize(("side", "of", "price"), [(SELL, LONG, "61000"), (BUY, SHORT, "59000")])
    def test_closing_never_takes_more_than_the_position_beside_what_waits_to_close(
        self, side: Side, of: PositionSide, price: str
    ) -> None:
        made = venue()
        assert code(made.place, "a", market(side, of, "0.001"), 2) == -2022
        opened(made)
        assert code(made.place, "a", limit(side, of, price, "0.501"), 3) == -2022
        assert code(made.place, "a", market(side, of, "0.501"), 3) == -2022
        order = made.place("a", limit(side, of, price, "0.4"), 3)
        assert (order.reduce_only, order.position_side, order.is_open) == (True, of, True)
        assert code(made.place, "a", limit(side, of, price, "0.101"), 3) == -2022
        made.place("a", limit(side, of, price, "0.1"), 3)
        assert held(made) == (D("0.5"), D("-0.5"))

    def test_what_waits_to_close_gives_way_as_its_position_shrinks_and_the_other_side_stays(self) -> None:
        made = opened(venue())
        first = made.place("a", limit(SELL, LONG, "61000", "0.3"), 3)
        second = made.place("a", limit(SELL, LONG, "62000", "0.2"), 3)
        other = made.place("a", limit(BUY, SHORT, "59000"), 3)
        made.drain()
        made.place("a", market(SELL, LONG, "0.3"), 4)
        assert (first.qty, second.status, other.remaining) == (D("0.2"), Status.EXPIRED, D("0.5"))
        ends = [event for event in made.drain() if isinstance(event, OrderUpdate) and event.expiry_reason == "4"]
        assert [event.order.order_id for event in ends] == [second.order_id]
        made.reach(SYMBOL, D(63000), 5)
        assert held(made) == (0, D("-0.5"))

    def test_closing_needs_no_margin_and_may_be_small(self) -> None:
        made = opened(venue("3100"), "1", "0")
        assert made.available("a") < 100
        assert code(made.place, "a", market(BUY, LONG, "0.1"), 3) == -2019
        assert code(made.place, "a", limit(BUY, LONG, "59000", "0.1"), 3) == -2019
        order = made.place("a", limit(SELL, LONG, "61000", "1"), 3)
        assert made.position("a", SYMBOL, LONG).ask_notional == 0
        made.amend("a", SYMBOL, order.order_id, None, SELL, D(61500), D("0.001"), 4)
        assert order.price * order.qty < BTC.min_notional
        assert code(made.amend, "a", SYMBOL, order.order_id, None, SELL, D(61500), D("1.001"), 4) == -2022
        opening = made.place("b", limit(BUY, LONG, "59000", "0.1"), 4)
        assert code(made.amend, "b", SYMBOL, opening.order_id, None, BUY, D(59000), D("0.001"), 4) == -5029

    def test_orders_of_both_sides_count_together(self) -> None:
        made = venue("1000000")
        for number in range(200):
            made.place("a", limit(BUY, LONG, "50000", "0.01") if number % 2 else limit(SELL, SHORT, "65000", "0.01"), 2)
        assert code(made.place, "a", limit(BUY, LONG, "50000", "0.01"), 3) == -2025
        assert len(made.open_orders("a", SYMBOL)) == 200

    def test_a_trade_with_ones_other_side_is_one_with_oneself(self) -> None:
        made = opened(venue())
        made.set_quote(SYMBOL, D(59000), D(1), D(61000), D(1), 3)
        maker = made.place("a", limit(SELL, SHORT, "60000", tif=GTX), 3)
        taker = made.place("a", limit(BUY, LONG, "60000", tif=GTC), 4)
        assert (maker.status, taker.status) == (Status.EXPIRED_IN_MATCH, Status.NEW)
        assert made.place("a", limit(SELL, LONG, "60000", stp="NONE"), 5).status is Status.FILLED
        assert held(made) == (D("0.5"), D("-0.5")), "what the one sold the other bought"

    def test_a_hedge_is_told_whole(self) -> None:
        made = opened(venue(), "0.5", "0")
        made.place("a", market(SELL, SHORT, "0.3"), 3)
        (told,) = (event for event in made.drain() if isinstance(event, BalanceUpdate))
        assert [(line.position_side, line.qty) for line in told.positions] == [
            (BOTH, 0), (LONG, D("0.5")), (SHORT, D("-0.3")),
        ]  # fmt: skip


class TestSettings:
    def test_the_mode_stays_while_there_are_orders_or_positions(self) -> None:
        made = venue()
        assert code(made.set_position_mode, "a", True) == -4059
        order = made.place("a", limit(BUY, LONG, "59000"), 2)
        assert code(made.set_position_mode, "a", False) == -4067
        made.cancel("a", SYMBOL, order.order_id, None, 3)
        opened(made, "0", "0.1")
        assert code(made.set_position_mode, "a", False) == -4068
        made.place("a", market(BUY, SHORT, "0.1"), 3)
        made.set_position_mode("a", False)
        made.place("a", market(BUY, BOTH, "0.1"), 4)
        assert (made.is_hedged("a"), made.position("a", SYMBOL).qty) == (False, D("0.1"))
        (told,) = (event for event in made.drain()[-1:] if isinstance(event, BalanceUpdate))
        assert [line.position_side for line in told.positions] == [BOTH]

    def test_leverage_is_set_for_both_sides_and_refused_for_either(self) -> None:
        made = opened(venue(), "0", "6")
        made.set_leverage("a", SYMBOL, 50, 3)
        assert [made.position("a", SYMBOL, side).leverage for side in PositionSide] == [50] * 3
        assert code(made.set_leverage, "a", SYMBOL, 125, 3) == -2027
        assert code(made.set_leverage, "a", SYMBOL, 2, 3) == -2028
        assert [made.position("a", SYMBOL, side).leverage for side in PositionSide] == [50] * 3
        apart = opened(venue(mode=MarginMode.ISOLATED), "0", "0.1")
        assert code(apart.set_leverage, "a", SYMBOL, 5, 3) == -4161

    def test_the_largest_position_is_each_sides_own(self) -> None:
        made = venue("1000000")
        made.set_leverage("a", SYMBOL, 125, 1)
        opened(made, "4.9", "4.9")
        assert code(made.place, "a", market(BUY, LONG, "0.2"), 3) == -2027
        assert code(made.place, "a", market(SELL, SHORT, "0.2"), 3) == -2027

    def test_the_margin_mode_is_set_for_both_sides_and_refused_for_either(self) -> None:
        made = venue(mode=MarginMode.ISOLATED)
        assert [made.position("a", SYMBOL, side).margin_mode for side in PositionSide] == [MarginMode.ISOLATED] * 3
        order = made.place("a", limit(SELL, SHORT, "61000"), 2)
        assert code(made.set_margin_mode, "a", SYMBOL, MarginMode.CROSS, 3) == -4047
        made.cancel("a", SYMBOL, order.order_id, None, 3)
        opened(made, "0.1", "0")
        assert code(made.set_margin_mode, "a", SYMBOL, MarginMode.CROSS, 3) == -4048
        assert code(made.set_margin_mode, "a", SYMBOL, MarginMode.ISOLATED, 3) == -4046


class TestMargin:
    def test_the_sides_ask_for_margin_separately(self) -> None:
        made = opened(venue(), "0.5", "0.2")
        made.place("a", limit(BUY, LONG, "59000", "0.1"), 3)
        made.place("a", limit(SELL, SHORT, "62000", "0.3"), 3)
        made.place("a", limit(SELL, LONG, "62000", "0.5"), 3)
        long, short = made.position("a", SYMBOL, LONG), made.position("a", SYMBOL, SHORT)
        assert (long.initial_margin, short.initial_margin) == (D(30000 + 5900) / 20, D(12000 + 18600) / 20)
        funds = made.funds("a")
        assert funds.position_margin + funds.open_order_margin == long.initial_margin + short.initial_margin

    def test_isolated_wallets_are_the_sides_own_and_margin_is_moved_to_one(self) -> None:
        made = opened(venue(mode=MarginMode.ISOLATED), "0.5", "0.2")
        made.move_margin("a", SYMBOL, D(100), 3, SHORT)
        wallets = [made.position("a", SYMBOL, side).isolated_wallet for side in PositionSide]
        assert wallets == [0, D(1500), D(700)]
        assert made.funds("a").cross_wallet == made.wallet("a") - 2200

    @pytest.mark.parametrize("mode", list(MarginMode))
    def test_each_side_pays_funding_for_itself(self, mode: MarginMode) -> None:
        made = opened(venue(mode=mode), "0.5", "0.2")
        before = made.wallet("a")
        made.settle_funding(SYMBOL, D("0.0001"), 3)
        assert [row.amount for row in made.income("a") if row.type == "FUNDING_FEE"] == [D(-3), D("1.2")]
        assert made.wallet("a") == before - D("1.8")
        told = [event for event in made.drain() if isinstance(event, BalanceUpdate)]
        assert [event.change for event in told] == [D(-3), D("1.2")]
        if mode is MarginMode.ISOLATED:
            wallets = [made.position("a", SYMBOL, side).isolated_wallet for side in (LONG, SHORT)]
            assert wallets == [D(1497), D("601.2")]

    def test_deleveraging_closes_one_side(self) -> None:
        made = opened(venue())
        order = made.deleverage("a", SYMBOL, D("0.2"), 3, SHORT)
        assert (order.side, order.position_side) == (BUY, SHORT)
        assert held(made) == (D("0.5"), D("-0.3"))
        assert code(made.deleverage, "a", SYMBOL, D(0), 3) == -2024


class TestLiquidation:
    def test_the_price_of_a_cross_hedge_is_the_references(self) -> None:
        made = opened(venue("3000"), "0.5", "0.2")
        made.reach(SYMBOL, D(59000), 3)
        wallet, mmr = made.wallet("a"), D("0.004")
        expected = (wallet - D("0.5") * 60000 + D("0.2") * 60000) / (D("0.7") * mmr - D("0.5") + D("0.2"))
        for side in (LONG, SHORT):
            assert abs(made.position("a", SYMBOL, side).liquidation_price - expected) < D("1E-7")
        alone = opened(venue("3000"), "0.5", "0").position("a", SYMBOL, LONG).liquidation_price
        assert alone > expected, "the short is a cushion"

    def test_a_position_elsewhere_counts(self) -> None:
        made = opened(venue("3500"), "0.5", "0.2")
        before = made.position("a", SYMBOL, LONG).liquidation_price
        made.place("a", OrderRequest("ETHUSDT", BUY, OrderType.MARKET, D(1), position_side=LONG), 3)
        assert made.position("a", SYMBOL, LONG).liquidation_price > before

    @pytest.mark.parametrize(("long", "short"), [("0.5", "0.2"), ("0.2", "0.5"), ("2", "2")])
    def test_a_path_stands_where_the_hedge_ends_and_both_sides_go(self, long: str, short: str) -> None:
        made = opened(venue("13000"), long, short)
        doom = made.position("a", SYMBOL, LONG).liquidation_price
        rises = doom > 60000
        assert rises is (D(long) <= D(short))
        made.place("a", limit(SELL, LONG, "9000000", "0.1"), 3)
        target = doom * 2 if rises else D(1)
        while made.advance(SYMBOL, target.quantize(D(1)), 4) and any(held(made)):
            pass
        assert abs(made.last(SYMBOL) - doom) <= D("0.1")
        assert held(made) == (0, 0) and made.open_orders("a") == []
        closed = [trade for trade in made.trades("a") if trade.client_id.startswith("autoclose-")]
        assert [(trade.position_side, trade.side) for trade in closed] == [(LONG, SELL), (SHORT, BUY)]
        assert made.wallet("a") >= 0

    def test_isolated_sides_end_each_for_itself(self) -> None:
        made = opened(venue(mode=MarginMode.ISOLATED))
        doom = made.position("a", SYMBOL, LONG).liquidation_price
        assert made.position("a", SYMBOL, SHORT).liquidation_price > 60000 > doom
        made.advance(SYMBOL, D(50000), 3)
        assert held(made) == (0, D("-0.5"))
        made.reach(SYMBOL, D(70000), 4)
        assert held(made) == (0, 0)

    def test_a_hedge_with_more_than_it_can_lose_has_no_price(self) -> None:
        flat = (Bracket(D(0), D(10**9), 125, D(0), D(0)),)
        made = opened(venue(brackets=flat))
        assert made.position("a", SYMBOL, LONG).liquidation_price == 0
        assert opened(venue("50000", brackets=flat), "0.5", "0.4").position("a", SYMBOL, SHORT).liquidation_price == 0

    @settings(max_examples=200, deadline=None)
    @given(st.integers(2, 20_000), st.integers(2, 20_000), st.integers(0, 200_000), st.integers(58_000, 62_000))
    def test_at_its_price_the_balance_is_the_maintenance_margin(
        self, long: int, short: int, over: int, mark: int
    ) -> None:
        made = venue("100000000")
        made.set_leverage("a", SYMBOL, 10, 1)
        opened(made, str(D(long) / 1000), str(D(short) / 1000))
        made.deposit("a", D(long + short) * D("0.6") + over - made.wallet("a"), 2)
        made.reach(SYMBOL, D(mark), 3)
        found = made.position("a", SYMBOL, LONG).liquidation_price
        if not found:
            return
        assert found == made.position("a", SYMBOL, SHORT).liquidation_price
        balance, needed = made.wallet("a"), D(0)
        for side in (LONG, SHORT):
            view = made.position("a", SYMBOL, side)
            balance += view.qty * (found - view.entry)
            row = bracket(LADDER, abs(view.qty) * found)
            needed += abs(view.qty) * found * row.mmr - row.cum
        assert abs(balance - needed) < D("0.001")


class TestConditionalOrders:
    def book(self) -> tuple[Venue, AlgoBook]:
        made = opened(venue())
        return made, AlgoBook(made)

    def stop(self, **more: object) -> AlgoRequest:
        asked = {"symbol": SYMBOL, "side": SELL, "type": AlgoType.STOP_MARKET, "trigger": D(59000)} | more
        return AlgoRequest(**asked)  # type: ignore[arg-type]

    def fired(self, made: Venue, algos: AlgoBook) -> list[AlgoStatus]:
        made.reach(SYMBOL, D(58900), 4)
        told = algos.follow(made.drain(), 4)
        return [event.algo.status for event in told if isinstance(event, AlgoUpdate)]

    def test_one_closes_its_side_and_leaves_the_other(self) -> None:
        made, algos = self.book()
        algo = algos.place("a", self.stop(qty=D("0.3"), position_side=LONG), 3)
        assert algo.request.reduce_only
        algos.place("a", self.stop(close_position=True, position_side=LONG), 3)
        assert self.fired(made, algos)[-1] is AlgoStatus.FINISHED
        assert held(made) == (0, D("-0.5"))

    def test_one_opens_its_side(self) -> None:
        made, algos = self.book()
        assert not algos.place("a", self.stop(qty=D("0.3"), position_side=SHORT), 3).request.reduce_only
        self.fired(made, algos)
        assert held(made) == (D("0.5"), D("-0.8"))

    def test_one_that_would_close_more_than_there_is_is_refused_when_its_price_comes(self) -> None:
        made, algos = self.book()
        algo = algos.place("a", self.stop(qty=D("0.6"), position_side=LONG), 3)
        assert self.fired(made, algos)[-1] is AlgoStatus.REJECTED
        assert algo.reason == "ReduceOnly Order is rejected."
        assert held(made) == (D("0.5"), D("-0.5"))


PRICES = st.integers(59_900, 60_100).map(D)
QTYS = st.integers(3, 40).map(lambda lots: lots * D("0.001"))
SIDES = st.sampled_from([(BUY, LONG), (SELL, LONG), (SELL, SHORT), (BUY, SHORT)])
ACTION = st.one_of(
    st.tuples(st.just("market"), st.just("a"), SIDES, QTYS),
    st.tuples(st.just("limit"), st.just("a"), SIDES, QTYS, PRICES),
    st.tuples(st.just("cancel"), st.integers(0, 20)),
    st.tuples(st.just("amend"), st.integers(0, 20), QTYS, PRICES),
    st.tuples(st.just("reach"), PRICES),
    st.tuples(st.just("funding"), st.integers(-30, 30)),
)
OTHERS = st.one_of(
    ACTION,
    st.tuples(st.just("market"), st.just("b"), SIDES, QTYS),
    st.tuples(st.just("limit"), st.just("b"), SIDES, QTYS, PRICES),
    st.tuples(st.just("quote"), PRICES, QTYS),
    st.tuples(st.just("print"), PRICES, QTYS),
)
MODES = st.sampled_from(list(MarginMode))


def act(made: Venue, action: tuple, now: int) -> Order | None:
    match action:
        case ("market", account, (side, of), qty):
            return made.place(account, market(side, of, str(qty)), now)
        case ("limit", account, (side, of), qty, price):
            return made.place(account, limit(side, of, str(price), str(qty)), now)
        case ("cancel", number):
            if orders := made.open_orders("a"):
                made.cancel("a", SYMBOL, orders[number % len(orders)].order_id, None, now)
        case ("amend", number, qty, price):
            if orders := made.open_orders("a"):
                order = orders[number % len(orders)]
                made.amend("a", SYMBOL, order.order_id, None, order.side, price, qty, now)
        case ("reach", price):
            made.reach(SYMBOL, price, now)
        case ("funding", rate):
            made.settle_funding(SYMBOL, D(rate) / 100_000, now)
        case ("quote", price, qty):
            made.set_quote(SYMBOL, price, qty, price + 1, qty, now)
        case ("print", price, qty):
            made.print_trade(SYMBOL, price, qty, bool(qty % 2), now)
    return None


def attempt(made: Venue, action: tuple, now: int) -> str:
    try:
        act(made, action, now)
    except VenueError as error:
        return str(error)
    return ""


def check_books(made: Venue, wallet: str) -> None:
    for account in "ab":
        trades = made.trades(account)
        funding = sum((row.amount for row in made.income(account) if row.type == "FUNDING_FEE"), D(0))
        realized, fees = sum((t.realized_pnl for t in trades), D(0)), sum((t.fee for t in trades), D(0))
        assert made.wallet(account) == D(wallet) + realized - fees + funding
        isolated = D(0)
        for side in (LONG, SHORT):
            view = made.position(account, SYMBOL, side)
            own = [trade for trade in trades if trade.position_side is side]
            assert view.qty == sum((t.qty * t.side.sign for t in own), D(0))
            assert view.qty >= 0 if side is LONG else view.qty <= 0
            closing = [o for o in made.open_orders(account) if o.position_side is side and o.reduce_only]
            assert all(o.side is (SELL if side is LONG else BUY) for o in closing)
            assert sum((o.remaining for o in closing), D(0)) <= abs(view.qty)
            isolated += view.isolated_wallet
        assert made.position(account, SYMBOL).qty == 0
        assert made.funds(account).cross_wallet == made.wallet(account) - isolated


class Apart:
    """A hedge as two accounts of their own, one that is only ever long and one that is only ever short."""

    def __init__(self, mode: MarginMode) -> None:
        self.venues: dict[PositionSide, Venue] = {}
        for of in (LONG, SHORT):
            made = self.venues[of] = Venue([BTC])
            made.open_account("a", D(10**7), 0)
            if mode is MarginMode.ISOLATED:
                made.set_margin_mode("a", SYMBOL, mode, 0)
            made.reach(SYMBOL, D(60000), 1)
        self.orders: dict[int, tuple[PositionSide, int]] = {}

    def follow(self, made: Venue, action: tuple, now: int) -> None:
        """Do what was done to the hedge, which accepted it."""
        match action:
            case ("market" | "limit" as kind, _, (side, of), qty, *price):
                number = made.all_orders("a")[-1].order_id
                request = OrderRequest(
                    SYMBOL,
                    side,
                    OrderType(kind.upper()),
                    qty,
                    *price,
                    reduce_only=of.is_closed_by(side),
                )
                self.orders[number] = of, self.venues[of].place("a", request, now).order_id
            case ("reach" | "funding", _):
                for each in self.venues.values():
                    act(each, action, now)

    def change(self, order: Order, verb: str, now: int) -> None:
        """Cancel or amend the twin of `order` as that was."""
        of, number = self.orders[order.order_id]
        if verb == "cancel":
            self.venues[of].cancel("a", SYMBOL, number, None, now)
        else:
            self.venues[of].amend("a", SYMBOL, number, None, order.side, order.price, order.qty, now)


class TestRandomRuns:
    @settings(max_examples=150, deadline=None)
    @given(st.lists(ACTION, min_size=5, max_size=60), MODES)
    def test_each_side_is_as_a_one_way_account_that_is_only_ever_long_or_short(
        self, actions: list[tuple], mode: MarginMode
    ) -> None:
        made, apart = venue(str(10**7), mode, ()), Apart(mode)
        for now, action in enumerate(actions, 2):
            chosen = made.open_orders("a")
            order = chosen[action[1] % len(chosen)] if chosen and action[0] in ("cancel", "amend") else None
            if attempt(made, action, now):
                continue
            if order is not None and action[0] == "amend" and order.status is Status.CANCELED:
                apart.change(order, "cancel", now)  # to less than it had filled
            elif order is not None:
                apart.change(order, action[0], now)
            else:
                apart.follow(made, action, now)
            for of, other in apart.venues.items():
                mine, theirs = made.position("a", SYMBOL, of), other.position("a", SYMBOL)
                assert msgspec.structs.replace(theirs, position_side=of, updated=mine.updated) == mine
                own = [trade for trade in made.trades("a") if trade.position_side is of]
                assert [(t.side, t.price, t.qty, t.fee, t.realized_pnl) for t in own] == [
                    (t.side, t.price, t.qty, t.fee, t.realized_pnl) for t in other.trades("a")
                ]
            gains = sum((each.wallet("a") - 10**7 for each in apart.venues.values()), D(0))
            assert made.wallet("a") - 10**7 == gains

    @settings(max_examples=150, deadline=None)
    @given(st.lists(OTHERS, min_size=10, max_size=80), MODES)
    def test_the_books_always_agree(self, actions: list[tuple], mode: MarginMode) -> None:
        made = venue("100000", mode)
        for now, action in enumerate(actions, 2):
            attempt(made, action, now)
            check_books(made, "100000")

    @settings(max_examples=100, deadline=None)
    @given(st.lists(OTHERS, min_size=5, max_size=50), st.lists(OTHERS, min_size=5, max_size=30), MODES)
    def test_a_restored_venue_goes_on_exactly_as_the_one_it_was_taken_from(
        self, before: list[tuple], after: list[tuple], mode: MarginMode
    ) -> None:
        made = venue("5000", mode)
        for now, action in enumerate(before, 2):
            attempt(made, action, now)
        twin = Venue.restore(msgspec.json.decode(msgspec.json.encode(made.snapshot()), type=VenueState))
        assert twin.snapshot() == made.snapshot()
        for now, action in enumerate(after, 100):
            assert attempt(made, action, now) == attempt(twin, action, now)
        assert twin.drain() == made.drain()
        assert twin.snapshot() == made.snapshot()


def test_books_from_before_there_were_hedges_go_on() -> None:
    made = venue()
    made.set_position_mode("a", False)
    made.place("a", OrderRequest(SYMBOL, BUY, OrderType.MARKET, D("0.5")), 2)
    order = made.place("a", OrderRequest(SYMBOL, SELL, OrderType.LIMIT, D("0.5"), D(61000)), 2)
    kept = msgspec.json.decode(msgspec.json.encode(made.snapshot()))
    for account in kept["accounts"]:
        del account["is_hedged"]
        for row in (*account["positions"].values(), *account["orders"], *account["trades"]):
            del row["position_side"]
            row.pop("key", None)
    twin = Venue.restore(msgspec.json.decode(msgspec.json.encode(kept), type=VenueState))
    assert twin.open_orders("a") == [order]
    twin.reach(SYMBOL, D(61000), 3)
    assert (twin.position("a", SYMBOL).qty, twin.is_hedged("a")) == (0, False)
