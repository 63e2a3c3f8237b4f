"""The picture of a backtest: price with levels and fills, position, and equity. Imports matplotlib: ask for it late."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from trading.core.outcome import Outcome, Trace
from trading.strategies.grid import GridPlan

matplotlib.use("Agg")
BUY, SELL, PRICE, QUIET, STOP = "#1a9e6b", "#d6453d", "#33415c", "#b8c0cc", "#b3541e"
MOST_LEVELS = 250
"""More lines than this would be a grey area."""


def draw(title: str, plan: GridPlan, outcome: Outcome, trace: Trace, file: Path) -> None:
    """Write the picture to `file`, whose ending names the format; OSError where it cannot be written."""
    figure = Figure(figsize=(12, 8), dpi=110, layout="constrained")
    price, position, equity = figure.subplots(3, 1, sharex=True, height_ratios=(5, 1.4, 1.8))
    times = [_when(moment.time) for moment in trace.moments]
    _price(price, plan, trace, times)
    _area(position, times, [float(moment.position) for moment in trace.moments], f"position, {plan.instrument.base}")
    _area(equity, times, [float(moment.total) for moment in trace.moments], f"profit, {plan.instrument.quote}")
    numbers = (
        f"{outcome.fills} fills, {outcome.pairs} pairs   matched {outcome.matched:.2f}   "
        f"unmatched {outcome.unmatched:.2f}   total {outcome.total:.2f}   drawdown {outcome.max_drawdown:.2f}"
    )
    price.set_title(f"{title}\n{numbers}", loc="left", fontsize=10)
    locator = AutoDateLocator()
    equity.xaxis.set_major_locator(locator)
    equity.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    figure.savefig(file)


def _price(axes: Axes, plan: GridPlan, trace: Trace, times: list[datetime]) -> None:
    levels = plan.levels if len(plan.levels) <= MOST_LEVELS else (plan.levels[0], plan.levels[-1])
    width = 0.6 if len(levels) < 60 else 0.3
    for level in levels:
        axes.axhline(float(level), color=QUIET, linewidth=width, zorder=1)
    for stop in (plan.stop_loss, plan.stop_loss_high, plan.take_profit):
        if stop is not None:
            axes.axhline(float(stop), color=STOP, linewidth=1, linestyle="--", zorder=1)
    axes.plot(times, [float(moment.price) for moment in trace.moments], color=PRICE, linewidth=0.8, zorder=2)
    size = 22 if len(trace.deals) < 200 else 8 if len(trace.deals) < 2000 else 3
    for sign, colour, mark, name in ((1, BUY, "^", "buy"), (-1, SELL, "v", "sell")):
        deals = [deal for deal in trace.deals if deal.qty * sign > 0]
        where = [_when(deal.time) for deal in deals]
        axes.scatter(
            where,
            [float(deal.price) for deal in deals],
            s=size,
            c=colour,
            marker=mark,
            label=name,
            zorder=3,
            linewidths=0,
        )
    if trace.deals:
        axes.legend(loc="upper left", fontsize=8, framealpha=0.8)
    _tidy(axes, f"price, {plan.instrument.quote}")


def _area(axes: Axes, times: list[datetime], values: list[float], name: str) -> None:
    axes.fill_between(times, values, 0, where=[value >= 0 for value in values], color=BUY, alpha=0.35, step="post")
    axes.fill_between(times, values, 0, where=[value <= 0 for value in values], color=SELL, alpha=0.35, step="post")
    axes.plot(times, values, color=PRICE, linewidth=0.7, drawstyle="steps-post")
    axes.axhline(0, color=QUIET, linewidth=0.8)
    _tidy(axes, name)


def _tidy(axes: Axes, name: str) -> None:
    axes.set_ylabel(name, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.margins(x=0.01)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _when(time: int) -> datetime:
    return datetime.fromtimestamp(time / 1000, UTC)
