"""A grid before it starts: parameters, rules and price made into levels, sizes, preview numbers, noes and warnings.

Pure; every rule is product.md §3.3. Levels and sizes are drawn by `sketch.py`, what can be lost is in `exposure.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal, localcontext
from itertools import pairwise
from typing import overload

from msgspec import Struct

from trading.model import MONEY, ZERO, Bracket, Direction, Instrument, Side, Sizing, Spacing
from trading.parameters import CODES as PARAMETER_CODES
from trading.parameters import GridParameters, stop_problems
from trading.plan import exposure
from trading.plan.exposure import Cross, Liquidations
from trading.plan.sketch import Sketch, down, draw, is_too_small, least_investment, most_grids, profits, steps
from trading.strategies.grid import GridPlan
from trading.strategies.ladder import EXACT, EqualLevels, on_tick
from trading.views import Declined, Preview, Refusal

REFUSALS: dict[str, tuple[str, ...]] = {
    **exposure.CODES,
    **{
        code: PARAMETER_CODES[code]
        for code in ("out_of_bounds", "stop_not_below", "stop_not_above", "stop_inside_range", "target_not_above",
                     "target_not_below")
    },
    "equal_levels": ("grids", "most"),
    "no_profit": ("profit", "step", "least_step"),
    "below_minimum": ("grids", "min_notional", "min_qty", "least", "most_grids"),
    "order_above_maximum": ("qty", "most"),
    "initial_above_maximum": ("qty", "most"),
    "initial_above_max_position": ("initial", "most"),
    "below_min_price": ("price", "least"),
    "above_max_price": ("price", "most"),
    "not_trading": ("symbol", "status"),
    "over_balance": ("investment", "most"),
    "outside_range": ("price", "lower", "upper"),
    "already_beyond_stop": ("price", "stop"),
    "already_beyond_target": ("price", "target"),
}  # fmt: skip
"""Every refusal of planning with the names of its values; rates are fractions; empty values are no way out."""
WARNINGS: dict[str, tuple[str, ...]] = {
    "bound_rounded": ("name", "asked", "used"),
    "upper_lowered": ("asked", "used", "grids"),
    "thin_step": ("step", "least_step"),
    "close_to_upper": ("price", "upper", "distance"),
    "close_to_lower": ("price", "lower", "distance"),
    "margin_short": ("price",),
    "liquidation_after_return": ("liquidation", "limit"),
    "more_grids_than_orders": ("grids", "most"),
    "neutral_is_equal": (),
}
CONFIRM = frozenset({"close_to_upper", "close_to_lower"})
"""Warnings that a person must confirm before the start."""

_CLOSE = Decimal("0.05")
_THIN = 6
"""A step under this many fees earns too little for its risk."""


class _Stops(Struct, frozen=True):
    """Stops and target on the tick, by side of the range whatever the direction."""

    low: Decimal | None
    high: Decimal | None
    target: Decimal | None


def make(
    params: GridParameters,
    instrument: Instrument,
    price: Decimal,
    *,
    brackets: tuple[Bracket, ...] | None,
    available: Decimal | None,
    wallet_free: Decimal | None,
    chat: bool,
    cross: Cross | None = None,
) -> Preview:
    """The plan with every number a person should know before money moves; raises Declined with all refusals found.

    `price`: the mid now; a trigger stands in for it. `brackets` None: the account is taken as large enough and only
    levels, minimums and profit can refuse (§8). `available`: availableBalance; `wallet_free`: wallet balance less
    the investments of the account's other live bots. `cross`: the account behind CROSS; without it the smaller of
    the two balances stands for a wallet with no other positions.
    """
    with localcontext(EXACT):
        sketch = _draw(params, instrument, price)
        plan = _plan(params, instrument, sketch, is_limited=brackets is not None)
        stops = _stops(plan)
        rates = exposure.fees(params, instrument)
        refusals = [*_essentials(params, instrument, sketch, rates), *_wrong_stops(plan)]
        liquidations, fails_at, returned = Liquidations(None, None, None), None, None
        if brackets is not None:
            balances = [each for each in (available, wallet_free) if each is not None]
            account = cross or Cross(min(balances, default=sketch.investment))
            liquidations = exposure.liquidations(params, sketch, rates, brackets, account)
            fails_at = exposure.margin_fails_at(sketch, rates)
            returned = exposure.returned(params, sketch, rates, brackets, (stops.low, stops.high))
            refusals += _limits(params, instrument, sketch)
            refusals += exposure.leverage_refusals(sketch, brackets)
            refusals += _start(plan, stops, min(balances, default=None), chat)
            refusals += exposure.liquidation_refusals(
                params, instrument, sketch, liquidations, brackets, account, (stops.low, stops.high)
            )
        if refusals:
            raise Declined(*refusals)
        low, high = profits(sketch, rates.grid)
        distances = [above - below for below, above in pairwise(sketch.levels)]
        side, qty = initial(plan)
        return Preview(
            plan=plan,
            direction=params.direction,
            spacing=params.spacing,
            sizing=sketch.sizing,
            step_low=min(distances),
            step_high=max(distances),
            profit_low=_booked(low),
            profit_high=_booked(high),
            investment=sketch.investment,
            buying_power=sketch.power,
            initial_side=side,
            initial_qty=qty,
            orders=sketch.count,
            least_investment=least_investment(params, instrument, sketch),
            worst_loss=_booked(exposure.worst_loss(sketch, rates, stops.low, stops.high)),
            liquidation_now=_booked(liquidations.now),
            liquidation_low=_booked(liquidations.low),
            liquidation_high=_booked(liquidations.high),
            margin_fails_at=fails_at,
            warnings=tuple(_warnings(params, instrument, sketch, plan, rates, fails_at, returned)),
        )


@overload
def _booked(value: Decimal) -> Decimal: ...
@overload
def _booked(value: None) -> None: ...
def _booked(value: Decimal | None) -> Decimal | None:
    """Without the digits that nobody reads."""
    return None if value is None else value.quantize(MONEY, rounding=ROUND_HALF_UP)


def initial(plan: GridPlan) -> tuple[Side | None, Decimal]:
    """The side and quantity of the order that takes the inventory; (None, 0) where there is none."""
    held = sum((qty for i, qty in enumerate(plan.quantities) if plan.opens_with_inventory(i)), ZERO)
    if not plan.initial or held == 0:
        return None, ZERO
    return (Side.BUY if plan.direction is Direction.LONG else Side.SELL), held


def _draw(params: GridParameters, instrument: Instrument, price: Decimal) -> Sketch:
    try:
        return draw(params, instrument, price)
    except EqualLevels as equal:
        most = str(equal.largest) if equal.largest > 1 else ""
        raise Declined(Refusal("equal_levels", {"grids": str(equal.count), "most": most})) from None


def _plan(params: GridParameters, instrument: Instrument, sketch: Sketch, is_limited: bool) -> GridPlan:
    def on(price: Decimal | None) -> Decimal | None:
        return None if price is None else on_tick(price, instrument.tick_size)

    most = sketch.count if params.max_open_orders is None else params.max_open_orders
    if is_limited and instrument.max_orders:
        most = min(most, instrument.max_orders)
    return GridPlan(
        instrument=instrument,
        direction=params.direction,
        levels=sketch.levels,
        quantities=sketch.quantities,
        vacant=sketch.vacant,
        price=sketch.price,
        investment=sketch.investment,
        leverage=params.leverage,
        margin_mode=params.margin_mode,
        post_only=params.post_only,
        initial=params.initial,
        reverse_distance=params.reverse_distance,
        max_position=params.max_position,
        trigger=on(params.trigger),
        stop_loss=on(params.stop_loss),
        stop_loss_high=on(params.stop_loss_high),
        take_profit=on(params.take_profit),
        close_on_stop=params.close_on_stop,
        max_open_orders=most,
    )


def _stops(plan: GridPlan) -> _Stops:
    is_short = plan.direction is Direction.SHORT
    low, high = (None, plan.stop_loss) if is_short else (plan.stop_loss, plan.stop_loss_high)
    return _Stops(low, high, plan.take_profit)


# --------------------------------------------------------------------------- refusals


def _essentials(
    params: GridParameters, instrument: Instrument, sketch: Sketch, rates: exposure.Fees
) -> Iterator[Refusal]:
    """What refuses even where the account is taken as large enough."""
    profit, step = profits(sketch, rates.grid)[0], steps(sketch)[0]
    if profit <= 0:
        least = 2 * rates.grid / (1 - rates.grid)
        yield Refusal("no_profit", {"profit": _rate(profit), "step": _rate(step), "least_step": _rate(least)})
    if is_too_small(sketch, instrument):
        values = {
            "grids": str(sketch.count),
            "min_notional": f"{instrument.min_notional:f}",
            "min_qty": f"{instrument.min_qty:f}",
            "least": f"{least_investment(params, instrument, sketch):f}",
            "most_grids": str(most_grids(params, instrument, sketch, rates.grid) or ""),
        }
        yield Refusal("below_minimum", values)


def _rate(fraction: Decimal) -> str:
    return f"{fraction:.6f}"


def _limits(params: GridParameters, instrument: Instrument, sketch: Sketch) -> Iterator[Refusal]:
    """The instrument's own limits."""
    if instrument.status != "TRADING":
        yield Refusal("not_trading", {"symbol": instrument.symbol, "status": instrument.status})
    if params.leverage > instrument.max_leverage:
        values = {"text": str(params.leverage), "least": "1", "most": str(instrument.max_leverage)}
        yield Refusal("out_of_bounds", {"name": "leverage", **values})
    bottom, top = sketch.levels[0], sketch.levels[-1]
    if bottom < instrument.min_price:
        yield Refusal("below_min_price", {"price": f"{bottom:f}", "least": f"{instrument.min_price:f}"})
    if 0 < instrument.max_price < top:
        yield Refusal("above_max_price", {"price": f"{top:f}", "most": f"{instrument.max_price:f}"})
    largest, first = max(sketch.quantities), sketch.initial_qty()
    if 0 < instrument.max_qty < largest:
        yield Refusal("order_above_maximum", {"qty": f"{largest:f}", "most": f"{instrument.max_qty:f}"})
    if 0 < instrument.market_max_qty < first:
        yield Refusal("initial_above_maximum", {"qty": f"{first:f}", "most": f"{instrument.market_max_qty:f}"})
    if params.max_position is not None and first * sketch.price > params.max_position:
        values = {"initial": f"{first * sketch.price:.2f}", "most": f"{params.max_position:f}"}
        yield Refusal("initial_above_max_position", values)


def _wrong_stops(plan: GridPlan) -> list[Refusal]:
    """Stops that rounding to the tick, or an upper bound that came down, has put where none may stand."""
    levels = plan.levels
    return list(
        stop_problems(plan.direction, levels[0], levels[-1], plan.stop_loss, plan.stop_loss_high, plan.take_profit)
    )


def _start(plan: GridPlan, stops: _Stops, balance: Decimal | None, chat: bool) -> Iterator[Refusal]:
    """Balance, and where the price is."""
    if balance is not None and plan.investment > balance:
        most = max(ZERO, down(balance))
        yield Refusal("over_balance", {"investment": f"{plan.investment:f}", "most": f"{most:f}"})
    bottom, top, price = plan.levels[0], plan.levels[-1], plan.price
    is_outside = not bottom <= price <= top
    if is_outside and chat and plan.trigger is None:
        yield Refusal("outside_range", {"price": f"{price:f}", "lower": f"{bottom:f}", "upper": f"{top:f}"})
    elif is_outside and not _wrong_stops(plan):
        yield from _beyond(plan, stops)


def _beyond(plan: GridPlan, stops: _Stops) -> Iterator[Refusal]:
    """A start beyond its own stop or target would end at once."""
    price = plan.price
    for stop, is_beyond in (
        (stops.low, stops.low is not None and price <= stops.low),
        (stops.high, stops.high is not None and price >= stops.high),
    ):
        if is_beyond:
            yield Refusal("already_beyond_stop", {"price": f"{price:f}", "stop": f"{stop:f}"})
    target, sign = stops.target, -1 if plan.direction is Direction.SHORT else 1
    if target is not None and sign * (price - target) >= 0:
        yield Refusal("already_beyond_target", {"price": f"{price:f}", "target": f"{target:f}"})


# --------------------------------------------------------------------------- warnings


def _warnings(
    params: GridParameters,
    instrument: Instrument,
    sketch: Sketch,
    plan: GridPlan,
    rates: exposure.Fees,
    fails_at: Decimal | None,
    returned: tuple[Decimal, Decimal] | None,
) -> Iterator[Refusal]:
    yield from _rounded(params, instrument, sketch, plan)
    step = steps(sketch)[0]
    if step < _THIN * rates.grid:
        yield Refusal("thin_step", {"step": _rate(step), "least_step": _rate(_THIN * rates.grid)})
    price, bottom, top = sketch.price, sketch.levels[0], sketch.levels[-1]
    above, below = (top - price) / price, (price - bottom) / price
    if params.direction is Direction.LONG and above < _CLOSE:
        yield Refusal("close_to_upper", {"price": f"{price:f}", "upper": f"{top:f}", "distance": _rate(above)})
    if params.direction is Direction.SHORT and below < _CLOSE:
        yield Refusal("close_to_lower", {"price": f"{price:f}", "lower": f"{bottom:f}", "distance": _rate(below)})
    if fails_at is not None:
        yield Refusal("margin_short", {"price": f"{fails_at:f}"})
    if returned is not None:
        liquidation, limit = on_tick(returned[0], instrument.tick_size), returned[1]
        yield Refusal("liquidation_after_return", {"liquidation": f"{liquidation:f}", "limit": f"{limit:f}"})
    if plan.max_open_orders < sketch.count:
        yield Refusal("more_grids_than_orders", {"grids": str(sketch.count), "most": str(plan.max_open_orders)})
    if params.direction is Direction.NEUTRAL and params.sizing is Sizing.WEIGHTED:
        yield Refusal("neutral_is_equal", {})


def _rounded(params: GridParameters, instrument: Instrument, sketch: Sketch, plan: GridPlan) -> Iterator[Refusal]:
    """Prices that were asked for off the tick, and an upper bound that came down to the last whole step."""
    asked: list[tuple[str, Decimal | None, Decimal | None]] = [
        ("lower", params.lower, sketch.levels[0]),
        ("upper", params.upper, on_tick(params.upper, instrument.tick_size)),
        ("trigger", params.trigger, plan.trigger),
        ("stop_loss", params.stop_loss, plan.stop_loss),
        ("stop_loss_high", params.stop_loss_high, plan.stop_loss_high),
        ("take_profit", params.take_profit, plan.take_profit),
    ]
    if params.spacing is Spacing.CUSTOM:
        asked += [("levels", *pair) for pair in zip(params.levels[1:-1], sketch.levels[1:-1], strict=True)]
    for name, wanted, used in asked:
        if wanted is not None and used is not None and wanted != used:
            yield Refusal("bound_rounded", {"name": name, "asked": f"{wanted:f}", "used": f"{used:f}"})
    if params.step is not None and sketch.levels[-1] != on_tick(params.upper, instrument.tick_size):
        values = {"asked": f"{params.upper:f}", "used": f"{sketch.levels[-1]:f}", "grids": str(sketch.count)}
        yield Refusal("upper_lowered", values)
