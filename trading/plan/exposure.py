"""What a grid can lose: liquidation prices, margin over the range, worst-case loss (product.md §3.3).

Pure. Formulas of binance-usdm.md §15, one-way positions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from msgspec import Struct
from msgspec.structs import replace

from trading.core.margin import initial_margin, liquidation_price, most_notional
from trading.model import ZERO, Bracket, Direction, Instrument, MarginMode, Side, Spacing
from trading.parameters import GridParameters
from trading.plan.sketch import Sketch, draw, highest, is_too_small, profits
from trading.strategies import ladder
from trading.strategies.ladder import EqualLevels, on_tick
from trading.views import Declined, Refusal

CODES: dict[str, tuple[str, ...]] = {
    "liquidation_inside": ("liquidation", "bound", "leverage", "narrower", "cross"),
    "liquidation_before_stop": ("liquidation", "stop", "nearest"),
    "leverage_for_notional": ("leverage", "notional", "most"),
}
"""`leverage`, `narrower`, `nearest` are empty where that way out does not exist; `cross` is `yes` or empty."""


class Cross(Struct, frozen=True):
    """The account behind a cross position: its wallet, and the other cross positions."""

    wallet: Decimal
    other_maintenance: Decimal = ZERO
    other_pnl: Decimal = ZERO


class Lots(Struct, frozen=True):
    """Open lots taken together."""

    qty: Decimal
    """Signed."""
    cost: Decimal
    """Σ q · price of opening, unsigned."""
    fees: Decimal


class Fees(Struct, frozen=True):
    """The rates a grid pays: its own orders, and market orders."""

    grid: Decimal
    taker: Decimal


def fees(params: GridParameters, instrument: Instrument) -> Fees:
    return Fees(instrument.maker_fee if params.post_only else instrument.taker_fee, instrument.taker_fee)


def lots(sketch: Sketch, slots: Iterable[int], rates: Fees) -> Lots:
    """The lots of `slots`, all on one side, when each is opened at its own price."""
    qty = cost = paid = ZERO
    for i in slots:
        notional = sketch.notional(i)
        qty += sketch.entry(i).sign * sketch.quantities[i]
        cost += notional
        paid += notional * (rates.taker if i in sketch.inventory else rates.grid)
    return Lots(qty, cost, paid)


def longs(sketch: Sketch) -> range:
    """The slots that are open when the price has fallen to the bottom."""
    if sketch.direction is Direction.SHORT:
        return range(0)
    return range(sketch.count if sketch.direction is Direction.LONG else sketch.vacant)


def shorts(sketch: Sketch) -> range:
    """The slots that are open when the price has risen to the top."""
    if sketch.direction is Direction.LONG:
        return range(0)
    return range(0 if sketch.direction is Direction.SHORT else sketch.vacant, sketch.count)


def worst_loss(sketch: Sketch, rates: Fees, stop_low: Decimal | None, stop_high: Decimal | None) -> Decimal:
    """The loss at the stop, without one at the adverse bound, fees in."""
    worst = ZERO
    for slots, exit_price in (
        (longs(sketch), sketch.levels[0] if stop_low is None else stop_low),
        (shorts(sketch), sketch.levels[-1] if stop_high is None else stop_high),
    ):
        held = lots(sketch, slots, rates)
        value = held.qty * exit_price
        entered = held.cost if held.qty > 0 else -held.cost
        worst = max(worst, entered - value + held.fees + abs(value) * rates.taker)
    return worst


class Liquidations(Struct, frozen=True):
    """Liquidation prices now (after the initial order) and with every adverse order filled; None = none."""

    now: Decimal | None
    low: Decimal | None
    high: Decimal | None


def liquidations(
    params: GridParameters, sketch: Sketch, rates: Fees, brackets: tuple[Bracket, ...], cross: Cross
) -> Liquidations:
    def price(slots: Iterable[int]) -> Decimal | None:
        held = lots(sketch, slots, rates)
        if held.qty == 0 or not brackets:
            return None
        entry = held.cost / abs(held.qty)
        if params.margin_mode is MarginMode.ISOLATED:  # an opening fill adds its notional ÷ leverage
            return liquidation_price(brackets, held.qty, entry, held.cost / sketch.leverage)
        return liquidation_price(
            brackets,
            held.qty,
            entry,
            cross.wallet - held.fees,
            mode=MarginMode.CROSS,
            other_maintenance=cross.other_maintenance,
            other_pnl=cross.other_pnl,
        )

    return Liquidations(price(sketch.inventory), price(longs(sketch)), price(shorts(sketch)))


def returned(
    params: GridParameters,
    sketch: Sketch,
    rates: Fees,
    brackets: tuple[Bracket, ...],
    stops: tuple[Decimal | None, Decimal | None],
) -> tuple[Decimal, Decimal] | None:
    """(liquidation, what it comes before) once the price has crossed the whole range and come back; None = no danger.

    The lots of the initial order, taken at P0, are by then replaced by lots at their own levels, which a long has
    bought dearer and a short has sold cheaper. A cross position leans on what these turns have earned.
    """
    if params.margin_mode is MarginMode.CROSS:
        return None
    own = ladder.openings(sketch.direction, sketch.levels, sketch.vacant, sketch.price, initial=False)
    turned = replace(sketch, opening=own, inventory=())
    found = liquidations(params, turned, rates, brackets, Cross(ZERO))
    low = sketch.levels[0] if stops[0] is None else stops[0]
    high = sketch.levels[-1] if stops[1] is None else stops[1]
    if found.low is not None and found.low >= low:
        return found.low, low
    if found.high is not None and found.high <= high:
        return found.high, high
    return None


def is_outside(found: Liquidations, sketch: Sketch) -> bool:
    """Whether the worst liquidation prices lie beyond the range."""
    low_ok = found.low is None or found.low < sketch.levels[0]
    return low_ok and (found.high is None or found.high > sketch.levels[-1])


def liquidation_refusals(
    params: GridParameters,
    instrument: Instrument,
    sketch: Sketch,
    found: Liquidations,
    brackets: tuple[Bracket, ...],
    cross: Cross,
    stops: tuple[Decimal | None, Decimal | None],
) -> list[Refusal]:
    """Liquidation inside the range, or before the stop can act, with the ways out."""
    problems: list[Refusal] = []
    if not is_outside(found, sketch):
        is_low = found.low is not None and found.low >= sketch.levels[0]
        liquidation = found.low if is_low else found.high
        problems.append(
            Refusal(
                "liquidation_inside",
                {
                    "liquidation": _shown(liquidation, instrument),
                    "bound": f"{sketch.levels[0 if is_low else -1]:f}",
                    **_ways_out(params, instrument, sketch, brackets, cross, is_low),
                },
            )
        )
        return problems
    stop_low, stop_high = stops
    tick = instrument.tick_size
    if stop_low is not None and found.low is not None and found.low >= stop_low:
        nearest = ((found.low / tick).quantize(Decimal(1), rounding=ROUND_FLOOR) + 1) * tick
        problems.append(_before_stop(found.low, stop_low, nearest, nearest < sketch.levels[0], instrument))
    if stop_high is not None and found.high is not None and found.high <= stop_high:
        nearest = ((found.high / tick).quantize(Decimal(1), rounding=ROUND_CEILING) - 1) * tick
        problems.append(_before_stop(found.high, stop_high, nearest, nearest > sketch.levels[-1], instrument))
    return problems


def _before_stop(
    liquidation: Decimal, stop: Decimal, nearest: Decimal, has_room: bool, instrument: Instrument
) -> Refusal:
    return Refusal(
        "liquidation_before_stop",
        {
            "liquidation": _shown(liquidation, instrument),
            "stop": f"{stop:f}",
            "nearest": f"{nearest:f}" if has_room else "",
        },
    )


def _shown(price: Decimal | None, instrument: Instrument) -> str:
    return "" if price is None else f"{on_tick(price, instrument.tick_size):f}"


def _ways_out(
    params: GridParameters,
    instrument: Instrument,
    sketch: Sketch,
    brackets: tuple[Bracket, ...],
    cross: Cross,
    is_low: bool,
) -> dict[str, str]:
    """The highest leverage that passes, the nearest bound that passes, and whether cross margin does."""
    rates = fees(params, instrument)

    def passes(other: GridParameters, is_rough: bool = False) -> bool:
        """Roughly: by liquidation alone, which is steady enough to be searched."""
        try:
            drawn = draw(other, instrument, sketch.price)
        except (EqualLevels, Declined):
            return is_rough
        found = liquidations(other, drawn, rates, brackets, cross)
        if not is_outside(found, drawn):
            return False
        return is_rough or (not is_too_small(drawn, instrument) and profits(drawn, rates.grid)[0] > 0)

    leverage = highest(lambda n: passes(replace(params, leverage=n), True), 1, params.leverage - 1)
    if leverage and not passes(replace(params, leverage=leverage)):
        leverage = 0
    narrower = ""
    if params.spacing is not Spacing.CUSTOM:
        narrower = _narrower(params, instrument, sketch, passes, is_low)
    is_isolated = params.margin_mode is MarginMode.ISOLATED
    is_saved = is_isolated and passes(replace(params, margin_mode=MarginMode.CROSS))
    return {"leverage": str(leverage or ""), "narrower": narrower, "cross": "yes" if is_saved else ""}


def _narrower(
    params: GridParameters,
    instrument: Instrument,
    sketch: Sketch,
    passes: Callable[[GridParameters, bool], bool],
    is_low: bool,
) -> str:
    """The adverse bound nearest to the present one that passes with this count; empty = none on this side of P0."""
    fixed = replace(params, step=None, grids=sketch.count, upper=sketch.levels[-1], lower=sketch.levels[0])
    bound = sketch.levels[0 if is_low else -1]
    tick = instrument.tick_size

    def moved(ticks: int) -> Decimal:
        return bound + ticks * tick if is_low else bound - ticks * tick

    def fits(ticks: int, is_rough: bool) -> bool:
        other = replace(fixed, lower=moved(ticks)) if is_low else replace(fixed, upper=moved(ticks))
        return passes(other, is_rough)

    room = int((sketch.price - bound if is_low else bound - sketch.price) / tick)
    # counted from the price outwards, so that those that pass come first
    inner = highest(lambda n: fits(room - n, True), 1, room - 1)
    return f"{moved(room - inner):f}" if inner and fits(room - inner, False) else ""


def leverage_refusals(sketch: Sketch, brackets: tuple[Bracket, ...]) -> Iterator[Refusal]:
    """The leverage that the brackets allow for the largest notional that position and orders can reach."""
    largest = max(sum((sketch.notional(i) for i in slots), ZERO) for slots in (longs(sketch), shorts(sketch)))
    if not brackets or largest <= most_notional(brackets, sketch.leverage):
        return
    per_turn = largest / sketch.leverage
    allowed = highest(lambda n: per_turn * n <= most_notional(brackets, n), 1, sketch.leverage - 1)
    values = {"leverage": str(sketch.leverage), "notional": f"{largest:.2f}", "most": str(allowed or "")}
    yield Refusal("leverage_for_notional", values)


def margin_fails_at(sketch: Sketch, rates: Fees) -> Decimal | None:
    """The level nearest to P0 at which margin stops sufficing on the direct way there; None = nowhere in the range."""
    first = (next(walk, None) for walk in (_walk_down(sketch, rates), _walk_up(sketch, rates)))
    fails = [level for level in first if level is not None]
    return min(fails, key=lambda level: abs(level - sketch.price), default=None)


class _Walk:
    """Position, resting orders and fees on the way from P0 to one end of the range."""

    def __init__(self, sketch: Sketch, rates: Fees) -> None:
        self.sketch, self.rates = sketch, rates
        held = lots(sketch, sketch.inventory, rates)
        self.qty, self.fees = held.qty, held.fees
        self.cost = held.cost if held.qty > 0 else -held.cost
        resting = [i for i in range(sketch.count) if self._rests(i)]
        self.bids = sum((self._at(i, Side.BUY) for i in resting if i < sketch.vacant), ZERO)
        self.asks = sum((self._at(i, Side.SELL) for i in resting if i >= sketch.vacant), ZERO)

    def _rests(self, slot: int) -> bool:
        """Without an initial order, the slots that lack their inventory have no order at first."""
        first = Side.BUY if slot < self.sketch.vacant else Side.SELL
        return slot in self.sketch.inventory or first is self.sketch.entry(slot)

    def _at(self, slot: int, side: Side) -> Decimal:
        return self.sketch.quantities[slot] * self.sketch.levels[slot if side is Side.BUY else slot + 1]

    def fill(self, slot: int, side: Side) -> None:
        """The first order of `slot` fills and is answered; a slot without inventory gets its entry instead."""
        if self._rests(slot):
            notional = self._at(slot, side)
            self.qty += side.sign * self.sketch.quantities[slot]
            self.cost += side.sign * (self.sketch.notional(slot) if slot in self.sketch.inventory else notional)
            self.fees += notional * self.rates.grid
            self.bids -= notional if side is Side.BUY else ZERO
            self.asks -= notional if side is Side.SELL else ZERO
        answer = self._at(slot, side.opposite)
        self.bids += answer if side is Side.SELL else ZERO
        self.asks += answer if side is Side.BUY else ZERO

    def fails(self, price: Decimal) -> bool:
        need = initial_margin(self.qty, price, self.sketch.leverage, self.bids, self.asks)
        return need > self.sketch.investment + self.qty * price - self.cost - self.fees


def _walk_down(sketch: Sketch, rates: Fees) -> Iterator[Decimal]:
    walk = _Walk(sketch, rates)
    if walk.fails(sketch.price):
        yield sketch.price
    for k in range(sketch.vacant, -1, -1):
        if k < sketch.vacant:
            walk.fill(k, Side.BUY)
        if walk.fails(sketch.levels[k]):
            yield sketch.levels[k]


def _walk_up(sketch: Sketch, rates: Fees) -> Iterator[Decimal]:
    walk = _Walk(sketch, rates)
    for k in range(sketch.vacant, sketch.count + 1):
        if k > sketch.vacant:
            walk.fill(k - 1, Side.SELL)
        if walk.fails(sketch.levels[k]):
            yield sketch.levels[k]
