"""The naive grid: a slow, literal reading of product.md §3.3, §3.5 and §8 that shares no code with the engine."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

D = Decimal
Candle = tuple[int, Decimal, Decimal, Decimal, Decimal]  # open time in ms, open, high, low, close
ZERO, ONE = D(0), D(1)
DIGITS = 50  # money is exact in these; only shares of the initial fee and geometric levels are ever cut
YEAR = 365 * 24 * 3600 * 1000
DAY = 24 * 3600 * 1000


class Refused(ValueError):
    """A grid that §3.3 and §8 do not let start; the code says which rule."""


# --- reading -------------------------------------------------------------------------------------------------------


def read(path: str | Path, start: int = 0, count: int | None = None) -> list[Candle]:
    """The candles start … start + count of one recorded file (.csv or .csv.gz), in the order of the file."""
    opener = gzip.open if str(path).endswith(".gz") else open
    with opener(path, "rt", newline="") as file:
        rows = csv.reader(file)
        first = next(rows)
        names = first if not first[0].isdigit() else ["open_time", "open", "high", "low", "close"]
        columns = [names.index(name) for name in ("open_time", "open", "high", "low", "close")]
        body: Iterator[list[str]] = rows if names is first else _again(first, rows)
        end = None if count is None else start + count
        return [_candle([row[column] for column in columns]) for row in islice(body, start, end)]


def read_funding(path: str | Path) -> list[tuple[int, Decimal]]:
    """Time in ms and rate of every settlement of a funding file."""
    with gzip.open(path, "rt", newline="") as file:
        return [(int(row["funding_time"]), D(row["funding_rate"])) for row in csv.DictReader(file)]


def _again(first: list[str], rest: Iterator[list[str]]) -> Iterator[list[str]]:
    yield first
    yield from rest


def _candle(cells: list[str]) -> Candle:
    time = int(cells[0])
    if time > 10**14:  # microseconds
        time //= 1000
    return time, D(cells[1]), D(cells[2]), D(cells[3]), D(cells[4])


# --- the plan: levels, vacant level, quantities --------------------------------------------------------------------


def to_tick(price: Decimal, tick: Decimal) -> Decimal:
    return (price / tick).quantize(ONE, rounding=ROUND_HALF_UP) * tick


def make_levels(
    spacing: str, lower: Decimal | None, upper: Decimal | None, grids: int | None,
    levels: Sequence[Decimal] | None, density: Decimal, tick: Decimal,
) -> list[Decimal]:  # fmt: skip
    """p_0 … p_N, rounded to the tick half up."""
    if spacing == "CUSTOM":
        assert levels is not None
        raw = sorted(levels)
    else:
        assert lower is not None and upper is not None and grids is not None
        raw = [_level(spacing, lower, upper, k, grids, density) for k in range(grids + 1)]
    rounded = [to_tick(price, tick) for price in raw]
    if len(set(rounded)) != len(rounded):
        raise Refused("equal levels")
    return rounded


def _level(spacing: str, lower: Decimal, upper: Decimal, k: int, grids: int, density: Decimal) -> Decimal:
    if k in (0, grids):
        return upper if k else lower
    if spacing == "GEOMETRIC":
        assert density == 1, "§3.1 gives no reading of a skewed geometric grid"
        with localcontext(Context(prec=DIGITS + 20, rounding=ROUND_HALF_UP)):
            price = ((upper / lower).ln() * k / grids).exp() * lower
            # 30 decimals, so that an exact root is seen as exact
            return price.quantize(D(1).scaleb(-30), rounding=ROUND_HALF_UP)
    if density == 1:
        return lower + (upper - lower) * k / grids
    with localcontext(Context(prec=DIGITS + 20, rounding=ROUND_HALF_UP)):
        steps = [density ** (D(i) / D(grids - 1)) for i in range(grids)]
        price = lower + (upper - lower) * sum(steps[:k]) / sum(steps)
        return price.quantize(D(1).scaleb(-30), rounding=ROUND_HALF_UP)


def vacant_level(levels: list[Decimal], start: Decimal) -> int:
    """The level nearest to the start price; a tie takes the lower one."""
    best = 0
    for k in range(1, len(levels)):
        if abs(levels[k] - start) < abs(levels[best] - start):
            best = k
    return best


def shares(direction: str, sizing: str, count: int, vacant: int) -> list[Fraction]:
    """w_i: the part of the buying power that slot i gets."""
    if sizing != "WEIGHTED" or direction == "NEUTRAL":
        return [Fraction(1, count)] * count
    below, above = list(range(vacant)), list(range(vacant, count))
    of_above = Fraction(65, 100) if direction == "LONG" else Fraction(35, 100)
    if not below:
        of_above = Fraction(1)
    if not above:
        of_above = Fraction(0)
    # Each region from the end that weighs 1.2: next to the price, but for SHORT below the price the far one.
    ordered_below = below if direction == "SHORT" else below[::-1]
    result = [Fraction(0)] * count
    for region, part in ((ordered_below, 1 - of_above), (above, of_above)):
        n = len(region)
        weights = [Fraction(12, 10) - Fraction(4, 10) * j / (n - 1) if n > 1 else Fraction(1) for j in range(n)]
        for slot, weight in zip(region, weights, strict=True):
            result[slot] = part * weight / sum(weights)
    return result


def opening_prices(direction: str, levels: list[Decimal], vacant: int, start: Decimal, initial: bool) -> list[Decimal]:
    """The price at which the lot of each slot is opened."""
    result = []
    for i in range(len(levels) - 1):
        below = i < vacant
        if direction == "LONG":
            result.append(start if initial and not below else levels[i])
        elif direction == "SHORT":
            result.append(start if initial and below else levels[i + 1])
        else:
            result.append(levels[i] if below else levels[i + 1])
    return result


def floor_lot(quantity: Fraction, lot: Decimal) -> Decimal:
    return D(int(quantity // Fraction(lot))) * lot  # Fractions: an exact multiple of the lot is never lost


def quantities_and_investment(
    weights: list[Fraction], opening: list[Decimal], sizing: str, lot: Decimal, leverage: Decimal, reserve: Decimal,
    investment: Decimal | None, per_order: Decimal | str | None,
) -> tuple[list[Decimal], Decimal]:  # fmt: skip
    """q_i of every slot, and the investment: the given one, or that which `per_order` amounts to."""
    prices = [Fraction(price) for price in opening]
    factor = Fraction(leverage) * (1 - Fraction(reserve))
    if per_order is not None:
        text = str(per_order)
        if text.endswith("u"):  # a notional for each order
            power = Fraction(D(text[:-1])) * len(opening)
        else:  # a quantity for each order, whatever the sizing
            quantity = floor_lot(Fraction(D(text)), lot)
            return [quantity] * len(opening), _decimal(Fraction(D(text)) * sum(prices) / factor)
        invested = _decimal(power / factor)
    else:
        assert investment is not None
        power, invested = Fraction(investment) * factor, investment
    if sizing == "EQUAL_QUANTITY":
        return [floor_lot(power / sum(prices), lot)] * len(opening), invested
    return [floor_lot(power * w / p, lot) for w, p in zip(weights, prices, strict=True)], invested


def _decimal(value: Fraction) -> Decimal:
    return D(value.numerator) / D(value.denominator)


def refuse_small(
    levels: list[Decimal], quantities: list[Decimal], initial_quantity: Decimal, start: Decimal,
    min_qty: Decimal, min_notional: Decimal,
) -> None:  # fmt: skip
    """Both orders of every slot, and the initial order, are at least the instrument's minimum."""
    for i, quantity in enumerate(quantities):
        if quantity <= 0 or quantity < min_qty:
            raise Refused("minimum quantity")
        if min(quantity * levels[i], quantity * levels[i + 1]) < min_notional:
            raise Refused("minimum notional")
    if initial_quantity and initial_quantity * start < min_notional:
        raise Refused("minimum notional")


def refuse_unprofitable(levels: list[Decimal], fee: Decimal) -> None:
    """(1−f)·d/p − 2f of every slot; for equal ratios that is r(1−f) − 1 − f."""
    for low, high in pairwise(levels):
        if (1 - fee) * (high - low) / low - 2 * fee <= 0:
            raise Refused("net profit")


# --- the books -----------------------------------------------------------------------------------------------------


@dataclass
class Lot:
    """An open quantity of one slot: sign +1 bought, −1 sold."""

    sign: int
    quantity: Decimal
    entry: Decimal
    fee: Decimal


@dataclass
class Slot:
    """The gap between two levels: one resting order (or none while it waits for its far level), at most one lot."""

    low: Decimal
    high: Decimal
    quantity: Decimal
    resting: str | None
    lot: Lot | None = None


@dataclass
class Run:
    """One grid in motion."""

    slots: list[Slot]
    maker: Decimal
    taker: Decimal
    reach: Decimal  # 0 for touch, one tick for through
    position: Decimal = ZERO
    matched: Decimal = ZERO
    closed_outside: Decimal = ZERO  # lots closed by a stop: they stay in unmatched
    funding: Decimal = ZERO
    fees: Decimal = ZERO
    cash: Decimal = ZERO  # kept beside the ledger, to prove it
    fills: int = 0
    pairs: int = 0
    max_position: Decimal = ZERO
    open_parts: tuple[Decimal, Decimal, Decimal] | None = field(default=None)

    def charge(self, notional: Decimal, rate: Decimal) -> Decimal:
        fee = (notional * rate).quantize(D("0.00000001"), rounding=ROUND_HALF_UP)
        self.fees += fee
        self.cash -= fee
        return fee

    def moved(self, signed: Decimal, price: Decimal) -> None:
        self.position += signed
        self.cash -= signed * price
        self.max_position = max(self.max_position, abs(self.position))
        self.open_parts = None

    def lots(self) -> list[Lot]:
        return [slot.lot for slot in self.slots if slot.lot is not None]

    def unmatched(self, mark: Decimal) -> Decimal:
        if self.open_parts is None:
            lots = self.lots()
            self.open_parts = (
                sum((lot.sign * lot.quantity for lot in lots), ZERO),
                sum((lot.sign * lot.quantity * lot.entry for lot in lots), ZERO),
                sum((lot.fee for lot in lots), ZERO),
            )
        quantity, cost, fees = self.open_parts
        return quantity * mark - cost - fees + self.closed_outside

    def total(self, mark: Decimal) -> Decimal:
        return self.matched + self.unmatched(mark) + self.funding

    def average_entry(self) -> Decimal:
        lots = self.lots()
        quantity = sum((lot.sign * lot.quantity for lot in lots), ZERO)
        return sum((lot.sign * lot.quantity * lot.entry for lot in lots), ZERO) / quantity if quantity else ZERO

    def open_initial(self, side: str, price: Decimal) -> None:
        """One taker order for all the lots that the first orders of their slots will close."""
        closing = "SELL" if side == "BUY" else "BUY"
        sign = 1 if side == "BUY" else -1
        chosen = [slot for slot in self.slots if slot.resting == closing]
        quantity = sum((slot.quantity for slot in chosen), ZERO)
        if not quantity:
            return
        fee = self.charge(quantity * price, self.taker)
        for slot in chosen:
            slot.lot = Lot(sign, slot.quantity, price, fee * slot.quantity / quantity)
        self.moved(sign * quantity, price)

    def fill(self, slot: Slot) -> None:
        """The resting order of a slot fills whole at its own price; its counter-order rests at once."""
        side = slot.resting
        price, sign = (slot.low, 1) if side == "BUY" else (slot.high, -1)
        fee = self.charge(slot.quantity * price, self.maker)
        if slot.lot is None:
            slot.lot = Lot(sign, slot.quantity, price, fee)
        else:
            lot, slot.lot = slot.lot, None
            assert lot.sign == -sign
            self.matched += lot.sign * lot.quantity * (price - lot.entry) - lot.fee - fee
            self.pairs += 1
        slot.resting = "SELL" if side == "BUY" else "BUY"
        self.fills += 1
        self.moved(sign * slot.quantity, price)

    def walk(self, here: Decimal, there: Decimal) -> None:
        """The straight way from one price to another: the orders it reaches, one by one in the order of the way."""
        while True:
            if there >= here:
                reached = [s for s in self.slots if s.resting == "SELL" and s.high + self.reach <= there]
                reached.sort(key=lambda slot: slot.high)
            else:
                reached = [s for s in self.slots if s.resting == "BUY" and s.low - self.reach >= there]
                reached.sort(key=lambda slot: -slot.low)
            if not reached:
                return
            self.fill(reached[0])

    def wake(self, direction: str, price: Decimal) -> None:
        """Slots without inventory start with their entry once the price has passed their far level."""
        for slot in self.slots:
            if slot.resting is None and direction == "LONG" and price > slot.high:
                slot.resting = "BUY"
            if slot.resting is None and direction == "SHORT" and price < slot.low:
                slot.resting = "SELL"

    def settle(self, mark: Decimal, rate: Decimal) -> None:
        amount = -self.position * mark * rate
        self.funding += amount
        self.cash += amount

    def stop(self, price: Decimal) -> None:
        """All orders are cancelled, the position closes at the point's price as a taker."""
        for slot in self.slots:
            slot.resting = None
        if self.position:
            lots_at_price = self.unmatched(price)
            fee = self.charge(abs(self.position) * price, self.taker)
            self.closed_outside = lots_at_price - fee
            for slot in self.slots:
                slot.lot = None
            self.moved(-self.position, price)


# --- the path ------------------------------------------------------------------------------------------------------


def interval_of(candles: Sequence[Candle]) -> int:
    gaps = [after[0] - before[0] for before, after in pairwise(candles)]
    return min(gaps) if gaps else 60_000


def path(candles: Sequence[Candle]) -> list[tuple[Fraction, Decimal]]:
    """Four points a candle, evenly spaced in its time."""
    interval = interval_of(candles)
    result = []
    for time, opened, high, low, close in candles:
        middle = (low, high) if close >= opened else (high, low)
        for j, price in enumerate((opened, *middle, close)):
            result.append((Fraction(time) + Fraction(interval * j, 4), price))
    return result


def stop_reached(
    direction: str, point: Decimal,
    stop_loss: Decimal | None, stop_loss_high: Decimal | None, take_profit: Decimal | None,
) -> bool:  # fmt: skip
    if direction == "SHORT":
        above, below = [stop_loss, stop_loss_high], [take_profit]
    elif direction == "LONG":
        above, below = [take_profit], [stop_loss]
    else:
        above, below = [stop_loss_high], [stop_loss]
    at_or_above = any(bound is not None and point >= bound for bound in above)
    at_or_below = any(bound is not None and point <= bound for bound in below)
    return at_or_above or at_or_below


def first_orders(
    direction: str, levels: list[Decimal], quantities: list[Decimal], vacant: int, initial: bool
) -> list[Slot]:
    slots = []
    for i, quantity in enumerate(quantities):
        resting: str | None = "BUY" if i < vacant else "SELL"
        needs_inventory = (direction == "LONG" and i >= vacant) or (direction == "SHORT" and i < vacant)
        if needs_inventory and not initial:
            resting = None
        slots.append(Slot(levels[i], levels[i + 1], quantity, resting))
    return slots


def simulate(candles: Sequence[Candle], **grid: Any) -> dict[str, Any]:
    """The result of product.md §8, without `seconds`; the arguments are those of `_simulate`."""
    with localcontext(Context(prec=DIGITS, rounding=ROUND_HALF_UP)):
        return _simulate(list(candles), **grid)


def _simulate(
    candles: list[Candle], *,
    direction: str, lower: Decimal | None = None, upper: Decimal | None = None, grids: int | None = None,
    spacing: str = "ARITHMETIC", levels: Sequence[Decimal] | None = None, density: Decimal | int | str = 1,
    sizing: str = "EQUAL_NOTIONAL", investment: Decimal | None = None, per_order: Decimal | str | None = None,
    leverage: Decimal | int = 1, reserve: Decimal | str = "0.05",
    tick: Decimal, lot: Decimal, min_qty: Decimal, min_notional: Decimal, fee_maker: Decimal, fee_taker: Decimal,
    initial: bool = True, trigger: Decimal | None = None, stop_loss: Decimal | None = None,
    stop_loss_high: Decimal | None = None, take_profit: Decimal | None = None, fill: str = "touch",
    funding: Sequence[tuple[int, Decimal]] = (),
) -> dict[str, Any]:  # fmt: skip
    # The plan; a trigger price stands for the price at the start.
    start = to_tick(candles[0][1] if trigger is None else trigger, tick)
    prices = make_levels(spacing, lower, upper, grids, levels, D(density), tick)
    vacant = vacant_level(prices, start)
    opening = opening_prices(direction, prices, vacant, start, initial)
    weights = shares(direction, sizing, len(opening), vacant)
    quantities, invested = quantities_and_investment(
        weights, opening, sizing, lot, D(leverage), D(reserve), investment, per_order
    )
    slots = first_orders(direction, prices, quantities, vacant, initial)
    side = {"LONG": "BUY", "SHORT": "SELL"}.get(direction) if initial else None
    closing = {"BUY": "SELL", "SELL": "BUY"}.get(side or "")
    first_size = sum((slot.quantity for slot in slots if slot.resting == closing), ZERO)
    refuse_small(prices, quantities, first_size, start, min_qty, min_notional)
    refuse_unprofitable(prices, fee_maker)

    run = Run(slots, fee_maker, fee_taker, tick if fill == "through" else ZERO)
    points = path(candles)
    due = sorted(event for event in funding if event[0] >= candles[0][0])
    here = points[0][1]
    rising = trigger is not None and trigger > here
    started = stopped = False
    peak = drawdown = ZERO
    for time, point in points:
        while due and due[0][0] < time:  # funding between two points: at the price and position of the earlier one
            run.settle(here, due.pop(0)[1])
        if not started and (trigger is None or (point >= trigger if rising else point <= trigger)):
            started = True
            if side is not None:
                run.open_initial(side, start)
            here = start
        if started and not stopped:
            run.walk(here, point)
            run.wake(direction, point)
        here = point
        while due and due[0][0] == time:
            run.settle(here, due.pop(0)[1])
        if started and not stopped and stop_reached(direction, point, stop_loss, stop_loss_high, take_profit):
            run.stop(point)
            stopped = True
        total = run.total(point)
        peak = max(peak, total)
        drawdown = max(drawdown, peak - total)

    while due and due[0][0] < candles[-1][0] + interval_of(candles):
        run.settle(here, due.pop(0)[1])
    return _result(candles, run, prices, quantities, invested, drawdown)


def _result(
    candles: list[Candle], run: Run, levels: list[Decimal], quantities: list[Decimal], invested: Decimal,
    drawdown: Decimal,
) -> dict[str, Any]:  # fmt: skip
    last = candles[-1][4]
    total = run.total(last)
    wallet = run.cash + run.position * last  # total ≡ change of wallet + unrealised PnL
    assert abs(total - wallet) < D("1e-25"), (total, wallet)
    span = candles[-1][0] + interval_of(candles) - candles[0][0]
    per_year = D(YEAR) / D(span)
    return {
        "candles": len(candles),
        "first": candles[0][1],
        "last": last,
        "levels": levels,
        "quantities": quantities,
        "fills": run.fills,
        "pairs": run.pairs,
        "matched": run.matched,
        "unmatched": run.unmatched(last),
        "fees": run.fees,
        "funding": run.funding,
        "total": total,
        "position": run.position,
        "avg_entry": run.average_entry(),
        "max_position": run.max_position,
        "max_drawdown": drawdown,
        "grid_apr": run.matched / invested * per_year if span >= DAY else None,
        "total_apr": total / invested * per_year if span >= DAY else None,
    }
