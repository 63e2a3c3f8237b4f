"""Pictures are PNGs of a phone's shape, made by a process of their own, once for each content."""

from __future__ import annotations

import struct
from decimal import Decimal

import msgspec
import pytest

from bot import charting, drawing
from bot.charts import Bar, CannotPaint, Charts, Dot, Equity, GridMap, Point, Rest
from tests.fakes import NOW, FakeDesk, a_card
from trading.model import Candle, Side
from trading.views import FillRow

D = Decimal
WORDS = {"buys": "buys", "sells": "sells", "fills": "fills", "stop": "stop", "target": "target", "empty": "none yet",
         "total": "Total", "matched": "Grid profit"}  # fmt: skip


def a_map(**changes: object) -> GridMap:
    bars = tuple(Bar(NOW + i * 60_000, 100 + i % 5, 103 + i % 5, 98 + i % 5, 101 + i % 3) for i in range(50))
    whole = GridMap(
        "BTCUSDT neutral #1", "DEMO", "dark", bars, tuple(90.0 + i for i in range(21)),
        tuple(Rest(90.0 + i, 1 if i < 10 else -1) for i in range(21)), (Dot(NOW + 600_000, 100.0, 1),), (85.0,), None,
        100.5, 1, WORDS,
    )  # fmt: skip
    return msgspec.structs.replace(whole, **changes)


def size(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"theme": "light", "badge": "LIVE"},
        {"bars": ()},
        {"bars": (Bar(NOW, 1.0, 1.0, 1.0, 1.0),)},
        {"levels": (), "orders": (), "fills": (), "stops": (), "price": None, "bars": ()},
        {"levels": tuple(90 + i / 25 for i in range(501)), "orders": tuple(Rest(90 + i / 25, 1) for i in range(500))},
        {"stops": (1.0, 900.0), "target": 5000.0},
        {"price": 0.00001234, "places": 8, "levels": (0.00001, 0.00002)},
        {"title": "1000SHIBUSDC very long name of a grid #123456 $x_y$ \\ {x}"},
    ],
)
def test_any_map_is_drawn_in_a_phones_shape(changes: dict[str, object]) -> None:
    width, height = size(drawing.draw(a_map(**changes)))
    assert width == 1081
    assert 0.8 < height / width < 1.25


@pytest.mark.parametrize("points", [0, 1, 2, 400])
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_any_equity_is_drawn(points: int, theme: str) -> None:
    line = tuple(Point(NOW + i * 60_000, i % 7 - 3.0, i * 0.1) for i in range(points))
    size(drawing.draw(Equity("BTCUSDT long #1", "PAPER", theme, "USDT", line, WORDS)))


async def test_the_painter_is_another_process_and_paints_each_content_once() -> None:
    charts = Charts()
    try:
        first = await charts.png(a_map())
        painter = charts._painter
        assert painter is not None
        assert await charts.png(a_map()) is first
        assert await charts.png(a_map(price=101.0)) != first
        assert charts._painter is painter
        painter.kill()
        await painter.wait()
        size(await charts.png(a_map(price=102.0)))
    finally:
        await charts.end()


async def test_what_cannot_be_drawn_is_said_and_the_next_picture_is_made() -> None:
    charts = Charts()
    try:
        with pytest.raises(CannotPaint):
            await charts.png(a_map(theme="purple"))
        size(await charts.png(a_map()))
    finally:
        await charts.end()


def test_the_painter_sees_nothing_of_ours_in_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRELLIS_TELEGRAM_TOKEN", "secret")
    from bot import charts

    assert not any(name.startswith("TRELLIS_") for name in charts.environment())


def test_equity_ends_with_what_the_card_says_and_is_cash_plus_position_before() -> None:
    fills = [
        FillRow(1_000, Side.BUY, D(100), D(2), D("0.1"), D(0), 0, "3"),
        FillRow(70_000, Side.SELL, D(110), D(1), D("0.1"), D("9.85"), 1, "3"),
    ]
    candles = [Candle(i * 60_000, D(100), D(100), D(100), D(100 + i)) for i in range(4)]
    it = a_card(price=D(105), matched=D("9.85"), total=D("14.8"))
    made = charting.equity(it, "dark", fills, candles, 60_000, 300_000)
    assert [(point.time, round(point.total, 2), point.matched) for point in made.points] == [
        (1_000, 0.0, 0.0),
        (60_000, -0.1, 0.0),  # 2 · 100 − 200 − 0.1
        (120_000, 10.8, 9.85),  # 1 · 101 − 90 − 0.2
        (180_000, 11.8, 9.85),
        (240_000, 12.8, 9.85),
        (300_000, 14.8, 9.85),
    ]
    assert charting.equity(it, "dark", [], candles, 60_000, 1).points == ()


async def test_a_map_shows_what_rests_and_not_what_waits() -> None:
    desk = FakeDesk()
    desk.put(a_card(stop_loss=D(50000), take_profit=None))
    rows = desk.levels(1)
    rows[0] = msgspec.structs.replace(rows[0], state="margin")
    made = charting.grid_map(desk.card(1), "dark", [], rows, [])
    assert len(made.orders) == 39
    assert made.stops == (50000.0,)
    assert made.levels[0] == 58000.0
    assert made.levels[-1] == 72000.0
    assert made.places == 0


@pytest.mark.parametrize(("span", "interval"), [(0, "1m"), (100 * 60_000, "1m"), (86_400_000, "15m"), (10**12, "1d")])
def test_the_interval_fits_the_span(span: int, interval: str) -> None:
    assert charting.fitting(span, 110) == interval
