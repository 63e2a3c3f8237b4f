"""What a fee asset was worth in quote: now for live fills, at the minute of the fill for history."""

from __future__ import annotations

from decimal import Decimal

import structlog

from trading.gateways.binance import wire
from trading.gateways.binance.events import ONE, is_quote
from trading.gateways.binance.rest import Rest
from trading.gateways.binance.signing import Parameter
from trading.ports import Rejected

log = structlog.get_logger("binance")

MINUTE = 60_000
PAGE = 499
"""Candles per read: weight 2."""
KEPT = 20_000
QUOTES = ("USDT", "USDC", "FDUSD", "BUSD", "USD1", "BTC")


def quote_of(symbol: str) -> str:
    """The quote asset in a symbol's name, for symbols whose rules we have not read."""
    head = symbol.partition("_")[0]
    return next((quote for quote in QUOTES if head.endswith(quote)), "USDT")


class Rates:
    """Rates of fee assets, remembered; `asset` in quote of `symbol`."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._now: dict[tuple[str, str], Decimal] = {}
        self._minutes: dict[tuple[str, str, int], Decimal] = {}
        self.missing: set[tuple[str, str]] = set()
        """Pairs (asset, quote) that a live fill asked for in vain: `refresh` reads them."""
        self._hopeless: set[tuple[str, str]] = set()
        """Pairs that no market has; asked for again only with everything else."""

    def now(self, symbol: str, asset: str) -> Decimal | None:
        """The latest known rate; an unknown one is read at the next refresh."""
        key = (asset, quote_of(symbol))
        rate = self._now.get(key)
        if rate is None and key not in self._hopeless:
            self.missing.add(key)
        return rate

    async def refresh(self, also: tuple[str, str] | None = None) -> None:
        """Read every rate in use anew."""
        wanted = set(self._now) | self.missing | self._hopeless | ({also} if also else set())
        for asset, quote in sorted(wanted):
            rate = await self._book(asset, quote)
            self.missing.discard((asset, quote))
            if rate is None:
                self._hopeless.add((asset, quote))
            else:
                self._now[asset, quote] = rate
                self._hopeless.discard((asset, quote))

    async def _book(self, asset: str, quote: str) -> Decimal | None:
        try:
            body = await self._rest.get("/fapi/v1/ticker/bookTicker", {"symbol": asset + quote}, weight=2)
        except Rejected:
            return None
        row = wire.decode(body, wire.BookTickerRow)
        return (row.bid_price + row.ask_price) / 2

    async def at(self, symbol: str, asset: str, time: int) -> Decimal:
        """The rate in the minute of `time`: the close of the fee asset's candle. 1 for quote."""
        if not asset or is_quote(symbol, asset):
            return ONE
        key = (asset, quote_of(symbol), time // MINUTE)
        if key not in self._minutes:
            await self._read(*key)
        rate = self._minutes.get(key)
        if rate is None:
            rate = await self._book(asset, key[1])
        if rate is None:
            log.warning("no_rate", asset=asset, quote=key[1])
            rate = ONE
        self._minutes[key] = rate
        self._now.setdefault(key[:2], rate)
        return rate

    async def _read(self, asset: str, quote: str, minute: int) -> None:
        query: dict[str, Parameter] = {"symbol": asset + quote, "interval": "1m", "limit": PAGE}
        query["startTime"] = minute * MINUTE
        try:
            body = await self._rest.get("/fapi/v1/klines", query, weight=2)
        except Rejected:
            return
        if len(self._minutes) > KEPT:
            self._minutes.clear()
        for row in wire.decode(body, list[wire.KlineRow]):
            self._minutes[asset, quote, row.open_time // MINUTE] = row.close
