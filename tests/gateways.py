"""A gateway under test: what it tells is kept, and the market behind it moves when asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeVar

import aiohttp

from trading.gateways.catalog import local, open_gateway
from trading.messages import Cancel, Event, Place
from trading.model import ClientOrderId, Environment, OrderType, Side, Slot, TimeInForce
from trading.ports import Account, Credentials, Endpoints, Gateway, SnapshotRequest
from trading.sandbox.server import Opening, Options, Sandbox

E = TypeVar("E", bound=Event)
SYMBOL = "BTCUSDT"
INSTALL = "ab12"


def name(slot: Slot, turn: int = 0, bot: int = 1, install: str = INSTALL) -> ClientOrderId:
    return ClientOrderId(install, bot, slot, turn)


class Trader:
    """One gateway with the memory of everything it told."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.events: list[tuple[str, Event]] = []
        self.market: list[tuple[str, Event]] = []
        self.states: list[tuple[bool, str]] = []

    async def connect(self) -> None:
        await self.gateway.connect(
            lambda s, e: self.events.append((s, e)), lambda up, why: self.states.append((up, why))
        )
        await self.until(lambda: bool(self.states) and self.states[-1][0])

    async def until(self, condition: Callable[[], bool], seconds: float = 8) -> None:
        """Wait for `condition`; the test fails when it does not come true."""
        deadline = asyncio.get_running_loop().time() + seconds
        while not condition():
            assert asyncio.get_running_loop().time() < deadline, self.events[-10:] + self.states[-4:]
            await asyncio.sleep(0.01)

    def of(self, kind: type[E], cid: ClientOrderId | None = None) -> list[E]:
        """Events of `kind`, of one order where `cid` is given."""
        found = [event for _, event in self.events if isinstance(event, kind)]
        return found if cid is None else [event for event in found if getattr(event, "cid", None) == cid]

    async def hear(self, kind: type[E], cid: ClientOrderId | None = None, count: int = 1) -> E:
        """The `count`th event of `kind` (of `cid`), waited for."""
        await self.until(lambda: len(self.of(kind, cid)) >= count)
        return self.of(kind, cid)[count - 1]

    def place(
        self,
        cid: ClientOrderId,
        side: Side,
        price: str,
        qty: str = "0.010",
        kind: OrderType = OrderType.LIMIT,
        tif: TimeInForce = TimeInForce.GTX,
        reduce_only: bool = False,
    ) -> None:
        self.gateway.send(Place(SYMBOL, cid, side, kind, tif, Decimal(price), Decimal(qty), reduce_only))

    def market_order(self, cid: ClientOrderId, side: Side, qty: str = "0.010", reduce_only: bool = False) -> None:
        self.place(cid, side, "0", qty, OrderType.MARKET, TimeInForce.GTC, reduce_only)

    def cancel(self, cid: ClientOrderId) -> None:
        self.gateway.send(Cancel(SYMBOL, cid))

    def request(self, **changes: Any) -> SnapshotRequest:
        """A request of bot 1 that has counted nothing yet."""
        fields: dict[str, Any] = {
            "symbol": SYMBOL,
            "install": INSTALL,
            "bot": 1,
            "since_trade": 0,
            "since_time": 0,
            "expected": (),
            "counted": {},
            "position": Decimal(0),
            "counted_trades": frozenset(),
        }
        return SnapshotRequest(**(fields | changes))


class Bench:
    """A still sandbox exchange with a Binance gateway on it."""

    def __init__(self, **options: Any) -> None:
        self.sandbox = Sandbox(
            Options(still=True, accounts=(Opening("key", "secret"), Opening("rich", "er")), **options)
        )
        self.traders: list[Trader] = []
        self._http: aiohttp.ClientSession | None = None

    @property
    def endpoints(self) -> Endpoints:
        return local(self.sandbox.port)

    async def __aenter__(self) -> Bench:
        await self.sandbox.start()
        self._http = aiohttp.ClientSession(f"http://127.0.0.1:{self.sandbox.port}")
        return self

    async def __aexit__(self, *_: object) -> None:
        for trader in self.traders:
            await trader.gateway.close()
        assert self._http is not None
        await self._http.close()
        await self.sandbox.close()

    def trader(self, key: str = "key", secret: str = "secret") -> Trader:
        """A gateway of account `key`, not yet connected."""
        account = Account(1, 1, "test", "binance", Environment.DEMO, self.endpoints)
        trader = Trader(open_gateway(account, Credentials(key, secret)))
        self.traders.append(trader)
        return trader

    async def connected(self, key: str = "key", secret: str = "secret") -> Trader:
        trader = self.trader(key, secret)
        await trader.connect()
        return trader

    async def _post(self, path: str, body: dict[str, Any]) -> None:
        assert self._http is not None
        async with self._http.post(path, json=body) as response:
            assert response.status == 200, await response.text()

    async def move(self, price: str) -> None:
        """Every resting order up to `price` fills."""
        await self._post("/sandbox/market", {"reach": {"symbol": SYMBOL, "price": price}})

    async def fund(self, rate: str) -> None:
        await self._post("/sandbox/market", {"funding": {"symbol": SYMBOL, "rate": rate}})

    async def fault(self, **switches: Any) -> None:
        """Faults as POST /sandbox/faults takes them."""
        await self._post("/sandbox/faults", switches)
