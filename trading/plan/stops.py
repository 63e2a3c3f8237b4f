"""Other stops for a grid that runs: the same noes as when it was planned, and what they change. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, localcontext

from msgspec import Struct
from msgspec.structs import replace

from trading.model import Bracket, Direction
from trading.parameters import GridParameters, stop_problems
from trading.plan import exposure
from trading.plan.exposure import Cross
from trading.plan.sketch import draw
from trading.strategies.grid import GridPlan
from trading.strategies.ladder import EXACT, on_tick
from trading.views import Declined, Refusal

NAMES = ("stop_loss", "stop_loss_high", "take_profit")


class Moved(Struct, frozen=True):
    """The plan with its new stops, and the worst-case loss in quote before and after."""

    plan: GridPlan
    worst_before: Decimal
    worst_after: Decimal


def moved(
    params: GridParameters,
    plan: GridPlan,
    now: Decimal | None,
    brackets: tuple[Bracket, ...],
    cross: Cross | None = None,
) -> Moved:
    """`plan` with the stops of `params`, which is otherwise what it was made of; raises Declined.

    `now`: the price now, None while unknown; beyond a stop already it would end at once, which nobody means.
    """
    tick = plan.instrument.tick_size
    with localcontext(EXACT):
        prices = {name: getattr(params, name) for name in NAMES}
        fresh = replace(plan, **{name: None if at is None else on_tick(at, tick) for name, at in prices.items()})
        refusals = [*_misplaced(fresh), *(() if now is None else _beyond(fresh, now))]
        sketch = draw(params, plan.instrument, plan.price)
        rates = exposure.fees(params, plan.instrument)
        if not refusals and brackets:
            account = cross or Cross(plan.investment)
            found = exposure.liquidations(params, sketch, rates, brackets, account)
            refusals += exposure.liquidation_refusals(
                params, plan.instrument, sketch, found, brackets, account, _sides(fresh)
            )
        refusals = [each for each in refusals if each.code != "liquidation_inside"]  # no stop changes that
        if refusals:
            raise Declined(*refusals)
        worst = [exposure.worst_loss(sketch, rates, *_sides(each)) for each in (plan, fresh)]
        return Moved(fresh, *(each.quantize(Decimal("0.01"), rounding="ROUND_HALF_UP") for each in worst))


def _sides(plan: GridPlan) -> tuple[Decimal | None, Decimal | None]:
    """The stop below the range and the one above it."""
    if plan.direction is Direction.SHORT:
        return None, plan.stop_loss
    return plan.stop_loss, plan.stop_loss_high


def _misplaced(plan: GridPlan) -> list[Refusal]:
    return stop_problems(
        plan.direction, plan.levels[0], plan.levels[-1], plan.stop_loss, plan.stop_loss_high, plan.take_profit
    )


def _beyond(plan: GridPlan, now: Decimal) -> Iterator[Refusal]:
    low, high = _sides(plan)
    for stop, is_beyond in ((low, low is not None and now <= low), (high, high is not None and now >= high)):
        if is_beyond:
            yield Refusal("already_beyond_stop", {"price": f"{now:f}", "stop": f"{stop:f}"})
    target, sign = plan.take_profit, -1 if plan.direction is Direction.SHORT else 1
    if target is not None and sign * (now - target) >= 0:
        yield Refusal("already_beyond_target", {"price": f"{now:f}", "target": f"{target:f}"})
