"""The ladder of a grid: where its levels stand and how much each slot holds (product.md §3.3).

Pure and exact: everything is computed in `EXACT`, so nothing depends on the decimal context of the process.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator, Sequence
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal, localcontext
from fractions import Fraction

from trading.model import Direction, Side, Sizing, Spacing

EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)
"""The context of all planning."""
_TIDY = Context(prec=40, rounding=ROUND_HALF_EVEN)
"""Takes off the noise of roots and powers, so that an exact half tick is still seen as one."""
_ONE = Decimal(1)
_FIRST = Decimal("0.65")
"""What a weighted grid gives the side it leans on."""


class EqualLevels(Exception):
    """Two levels fall on the same tick; `largest` is the largest count below that keeps them apart (0 = none)."""

    def __init__(self, count: int, largest: int) -> None:
        super().__init__(f"{count} grids put two levels on one tick; {largest} fit")
        self.count = count
        self.largest = largest


def on_tick(price: Decimal, tick: Decimal) -> Decimal:
    """`price` on the tick, half up."""
    return (price / tick).quantize(_ONE, rounding=ROUND_HALF_UP) * tick


def levels(
    spacing: Spacing,
    lower: Decimal,
    upper: Decimal,
    count: int,
    tick: Decimal,
    *,
    density: Decimal = _ONE,
    custom: Sequence[Decimal] = (),
) -> tuple[Decimal, ...]:
    """The N + 1 prices p_0 < … < p_N on the tick; CUSTOM takes `custom` and ignores the rest.

    Raises EqualLevels.
    """
    with localcontext(EXACT):
        if spacing is Spacing.CUSTOM:
            return _given(custom, tick)
        found = _spread(spacing, lower, upper, count, tick, density)
        if found is not None:
            return found
        most = min(count - 1, int((on_tick(upper, tick) - on_tick(lower, tick)) / tick))
        fits = (n for n in range(most, 0, -1) if _spread(spacing, lower, upper, n, tick, density) is not None)
        raise EqualLevels(count, next(fits, 0))


def _given(custom: Sequence[Decimal], tick: Decimal) -> tuple[Decimal, ...]:
    found = tuple(sorted(on_tick(price, tick) for price in custom))
    distinct = len(set(found))
    if distinct < len(found):
        raise EqualLevels(len(found) - 1, distinct - 1)
    return found


def _spread(
    spacing: Spacing, lower: Decimal, upper: Decimal, count: int, tick: Decimal, density: Decimal
) -> tuple[Decimal, ...] | None:
    """The levels, or None where two of them are equal; the dense end is walked first, as it fails first."""
    price = _arithmetic(lower, upper, count, density)
    if spacing is Spacing.GEOMETRIC:
        price = _geometric(lower, upper, count, density)
    falls = density < 1
    found = [on_tick(upper if falls else lower, tick)]
    for k in range(count - 1, -1, -1) if falls else range(1, count + 1):
        exact = lower if k == 0 else upper if k == count else _TIDY.plus(price(k))
        level = on_tick(exact, tick)
        if level == found[-1]:
            return None
        found.append(level)
    return tuple(reversed(found)) if falls else tuple(found)


def _weights(count: int, density: Decimal) -> list[Decimal]:
    """The share of the way from p_0 to p_N done at each level: step i ∝ density^(i/(N-1))."""
    if density == 1 or count == 1:
        return [Decimal(k) / count for k in range(count + 1)]
    growth = (density.ln() / (count - 1)).exp()
    done, step = [Decimal(0)], _ONE
    for _ in range(count):
        done.append(done[-1] + step)
        step *= growth
    return [part / done[-1] for part in done]


def _arithmetic(lower: Decimal, upper: Decimal, count: int, density: Decimal) -> Callable[[int], Decimal]:
    if density == 1:
        return lambda k: lower + (upper - lower) * k / count
    done = _weights(count, density)
    return lambda k: lower + (upper - lower) * done[k]


def _geometric(lower: Decimal, upper: Decimal, count: int, density: Decimal) -> Callable[[int], Decimal]:
    """Equal ratios; with a density it is the logarithm of the ratio that is skewed."""
    width = (upper / lower).ln()
    if density == 1:
        ratio = (width / count).exp()
        return lambda k: lower * ratio**k
    done = _weights(count, density)
    return lambda k: lower * (width * done[k]).exp()


def vacant(prices: Sequence[Decimal], price: Decimal) -> int:
    """The level nearest to `price`, a tie takes the lower one: slots below start with a buy, the others with a sell."""
    above = bisect.bisect_left(prices, price)
    if above == 0:
        return 0
    if above == len(prices):
        return above - 1
    with localcontext(EXACT):
        return above - 1 if price - prices[above - 1] <= prices[above] - price else above


def openings(
    direction: Direction, prices: Sequence[Decimal], level: int, price: Decimal, initial: bool = True
) -> tuple[Decimal, ...]:
    """Per slot, the price at which its lot is opened: `price` for lots of the initial order, else its own entry."""
    return tuple(
        price if initial and entry(direction, i, level) is not first(i, level)
        else prices[i] if entry(direction, i, level) is Side.BUY
        else prices[i + 1]
        for i in range(len(prices) - 1)
    )  # fmt: skip


def first(slot: int, level: int) -> Side:
    """The side of the order that `slot` starts with when `level` is vacant."""
    return Side.BUY if slot < level else Side.SELL


def entry(direction: Direction, slot: int, level: int) -> Side:
    """The side that opens a lot in `slot`."""
    if direction is Direction.NEUTRAL:
        return first(slot, level)
    return Side.BUY if direction is Direction.LONG else Side.SELL


def quantities(
    sizing: Sizing, direction: Direction, level: int, opening: Sequence[Decimal], power: Decimal, lot: Decimal
) -> tuple[Decimal, ...]:
    """Per slot, what its share of the buying power `power` buys at its opening price, floored to the lot."""
    with localcontext(EXACT):
        if sizing is Sizing.EQUAL_QUANTITY:
            each = _floor(power / sum(opening, Decimal(0)), lot)
            return (each,) * len(opening)
        parts = shares(sizing, direction, level, len(opening))
        # one division each, so that an amount that is a whole number of lots stays one
        return tuple(
            _floor(power * part.numerator / (price * part.denominator), lot)
            for part, price in zip(parts, opening, strict=True)
        )


def shares(sizing: Sizing, direction: Direction, level: int, count: int) -> tuple[Fraction, ...]:
    """w_i, which add up to 1: equal, or leaning to one side of the price when weighted."""
    if sizing is not Sizing.WEIGHTED or direction is Direction.NEUTRAL:
        return (Fraction(1, count),) * count
    leaning = Fraction(_FIRST)
    above = leaning if direction is Direction.LONG else 1 - leaning
    if level == 0 or level == count:
        above = Fraction(1 if level == 0 else 0)
    below = list(_slope(level, 1 - above))
    if direction is Direction.LONG:  # its heavy end is next to the price, a short's is the far one
        below.reverse()
    return (*below, *_slope(count - level, above))


def _slope(n: int, share: Fraction) -> Iterator[Fraction]:
    """`n` parts of `share` that fall from 1.2 to 0.8 of their average; the plain weights already add up to n."""
    for j in range(n):
        weight = Fraction(1) if n == 1 else Fraction(6, 5) - Fraction(2 * j, 5 * (n - 1))
        yield share * weight / n


def _floor(qty: Decimal, lot: Decimal) -> Decimal:
    return (qty / lot).quantize(_ONE, rounding=ROUND_DOWN) * lot
