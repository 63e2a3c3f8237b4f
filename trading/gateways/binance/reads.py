"""What can be asked of Binance besides Snapshots: rules, prices, balances, positions."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal

import structlog
from msgspec.structs import replace

from trading.gateways.binance import wire
from trading.gateways.binance.ferry import Ferry
from trading.gateways.binance.rest import Rest
from trading.gateways.binance.signing import Parameter
from trading.gateways.binance.snapshot import EVERY, HELD, ROUND, Reader, stated, working
from trading.gateways.limiter import Limiter
from trading.messages import Event, Quote
from trading.model import Balance, Bracket, Candle, Instrument, MarginMode, Position
from trading.ports import Glance, Rejected

log = structlog.get_logger("binance")


class Reads:
    """The questions of ports.Gateway; each may raise any TradingError."""

    def __init__(self, rest: Rest, limiter: Limiter, reader: Reader) -> None:
        self._rest = rest
        self._limiter = limiter
        self._reader = reader
        self._clock = rest.clock
        self._touches = Ferry(self._read_touches)

    async def rules(self) -> dict[str, Instrument]:
        """What is published of every symbol; those whose rules cannot be read are left out."""
        info = wire.exchange_info(await self._rest.get("/fapi/v1/exchangeInfo"))
        self._limiter.configure(info.rate_limits)
        found: dict[str, Instrument] = {}
        for row in info.symbols:
            try:
                found[row.symbol] = wire.instrument(row)
            except wire.Malformed as error:
                log.info("symbol_skipped", symbol=row.symbol, error=str(error))
        return found

    async def instruments(self) -> dict[str, Instrument]:
        """The rules, with the leverage limits of the account."""
        found = await self.rules()
        try:
            body = await self._rest.read("/fapi/v1/leverageBracket", weight=1)
        except Rejected as error:
            log.warning("no_brackets", error=str(error))
            return found
        for rows in wire.one_or_many(body, wire.SymbolBrackets):
            if rows.symbol in found and rows.brackets:
                most = max(bracket.initial_leverage for bracket in rows.brackets)
                found[rows.symbol] = replace(found[rows.symbol], max_leverage=most)
        return found

    async def brackets(self, symbol: str) -> tuple[Bracket, ...]:
        body = await self._rest.read("/fapi/v1/leverageBracket", {"symbol": symbol}, weight=1)
        rows = [rows for rows in wire.one_or_many(body, wire.SymbolBrackets) if rows.symbol == symbol]
        return wire.brackets(rows[0]) if rows else ()

    async def fees(self, symbol: str) -> tuple[Decimal, Decimal]:
        body = await self._rest.read("/fapi/v1/commissionRate", {"symbol": symbol}, weight=20)
        rate = wire.decode(body, wire.CommissionRate)
        return rate.maker_commission_rate, rate.taker_commission_rate

    async def quote(self, symbol: str) -> Quote:
        body = await self._rest.get("/fapi/v1/ticker/bookTicker", {"symbol": symbol}, weight=2)
        row = wire.decode(body, wire.BookTickerRow)
        return Quote(row.time or self._clock.now(), row.bid_price, row.ask_price)

    async def touches(self, symbols: Collection[str]) -> dict[str, Quote]:
        """Best bid and ask of each; all cost little more than two."""
        if len(symbols) > 2:
            return await self._touches.ask()
        return {symbol: await self.quote(symbol) for symbol in symbols}

    async def _read_touches(self) -> dict[str, Quote]:
        rows, now = await self.quotes(""), self._clock.now()
        return {row.symbol: Quote(row.time or now, row.bid_price, row.ask_price) for row in rows}

    async def first(self, symbol: str) -> list[Event]:
        """What to tell of a symbol that begins to be watched; many that begin at once share the read."""
        touches = await self._touches.ask()
        return [touches[symbol]] if symbol in touches else []

    async def quotes(self, symbol: str) -> list[wire.BookTickerRow]:
        """Best bid and ask of one symbol, or ("") of all."""
        query: dict[str, Parameter] = {"symbol": symbol} if symbol else {}
        body = await self._rest.get("/fapi/v1/ticker/bookTicker", query, weight=2 if symbol else 5)
        return wire.one_or_many(body, wire.BookTickerRow)

    async def candles(self, symbol: str, interval: str, limit: int) -> list[Candle]:
        """Ascending; the last one is still open."""
        weight = 1 if limit < 100 else 2 if limit < 500 else 5 if limit <= 1000 else 10
        query: dict[str, Parameter] = {"symbol": symbol, "interval": interval, "limit": limit}
        body = await self._rest.get("/fapi/v1/klines", query, weight)
        return [row.candle() for row in wire.decode(body, list[wire.KlineRow])]

    async def balances(self) -> list[Balance]:
        """Assets with anything in them."""
        rows = wire.decode(await self._rest.read("/fapi/v3/balance"), list[wire.BalanceRow])
        return [
            Balance(row.asset, row.balance, row.available_balance, row.cross_un_pnl)
            for row in rows
            if row.balance or row.available_balance or row.cross_un_pnl
        ]

    async def position(self, symbol: str) -> Position:
        row = await self._reader.position(symbol)
        return self._configured(stated(row), (await self._configurations(symbol)).get(symbol))

    async def positions(self) -> dict[str, Position]:
        held = [row for row in await self._reader.positions() if row.position_amt]
        configured = await self._configurations(None) if held else {}
        return {row.symbol: self._configured(stated(row), configured.get(row.symbol)) for row in held}

    async def _configurations(self, symbol: str | None) -> dict[str, wire.SymbolConfig]:
        body = await self._rest.read("/fapi/v1/symbolConfig", {"symbol": symbol} if symbol else {})
        return {row.symbol: row for row in wire.one_or_many(body, wire.SymbolConfig)}

    @staticmethod
    def _configured(position: Position, config: wire.SymbolConfig | None) -> Position:
        if config is None:
            return position
        mode = MarginMode.ISOLATED if config.margin_type.upper() == "ISOLATED" else MarginMode.CROSS
        return replace(position, leverage=config.leverage, margin_mode=mode)

    async def open_orders(self, symbol: str | None = None) -> list[tuple[str, object]]:
        return [(order.symbol, working(order)) for order in await self._reader.resting(symbol)]

    async def glance(self, symbols: Collection[str]) -> Glance:
        return await self._reader.glance(symbols)

    async def leisure(self, symbols: int = 0) -> None:
        await self._rest.leisure(min(symbols, EVERY) + HELD if symbols else ROUND)

    async def is_hedge_mode(self) -> bool:
        body = await self._rest.read("/fapi/v1/positionSide/dual", weight=30)
        return wire.decode(body, wire.PositionMode).dual_side_position
