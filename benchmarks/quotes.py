"""Market data: frames decoded a second, by themselves and through a loopback socket, beside plainer ways.

    python -m benchmarks.quotes --data ../shared/data/ticks --json quotes.json

Without `--data` frames as the sandbox makes them are used. Every way must find the same number of quotes and trades,
and the same last bid, else nothing is reported.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import multiprocessing
import time
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal as D
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec
from websockets.asyncio.client import connect
from websockets.frames import Frame, Opcode

from benchmarks import calibration
from benchmarks.room import told
from service.wiring import spin
from trading.gateways.binance import wire
from trading.gateways.binance.market import Market
from trading.messages import Event, Quote

SYMBOL = "BTCUSDT"
FIRST = b'{"method"'
"""How a client's subscription begins."""
ENOUGH = 200_000
"""Frames through the socket."""


# --------------------------------------------------------------------------- frames


def recorded(folder: Path, most: int) -> list[bytes]:
    """The events of the recorded raw streams, unwrapped as on an unwrapped socket."""
    frames: list[bytes] = []
    for file in sorted(folder.glob(f"binance-um_{SYMBOL}_raw_*.jsonl.gz")):
        with gzip.open(file) as lines:
            for line in lines:
                wrapped = msgspec.json.decode(line.partition(b" ")[2], type=dict[str, msgspec.Raw])
                if "data" in wrapped:
                    frames.append(bytes(wrapped["data"]))
    if not frames:
        raise SystemExit(f"{folder}: no binance-um_{SYMBOL}_raw_*.jsonl.gz")
    return frames[:most]


def made(most: int) -> list[bytes]:
    """Quotes with a trade after every second one."""
    frames = []
    for number in range(most):
        bid = D(65_000) + D(number % 997) / 10
        shared = {"event_time": 1_790_000_000_000 + number, "time": 1_790_000_000_000 + number, "symbol": SYMBOL}
        if number % 3 == 2:
            trade = wire.TradeTick(**shared, id=number, price=bid, qty=D("0.012"), buyer_maker=True)  # type: ignore[arg-type]
            frames.append(wire.encode(trade))
        else:
            ask = bid + D("0.1")
            quote = wire.BookTicker(
                **shared,
                update_id=number,
                bid=bid,
                bid_qty=D("3.868"),
                ask=ask,
                ask_qty=D("6.887"),  # type: ignore[arg-type]
            )
            frames.append(wire.encode(quote))
    return frames


class Seen(msgspec.Struct, frozen=True):
    """What a way of reading found: the same for all of them."""

    quotes: int
    bid: str


def expected(frames: Iterable[bytes]) -> Seen:
    quotes = [event for event in map(json.loads, frames) if event["e"] == "bookTicker"]
    return Seen(len(quotes), str(D(quotes[-1]["b"])))


# --------------------------------------------------------------------------- decoding alone


def decoders() -> dict[str, Callable[[Sequence[bytes]], Seen | None]]:
    """Ways to read all frames; those that give nothing to compare return None."""
    plain, market = msgspec.json.Decoder().decode, wire.market_event

    def ours(frames: Sequence[bytes]) -> Seen:
        quotes, bid = 0, D(0)
        for frame in frames:
            event = market(frame)
            if isinstance(event, wire.BookTicker):
                quotes, bid = quotes + 1, event.bid
        return Seen(quotes, str(bid))

    def by(decode: Callable[[bytes], Any]) -> Callable[[Sequence[bytes]], None]:
        def each(frames: Sequence[bytes]) -> None:
            for frame in frames:
                decode(frame)

        return each

    return {"ours: wire.market_event": ours, "msgspec, plain": by(plain), "json.loads": by(json.loads)}


def alone(frames: Sequence[bytes], truth: Seen) -> dict[str, float]:
    """Frames a second of each way, the best of several rounds, in turns."""
    best = dict.fromkeys(decoders(), float("inf"))
    for _ in range(7):
        for name, read in decoders().items():
            began = time.perf_counter()
            seen = read(frames)
            best[name] = min(best[name], time.perf_counter() - began)
            if seen is not None and seen != truth:
                raise SystemExit(f"{name} saw {seen}, not {truth}")
    return {name: len(frames) / seconds for name, seconds in best.items()}


def by_kind(frames: Sequence[bytes]) -> dict[str, dict[str, float]]:
    """The same for each kind of event; `share` is its part of all frames."""
    kinds: dict[str, list[bytes]] = {}
    for frame in frames:
        kinds.setdefault(msgspec.json.decode(frame, type=wire._Named).e or "", []).append(frame)
    found = {}
    for kind, own in sorted(kinds.items()):
        truth = expected(own) if kind == "bookTicker" else Seen(0, "0")
        found[kind] = alone(own, truth) | {"share": len(own) / len(frames)}
    return found


# --------------------------------------------------------------------------- through a socket


def pour(frames: list[bytes], pipe: Connection) -> None:
    """A process that accepts WebSockets and writes all frames to whoever subscribes, as fast as they are taken."""

    async def main() -> None:
        stream = b"".join(Frame(Opcode.TEXT, frame).serialize(mask=False) for frame in frames)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(_accepted(head))
                if b"/market/" not in head:  # the mark prices' connection stays silent
                    await reader.read(1 << 16)
                    for start in range(0, len(stream), 1 << 18):
                        writer.write(stream[start : start + (1 << 18)])
                        await writer.drain()
                await reader.read()
            except (ConnectionError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await asyncio.Event().wait()

    asyncio.run(main())


def _accepted(head: bytes) -> bytes:
    """The answer to an opening handshake."""
    from websockets.utils import accept_key

    key = next(
        line.split(b":")[1].strip() for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key")
    )
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
        + accept_key(key.decode()).encode()
        + b"\r\n\r\n"
    )


async def gateway(port: int, truth: Seen) -> float:
    """Seconds until the gateway's market side has told every quote to who watches."""
    market = Market(f"ws://127.0.0.1:{port}")
    done, began, quotes = asyncio.Event(), 0.0, 0

    def hear(symbol: str, event: Event) -> None:
        nonlocal began, quotes
        if not isinstance(event, Quote):
            return
        began = began or time.perf_counter()
        quotes += 1
        if quotes == truth.quotes:
            if str(event.bid) != truth.bid:
                raise SystemExit(f"the last bid is {event.bid}, not {truth.bid}")
            done.set()

    market.watch(SYMBOL, hear)
    tasks = [asyncio.create_task(route.run()) for route in market.routes]
    async with asyncio.timeout(120):
        await done.wait()
    took = time.perf_counter() - began
    market.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return took


async def library(port: int, frames: int, decode: Callable[[bytes], Any]) -> float:
    """The same with `websockets` as its manual uses it."""
    address = f"ws://127.0.0.1:{port}/public/ws"
    async with connect(address, compression=None, proxy=None, ping_interval=None, max_size=None) as socket:
        await socket.send(FIRST + b':"SUBSCRIBE"}', text=True)
        decode(await socket.recv(decode=False))
        began = time.perf_counter()
        for _ in range(frames - 1):
            decode(await socket.recv(decode=False))
        return time.perf_counter() - began


def through(frames: list[bytes], truth: Seen, times: int) -> dict[str, float]:
    """Frames a second over loopback from another process, the best of several rounds, in turns."""
    context = multiprocessing.get_context("spawn")
    ear, mouth = context.Pipe()
    process = context.Process(target=pour, args=(frames, mouth), daemon=True)
    process.start()
    port = int(ear.recv())
    plain = msgspec.json.Decoder().decode
    best = dict.fromkeys(
        ("ours: gateway to quote", "websockets, msgspec plain", "websockets, json.loads"), float("inf")
    )
    try:
        for _ in range(times):
            taken = [spin(gateway(port, truth))]
            taken += [spin(library(port, len(frames), decode)) for decode in (plain, json.loads)]
            best = {name: min(least, took) for (name, least), took in zip(best.items(), taken, strict=True)}
    finally:
        process.terminate()
        process.join(10)
    return {name: len(frames) / seconds for name, seconds in best.items()}


# --------------------------------------------------------------------------- telling


def show(title: str, rates: dict[str, float], step: float) -> None:
    print(f"\n{title:28}{'a second':>12}{'ns':>8}{'steps':>7}{'× ours':>8}")
    ours = next(iter(rates.values()))
    for name, rate in rates.items():
        print(f"{name:28}{rate:12,.0f}{1e9 / rate:8.0f}{1e9 / rate / step:7.1f}{rate / ours:8.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with binance-um_BTCUSDT_raw_*.jsonl.gz")
    parser.add_argument("--frames", type=int, default=ENOUGH)
    parser.add_argument("--repeat", type=int, default=5, help="rounds over the socket")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    frames = made(given.frames) if given.data is None else recorded(given.data, given.frames)
    truth = expected(frames)
    print(f"{len(frames)} frames, {truth.quotes} of them quotes, {sum(map(len, frames)) // len(frames)} bytes each")
    step = calibration.nanoseconds()
    alone_, through_ = alone(frames, truth), through(frames, truth, given.repeat)
    show("decoded alone", alone_, step)
    kinds = by_kind(frames)
    for kind, rates in kinds.items():
        share = rates.pop("share")
        show(f"{kind}, {share:.0%} of them", rates, step)
    show("through a loopback socket", through_, step)
    told(
        {"frames": len(frames), "quotes": truth.quotes, "alone": alone_, "kinds": kinds, "socket": through_}, given.json
    )


if __name__ == "__main__":
    main()
