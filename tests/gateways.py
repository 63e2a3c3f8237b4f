"""A gateway under test: what it tells is kept, and the market behind it moves when asked."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol, TypeVar

import aiohttp
import pytest
from msgspec.structs import replace

from trading.gateways import paper
from trading.gateways.binance.gateway import BinanceGateway
from trading.gateways.catalog import local, open_gateway
from trading.messages import Cancel, Event, Place
from trading.model import ClientOrderId, Environment, Instrument, OrderType, Side, Slot, TimeInForce
from trading.ports import Account, Credentials, Endpoints, Gateway, SnapshotRequest
from trading.sandbox.server import Opening, Options, Sandbox

E = TypeVar("E", bound=Event)
SYMBOL = "BTCUSDT"
INSTALL = "ab12"


def name(slot: Slot, turn: int = 0, bot: int = 1, install: str = INSTALL) -> ClientOrderId:
    return ClientOrderId(install, bot, slot, turn)


class Trader:
    """One gateway with the memory of everything it told."""

    def __init__(self, gateway: Gateway, symbol: str = SYMBOL, install: str = INSTALL) -> None:
        self.gateway = gateway
        self.symbol = symbol
        self.install = install
        self.began = 0
        """Since when history is this trader's own, ms."""
        self.rules: Instrument | None = None
        self.mid = Decimal(0)
        """The price at which `look` found the market."""
        self.events: list[tuple[str, Event]] = []
        self.market: list[tuple[str, Event]] = []
        self.states: list[tuple[bool, str]] = []

    async def connect(self) -> None:
        await self.gateway.connect(
            lambda s, e: self.events.append((s, e)), lambda up, why: self.states.append((up, why))
        )
        await self.until(lambda: bool(self.states) and self.states[-1][0])

    async def look(self) -> None:
        """Learn rules and price, so that orders can be spoken of by their distance."""
        self.rules = (await self.gateway.instruments())[self.symbol]
        quote = await self.gateway.quote(self.symbol)
        self.mid = (quote.bid + quote.ask) / 2

    def at(self, percent: str) -> Decimal:
        """The price so many percent above (below: -) where the market was."""
        assert self.rules is not None
        return self.rules.round_price(self.mid * (1 + Decimal(percent) / 100))

    @property
    def qty(self) -> Decimal:
        """A small quantity that the venue takes at any price near the market."""
        assert self.rules is not None
        return self.rules.ceil_qty(max(self.rules.min_qty, self.rules.min_notional * 2 / self.mid)) * 2

    def name(self, slot: Slot, turn: int = 0, bot: int = 1) -> ClientOrderId:
        return ClientOrderId(self.install, bot, slot, turn)

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
        price: str | Decimal,
        qty: str | Decimal = "0.010",
        kind: OrderType = OrderType.LIMIT,
        tif: TimeInForce = TimeInForce.GTX,
        reduce_only: bool = False,
    ) -> None:
        self.gateway.send(Place(self.symbol, cid, side, kind, tif, Decimal(price), Decimal(qty), reduce_only))

    def market_order(
        self, cid: ClientOrderId, side: Side, qty: str | Decimal = "0.010", reduce_only: bool = False
    ) -> None:
        self.place(cid, side, "0", qty, OrderType.MARKET, TimeInForce.GTC, reduce_only)

    def cancel(self, cid: ClientOrderId) -> None:
        self.gateway.send(Cancel(self.symbol, cid))

    def request(self, **changes: Any) -> SnapshotRequest:
        """A request of bot 1 that has counted nothing yet."""
        fields: dict[str, Any] = {
            "symbol": self.symbol,
            "install": self.install,
            "bot": 1,
            "since_trade": 0,
            "since_time": self.began,
            "expected": (),
            "counted": {},
            "position": Decimal(0),
            "counted_trades": frozenset(),
        }
        fields |= changes
        fields = {"since_funding": fields["since_time"], "is_first": not fields["since_trade"]} | fields
        return SnapshotRequest(**fields)


class Gate:
    """A door before a server's port: what goes through can be cut, and new comers turned away."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._server: asyncio.Server | None = None
        self._through: set[asyncio.StreamWriter] = set()
        self._deaf: set[asyncio.StreamWriter] = set()
        self._is_deaf = False
        self.is_shut = False
        self.port = 0

    async def open(self) -> int:
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self.port

    def shut(self, is_shut: bool = True) -> None:
        """Cut everything that goes through and let nobody in, or open again."""
        self.is_shut = is_shut
        if is_shut:
            for writer in self._through:
                writer.transport.abort()

    def deafen(self, newcomers: bool = False) -> None:
        """What goes through now stays open, and nothing comes through it any more: a network that is gone.

        `newcomers`: and whoever comes later gets no answer either.
        """
        self._deaf |= self._through
        self._is_deaf = newcomers

    async def close(self) -> None:
        self.shut()
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._through.add(writer)
        if self.is_shut:
            writer.transport.abort()
            return
        inner, outer = await asyncio.open_connection("127.0.0.1", self._port)
        self._through.add(outer)
        if self._is_deaf:
            self._deaf |= {writer, outer}
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pump(reader, outer))
            group.create_task(self._pump(inner, writer))

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65_536):
                if sink not in self._deaf:
                    sink.write(data)
        except OSError:
            pass
        sink.close()


class Bench:
    """A still sandbox exchange with a Binance gateway on it."""

    symbol = SYMBOL
    moves = True

    def __init__(self, **options: Any) -> None:
        self.sandbox = Sandbox(
            Options(still=True, accounts=(Opening("key", "secret"), Opening("rich", "er")), **options)
        )
        self.traders: list[Trader] = []
        self.elsewhere: dict[str, str] = {}
        """Endpoints that differ from the sandbox's own, by field."""
        self._http: aiohttp.ClientSession | None = None

    @property
    def endpoints(self) -> Endpoints:
        return replace(local(self.sandbox.port), **self.elsewhere)

    def strangers(self) -> Iterable[Trader]:
        """Gateways with keys that the venue does not take."""
        return [self.trader("key", "wrong"), self.trader("nobody", "secret")]

    @asynccontextmanager
    async def gate(self, service: str = "ws_api") -> AsyncIterator[Gate]:
        """A door before one service alone, as Endpoints names it."""
        gate = Gate(self.sandbox.port)
        self.elsewhere[service] = getattr(local(await gate.open()), service)
        try:
            yield gate
        finally:
            await gate.close()

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

    def trader(self, key: str = "key", secret: str = "secret", allow_withdraw: bool = False) -> Trader:
        """A gateway of account `key`, not yet connected."""
        account = Account(1, 1, "test", "binance", Environment.DEMO, self.endpoints)
        trader = Trader(open_gateway(account, Credentials(key, secret), allow_withdraw))
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

    async def move(self, price: str | Decimal) -> None:
        """Every resting order up to `price` fills."""
        await self._post("/sandbox/market", {"reach": {"symbol": SYMBOL, "price": str(price)}})

    async def fund(self, rate: str) -> None:
        await self._post("/sandbox/market", {"funding": {"symbol": SYMBOL, "rate": rate}})

    async def fault(self, **switches: Any) -> None:
        """Faults as POST /sandbox/faults takes them."""
        await self._post("/sandbox/faults", switches)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with Bench() as bench:
        yield bench


@pytest.fixture
async def trader(bench: Bench) -> Trader:
    return await bench.connected()


def inside(trader: Trader) -> BinanceGateway:
    assert isinstance(trader.gateway, BinanceGateway)
    return trader.gateway


class PaperBench(Bench):
    """Trading on paper at the prices of a still sandbox exchange."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = TemporaryDirectory()
        self._patience = paper.SETTLE

    def strangers(self) -> Iterable[Trader]:
        return []

    def trader(self, key: str = "key", secret: str = "secret", allow_withdraw: bool = False) -> Trader:
        """A gateway on the one account of paper there is, not yet connected."""
        account = Account(1, 1, "test", "paper", Environment.PAPER, self.endpoints)
        trader = Trader(open_gateway(account, Credentials("", ""), keep=Path(self._folder.name) / "paper"))
        self.traders.append(trader)
        return trader

    async def fund(self, rate: str) -> None:
        exchange = self.sandbox.exchange
        exchange.settled.append((SYMBOL, exchange.now(), Decimal(rate), exchange.venue.mark(SYMBOL)))

    async def __aenter__(self) -> PaperBench:
        paper.SETTLE = 0.1
        await super().__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await super().__aexit__()
        paper.SETTLE = self._patience
        self._folder.cleanup()


# --------------------------------------------------------------------------- venues for the contract


class Venue(Protocol):
    """What the contract needs of a venue: a gateway on it and, where that can be had, a market that obeys."""

    moves: bool
    """Whether `move` works; behaviours that need it are skipped elsewhere."""

    async def connected(self) -> Trader: ...

    def strangers(self) -> Iterable[Trader]:
        """Gateways with keys that the venue does not take; none where there are no keys."""

    async def move(self, price: Decimal) -> None: ...

    async def fund(self, rate: str) -> None:
        """Settle a funding, where the market moves as told."""


class Missing(Exception):
    """Why a venue cannot be tested here."""


class Testnet:
    """Binance's real testnet, with the keys of the environment; leaves orders and position as it found them: none."""

    __test__ = False
    moves = False
    KEY, SECRET, WHICH = "TRELLIS_BINANCE_KEY", "TRELLIS_BINANCE_SECRET", "TRELLIS_LIVE_SYMBOL"

    def __init__(self) -> None:
        key, secret = os.environ.get(self.KEY), os.environ.get(self.SECRET)
        if not key or not secret:
            raise Missing(f"{self.KEY} and {self.SECRET} of a testnet account are not in the environment")
        self.key, self.secret = key, secret
        self.symbol = os.environ.get(self.WHICH, SYMBOL)
        self.endpoints: Endpoints | None = None
        self.traders: list[Trader] = []

    def _trader(self, key: str, secret: str) -> Trader:
        account = Account(1, 1, "live", "binance", Environment.TESTNET, self.endpoints)
        alphabet = "0123456789abcdefghijklmnopqrstuv"
        install = "".join(secrets.choice(alphabet) for _ in range(4))
        trader = Trader(open_gateway(account, Credentials(key, secret)), self.symbol, install)
        self.traders.append(trader)
        return trader

    async def connected(self) -> Trader:
        trader = self._trader(self.key, self.secret)
        await trader.connect()
        trader.began = trader.gateway.now()
        if (await trader.gateway.position(self.symbol)).qty:
            raise Missing(f"the account has a position in {self.symbol}: the contract needs a flat one")
        return trader

    def strangers(self) -> Iterable[Trader]:
        return [self._trader(self.key, "wrong"), self._trader("nobody", "secret")]

    async def move(self, price: Decimal) -> None:
        raise NotImplementedError

    async def fund(self, rate: str) -> None:
        raise NotImplementedError

    async def __aenter__(self) -> Testnet:
        return self

    async def __aexit__(self, *_: object) -> None:
        for trader in self.traders:
            if trader.gateway.health().is_up:
                await self._clear(trader)
            await trader.gateway.close()

    async def _clear(self, trader: Trader) -> None:
        for _, order in await trader.gateway.open_orders(self.symbol):
            cid = getattr(order, "cid", None)
            if cid is not None and cid.install == trader.install:
                trader.cancel(cid)
        for stop in await trader.gateway.stops(self.symbol):
            if stop.client_id.startswith(trader.install):
                await trader.gateway.cancel_stop(self.symbol, stop.client_id)
        left = (await trader.gateway.position(self.symbol)).qty
        if left:
            trader.market_order(trader.name(99), Side.SELL if left > 0 else Side.BUY, abs(left), reduce_only=True)
        for _ in range(20):
            if not await trader.gateway.open_orders(self.symbol) and not await trader.gateway.positions():
                break
            await asyncio.sleep(0.25)


class Standin(Testnet):
    """A sandbox whose market moves by itself, met as the real testnet is: what `-m live` does is done here too."""

    def __init__(self) -> None:
        self.key, self.secret, self.symbol = "key", "secret", SYMBOL
        self.sandbox = Sandbox(Options(accounts=(Opening(self.key, self.secret),)))
        self.traders = []

    async def __aenter__(self) -> Standin:
        await self.sandbox.start()
        self.endpoints = local(self.sandbox.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await super().__aexit__()
            venue = self.sandbox.exchange.venue
            left = [*venue.open_orders(self.key), *self.sandbox.exchange.algos.open_orders(self.key)]
            assert not left, "orders were left behind"
            assert not any(row.qty for row in venue.positions(self.key)), "a position was left behind"
        finally:
            await self.sandbox.close()


VENUES: dict[str, Callable[[], AbstractAsyncContextManager[Venue]]] = {
    "binance": Bench,
    "paper": PaperBench,
    "stand-in": Standin,
}
"""Every gateway with a venue of ours: one line more and the whole contract runs for it."""
LIVE: dict[str, Callable[[], AbstractAsyncContextManager[Venue]]] = {"binance testnet": Testnet}
"""Real venues, asked only by `pytest -m live`."""
