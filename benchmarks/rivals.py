"""Who answers fills in `answer.py`, one process each: nothing, a bare client, ccxt.pro, and our service.

All of them rest orders on a sandbox and answer every fill with an order on the other side. The first three are told
two prices and go back and forth between them; `service` is the desk with gateway, engine and journal as shipped.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import cProfile
import hashlib
import hmac
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from msgspec import Struct
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.service import OWNER, SECRET, working
from service import logs
from service.wiring import now
from trading.live.desk import Desk

SYMBOL = "BTCUSDT"
QTY = "0.010"


class Pair(Struct, frozen=True, array_like=True):
    """An order that goes back and forth between two prices."""

    low: str
    """Where it buys."""
    high: str
    symbol: str = SYMBOL
    qty: str = QTY

    def price(self, side: str) -> str:
        return self.low if side == "BUY" else self.high


class Task(Struct, frozen=True):
    """What a client is started with."""

    name: str
    """Its kind and its account's key; a number may follow."""
    port: int
    pairs: tuple[Pair, ...]
    """One, but for the bare client, which may have any number."""
    grids: int = 0
    profile: str = ""

    @property
    def rest(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def socket(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def pair(self) -> Pair:
        return self.pairs[0]


OTHER = {"BUY": "SELL", "SELL": "BUY"}


# --------------------------------------------------------------------------- the bare client


class Update(Struct):
    """What a bare client must know of an order update."""

    x: str = msgspec.field(name="X")
    side: str = msgspec.field(name="S")
    client_id: str = msgspec.field(name="c")


class UserEvent(Struct):
    """A frame of the user stream, as little of it as possible."""

    e: str
    o: Update | None = None


def order(task: Task, number: int, side: str, which: int = 0, window: int = 5000) -> bytes:
    """A signed post-only `order.place` of one pair: parameters sorted, joined, HMAC-SHA256."""
    pair = task.pairs[which]
    params: dict[str, Any] = {
        "apiKey": task.name,
        "newClientOrderId": f"{task.name}-{which}-{number}",
        "price": pair.price(side),
        "quantity": pair.qty,
        "recvWindow": window,
        "side": side,
        "symbol": pair.symbol,
        "timeInForce": "GTX",
        "timestamp": now(),
        "type": "LIMIT",
    }
    text = "&".join(f"{name}={value}" for name, value in params.items())
    params["signature"] = hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
    return msgspec.json.encode({"id": str(number), "method": "order.place", "params": params})


async def listen_key(task: Task) -> str:
    async with (
        aiohttp.ClientSession(headers={"X-MBX-APIKEY": task.name}) as http,
        http.post(f"{task.rest}/fapi/v1/listenKey") as answer,
    ):
        return str((await answer.json())["listenKey"])


async def drain(socket: ClientConnection) -> None:
    """Read and decode what comes, as every client must."""
    async for data in socket:
        msgspec.json.decode(data)


async def bare(task: Task) -> None:
    """`websockets`, msgspec and HMAC: a reaction written into the loop, no ledger, no state, no second thoughts."""
    key = await listen_key(task)
    decode = msgspec.json.Decoder(UserEvent).decode
    tickers = "/".join(sorted({f"{pair.symbol.lower()}@bookTicker" for pair in task.pairs}))
    async with (
        connect(f"{task.socket}/ws-fapi/v1", compression=None, proxy=None) as orders,
        connect(f"{task.socket}/private/ws?listenKey={key}", compression=None, proxy=None) as user,
        connect(f"{task.socket}/public/ws/{tickers}", compression=None, proxy=None) as quotes,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(drain(orders))
        group.create_task(drain(quotes))
        for which in range(len(task.pairs)):
            await orders.send(order(task, 0, "BUY", which), text=True)
        number = 0
        while True:
            event = decode(await user.recv(decode=False))
            if event.e == "ORDER_TRADE_UPDATE" and event.o is not None and event.o.x == "FILLED":
                number += 1
                which = int(event.o.client_id.split("-")[1])
                await orders.send(order(task, number, OTHER[event.o.side], which), text=True)


# --------------------------------------------------------------------------- nothing: what transport and venue cost


class Reflex(ClientConnection):
    """A connection whose reader looks for six bytes and sends what was signed beforehand."""

    on_frame: Callable[[bytes], None] = staticmethod(lambda data: None)

    def process_event(self, event: Any) -> None:
        if hasattr(event, "opcode") and event.opcode <= 2:
            self.on_frame(event.data)
            return
        super().process_event(event)


async def floor(task: Task) -> None:
    """No decoding, no signing, no thinking: what is left is loopback, socket code and the venue."""
    key = await listen_key(task)
    url = f"{task.socket}/private/ws?listenKey={key}"
    async with (
        connect(f"{task.socket}/ws-fapi/v1", compression=None, proxy=None) as orders,
        connect(url, compression=None, proxy=None, create_connection=Reflex) as user,
    ):
        number, side = 1, "BUY"
        await orders.send(order(task, number, side), text=True)
        ready = b""

        def prepare() -> None:
            nonlocal number, side, ready
            number += 1
            side = OTHER[side]
            ready = order(task, number, side, window=60_000)

        def react(data: bytes) -> None:
            if b'"FILLED"' in data and b"ORDER_TRADE" in data:
                orders.protocol.send_text(ready)
                orders.send_data()
                asyncio.get_running_loop().call_soon(prepare)

        prepare()
        assert isinstance(user, Reflex)
        user.on_frame = react
        await drain(orders)


# --------------------------------------------------------------------------- ccxt.pro


async def ccxt_pro(task: Task) -> None:
    """ccxt.pro as its manual uses it: watch_orders, then create_order_ws."""
    import ccxt.pro

    exchange = ccxt.pro.binanceusdm(
        {
            "apiKey": task.name,
            "secret": SECRET,
            "enableRateLimit": False,  # its throttle would add a quarter of a second to every answer
            "options": {"fetchCurrencies": False, "fetchMargins": False},
        }
    )
    urls = exchange.urls["api"]
    for version in ("", "V2", "V3"):
        path = f"{task.rest}/fapi/{version.lower() or 'v1'}"
        urls[f"fapiPublic{version}"] = urls[f"fapiPrivate{version}"] = path
    urls["ws"]["linear"] = task.socket + "/ws"
    urls["ws"]["ws-api"]["linear"] = task.socket + "/ws-fapi/v1"
    symbol, done = "BTC/USDT:USDT", set()
    try:
        await exchange.load_markets()
        watching = asyncio.ensure_future(exchange.watch_orders(symbol))
        await asyncio.sleep(1)
        await exchange.create_order_ws(symbol, "limit", "buy", float(QTY), float(task.pair.low), {"postOnly": True})
        while True:
            for each in await watching:
                if each["status"] == "closed" and each["id"] not in done:
                    done.add(each["id"])
                    side = OTHER[each["side"].upper()]
                    await exchange.create_order_ws(
                        symbol, "limit", side.lower(), float(QTY), float(task.pair.price(side)), {"postOnly": True}
                    )
            watching = asyncio.ensure_future(exchange.watch_orders(symbol))
    finally:
        await exchange.close()


# --------------------------------------------------------------------------- our service


async def service(task: Task) -> None:
    """Desk, gateway, engine and a journal that commits on SQLite; only the chat is missing."""
    with tempfile.TemporaryDirectory() as folder:
        logs.set_up(Path(folder) / "log", "info")
        async with working(f"sqlite:///{folder}/benchmark.db", task.port, [task.name]) as work:
            await trade(task, work.desk, work.accounts[task.name])


async def trade(task: Task, desk: Desk, account: int) -> None:
    """One neutral grid; profiled from when it runs, if asked."""
    while not desk.health()[0].ok:
        await asyncio.sleep(0.05)
    raw = {"symbol": SYMBOL, "direction": "NEUTRAL", "lower": "60000", "upper": "70000", "grids": str(task.grids)}
    bot = await desk.create(OWNER, account, raw | {"investment": str(500 * task.grids), "leverage": "5"}, "once")
    await desk.start(bot, OWNER)
    profile = cProfile.Profile() if task.profile else None
    if profile is not None:
        profile.enable()
    try:
        await asyncio.Event().wait()
    finally:
        if profile is not None:
            profile.disable()
            profile.dump_stats(task.profile)


RIVALS: dict[str, Callable[[Task], Awaitable[None]]] = {
    "service": service,
    "bare": bare,
    "ccxt": ccxt_pro,
    "floor": floor,
}


async def until_told(tasks: Sequence[Task]) -> None:
    """The client until SIGTERM, with one account or several."""
    work = asyncio.gather(*(RIVALS[task.name.rstrip("0123456789")](task) for task in tasks))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await work


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", help="JSON, as answer.py and room.py write it")
    parser.add_argument("--loop", choices=("uvloop", "asyncio"), default="uvloop")
    given = parser.parse_args()
    factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    if given.loop == "uvloop" and sys.platform != "win32":
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(until_told(msgspec.json.decode(given.tasks, type=list[Task])))


if __name__ == "__main__":
    main()
