"""A start of many orders: one by one over the WebSocket API against five at a time over REST, on one sandbox.

    python -m benchmarks.placement --orders 100 --latency 0 20 --repeat 5

The sandbox is a process of its own; `--latency` is added to every byte each way, ms, since a venue is far away.
Measured is from the first `send` to the last Accepted.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import statistics
import subprocess
import sys
import time
from decimal import Decimal

import structlog

from trading.gateways.binance.gateway import BinanceGateway
from trading.gateways.catalog import local
from trading.messages import Accepted, Event, Place, Refused, Uncertain
from trading.model import ClientOrderId, OrderType, Side, TimeInForce
from trading.ports import Credentials, Endpoints
from trading.sandbox.options import Opening, Options
from trading.sandbox.server import serve

SYMBOL = "BTCUSDT"


class Distance:
    """A door before a port that lets everything through late."""

    def __init__(self, port: int, late: float) -> None:
        self._port = port
        self._late = late

    async def open(self) -> int:
        self.server = await asyncio.start_server(self._pass, "127.0.0.1", 0)
        return int(self.server.sockets[0].getsockname()[1])

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_connection("127.0.0.1", self._port)
        await asyncio.gather(self._pump(reader, outer), self._pump(inner, writer), return_exceptions=True)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(1 << 16):
            asyncio.get_running_loop().call_later(self._late, sink.write, data)
        asyncio.get_running_loop().call_later(self._late, sink.close)


class Client:
    """One account whose orders are counted."""

    def __init__(self, endpoints: Endpoints, key: str) -> None:
        self.gateway = BinanceGateway(endpoints, Credentials(key, "secret"))
        self.left = 0
        self.done = asyncio.Event()
        self.up = asyncio.Event()

    def hear(self, symbol: str, event: Event) -> None:
        if isinstance(event, Refused | Uncertain):
            raise SystemExit(f"an order was not taken: {event}")
        if isinstance(event, Accepted) and event.cid in self.waiting:
            self.waiting.discard(event.cid)
            if not self.waiting:
                self.done.set()

    async def start(self, orders: int, bot: int, by_rest: bool) -> float:
        """Seconds until `orders` placements are accepted."""
        names = [ClientOrderId("ab12", bot, slot, 0) for slot in range(orders)]
        self.waiting = set(names)
        self.done.clear()
        courier = self.gateway._orders.courier
        began = time.perf_counter()
        for slot, cid in enumerate(names):
            price = Decimal(64_000 - slot)
            place = Place(SYMBOL, cid, Side.BUY, OrderType.LIMIT, TimeInForce.GTX, price, Decimal("0.002"))
            if by_rest:
                courier.take(place)
            else:
                self.gateway.send(place)
        await self.done.wait()
        return time.perf_counter() - began


async def measure(given: argparse.Namespace, port: int, late: float) -> None:
    distance = Distance(port, late / 1000)
    endpoints = local(await distance.open() if late else port)
    times: dict[bool, list[float]] = {False: [], True: []}
    for turn in range(given.repeat):
        for by_rest in (bool(turn % 2), not turn % 2):
            client = Client(endpoints, f"k{int(late)}-{turn}-{int(by_rest)}")
            await client.gateway.connect(client.hear, lambda up, why, c=client: up and c.up.set())  # type: ignore[misc]
            await client.up.wait()
            while client.gateway.health().orders_by != "socket":
                await asyncio.sleep(0.01)
            await client.start(5, 1, by_rest)  # warm
            times[by_rest].append(await client.start(given.orders, 2, by_rest))
            await client.gateway.close()
    if late:
        distance.server.close()
    for by_rest, taken in times.items():
        way = "REST, 5 at a time" if by_rest else "socket, one by one"
        print(f"{2 * late:6.0f} ms  {way:20}{statistics.median(taken) * 1000:9.1f} ms (best {min(taken) * 1000:.1f})")


async def run(given: argparse.Namespace) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.placement", "--serve"], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    try:
        port = int(await asyncio.to_thread(child.stdout.readline))
        print(f"{given.orders} orders; round trip, way, median of {given.repeat} until all are accepted")
        for late in given.latency:
            await measure(given, port, late)
    finally:
        child.terminate()
        await asyncio.to_thread(child.wait, 20)


async def sandbox() -> None:
    keys = [f"k{late}-{turn}-{way}" for late in range(201) for turn in range(20) for way in (0, 1)]
    accounts = tuple(Opening(key, "secret", Decimal(100_000)) for key in keys)
    ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    ready.add_done_callback(lambda port: print(port.result(), flush=True))
    await serve(Options(accounts=accounts, still=True, limits=False), ready=ready)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=100)
    parser.add_argument("--latency", type=float, nargs="+", default=[0, 20], help="ms one way")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    asyncio.run(sandbox() if given.serve else run(given))


if __name__ == "__main__":
    main()
