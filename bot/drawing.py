"""Pictures drawn with matplotlib for a phone's width: few colours, large letters, nothing that needs a legend."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from functools import singledispatch

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator
from msgspec import Struct

from bot.charts import Bar, Equity, GridMap

WIDTH, HEIGHT, DPI = 4.6, 4.4, 235
"""1081 × 1034 pixels: a phone shows it without cutting, with letters that can be read there."""
HEAD = 0.862
"""Where the plot ends and the title begins."""
FAR = 0.6
"""A stop further from the range than this share of its width is named at the edge instead of being drawn to scale."""
MINUS = "−"


class Theme(Struct, frozen=True):
    """Colours."""

    ground: str
    text: str
    faint: str
    line: str
    band: str
    buy: str
    sell: str
    accent: str
    stop: str
    on_accent: str
    rise: str
    """Candles, fainter than orders and trades."""
    fall: str


THEMES = {
    "dark": Theme("#111a24", "#e8eef5", "#7f90a3", "#223040", "#16222f", "#2fbf8f", "#f0616d", "#4da3ff", "#f2b84b",
                  "#08111b", "#237a62", "#96474f"),
    "light": Theme("#ffffff", "#17212c", "#76879a", "#e6ebf0", "#f4f8fb", "#0f9d6c", "#dd3b4a", "#1f7ae0", "#c98208",
                   "#ffffff", "#7cc4aa", "#e79aa1"),
}  # fmt: skip
mpl.rcParams["font.family"] = ["DejaVu Sans"]
mpl.rcParams["font.size"] = 10.5


@singledispatch
def draw(picture: object) -> bytes:
    """The picture as PNG."""
    raise TypeError(type(picture).__name__)


def _canvas(title: str, badge: str, theme: Theme) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, HEIGHT), dpi=DPI, facecolor=theme.ground)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.035, 0.085, 0.765, HEAD - 0.085), facecolor=theme.ground)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(colors=theme.faint, length=0, pad=6, labelsize=9.5)
    axes.yaxis.tick_right()
    figure.text(
        0.04, 0.94, title, color=theme.text, fontsize=15, fontweight="bold", va="center", parse_math=False
    )  # fmt: skip
    figure.text(
        0.965, 0.94, badge, color=theme.on_accent, fontsize=9, fontweight="bold", va="center", ha="right",
        bbox={"boxstyle": "round,pad=0.35", "facecolor": theme.stop if badge == "LIVE" else theme.faint,
              "edgecolor": "none"},
    )  # fmt: skip
    return figure, axes


def _png(figure: Figure) -> bytes:
    target = io.BytesIO()
    figure.savefig(target, format="png", facecolor=figure.get_facecolor(), metadata={"Software": None})
    return target.getvalue()


def _number(value: float, places: int, is_signed: bool = False) -> str:
    text = f"{value:+,.{places}f}" if is_signed else f"{value:,.{places}f}"
    return text.replace("-", MINUS)


def _bare(price: float, places: int) -> str:
    """Without idle zeros."""
    text = _number(price, places)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _times(axes: Axes, first: int, last: int, theme: Theme) -> None:
    """Four round times under the plot, UTC."""
    span = last - first
    step = _step(span)
    ticks = [at for at in range(first - first % step + step, last + 1, step) if at <= last - span * 0.03]
    axes.set_xticks(ticks)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: _moment(x, step)))
    axes.annotate("UTC", (1, 0), xycoords="axes fraction", xytext=(8, -10), textcoords="offset points", va="center",
                  ha="left", color=theme.faint, fontsize=8.5, annotation_clip=False)  # fmt: skip


def _moment(ms: float, step: int) -> str:
    """A time of day, or the day where whole days are told apart or one begins."""
    at = datetime.fromtimestamp(ms / 1000, UTC)
    return f"{at:%H:%M}" if step < 86_400_000 and (at.hour or at.minute) else f"{at.day} {at:%b}"


def _step(span: int) -> int:
    minutes = (1, 2, 5, 10, 15, 30, 60, 120, 240, 360, 720, 1440, 2880, 5760, 10080, 20160, 43200, 86400)
    return next((m * 60_000 for m in minutes if span / (m * 60_000) <= 4.6), 86400 * 2 * 60_000)


def _tag(axes: Axes, price: float, text: str, colour: str, ink: str, weight: str = "bold") -> None:
    """A price on the right edge, in a box of its colour."""
    axes.annotate(
        text, (1, price), xycoords=("axes fraction", "data"), xytext=(5, 0), textcoords="offset points", va="center",
        ha="left", color=ink, fontsize=9.5, fontweight=weight, annotation_clip=False, zorder=9,
        bbox={"boxstyle": "round,pad=0.28", "facecolor": colour, "edgecolor": "none"},
    )  # fmt: skip


# --------------------------------------------------------------------------- grid map


@draw.register
def _(it: GridMap) -> bytes:
    theme = THEMES[it.theme]
    figure, axes = _canvas(it.title, it.badge, theme)
    bars = it.bars
    first, last = (bars[0].time, bars[-1].time) if bars else (0, 1)
    pitch = (last - first) / (len(bars) - 1) if len(bars) > 1 else 60_000.0
    axes.set_xlim(first - pitch, last + pitch * max(2.0, len(bars) * 0.085))
    low, high = _bounds(it)
    axes.set_ylim(low, high)
    _lattice(axes, it, theme)
    _candles(axes, bars, pitch, theme)
    _trades(axes, it, theme)
    _ladder(axes, it, theme)
    _edges(axes, it, theme, low, high)
    _summary(figure, it, theme)
    if bars:
        _times(axes, first, last, theme)
    else:
        axes.set_xticks([])
        axes.text(0.5, 0.5, it.words.get("empty", ""), transform=axes.transAxes, ha="center", color=theme.faint)
    return _png(figure)


def _bounds(it: GridMap) -> tuple[float, float]:
    """The range, the candles and whatever stops are near."""
    values = [bar.low for bar in it.bars] + [bar.high for bar in it.bars] + [dot.price for dot in it.fills]
    if it.levels:
        width = it.levels[-1] - it.levels[0]
        values += [it.levels[0], it.levels[-1]]
        near = (it.levels[0] - FAR * width, it.levels[-1] + FAR * width)
        values += [at for at in (*it.stops, it.target) if at is not None and near[0] <= at <= near[1]]
    if it.price is not None:
        values.append(it.price)
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    room = (high - low) * 0.05 or abs(high) * 0.01 or 1.0
    return low - room, high + room


def _lattice(axes: Axes, it: GridMap, theme: Theme) -> None:
    """The range as a band with its levels, fewer lines where they would run together."""
    if not it.levels:
        return
    axes.axhspan(it.levels[0], it.levels[-1], color=theme.band, zorder=0, linewidth=0)
    skip = max(1, round(len(it.levels) / 60))
    left, right = axes.get_xlim()
    lines = [((left, at), (right, at)) for at in it.levels[::skip]]
    axes.add_collection(LineCollection(lines, colors=theme.line, linewidths=0.7, zorder=1))


def _candles(axes: Axes, bars: tuple[Bar, ...], pitch: float, theme: Theme) -> None:
    for is_up, colour in ((True, theme.rise), (False, theme.fall)):
        some = [bar for bar in bars if (bar.close >= bar.open) is is_up]
        wicks = [((bar.time, bar.low), (bar.time, bar.high)) for bar in some]
        axes.add_collection(LineCollection(wicks, colors=colour, linewidths=1.0, zorder=3))
        least = (axes.get_ylim()[1] - axes.get_ylim()[0]) * 0.0012
        bodies = [
            Rectangle((bar.time - pitch * 0.34, min(bar.open, bar.close)), pitch * 0.68,
                      max(abs(bar.close - bar.open), least))
            for bar in some
        ]  # fmt: skip
        axes.add_collection(PatchCollection(bodies, facecolor=colour, edgecolor="none", zorder=3))


def _trades(axes: Axes, it: GridMap, theme: Theme) -> None:
    """Fills: a triangle up for each buy, down for each sell."""
    size = 42 if len(it.fills) <= 60 else 24 if len(it.fills) <= 200 else 12
    for side, marker, colour in ((1, "^", theme.buy), (-1, "v", theme.sell)):
        dots = [dot for dot in it.fills if dot.side == side]
        axes.scatter(
            [dot.time for dot in dots], [dot.price for dot in dots], s=size, marker=marker, color=colour,
            edgecolors=theme.ground, linewidths=0.8, zorder=6,
        )  # fmt: skip


def _ladder(axes: Axes, it: GridMap, theme: Theme) -> None:
    """Resting orders as rungs at the right edge."""
    left, right = axes.get_xlim()
    start = right - (right - left) * 0.052
    width = 3.4 if len(it.orders) <= 30 else 2.2 if len(it.orders) <= 80 else 1.2
    for side, colour in ((1, theme.buy), (-1, theme.sell)):
        rungs = [((start, order.price), (right, order.price)) for order in it.orders if order.side == side]
        axes.add_collection(LineCollection(rungs, colors=colour, linewidths=width, zorder=5, capstyle="round"))


def _edges(axes: Axes, it: GridMap, theme: Theme, low: float, high: float) -> None:
    """Bounds, stops, target and the price now, each named on the right edge unless there is no room."""
    marks: list[tuple[float, str, str, str]] = []
    if it.price is not None:
        axes.axhline(it.price, color=theme.accent, linewidth=1.1, alpha=0.9, zorder=4)
        marks.append((it.price, _number(it.price, it.places), theme.accent, theme.on_accent))
    for stop in it.stops:
        marks.append((stop, _bare(stop, it.places), theme.stop, theme.on_accent))
    if it.target is not None:
        marks.append((it.target, _bare(it.target, it.places), theme.buy, theme.on_accent))
    for at, text, colour, ink in marks:
        if low <= at <= high:
            if colour is not theme.accent:
                axes.axhline(at, color=colour, linewidth=1.3, linestyle=(0, (5, 3)), zorder=4)
            _tag(axes, at, text, colour, ink)
        else:
            arrow = "↓" if at < low else "↑"
            _tag(axes, low + (high - low) * (0.02 if at < low else 0.98), f"{arrow} {text}", colour, ink)
    axes.set_yticks([])
    taken = [at for at, *_ in marks]
    least = (high - low) * 0.065
    for bound in (it.levels[0], it.levels[-1]) if it.levels else ():
        if all(abs(bound - at) > least for at in taken):
            _tag(axes, bound, _bare(bound, it.places), theme.ground, theme.text)
            taken.append(bound)
    for at in it.levels[:: max(1, len(it.levels) // 4)]:
        if all(abs(at - other) > least for other in taken):
            _tag(axes, at, _bare(at, it.places), theme.ground, theme.faint, "normal")
            taken.append(at)


def _summary(figure: Figure, it: GridMap, theme: Theme) -> None:
    """One line under the title, which is the legend as well."""
    buys = sum(order.side > 0 for order in it.orders)
    parts = [
        ("━ ", theme.buy), (f"{buys} {it.words['buys']}   ", theme.faint), ("━ ", theme.sell),
        (f"{len(it.orders) - buys} {it.words['sells']}   ", theme.faint),
    ]  # fmt: skip
    if it.fills:
        parts += [("▲", theme.buy), ("▼ ", theme.sell), (f"{it.words['fills']}   ", theme.faint)]
    if it.stops:
        parts += [("╌ ", theme.stop), (f"{it.words['stop']}   ", theme.faint)]
    if it.target is not None:
        parts += [("╌ ", theme.buy), (it.words["target"], theme.faint)]
    _inline(figure, parts)


def _inline(figure: Figure, parts: list[tuple[str, str]]) -> None:
    """Words of several colours in one line."""
    at = 0.04
    for text, colour in parts:
        drawn = figure.text(at, 0.883, text, color=colour, fontsize=9.5, va="center")
        box = drawn.get_window_extent(figure.canvas.get_renderer())  # type: ignore[attr-defined]
        at += box.width / (WIDTH * DPI)


# --------------------------------------------------------------------------- equity


@draw.register
def _(it: Equity) -> bytes:
    theme = THEMES[it.theme]
    figure, axes = _canvas(it.title, it.badge, theme)
    points = it.points
    times = [point.time for point in points]
    totals, matched = [point.total for point in points], [point.matched for point in points]
    if len(points) < 2:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.text(0.5, 0.5, it.words.get("empty", ""), transform=axes.transAxes, ha="center", color=theme.faint)
        return _png(figure)
    axes.set_xlim(times[0], times[-1] + (times[-1] - times[0]) * 0.02)
    axes.fill_between(
        times, totals, 0, where=[v >= 0 for v in totals], color=theme.buy, alpha=0.16, linewidth=0, interpolate=True
    )
    axes.fill_between(
        times, totals, 0, where=[v < 0 for v in totals], color=theme.sell, alpha=0.16, linewidth=0, interpolate=True
    )
    colour = theme.buy if totals[-1] >= 0 else theme.sell
    axes.plot(times, totals, color=colour, linewidth=2.2, solid_joinstyle="round", zorder=5)
    axes.plot(times, matched, color=theme.accent, linewidth=1.8, drawstyle="steps-post", zorder=4)
    axes.scatter(times[-1:], totals[-1:], s=46, color=colour, zorder=6)
    axes.scatter(times[-1:], matched[-1:], s=34, color=theme.accent, zorder=6)
    axes.axhline(0, color=theme.faint, linewidth=0.9, zorder=2)
    low, high = min(0.0, *totals, *matched), max(0.0, *totals, *matched)
    room = (high - low) * 0.08 or 1.0
    axes.set_ylim(low - room, high + room)
    axes.yaxis.set_major_locator(MaxNLocator(6))
    places = 2 if high - low < 50 else 0
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: _number(y, places)))
    axes.yaxis.grid(True, color=theme.line, linewidth=0.8)
    axes.set_axisbelow(True)
    _times(axes, times[0], times[-1], theme)
    _inline(
        figure,
        [
            ("━ ", colour), (f"{it.words['total']} ", theme.faint),
            (f"{_number(totals[-1], 2, True)} {it.quote}    ", theme.text),
            ("━ ", theme.accent), (f"{it.words['matched']} ", theme.faint),
            (f"{_number(matched[-1], 2, True)} {it.quote}", theme.text),
        ],
    )  # fmt: skip
    return _png(figure)
