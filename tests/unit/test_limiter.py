"""The venue's budgets are never broken, whatever is asked for and when."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.gateways.binance.wire import RateLimit
from trading.gateways.limiter import SLACK, Address, Limiter, Overload, Weight, Window


@given(
    st.lists(st.integers(0, 900), min_size=1, max_size=200),
    st.integers(1, 20),
    st.sampled_from([1_000, 10_000]),
)
@settings(max_examples=80, deadline=None)
def test_no_window_of_any_alignment_ever_holds_more_than_the_limit(gaps: list[int], limit: int, span: int) -> None:
    window, now, sent = Window(limit, span), 0, []
    for gap in gaps:
        now += gap
        while wait := window.wait(now):
            now += wait
        window.take(now)
        sent.append(now)
    for start in sent:
        assert sum(1 for time in sent if start <= time < start + span) <= limit


def test_three_hundred_orders_leave_at_once_and_the_next_waits_for_the_window() -> None:
    limiter = Limiter()
    for _ in range(300):
        assert limiter.order_wait(1_000_000) == 0
        limiter.take_order(1_000_000)
    assert limiter.order_wait(1_000_000) == 10_000 + SLACK
    assert limiter.order_wait(1_010_000 + SLACK) == 0


@given(st.lists(st.tuples(st.integers(0, 4_000), st.booleans()), min_size=1, max_size=200))
@settings(max_examples=80, deadline=None)
def test_what_others_sent_is_what_the_venue_counted_beyond_our_own(steps: list[tuple[int, bool]]) -> None:
    window, now, sent = Window(1_000, 10_000), 70_000, []
    for gap, is_order in steps:
        now += gap
        if is_order:
            window.take(now)
            sent.append(now)
        ours = sum(1 for time in sent if time // 10_000 == now // 10_000)
        window.observe(ours + 7, now)
        assert (window._others, window._others_end) == (7, now - now % 10_000 + 10_000)


def test_a_clock_that_is_put_back_over_a_window_never_makes_bolder() -> None:
    window = Window(10, 10_000)
    window.take(20_001)
    window.observe(10, 19_999)
    assert window.wait(19_999) > 0


STEPS = [1_000, 30_000, 8 * 3_600_000]
"""By how much a clock is put back, ms."""


@given(
    st.lists(st.tuples(st.integers(0, 900), st.sampled_from([0] * 9 + STEPS)), min_size=1, max_size=200),
    st.integers(1, 20),
)
@settings(max_examples=80, deadline=None)
def test_nor_does_one_while_the_clock_is_put_back_and_no_order_waits_for_that(
    steps: list[tuple[int, int]], limit: int
) -> None:
    window, now, back, sent = Window(limit, 10_000), 0, 0, []
    for gap, step in steps:
        now += gap
        back += step
        waited = 0
        while wait := window.wait(now - back):
            now += wait
            waited += wait
        assert waited <= 10_000 + SLACK
        window.take(now - back)
        sent.append(now)
    for start in sent:
        assert sum(1 for time in sent if start <= time < start + 10_000) <= limit


@pytest.mark.parametrize("step", STEPS)
def test_what_others_sent_before_the_clock_was_put_back_counts_for_a_window_at_most(step: int) -> None:
    window, now = Window(300, 10_000), 1_790_000_005_000
    window.observe(300, now + step)
    wait = window.wait(now)
    assert 0 < wait <= 10_000
    assert window.wait(now + wait) == 0
    window.take(now + wait)
    window.observe(300, now + wait)
    assert window.wait(now + wait) > 0, "and is learnt again"


def test_the_minute_budget_binds_after_the_ten_second_one() -> None:
    limiter, now = Limiter(), 0
    for _ in range(1200):
        now += limiter.order_wait(now)
        limiter.take_order(now)
    assert now + limiter.order_wait(now) >= 60_000


def test_orders_that_others_sent_on_the_account_count_until_the_window_ends() -> None:
    limiter = Limiter()
    limiter.take_order(10_000)
    limiter.observe("ORDERS", 10_000, 300, 10_500)
    assert 0 < limiter.order_wait(10_500) <= 9_500
    assert limiter.order_wait(20_000) == 0


def test_the_venue_tells_its_own_limits() -> None:
    limiter = Limiter()
    limiter.configure(
        [
            RateLimit("REQUEST_WEIGHT", "MINUTE", 1, 6000),
            RateLimit("ORDERS", "SECOND", 10, 2),
            RateLimit("ORDERS", "DAY", 1, 5),
            RateLimit("RAW_REQUESTS", "MINUTE", 5, 1),
            RateLimit("ORDERS", "FORTNIGHT", 1, 1),
        ]
    )
    assert limiter.weight.limit == 6000
    for _ in range(2):
        limiter.take_order(0)
    assert limiter.order_wait(0) == 10_000 + SLACK
    assert limiter.orders[86_400_000].limit == 5


def test_reads_leave_a_tenth_of_the_weight_for_cancels() -> None:
    weight = Weight(100)
    weight.take(0, 90)
    assert weight.wait(1_000, 1, is_urgent=False) == 59_000 + SLACK
    assert weight.wait(1_000, 10, is_urgent=True) == 0
    assert weight.wait(60_000, 1, is_urgent=False) == 0


def test_reads_that_can_wait_take_half_of_the_budget_evenly_however_many_ask_at_once() -> None:
    weight, spent = Weight(2400), list[tuple[int, int]]()
    for _ in range(3):
        for cost in [45, 12] * 20:  # 20 accounts of 50 bots: a glance, and one bot read whole
            spent.append((weight.turn(0, cost), cost))
    assert spent[0][0] == 0
    for begin in range(0, 180_000, 1_000):
        assert sum(cost for time, cost in spent if begin <= time < begin + 60_000) <= 1_200 + 45
    assert 45_000 < spent[39][0] < 60_000, "a round of all of them fits into the minute"
    assert weight.turn(300_000, 45) == 0, "what was not used is not saved up"


def test_reads_that_can_wait_leave_the_last_quarter_to_those_that_cannot() -> None:
    weight = Weight(2400)
    weight.take(0, 1_750)
    assert weight.leisure(1_000, 50) == 0
    assert weight.leisure(1_000, 51) == 59_000 + SLACK
    assert weight.wait(1_000, 51, is_urgent=False) == 0
    assert weight.leisure(60_000, 51) == 0


def test_an_exchange_without_limits_keeps_nobody_waiting() -> None:
    weight = Weight(1_000_000_000)
    assert all(weight.turn(5, 45) == weight.leisure(5, 45) == 0 for _ in range(1_000))


def test_the_header_corrects_our_own_count_upwards() -> None:
    limiter = Limiter()
    limiter.take_weight(1_000, 5)
    limiter.observe("REQUEST_WEIGHT", 60_000, 2390, 1_100)
    assert limiter.weight_wait(1_200, 20) > 0
    limiter.observe("REQUEST_WEIGHT", 60_000, 3, 1_300)
    assert limiter.weight_wait(1_400, 20) > 0


def test_a_ban_stops_orders_and_reads_alike() -> None:
    limiter = Limiter()
    limiter.block(5_000)
    limiter.block(4_000)
    assert limiter.order_wait(1_000) == 4_000
    assert limiter.weight_wait(1_000, 1, is_urgent=True) == 4_000
    assert limiter.order_wait(5_000) == 0


def test_counts_in_answers_are_understood_by_interval() -> None:
    limiter = Limiter()
    limiter.observe_rows([("ORDERS", "SECOND", 10, 300), ("ORDERS", "MINUTE", 1, 400), ("X", "Y", 1, 1)], 10_000)
    assert limiter.order_wait(10_000) == 10_000


def test_accounts_behind_one_address_share_weight_and_bans_but_not_orders() -> None:
    address = Address()
    one, other = Limiter(address), Limiter(address)
    told: list[int] = []
    address.on_ban.add(lambda: told.append(address.banned_until))
    one.configure([RateLimit("REQUEST_WEIGHT", "MINUTE", 1, 100), RateLimit("ORDERS", "SECOND", 10, 1)])
    one.take_weight(0, 85)
    assert other.weight_wait(0, 10) > 0
    one.take_order(0)
    assert one.order_wait(0) > 0
    assert other.order_wait(0) == 0
    other.block(5_000)
    assert one.weight_wait(1_000, 1, is_urgent=True) == 4_000
    assert told == [], "a limit is no ban"
    other.block(9_000, is_ban=True)
    other.block(7_000)
    assert (told, address.banned_until, one.blocked_until) == ([9_000], 9_000, 9_000)
    assert other.order_wait(1_000) == 8_000


def test_too_many_orders_block_placements_only() -> None:
    limiter = Limiter()
    limiter.block_orders(5_000)
    assert limiter.order_wait(2_000) == 3_000
    assert limiter.order_wait(2_000, is_exempt=True) == 3_000, "closing orders count too"
    assert limiter.weight_wait(2_000, 1, is_urgent=True) == 0


def test_overload_doubles_the_pause_of_openings_up_to_a_bound_and_forgets_after_a_while() -> None:
    limiter, now, pauses = Limiter(), 1_000_000, []
    for _ in range(8):
        limiter.overload.hit(now)
        limiter.overload.hit(now)  # one burst counts once
        pauses.append(limiter.order_wait(now))
        assert limiter.order_wait(now, is_exempt=True) == 0
        now = limiter.overload.until
    assert pauses == [250, 500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000]
    now += 5 * Overload.LONGEST
    limiter.overload.hit(now)
    assert limiter.order_wait(now) == 250


@pytest.mark.parametrize("step", STEPS)
def test_an_overload_keeps_openings_no_longer_away_because_the_clock_was_put_back(step: int) -> None:
    limiter, now = Limiter(), 1_790_000_000_000
    limiter.overload.hit(now + step)
    assert limiter.order_wait(now) == 250
    assert limiter.order_wait(now + 250) == 0


def test_what_was_reserved_and_not_needed_is_given_back_but_never_more_than_is_used() -> None:
    weight = Weight(100)
    weight.take(0, 90)
    weight.take(10, -5)
    assert weight.wait(20, 5, is_urgent=False) == 0
    weight.take(60_000, -5)
    weight.take(60_000, 90)
    assert weight.wait(60_001, 1, is_urgent=False) > 0
