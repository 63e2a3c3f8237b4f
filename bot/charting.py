"""The room of pictures: the map of a grid and its equity, refreshed in place."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from html import escape

from bot import numbers
from bot.access import Reader
from bot.charts import Bar, CannotPaint, Charts, Dot, Equity, GridMap, Picture, Point, Rest
from bot.menu import Button, Press, Screen, button
from bot.pages import Pages, Reply
from bot.screens.grids import name
from bot.words import say
from storage import preferences
from storage.database import Database
from trading.live.desk import Desk
from trading.model import Candle, Side
from trading.parameters.declaration import shown
from trading.views import Card, FillRow, LevelRow

INTERVALS = {"1m": 60_000, "5m": 300_000, "15m": 900_000, "1h": 3_600_000, "4h": 14_400_000, "1d": 86_400_000}
OFFERED = ("1m", "15m", "1h", "4h", "1d")
BARS = 110
POINTS = 400
RESTING = frozenset({"working", "sent"})


class Charting:
    """Pictures as messages of their own: a text message cannot become one (telegram.md §3)."""

    def __init__(
        self, desk: Desk, database: Database, pages: Pages, charts: Charts, clock: Callable[[], int]
    ) -> None:
        self._desk = desk
        self._database = database
        self._pages = pages
        self._charts = charts
        self._clock = clock
        self.verbs: Mapping[str, Callable[[Reader, Press], Awaitable[Reply]]] = {
            "picture": self._new,
            "redraw": self._again,
            "pclose": self._close,
        }

    async def _new(self, reader: Reader, press: Press) -> Reply:
        return await self._drawn(reader, press, is_new=True)

    async def _again(self, reader: Reader, press: Press) -> Reply:
        return await self._drawn(reader, press, is_new=False)

    async def _close(self, reader: Reader, press: Press) -> Reply:
        return Reply(is_gone=True, outcome="done")

    async def _drawn(self, reader: Reader, press: Press, is_new: bool) -> Reply:
        it = await self._pages.look(reader, press.target)
        theme = await preferences.get(self._database, reader.id, "charts", "dark")
        kind, _, interval = press.argument.partition(".")
        if interval not in INTERVALS:
            interval = fitting(self._clock() - (it.started or it.created), BARS)
        if kind == "equity":
            picture: Picture = await self._equity(it, theme)
        else:
            kind, picture = "map", await self._map(it, theme, interval)
        try:
            png = await self._charts.png(picture)
        except CannotPaint:
            return Reply(toast=say("chart_failed"), alert=True, outcome="failed")
        text = caption(it, self._clock())
        return Reply(Screen(text, _rows(it, kind, interval), png), is_new=is_new)

    async def _map(self, it: Card, theme: str, interval: str) -> GridMap:
        candles = await self._desk.candles(it.account, it.symbol, interval, BARS)
        levels = self._desk.levels(it.id)
        fills = await self._desk.fills(it.id, candles[0].time) if candles else []
        return grid_map(it, theme, candles, levels, fills)

    async def _equity(self, it: Card, theme: str) -> Equity:
        fills = await self._desk.fills(it.id)
        begin = fills[0].time if fills else self._clock()
        interval = fitting(self._clock() - begin, POINTS)
        limit = min(POINTS, (self._clock() - begin) // INTERVALS[interval] + 2)
        candles = await self._desk.candles(it.account, it.symbol, interval, int(limit)) if fills else []
        return equity(it, theme, fills, candles, INTERVALS[interval], self._clock())


def fitting(span: int, bars: int) -> str:
    """The interval with which `span`, ms, needs at most so many candles."""
    return next((each for each, ms in INTERVALS.items() if span / ms <= bars), "1d")


def caption(it: Card, now: int) -> str:
    """What a picture cannot say."""
    money = say("grids_line", grid=numbers.gain(it.matched), floating=numbers.gain(it.unmatched))
    return (
        f"<b>{escape(name(it), quote=False)}</b> · <b>{it.badge}</b> · {numbers.price(it.price)}\n"
        f"{escape(money, quote=False)}\n<i>{say('card_updated', time=numbers.clock(now))}</i>"
    )


def _rows(it: Card, kind: str, interval: str) -> tuple[tuple[Button, ...], ...]:
    def choice(text: str, argument: str, is_on: bool) -> Button:
        return button(f"•{text}" if is_on else text, "redraw", it.id, argument)

    rows = []
    if kind == "map":
        rows.append(tuple(choice(each, f"map.{each}", each == interval) for each in OFFERED))
    rows.append(
        (
            choice(say("b_map"), f"map.{interval}", kind == "map"),
            choice(say("b_equity"), f"equity.{interval}", kind == "equity"),
        )
    )
    refresh = button(say("b_refresh"), "redraw", it.id, f"{kind}.{interval}")
    return (*rows, (refresh, button(say("b_close"), "pclose", it.id)))


# --------------------------------------------------------------------------- what is drawn


def grid_map(
    it: Card, theme: str, candles: Sequence[Candle], levels: Sequence[LevelRow], fills: Sequence[FillRow]
) -> GridMap:
    """Pure: the grid as it stands, over these candles."""
    prices = sorted({it.lower, it.upper, *(row.price for row in levels)})
    price = it.price if it.price is not None else (candles[-1].close if candles else None)
    stops = [at for at in (it.stop_loss, it.stop_loss_high) if at is not None]
    return GridMap(
        title=name(it),
        badge=it.badge,
        theme=theme,
        bars=tuple(Bar(c.time, float(c.open), float(c.high), float(c.low), float(c.close)) for c in candles),
        levels=tuple(map(float, prices)),
        orders=tuple(Rest(float(row.price), _sign(row.side)) for row in levels if row.state in RESTING),
        fills=tuple(Dot(row.time, float(row.price), _sign(row.side)) for row in fills),
        stops=tuple(map(float, stops)),
        target=None if it.take_profit is None else float(it.take_profit),
        price=None if price is None else float(price),
        places=_places(prices),
        words={
            "buys": say("chart_buys"), "sells": say("chart_sells"), "fills": say("chart_fills"),
            "stop": say("card_stops").lower(), "target": say("card_take").lower(), "empty": say("chart_empty"),
        },
    )  # fmt: skip


def _sign(side: Side) -> int:
    return 1 if side is Side.BUY else -1


def _places(prices: Sequence[Decimal]) -> int:
    """Decimals that these prices need, at most eight."""
    texts = (shown(price) for price in prices)
    return min(8, max((len(text.partition(".")[2]) for text in texts), default=0))


def equity(
    it: Card, theme: str, fills: Sequence[FillRow], candles: Sequence[Candle], pitch: int, now: int
) -> Equity:
    """Pure: everything the fills brought, at the close of each candle: cash and the position at that price.

    The sum of matched, unmatched and fees in another way, so it needs no lots; funding comes with the last point.
    """
    points: list[Point] = []
    cash = position = matched = Decimal(0)
    at = 0
    if fills:
        points.append(Point(fills[0].time, 0.0, 0.0))
    for time, price in (*((c.time + pitch, c.close) for c in candles), (now, it.price)):
        moment = min(time, now)
        while at < len(fills) and fills[at].time <= moment:
            fill = fills[at]
            cash -= _sign(fill.side) * fill.price * fill.qty + fill.fee
            position += _sign(fill.side) * fill.qty
            matched += fill.matched
            at += 1
        if price is not None and at and moment >= points[-1].time:
            points.append(Point(moment, float(cash + position * price), float(matched)))
    if it.total is not None and points:
        points[-1] = Point(points[-1].time, float(it.total), float(it.matched))
    words = {"total": say("card_total"), "matched": say("card_grid"), "empty": say("chart_no_fills")}
    return Equity(name(it), it.badge, theme, it.quote, tuple(points), words)
