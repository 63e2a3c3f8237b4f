"""A grid over a recorded path: what fills, when it is answered, what ends it, and that skipping changes nothing."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading import plan
from trading.core.lifecycle import Status
from trading.core.outcome import Outcome, Trace
from trading.core.replay import ACCOUNT, AMPLE, Replay, Rules, unlimited
from trading.core.stretch import Stretch, stretches
from trading.model import Bracket, Candle, Instrument
from trading.parameters import clean, parse_line
from trading.views import Declined

BTC = Instrument("tape:BTC", "BTCUSDT", "BTC", "USDT", D("0.1"), D("0.001"), D("0.001"), D(0), D(0), D(5))
MINUTE, HOUR = 60_000, 3_600_000
BRACKETS = (Bracket(D(0), D(50_000), 125, D("0.004"), D(0)), Bracket(D(50_000), D(10**9), 100, D("0.005"), D(50)))


def candles(*rows: str, minutes: int = 1) -> list[Candle]:
    """Each `open high low close`."""
    return [Candle(i * minutes * MINUTE, *map(D, row.split())) for i, row in enumerate(rows)]


def flat(*prices: str | int | D, minutes: int = 1) -> list[Candle]:
    """A candle for each price, which the path reaches at its open."""
    return candles(*(f"{price} {price} {price} {price}" for price in prices), minutes=minutes)


class Everything(Replay):
    """The same without passing over anything."""

    def _bound(self) -> None:
        self._low, self._high = float("inf"), float("-inf")

    def _calm(self) -> None:
        self._quiet_low = self._quiet_high = D(0)


def replay(
    line: str, tape: list[Candle], rules: Rules | None = None, kind: type[Replay] = Replay, most: int = 4096
) -> Replay:
    parameters = clean(parse_line(line))
    rules = rules or Rules()
    instrument = BTC if rules.brackets else unlimited(BTC)

    def planned(price: D):  # type: ignore[no-untyped-def]
        return plan.make(
            parameters, instrument, price, brackets=rules.brackets, available=None, wallet_free=None, chat=False
        ).plan

    made = kind(planned, rules)
    for stretch in stretches(tape, most):
        made.feed(stretch)
    made.outcome()  # a short tape is gone through no earlier
    return made


def run(line: str, tape: list[Candle], rules: Rules | None = None, **more: object) -> Outcome:
    return replay(line, tape, rules, **more).outcome()  # type: ignore[arg-type]


TEN = "BTCUSDT neutral 60000-70000 10 per_order=0.010"
"""Levels a thousand apart, 0.01 each."""


class TestThePath:
    def test_a_rising_candle_visits_its_low_first_so_a_buy_and_its_answer_both_fill(self) -> None:
        found = run(TEN, [*flat(65000), *candles("65000 65100 64000 65050")])
        assert (found.fills, found.pairs, found.position) == (2, 1, 0)
        fees = (D(64000) + D(65000)) * D("0.01") * D("0.0002")
        assert found.matched == found.total == D(1000) * D("0.01") - fees

    def test_a_falling_candle_visits_its_high_first_so_only_the_buy_fills(self) -> None:
        found = run(TEN, [*flat(65000), *candles("65000 65100 64000 64900")])
        assert (found.fills, found.pairs, found.position) == (1, 0, D("0.01"))
        assert found.avg_entry == 64000

    def test_one_way_over_many_levels_fills_each_at_its_own_price(self) -> None:
        found = run(TEN, flat(65000, 60500, 66000))
        assert found.fills == 4 + 4 + 1  # buys at 64..61, their sells at 62..65, then the first sell at 66
        assert found.pairs == 4
        assert found.matched == 4 * 10 - fees_of(range(61, 65), range(62, 66))

    def test_between_candles_the_path_goes_straight(self) -> None:
        assert run(TEN, [*flat(65000), *candles("63500 63500 63500 63500")]).fills == 1

    def test_touching_an_order_fills_it_and_through_asks_for_a_tick_more(self) -> None:
        touch, through = flat(65000, 64000), Rules(through=True)
        assert run(TEN, touch).fills == 1
        assert run(TEN, touch, through).fills == 0
        assert run(TEN, flat(65000, "63999.9"), through).fills == 1

    def test_outside_the_range_orders_rest_and_the_tape_marks_the_lots(self) -> None:
        found = run(TEN, flat(65000, 50000))
        assert (found.fills, found.position, found.last) == (5, D("0.05"), 50000)
        cost = sum(map(D, range(60, 65)), D(0)) * 1000 * D("0.01")
        assert found.unmatched == D("0.05") * 50000 - cost - cost * D("0.0002")

    def test_no_funding_is_settled_before_the_trigger_was_reached(self) -> None:
        rates = Rules(funding=((MINUTE, D("0.01")), (3 * MINUTE, D("0.01"))))
        line = "BTCUSDT long 60000-70000 10 per_order=0.010 trigger=64000"
        found = run(line, flat(65000, 65000, 64000, 64000), rates)
        assert found.funding == D("-0.01") * D("0.06") * 64000

    def test_a_stretch_without_rows_changes_nothing(self) -> None:
        tape, nothing = flat(65000, 64000, 65000), Stretch([], (0, 1, 2, 3), [], [], [])
        whole, gaps = replay(TEN, tape), replay(TEN, tape[:1])
        for stretch in (nothing, *stretches(tape[1:], 1), nothing):
            gaps.feed(stretch)
        assert gaps.outcome() == whole.outcome()

    def test_a_trade_tape_is_a_path_of_its_prices(self) -> None:
        prices = (65000, 64000, 65000, 63000)
        keys = list(map(float, prices))
        times = [0.0, 5.0, 5.0, 9.0]
        parameters = clean(parse_line(TEN))
        made = Replay(
            lambda price: plan.make(
                parameters, unlimited(BTC), price, brackets=None, available=None, wallet_free=None, chat=False
            ).plan
        )
        made.feed(Stretch([str(p).encode() for p in prices], (0, 0, 0, 0), times, keys, keys, [1.0, 2.0, 3.0, 4.0]))
        found = made.outcome()
        assert (found.candles, found.fills, found.pairs, found.position) == (4, 4, 1, D("0.02"))


def fees_of(buys: range, sells: range) -> D:
    return (D(sum(buys)) + D(sum(sells))) * 1000 * D("0.01") * D("0.0002")


class TestTheStart:
    @pytest.mark.parametrize(("direction", "sign"), [("long", 1), ("short", -1)])
    def test_the_inventory_is_bought_at_the_first_open_for_the_taker_fee(self, direction: str, sign: int) -> None:
        found = run(f"BTCUSDT {direction} 60000-70000 10 per_order=0.010", flat(65000))
        assert (found.position, found.avg_entry, found.fills) == (sign * D("0.05"), 65000, 0)
        assert found.fees == D("0.05") * 65000 * D("0.0005") == -found.total
        assert (found.max_position, found.max_drawdown) == (D("0.05"), found.fees)

    def test_it_waits_for_its_trigger_and_starts_at_exactly_that_price(self) -> None:
        line = "BTCUSDT long 60000-70000 10 per_order=0.010 trigger=64000"
        waiting = run(line, flat(65000, 64100))
        assert (waiting.status, waiting.position, waiting.total) == (Status.CREATED, 0, 0)
        found = run(line, candles("65000 65000 65000 65000", "65000 65000 63500 63900"))
        assert found.avg_entry == 64000
        assert found.position == D("0.06")  # slots above level 64000; the buy at 63000 was not reached

    def test_a_trigger_from_below_counts_too(self) -> None:
        found = run("BTCUSDT long 60000-70000 10 per_order=0.010 trigger=66000", flat(65000, 65900, 66500))
        assert found.avg_entry == 66000

    def test_it_may_start_outside_the_range(self) -> None:
        assert run(TEN, flat(55000, 60500)).fills == 0
        assert run("BTCUSDT long 60000-70000 10 per_order=0.010", flat(75000, 69500)).fills == 0

    def test_without_the_initial_order_a_slot_starts_once_the_price_has_passed_it(self) -> None:
        line = "BTCUSDT long 60000-70000 10 per_order=0.010 initial=off"
        assert run(line, flat(65000, 65900, 65000)).fills == 0
        assert run(line, flat(65000, 66000, 64500)).fills == 0  # touched is not passed
        found = run(line, flat(65000, 67001, 64500))
        assert (found.fills, found.position) == (2, D("0.02"))  # 66 and 65 were passed upwards, then bought

    def test_a_far_level_that_a_candle_ended_on_is_passed_by_the_next_one(self) -> None:
        tape = candles("65000 65000 65000 65000", "65000 66000 65000 66000", "66500 66900 66500 66500", "65000 " * 4)
        line = "BTCUSDT long 60000-70000 10 per_order=0.010 initial=off"
        assert run(line, tape) == replay(line, tape, kind=Everything).outcome()
        assert run(line, tape).fills == 1
        tape = candles("65000 65000 65000 65000", "65000 65000 64000 64000", "63500 63500 63100 63500", "65000 " * 4)
        assert run("BTCUSDT short 60000-70000 10 per_order=0.010 initial=off", tape).fills == 1

    def test_a_trigger_that_is_never_reached_earns_nothing_a_year(self) -> None:
        found = run("BTCUSDT long 60000-70000 10 per_order=0.010 trigger=64000", flat(*[65000] * 30, minutes=60))
        assert (found.fills, found.total, found.grid_apr, found.total_apr) == (0, 0, None, None)

    def test_what_cannot_be_planned_is_refused(self) -> None:
        with pytest.raises(Declined):
            run("BTCUSDT neutral 60000-70000 10 20u", flat(65000))


class TestEnds:
    LONG = "BTCUSDT long 60000-70000 10 per_order=0.010 sl=59000 tp=71000"

    def test_a_stop_closes_at_the_point_that_is_beyond_it_after_its_fills(self) -> None:
        tape = candles("65000 65000 65000 65000", "65000 65000 58500 60000", "60000 66000 60000 66000")
        found = run(self.LONG, tape)
        assert (found.status, found.reason, found.position) == (Status.FINISHED, "stop_loss", 0)
        assert found.fills == 5 and found.max_position == D("0.1")
        bought = sum(map(D, range(60, 65)), D(0)) * 1000 * D("0.01")
        initial, closed = D("0.05") * 65000, D("0.1") * 58500
        fees = bought * D("0.0002") + (initial + closed) * D("0.0005")
        assert found.fees == fees
        assert found.total == closed - bought - initial - fees
        assert found.last == 66000 and found.matched == 0

    def test_a_stop_that_only_the_way_crosses_but_no_point_stands_beyond_does_nothing(self) -> None:
        assert run(self.LONG, flat(65000, "59000.1", 65000)).status is Status.RUNNING
        assert run(self.LONG, flat(65000, 59000, 65000)).status is Status.FINISHED

    def test_a_target_closes_what_is_left(self) -> None:
        found = run(self.LONG, flat(65000, 72000))
        assert (found.reason, found.position, found.fills) == ("take_profit", 0, 5)

    @pytest.mark.parametrize(
        ("line", "price"),
        [
            ("BTCUSDT long 60000-70000 10 per_order=0.010 sl=59000", 58000),
            ("BTCUSDT short 60000-70000 10 per_order=0.010 sl=71000 tp=59000", 58500),
            (TEN + " sl=59000 sl=71000", 71500),
        ],
    )
    def test_a_start_beyond_its_own_stop_ends_at_the_first_open(self, line: str, price: int) -> None:
        found = run(line, candles(f"{price} 72000 58000 65000", "65000 69000 61000 65000"))
        assert (found.status, found.fills, found.position) == (Status.FINISHED, 0, 0)

    def test_a_short_stops_above(self) -> None:
        found = run("BTCUSDT short 60000-70000 10 per_order=0.010 sl=71000", flat(65000, 71000, 60000))
        assert (found.reason, found.position) == ("stop_loss", 0)

    @pytest.mark.parametrize("price", [58000, 72000])
    def test_a_neutral_grid_has_a_stop_on_each_side(self, price: int) -> None:
        assert run(TEN + " sl=59000 sl=71000", flat(65000, price)).reason == "stop_loss"

    def test_a_kept_position_goes_on_being_marked(self) -> None:
        found = run(self.LONG + " close_on_stop=off", flat(65000, 58500, 70000, 61000))
        assert (found.status, found.position) == (Status.FINISHED, D("0.1"))
        assert found.max_drawdown > D("0.1") * 9000 - 50


class TestNumbers:
    def test_drawdown_is_the_largest_fall_from_the_running_peak_seen_at_points(self) -> None:
        line = "BTCUSDT long 60000-70000 10 per_order=0.010"
        found = run(line, candles("65000 65900 64100 65000", "65000 65500 64100 64200"))
        start = -D("0.05") * 65000 * D("0.0005")
        # rose: low first, then to the high, its peak; then down to the next candle's low
        peak = start + D("0.05") * 900
        assert found.max_drawdown == D("0.05") * 1800
        assert peak > 0

    def test_funding_is_paid_on_the_mark_of_its_instant_and_only_while_there_is_a_position(self) -> None:
        line, tape = "BTCUSDT long 60000-70000 10 per_order=0.010", flat(65000, 65100, 65200, minutes=60)
        rates = ((0, D("0.01")), (HOUR, D("0.0001")), (2 * HOUR + 1, D("-0.0002")), (9 * HOUR, D("0.5")))
        found = run(line, tape, Rules(funding=rates))
        assert found.funding == -D("0.05") * 65100 * D("0.0001") + D("0.05") * 65200 * D("0.0002")
        assert found.total == found.matched + found.unmatched + found.funding

    def test_rates_a_year_are_told_from_a_whole_day_on(self) -> None:
        short = run(TEN, flat(*[65000] * 23, minutes=60))
        assert short.grid_apr is None and short.total_apr is None
        day = run("BTCUSDT neutral 60000-70000 10 7000u", flat(*[65000, 63900] * 12, minutes=60))
        assert day.grid_apr is not None and abs(day.grid_apr - day.matched / 7000 * 365) < D("1e-20")

    def test_a_candle_is_as_long_handed_in_one_by_one(self) -> None:
        tape = flat(*[65000, 63900] * 12, minutes=60)
        assert run(TEN + " reserve=0%", tape, most=1) == run(TEN + " reserve=0%", tape)
        assert run(TEN, tape, most=1).grid_apr is not None

    def test_the_cap_makes_entries_wait_on_the_way_already(self) -> None:
        capped = run(TEN + " max_position=1300u", flat(65000, 50000))
        assert (capped.fills, capped.position) == (2, D("0.02"))

    def test_few_orders_follow_the_price(self) -> None:
        few = run(TEN + " max_open_orders=4", flat(65000, 60500, 69500, 60500))
        assert few == run(TEN, flat(65000, 60500, 69500, 60500))

    def test_a_trace_holds_every_fill_and_evenly_spread_moments(self) -> None:
        parameters, trace = clean(parse_line(TEN)), Trace()
        made = Replay(
            lambda price: plan.make(
                parameters, unlimited(BTC), price, brackets=None, available=None, wallet_free=None, chat=False
            ).plan,
            trace=trace,
        )
        for stretch in stretches(flat(*[65000, 63900, 65100] * 4000), 1000):
            made.feed(stretch)
        assert len(trace.deals) == made.outcome().fills
        assert 2000 <= len(trace.moments) <= Trace.MOST
        gaps = {later.time - earlier.time for earlier, later in zip(trace.moments[:-1], trace.moments[1:], strict=True)}
        assert max(gaps) <= 2 * min(gaps)


class TestWithBrackets:
    RULES = Rules(brackets=BRACKETS)
    LONG = "BTCUSDT long 60000-70000 10 3000u 4x"

    def test_an_isolated_position_is_closed_where_its_margin_ends_and_loses_no_more(self) -> None:
        found = run(self.LONG, flat(65000, 40000, 70000), self.RULES)
        assert found.liquidated and found.status is Status.FAILED and found.reason == "liquidated"
        assert found.position == 0 and found.total == found.matched + found.unmatched
        assert -3000 < found.total < -2000
        assert found.fills == 5

    def test_liquidation_stands_on_the_way_not_at_the_far_point(self) -> None:
        slow = run(self.LONG, flat(65000, *range(60000, 39999, -100), 70000), self.RULES)
        fast = run(self.LONG, flat(65000, 40000, 70000), self.RULES)
        assert slow.total == fast.total

    @pytest.mark.parametrize("line", [LONG, "BTCUSDT short 60000-70000 10 3000u 4x", LONG + " margin=cross"])
    def test_the_account_agrees_with_the_books(self, line: str) -> None:
        made = replay(line, flat(65000, 61000, 66000, 90000 if "short" in line else 40000, 65000), self.RULES)
        found = made.outcome()
        wallet = made._venue.wallet(ACCOUNT)
        assert found.liquidated
        assert wallet - 3000 == found.total
        assert wallet >= 0
        assert not made._venue.open_orders(ACCOUNT)

    def test_a_position_that_nothing_liquidates_has_no_bound(self) -> None:
        line = "BTCUSDT long 60000-70000 10 per_order=0.010 1x"
        found = run(line, flat(65000, 61000, 100, 65000), self.RULES)
        assert not found.liquidated and found.fills > 5
        assert found == run(line, flat(65000, 61000, 100, 65000), self.RULES, kind=Everything)

    def test_orders_without_margin_are_refused_and_counted(self) -> None:
        # the fee of the initial order leaves too little for the furthest entry, until a pair has earned it
        line = "BTCUSDT long 60000-70000 10 per_order=0.020 4x reserve=0%"
        short, longer = flat(65000, 65100), flat(65000, 65100, 66100, 66100, 65100)
        found = run(line, short, self.RULES)
        assert found.margin_refusals == 1 and found.status is Status.RUNNING
        assert run(line, short).margin_refusals == 0
        made = replay(line, longer, self.RULES)
        assert {order.price for order in made._venue.open_orders(ACCOUNT)} >= {D(60000), D(61000)}

    def test_the_refusals_of_the_exchange_apply(self) -> None:
        with pytest.raises(Declined, match="liquidation_inside"):
            run("BTCUSDT long 60000-70000 10 3000u 50x", flat(65000), self.RULES)
        run("BTCUSDT long 60000-70000 10 3000u 50x", flat(65000))


# --------------------------------------------------------------------------- nothing is missed

LINES = (
    TEN,
    "BTCUSDT long 60000-70000 10 per_order=0.010 geo",
    "BTCUSDT short 60000-70000 12 5000u sizing=weighted",
    "BTCUSDT long 60000-70000 10 per_order=0.010 initial=off",
    "BTCUSDT short 61000-69000 8 per_order=0.010 initial=off trigger=66000",
    "BTCUSDT long 61000-69000 8 per_order=0.010 sl=60500 tp=69500",
    "BTCUSDT neutral 61000-69000 8 per_order=0.010 sl=60500 sl=69500 close_on_stop=off",
    TEN + " max_position=2000u",
    TEN + " max_open_orders=3",
)
steps = st.lists(st.integers(-9, 9), min_size=3, max_size=40)


@st.composite
def tapes(draw: st.DrawFn) -> list[Candle]:
    """A walk in steps of 250, on which levels and stops lie, with wicks."""
    price, rows = 65000, []
    for time, step in enumerate(draw(steps)):
        first = price + 250 * draw(st.integers(-1, 1))
        price = min(max(price + 250 * step, 58000), 72000)
        low = min(first, price) - 250 * draw(st.integers(0, 3))
        high = max(first, price) + 250 * draw(st.integers(0, 3))
        rows.append(Candle(time * HOUR, D(first), D(high), D(low), D(price)))
    return rows


@given(
    tape=tapes(),
    line=st.sampled_from(LINES),
    through=st.booleans(),
    funding=st.booleans(),
    most=st.sampled_from((1, 5, 4096)),
)
@settings(max_examples=150, deadline=None)
def test_passing_over_candles_changes_nothing(
    tape: list[Candle], line: str, through: bool, funding: bool, most: int
) -> None:
    rates = tuple((hour * HOUR, D("0.0003")) for hour in range(2, 40, 8)) if funding else ()
    rules = Rules(through=through, funding=rates)
    assert run(line, tape, rules, most=most) == run(line, tape, rules, kind=Everything)


@given(tape=tapes(), line=st.sampled_from(LINES), leverage=st.sampled_from((2, 3, 5)), mode=st.booleans())
@settings(max_examples=100, deadline=None)
def test_total_is_the_change_of_the_account(tape: list[Candle], line: str, leverage: int, mode: bool) -> None:
    rates = tuple((hour * HOUR, D("0.0003")) for hour in range(2, 40, 8))
    brackets = BRACKETS if mode else None
    try:
        made = replay(f"{line} {leverage}x", tape, Rules(brackets=brackets, funding=rates))
    except Declined:
        return
    found = made.outcome()
    assert made.plan is not None
    venue = made._venue
    venue.reach("BTCUSDT", found.last, 10**12)
    funds = venue.funds(ACCOUNT)
    before = made.plan.investment if mode else AMPLE
    assert abs(funds.wallet + funds.unrealized_pnl - before - found.total) < D("1e-6")
    assert found.total == found.matched + found.unmatched + found.funding
    assert venue.position(ACCOUNT, "BTCUSDT").qty == found.position
