"""Looking after quiet symbols costs little, however many there are."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from trading.gateways.binance import silence, wire
from trading.gateways.binance.market import Market
from trading.gateways.binance.silence import QUIET, Watchman
from trading.gateways.binance.streams import Stream


async def test_symbols_that_fall_quiet_one_after_another_are_looked_at_together() -> None:
    looks: list[int] = []

    async def quotes(symbol: str) -> list[wire.BookTickerRow]:
        return []

    async def nowhere() -> str:
        return "ws://nowhere"

    market = Market("ws://nowhere")
    user = Stream("user", nowhere, lambda data: None, lambda socket: None, lambda why: None)
    watchman = Watchman(user, lambda: 0, market, quotes, lambda: None)
    seen: dict[str, float] = {}
    for second in range(240):
        if second < 50:
            market.watch(f"Q{second}USDT", lambda symbol, event: None)
        quiet = watchman._quiet(float(second))
        for symbol in quiet:
            assert second - seen.get(symbol, -99) > QUIET / 2
            seen[symbol] = watchman._since[symbol] = float(second)
        looks += [1] if quiet else []
    market.close()
    assert len(seen) == 50
    assert len(looks) <= 240 / (QUIET / 2)
    assert all(240 - when <= QUIET + 1 for when in seen.values()), "and nobody waits longer than before"


async def test_of_two_quiet_symbols_the_second_is_looked_at_too(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {
        symbol: wire.BookTickerRow(symbol, Decimal(bid), Decimal(1), Decimal(bid) + 1, Decimal(1), 1)
        for symbol, bid in (("AUSDT", 10), ("BUSDT", 10))
    }

    async def quotes(symbol: str) -> list[wire.BookTickerRow]:
        return [row for row in rows.values() if symbol in ("", row.symbol)]

    async def nowhere() -> str:
        return "ws://nowhere"

    monkeypatch.setattr(silence, "SECOND_LOOK", 0)
    heard: list[str] = []
    market = Market("ws://nowhere")
    user = Stream("user", nowhere, lambda data: None, lambda socket: None, lambda why: None)
    watchman = Watchman(user, lambda: 0, market, quotes, lambda: None)
    for symbol in rows:
        market.watch(symbol, lambda symbol, event: heard.append(symbol))
    await watchman._check(list(rows))
    for symbol in rows:
        rows[symbol] = replace(rows[symbol], bid_price=Decimal(9))
    await watchman._check(list(rows))
    market.close()
    assert heard == list(rows)
