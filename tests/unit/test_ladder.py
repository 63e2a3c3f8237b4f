"""Levels, vacant level and sizes against figures worked by hand from product.md §3.3."""

from __future__ import annotations

import decimal
from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from trading.model import Direction, Sizing, Spacing
from trading.strategies import ladder

D = Decimal
TICK = D("0.1")
A, G, C = Spacing.ARITHMETIC, Spacing.GEOMETRIC, Spacing.CUSTOM
LONG, NEUTRAL, SHORT = Direction.LONG, Direction.NEUTRAL, Direction.SHORT


def prices(*texts: str) -> tuple[Decimal, ...]:
    return tuple(map(D, texts))


@pytest.mark.parametrize(
    ("spacing", "lower", "upper", "count", "tick", "density", "expected"),
    [
        (A, "60000", "64000", 4, "0.1", "1", ("60000", "61000", "62000", "63000", "64000")),
        (A, "100", "101", 3, "0.1", "1", ("100", "100.3", "100.7", "101")),
        (A, "0.5", "3.5", 2, "1", "1", ("1", "2", "4")),  # half up, not half even
        (A, "100", "800", 3, "1", "4", ("100", "200", "400", "800")),  # steps 1 : 2 : 4
        (A, "100", "800", 3, "1", "0.25", ("100", "500", "700", "800")),
        (G, "1000", "1331", 3, "0.1", "1", ("1000", "1100", "1210", "1331")),
        (G, "10000", "40000", 2, "0.1", "1", ("10000", "20000", "40000")),
        (G, "1", "2.25", 2, "0.5", "1", ("1", "1.5", "2.5")),  # an exact half tick goes up
        (G, "1", "128", 3, "1", "4", ("1", "2", "8", "128")),  # the logarithms' steps are 1 : 2 : 4
    ],
)
def test_levels_are_the_ones_worked_by_hand(
    spacing: Spacing, lower: str, upper: str, count: int, tick: str, density: str, expected: tuple[str, ...]
) -> None:
    found = ladder.levels(spacing, D(lower), D(upper), count, D(tick), density=D(density))
    assert found == prices(*expected)


def test_custom_levels_are_sorted_and_rounded() -> None:
    given_ = prices("63000", "58000.04", "60000.05")
    assert ladder.levels(C, D(0), D(0), 0, TICK, custom=given_) == prices("58000", "60000.1", "63000")


def test_equal_custom_levels_name_how_many_are_distinct() -> None:
    with pytest.raises(ladder.EqualLevels) as caught:
        ladder.levels(C, D(0), D(0), 0, D(1), custom=prices("10", "10.2", "11", "12"))
    assert (caught.value.count, caught.value.largest) == (3, 2)


def test_the_half_tick_of_a_root_is_seen_through_its_noise() -> None:
    # 0.5 · 3² is 4.5, but comes out as 4.4999…97
    assert ladder.levels(G, D("0.5"), D("13.5"), 3, D(1)) == prices("1", "2", "5", "14")


@pytest.mark.parametrize("spacing", [A, G])
@pytest.mark.parametrize("density", ["1", "3", "0.2"])
def test_too_many_levels_name_the_largest_count_that_fits(spacing: Spacing, density: str) -> None:
    def fits(n: int) -> bool:
        try:
            found = ladder.levels(spacing, D("1.00"), D("1.60"), n, D("0.01"), density=D(density))
        except ladder.EqualLevels:
            return False
        return len(set(found)) == n + 1

    with pytest.raises(ladder.EqualLevels) as caught:
        ladder.levels(spacing, D("1.00"), D("1.60"), 200, D("0.01"), density=D(density))
    assert caught.value.largest == max(n for n in range(1, 200) if fits(n))


def test_the_decimal_context_of_the_process_changes_nothing() -> None:
    def run() -> tuple[object, ...]:
        found = ladder.levels(G, D("58000"), D("72000"), 57, TICK, density=D("1.5"))
        opening = ladder.openings(LONG, found, 20, D("61234.5"))
        return found, ladder.quantities(Sizing.WEIGHTED, LONG, 20, opening, D("12345.67"), D("0.001"))

    expected = run()
    with decimal.localcontext(decimal.Context(prec=6, rounding=ROUND_FLOOR)):
        assert run() == expected


@pytest.mark.parametrize(
    ("price", "expected"),
    [("62100", 2), ("62500", 2), ("62500.1", 3), ("60000", 0), ("59000", 0), ("99999", 4), ("63999", 4), ("60500", 0)],
)
def test_the_vacant_level_is_the_nearest_and_a_tie_takes_the_lower(price: str, expected: int) -> None:
    levels = prices("60000", "61000", "62000", "63000", "64000")
    assert ladder.vacant(levels, D(price)) == expected


LEVELS = prices("60000", "61000", "62000", "63000", "64000")


@pytest.mark.parametrize(
    ("direction", "initial", "expected"),
    [
        (NEUTRAL, True, ("60000", "61000", "63000", "64000")),
        (LONG, True, ("60000", "61000", "62100", "62100")),
        (LONG, False, ("60000", "61000", "62000", "63000")),
        (SHORT, True, ("62100", "62100", "63000", "64000")),
        (SHORT, False, ("61000", "62000", "63000", "64000")),
    ],
)
def test_a_lot_is_opened_at_the_initial_price_or_at_its_own_entry(
    direction: Direction, initial: bool, expected: tuple[str, ...]
) -> None:
    assert ladder.openings(direction, LEVELS, 2, D("62100"), initial) == prices(*expected)


@pytest.mark.parametrize(
    ("sizing", "direction", "expected"),
    [
        # 4750 / 4 = 1187.5 each
        (Sizing.EQUAL_NOTIONAL, NEUTRAL, ("0.019", "0.019", "0.018", "0.018")),
        (Sizing.EQUAL_NOTIONAL, LONG, ("0.019", "0.019", "0.019", "0.019")),
        (Sizing.EQUAL_NOTIONAL, SHORT, ("0.019", "0.019", "0.018", "0.018")),
        # 4750 / 248,000 = 0.01915…
        (Sizing.EQUAL_QUANTITY, NEUTRAL, ("0.019", "0.019", "0.019", "0.019")),
        # LONG weighted: 35 % below as 0.8 : 1.2, 65 % above as 1.2 : 0.8
        # 665 / 60000, 997.5 / 61000, 1852.5 / 62100, 1235 / 62100
        (Sizing.WEIGHTED, LONG, ("0.011", "0.016", "0.029", "0.019")),
        # SHORT weighted: 65 % below as 1.2 : 0.8 from the far end, 35 % above as 1.2 : 0.8
        # 1852.5 / 62100, 1235 / 62100, 997.5 / 63000, 665 / 64000
        (Sizing.WEIGHTED, SHORT, ("0.029", "0.019", "0.015", "0.010")),
        (Sizing.WEIGHTED, NEUTRAL, ("0.019", "0.019", "0.018", "0.018")),
    ],
)
def test_sizes_are_the_ones_worked_by_hand(sizing: Sizing, direction: Direction, expected: tuple[str, ...]) -> None:
    opening = ladder.openings(direction, LEVELS, 2, D("62100"))
    assert ladder.quantities(sizing, direction, 2, opening, D(4750), D("0.001")) == prices(*expected)


def test_a_whole_number_of_lots_is_not_lost_to_rounding() -> None:
    opening = (D(3),) * 3
    assert ladder.quantities(Sizing.EQUAL_NOTIONAL, NEUTRAL, 0, opening, D(9), D("0.1")) == (D(1),) * 3


@pytest.mark.parametrize(
    ("direction", "vacant", "count", "expected"),
    [
        (LONG, 2, 5, ("7/50", "21/100", "13/50", "13/60", "13/75")),
        (SHORT, 2, 5, ("39/100", "13/50", "7/50", "7/60", "7/75")),
        (LONG, 1, 2, ("35/100", "65/100")),
        (SHORT, 1, 2, ("65/100", "35/100")),
        (LONG, 0, 2, ("3/5", "2/5")),  # nothing below: all of it above
        (LONG, 2, 2, ("2/5", "3/5")),
        (SHORT, 0, 2, ("3/5", "2/5")),
        (SHORT, 2, 2, ("3/5", "2/5")),
        (NEUTRAL, 1, 4, ("1/4",) * 4),
    ],
)
def test_weights_lean_with_the_direction(
    direction: Direction, vacant: int, count: int, expected: tuple[str, ...]
) -> None:
    assert ladder.shares(Sizing.WEIGHTED, direction, vacant, count) == tuple(map(Fraction, expected))


@settings(max_examples=120, deadline=None)
@given(
    spacing=st.sampled_from([A, G]),
    lower=st.decimals(D("0.5"), D(100_000), places=3),
    width=st.decimals(D("0.01"), D(3), places=3),
    count=st.integers(2, 500),
    tick=st.sampled_from(prices("0.1", "0.01", "0.001", "0.5", "1")),
    density=st.one_of(st.just(D(1)), st.decimals(D("0.05"), D(20), places=2)),
)
def test_levels_rise_on_the_tick_and_keep_the_bounds(
    spacing: Spacing, lower: Decimal, width: Decimal, count: int, tick: Decimal, density: Decimal
) -> None:
    upper = lower * (1 + width)
    assume(ladder.on_tick(lower, tick) > 0)
    try:
        found = ladder.levels(spacing, lower, upper, count, tick, density=density)
    except ladder.EqualLevels as equal:
        assert equal.count == count
        assert 0 <= equal.largest < count
        if equal.largest:
            assert len(ladder.levels(spacing, lower, upper, equal.largest, tick, density=density)) == equal.largest + 1
        return
    assert len(found) == count + 1
    assert all(low < high for low, high in pairwise(found))
    assert all(level % tick == 0 for level in found)
    assert (found[0], found[-1]) == (ladder.on_tick(lower, tick), ladder.on_tick(upper, tick))


@settings(max_examples=120, deadline=None)
@given(
    sizing=st.sampled_from(Sizing),
    direction=st.sampled_from(Direction),
    count=st.integers(2, 80),
    price=st.decimals(D(50_000), D(80_000), places=1),
    power=st.decimals(D(10), D(10**7), places=2),
    lot=st.sampled_from(prices("0.001", "0.1", "1", "0.00001")),
    initial=st.booleans(),
)
def test_sizes_stand_on_the_lot_and_never_cost_more_than_the_buying_power(
    sizing: Sizing, direction: Direction, count: int, price: Decimal, power: Decimal, lot: Decimal, initial: bool
) -> None:
    found = ladder.levels(A, D(58_000), D(72_000), count, TICK)
    vacant = ladder.vacant(found, price)
    opening = ladder.openings(direction, found, vacant, price, initial)
    sizes = ladder.quantities(sizing, direction, vacant, opening, power, lot)
    assert len(sizes) == count
    assert all(qty >= 0 and qty % lot == 0 for qty in sizes)
    assert sum(qty * at for qty, at in zip(sizes, opening, strict=True)) <= power
    assert sum(ladder.shares(sizing, direction, vacant, count)) == 1
