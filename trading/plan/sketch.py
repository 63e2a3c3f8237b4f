"""The sketch of a grid: levels, sizes and money of one set of parameters at one price, before any rule has its say.

Pure. Plans are made from it, and alternatives ("with 3x it would pass") are sketched the same way.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from itertools import pairwise

from msgspec import Struct
from msgspec.structs import replace

from trading.model import ZERO, Direction, Instrument, Side, Sizing, Spacing
from trading.parameters import GridParameters, Step
from trading.strategies import ladder
from trading.views import Declined, Refusal

FEWEST, MOST = 2, 500
_CENT = Decimal("0.01")
_ONE = Decimal(1)


class Sketch(Struct, frozen=True):
    """Levels, sizes and money; slot i lies between levels[i] and levels[i + 1]."""

    direction: Direction
    sizing: Sizing
    leverage: int
    levels: tuple[Decimal, ...]
    vacant: int
    price: Decimal
    """P0, on the tick."""
    opening: tuple[Decimal, ...]
    """Per slot, the price at which its lot is opened."""
    inventory: tuple[int, ...]
    """Slots whose lots the initial order takes."""
    quantities: tuple[Decimal, ...]
    power: Decimal
    """Buying power that was shared out."""
    investment: Decimal

    @property
    def count(self) -> int:
        return len(self.quantities)

    def entry(self, slot: int) -> Side:
        return ladder.entry(self.direction, slot, self.vacant)

    def initial_qty(self) -> Decimal:
        return sum((self.quantities[i] for i in self.inventory), ZERO)

    def notional(self, slot: int) -> Decimal:
        """What the lot of `slot` costs when it is opened."""
        return self.quantities[slot] * self.opening[slot]


def draw(params: GridParameters, instrument: Instrument, price: Decimal) -> Sketch:
    """The sketch at `price`, or at the trigger; raises EqualLevels, or Declined for an impossible step or bound.

    To be called in the decimal context of the plan.
    """
    start = ladder.on_tick(params.trigger or price, instrument.tick_size)
    levels = _levels(params, instrument.tick_size)
    vacant, count = ladder.vacant(levels, start), len(levels) - 1
    opening = ladder.openings(params.direction, levels, vacant, start, params.initial)
    inventory = tuple(
        i
        for i in range(count)
        if params.initial and ladder.entry(params.direction, i, vacant) is not ladder.first(i, vacant)
    )
    is_plain = params.direction is Direction.NEUTRAL and params.sizing is Sizing.WEIGHTED
    sizing = Sizing.EQUAL_NOTIONAL if is_plain else params.sizing
    power, investment = _money(params, opening)
    quantities = ladder.quantities(sizing, params.direction, vacant, opening, power, instrument.lot_size)
    return Sketch(
        direction=params.direction,
        sizing=sizing,
        leverage=params.leverage,
        levels=levels,
        vacant=vacant,
        price=start,
        opening=opening,
        inventory=inventory,
        quantities=quantities,
        power=power,
        investment=investment,
    )


def _levels(params: GridParameters, tick: Decimal) -> tuple[Decimal, ...]:
    if ladder.on_tick(params.lower, tick) == 0:
        raise Declined(Refusal("below_min_price", {"price": f"{params.lower:f}", "least": f"{tick:f}"}))
    upper, count = params.upper, params.grids or 0
    if params.step is not None:
        count, upper = whole_steps(params, params.step, tick)
    return ladder.levels(params.spacing, params.lower, upper, count, tick, density=params.density, custom=params.levels)


def whole_steps(params: GridParameters, step: Step, tick: Decimal) -> tuple[int, Decimal]:
    """How many whole steps fit, and the last one's price, unrounded; raises Declined when they are too many or few.

    A step that ends above the upper bound by less than the rounding to the tick still fits.
    """
    last = _last_step(params.lower, step)
    top = ladder.on_tick(params.upper, tick)
    if step.is_fraction:
        count = int((params.upper / params.lower).ln() / (1 + step.value).ln())
    else:
        count = int((params.upper - params.lower) / step.value)
    if count <= MOST and ladder.on_tick(last(count + 1), tick) <= top:
        count += 1
    if not FEWEST <= count <= MOST:
        values = {"name": "grids", "text": str(count), "least": str(FEWEST), "most": str(MOST)}
        raise Declined(Refusal("out_of_bounds", values))
    return count, last(count)


def _last_step(lower: Decimal, step: Step) -> Callable[[int], Decimal]:
    if step.is_fraction:
        return lambda k: lower * (1 + step.value) ** k
    return lambda k: lower + step.value * k


def _money(params: GridParameters, opening: tuple[Decimal, ...]) -> tuple[Decimal, Decimal]:
    """Buying power and investment, of which one follows from the other."""
    factor = params.leverage * (1 - params.reserve)
    if params.per_order is not None:
        amount = params.per_order
        power = amount.value * (len(opening) if amount.is_notional else sum(opening, ZERO))
        return power, _up(power / factor)
    investment = params.investment or ZERO
    return investment * factor, investment


def _up(money: Decimal) -> Decimal:
    return money.quantize(_CENT, rounding=ROUND_CEILING)


def is_too_small(sketch: Sketch, instrument: Instrument) -> bool:
    """Whether an order of some slot, or the initial order, is under the minimum; the floor is its cheapest order."""
    if any(map(instrument.is_too_small, sketch.levels, sketch.quantities)) or ZERO in sketch.quantities:
        return True
    return bool(sketch.inventory) and instrument.is_too_small(sketch.price, sketch.initial_qty())


def least_investment(params: GridParameters, instrument: Instrument, sketch: Sketch) -> Decimal:
    """The least that this count can be run with, in whole cents."""
    alone = [_least_qty(instrument, level) for level in sketch.levels[:-1]]
    together = list(alone)
    if sketch.inventory:
        each = instrument.ceil_qty(instrument.min_notional / sketch.price / len(sketch.inventory))
        for i in sketch.inventory:
            together[i] = max(alone[i], each)
    factor = params.leverage * (1 - params.reserve)
    least, enough = (int(_up(_power(sketch, needed) / factor).scaleb(2)) for needed in (alone, together))

    def fits(cents: int) -> bool:
        power = Decimal(cents).scaleb(-2) * factor
        by = (sketch.sizing, sketch.direction, sketch.vacant, sketch.opening, power, instrument.lot_size)
        return not is_too_small(replace(sketch, quantities=ladder.quantities(*by)), instrument)

    # lots of different sizes may reach the minimum of the initial order before each of them has its equal part of it
    return Decimal(least + bisect_left(range(least, enough), True, key=fits)).scaleb(-2)


def _power(sketch: Sketch, needed: Sequence[Decimal]) -> Decimal:
    """The least buying power that gives every slot the quantity `needed`."""
    if sketch.sizing is Sizing.EQUAL_QUANTITY:
        return max(needed) * sum(sketch.opening, ZERO)
    parts = ladder.shares(sketch.sizing, sketch.direction, sketch.vacant, sketch.count)
    return max(
        qty * price * part.denominator / part.numerator
        for qty, price, part in zip(needed, sketch.opening, parts, strict=True)
    )


def _least_qty(instrument: Instrument, price: Decimal) -> Decimal:
    least = max(instrument.min_qty, instrument.min_notional / price, instrument.lot_size)
    return instrument.ceil_qty(least)


def steps(sketch: Sketch) -> tuple[Decimal, Decimal]:
    """The smallest and the largest step, as fractions of their lower levels."""
    found = [above / below - 1 for below, above in pairwise(sketch.levels)]
    return min(found), max(found)


def profits(sketch: Sketch, fee: Decimal) -> tuple[Decimal, Decimal]:
    """Net profit per grid of the worst and the best slot, as a fraction of its buy price: (1 - f)·d/p - 2f."""
    low, high = steps(sketch)
    return (1 - fee) * low - 2 * fee, (1 - fee) * high - 2 * fee


def most_grids(params: GridParameters, instrument: Instrument, sketch: Sketch, fee: Decimal) -> int:
    """The largest smaller count whose orders are all large enough and earn their fees; 0 where there is none."""
    if params.spacing is Spacing.CUSTOM:
        return 0
    smaller = replace(params, step=None, upper=sketch.levels[-1])

    def fits(count: int) -> bool:
        drawn = draw(replace(smaller, grids=count), instrument, sketch.price)
        return not is_too_small(drawn, instrument) and profits(drawn, fee)[0] > 0

    most = highest(fits, FEWEST, sketch.count - 1)
    # where the price lies between levels changes with the count, so a few more may fit than the search saw
    near = range(min(most + 8, sketch.count - 1), most, -1) if most else ()
    return next((count for count in near if fits(count)), most)


def highest(passes: Callable[[int], bool], least: int, most: int) -> int:
    """The highest number from `least` to `most` that passes, when those that pass come first; 0 = none."""
    found = 0
    while least <= most:
        middle = (least + most) // 2
        if passes(middle):
            found, least = middle, middle + 1
        else:
            most = middle - 1
    return found


def down(money: Decimal) -> Decimal:
    """Money in whole cents, never more than it is."""
    return money.quantize(_CENT, rounding=ROUND_FLOOR)
