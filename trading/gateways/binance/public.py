"""Binance without an account: rules, prices and candles, and streams counted by use."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import structlog
from msgspec import Struct

from trading.gateways.binance import wire
from trading.gateways.binance.market import Market
from trading.gateways.binance.names import Names
from trading.gateways.binance.rates import Rates
from trading.gateways.binance.reads import Reads
from trading.gateways.binance.rest import HANDSHAKE, Clock, Rest
from trading.gateways.binance.signing import Parameter, Signer
from trading.gateways.binance.snapshot import Reader
from trading.gateways.limiter import Address, Limiter
from trading.ports import Credentials, Endpoints, OnEvent, TradingError

log = structlog.get_logger("binance")



class _Settlement(Struct, frozen=True, rename="camel"):
    funding_time: int
    funding_rate: Decimal


class Public(Reads):
    """What everybody may know of Binance; a gateway adds its account."""

    def __init__(self, rest: Rest, limiter: Limiter, reader: Reader, endpoints: Endpoints) -> None:
        super().__init__(rest, limiter, reader)
        self._market = Market(endpoints.streams, self._before_opening, self._on_refused)

    async def watch(self, symbol: str, on_event: OnEvent) -> None:
        """The first quote is read, for quiet markets; from then on the streams speak."""
        said = self._market.last(symbol)
        self._market.watch(symbol, on_event)
        try:
            first = await self.first(symbol)
        except TradingError as error:
            log.info("no_first_quote", symbol=symbol, error=str(error))
            return
        if self._market.is_waiting(symbol, on_event, said):
            for event in first:
                on_event(symbol, event)

    async def unwatch(self, symbol: str, on_event: OnEvent) -> None:
        self._market.unwatch(symbol, on_event)

    async def _before_opening(self) -> None:
        await self._rest.allowed(HANDSHAKE)

    def _on_refused(self, status: int, retry_after: str, body: str) -> None:
        """A socket was refused: bans and limits are heeded wherever they are told."""
        self._rest.heed(status, wire.Fault(0, body), retry_after)


class Prices(Public):
    """Binance's prices alone, for whoever trades elsewhere or on paper."""

    def __init__(self, endpoints: Endpoints, address: Address | None = None) -> None:
        limiter = Limiter(address)
        rest = Rest(endpoints.rest, Signer(Credentials("", "")), limiter, Clock())
        super().__init__(rest, limiter, Reader(rest, Names(), Rates(rest)), endpoints)

    async def open(self) -> None:
        """Learn the clock and the budgets."""
        await self._rest.sync()

    async def run(self) -> None:
        """Keep the streams until cancelled."""
        async with asyncio.TaskGroup() as group:
            for route in self._market.routes:
                group.create_task(route.run())

    async def close(self) -> None:
        self._market.close()
        await self._rest.close()

    async def fundings(self, symbol: str, since: int) -> list[tuple[int, Decimal]]:
        """(time, rate) of each settlement from `since` on, ascending."""
        query: dict[str, Parameter] = {"symbol": symbol, "startTime": since, "limit": 1000}
        rows = wire.decode(await self._rest.get("/fapi/v1/fundingRate", query, weight=0), list[_Settlement])
        return [(row.funding_time, row.funding_rate) for row in rows]

    def now(self) -> int:
        """The venue's time, ms UTC."""
        return self._clock.now()
