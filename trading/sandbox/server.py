"""The sandbox exchange: Binance's USDⓈ-M wire protocol over the pure matching venue, on one port."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import os
import signal
from collections.abc import Mapping

from aiohttp import WSCloseCode, web

from trading.core.venue import Venue
from trading.gateways.binance import wire
from trading.model import Instrument
from trading.sandbox import admin, recording, rest, snapshot, state, streams, ticks, wsapi
from trading.sandbox.drive import Drive, Player, Stillness, Walk
from trading.sandbox.exchange import Exchange
from trading.sandbox.instruments import Listing
from trading.sandbox.market import synthetic
from trading.sandbox.options import DEFAULT_ACCOUNT, Opening, Options
from trading.sandbox.recording import Unreadable
from trading.sandbox.reel import Reel
from trading.sandbox.refusal import Refusal
from trading.sandbox.state import Foreign

__all__ = ["DEFAULT_ACCOUNT", "Foreign", "Opening", "Options", "Sandbox", "Unreadable", "serve"]

SWEEP = 0.02
"""Seconds between looks at what falls due."""
GOODBYE = 1.0
"""Seconds that open requests get at the end."""


class Sandbox:
    """A whole exchange behind one port. Raises Unreadable and Foreign for files it cannot use."""

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()
        self._tapes = self.options.tapes()
        self._holds_ticks = self._is_of_ticks()
        self._listings = self._known()
        self._market = state.market_name(self._tapes, self.options.still, self.options.rules)
        self._unlisted(self._tapes)
        saved = state.load(self.options.state, self._market) if self.options.state else None
        self.exchange = self._exchange(saved)
        self.drive = self._drive(saved)
        self._runner: web.AppRunner | None = None
        self._work: asyncio.Task[None] | None = None
        self.port = 0
        self.token = ""
        """Whoever bears it is told our pid; empty = nobody."""

    def _is_of_ticks(self) -> bool:
        """Whether trades and quotes are replayed, not candles; both at once do not go."""
        kinds = {ticks.kind_of(path) for path in self._tapes.values()}
        if len(kinds) > 1:
            raise Unreadable("a tape of candles and one of trades cannot run together")
        return kinds == {"ticks"}

    def _known(self) -> Mapping[str, Listing]:
        """What could be listed: by the snapshot, or the built-in ones."""
        options = self.options
        return snapshot.listings(options.rules, options.brackets, options.listed or tuple(self._tapes))

    def _unlisted(self, symbols: Mapping[str, object]) -> None:
        for symbol in symbols:
            if symbol not in self._listings:
                raise Unreadable(f"{symbol}: this sandbox has no such instrument, only {', '.join(self._listings)}")

    def _exchange(self, saved: state.Saved | None) -> Exchange:
        listed = [listing for symbol, listing in self._listings.items() if not self._tapes or symbol in self._tapes]
        if saved is not None:
            venue = Venue.restore(saved.venue)
        else:
            brackets = {listing.instrument.symbol: listing.brackets for listing in listed}
            venue = Venue([listing.instrument for listing in listed], brackets)
        algos = saved.algos if saved is not None else None
        exchange = Exchange(self.options, venue, frozenset(() if self._holds_ticks else self._tapes), algos)
        exchange.infos = {listing.instrument.symbol: listing.info for listing in listed if listing.info is not None}
        if saved is not None:
            for account in saved.hedged:
                venue.set_position_mode(account, True)
            exchange.amendments, exchange.margin_moves = saved.amendments, saved.margin_moves
            exchange.burning, exchange.joint = set(saved.burning), set(saved.joint)
            exchange.countdowns = {(account, symbol): due for account, symbol, due in saved.countdowns}
            exchange.settled = saved.settled
            for market in saved.venue.markets:
                exchange.tapes[market.instrument.symbol].last_id = market.trades
        else:
            # one that begins anew never gives a number again that a client may have kept from before
            venue.count_from(exchange.started)
            exchange.algos.count_from(exchange.started)
            for tape in exchange.tapes.values():
                tape.last_id = exchange.started
        exchange.open_accounts(self.options.accounts)
        return exchange

    def _drive(self, saved: state.Saved | None) -> Drive:
        exchange, options = self.exchange, self.options
        if self._tapes:
            rates = {symbol: recording.fundings(path) for symbol, path in options.fundings().items()}
            is_held = saved.is_held if saved is not None else options.hold
            passed = saved.passed if saved is not None else 0
            manner = options.speed, options.settle, is_held, passed
            if self._holds_ticks:
                moves = {symbol: ticks.ticks(path, symbol) for symbol, path in self._tapes.items()}
                return Reel(exchange, moves, rates, *manner)
            candles = {symbol: recording.candles(path) for symbol, path in self._tapes.items()}
            return Player(exchange, candles, rates, *manner)
        starts = {symbol: exchange.venue.last(symbol) or self._listings[symbol].start for symbol in exchange.rules}
        if options.still:
            return Stillness(exchange, starts)
        return Walk(exchange, synthetic(options.seed, _instruments(exchange), starts), options.seed)

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Open the port and let the market move; the port that was taken. OSError when it is not free."""
        self.drive.begin()
        self.exchange.flush()
        app = web.Application(client_max_size=1 << 20)
        app.router.add_route("*", "/{tail:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=GOODBYE, handle_signals=False)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        try:
            await site.start()
        except OSError:
            await self._runner.cleanup()
            raise
        self.port = int(self._runner.addresses[0][1])
        self._work = asyncio.create_task(self._live(), name="sandbox")
        return self.port

    async def _live(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.drive.run(), name="market")
            group.create_task(self.exchange.publisher.run(), name="streams")
            group.create_task(self._sweep(), name="sweep")

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            self.exchange.sweep()

    async def wait(self) -> None:
        """Until the market's tasks fail or `close` is called."""
        if self._work is not None:
            await asyncio.wait([self._work])
            if not self._work.cancelled() and (error := self._work.exception()) is not None:
                raise error

    async def close(self) -> None:
        """Stop the market, close the sockets, save the books."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait([self._work])
        feeds = list(self.exchange.hub.feeds)
        if feeds:
            goodbyes = [asyncio.ensure_future(feed.socket.close(code=WSCloseCode.GOING_AWAY)) for feed in feeds]
            _, late = await asyncio.wait(goodbyes, timeout=GOODBYE)
            for goodbye in late:
                goodbye.cancel()
            self.exchange.drop(feeds)
        if self._runner is not None:
            await self._runner.cleanup()
        if self.options.state is not None:
            self.save()

    def save(self) -> None:
        """Keep books and market position in the state file."""
        if self.options.state is None:
            return
        kept = state.Saved(
            state.VERSION,
            self._market,
            self.drive.passed,
            self.drive.is_held,
            self.exchange.venue.snapshot(),
            self.exchange.amendments,
            self.exchange.margin_moves,
            sorted(self.exchange.burning),
            sorted(self.exchange.joint),
            self.exchange.algos.state(),
            [(account, symbol, due) for (account, symbol), due in self.exchange.countdowns.items()],
            self.exchange.settled,
        )
        state.save(self.options.state, kept)

    def _identify(self, request: web.Request) -> web.Response:
        """Tells who bears the token which process it talks to: how the demo finds its sandbox again (decision 0004)."""
        if not self.token or not hmac.compare_digest(request.headers.get("X-Token", "").encode(), self.token.encode()):
            return web.Response(status=404)
        return web.json_response({"kind": "sandbox", "pid": os.getpid()})

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        if path == "/identity":
            return self._identify(request)
        if path.startswith("/sandbox/"):
            return await admin.answer(self.exchange, self.drive, request)
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return await rest.answer(self.exchange, request)
        try:
            if path.rstrip("/") == "/ws-fapi/v1":
                return await wsapi.serve(self.exchange, request)
            opening = streams.opening_of(path, request.query_string)
            if opening is not None:
                return await streams.serve(self.exchange, request, opening)
        except Refusal as refusal:
            body = wire.encode(wire.Fault(refusal.code, refusal.msg))
            return web.Response(body=body, status=refusal.status, content_type="application/json")
        return web.Response(status=404)


def _instruments(exchange: Exchange) -> list[Instrument]:
    return list(exchange.rules.values())


async def serve(
    options: Options, host: str = "127.0.0.1", port: int = 0, ready: asyncio.Future[int] | None = None, token: str = ""
) -> None:
    """Run a sandbox until cancelled or told to end by SIGTERM or SIGINT; `ready` is told the port."""
    sandbox = Sandbox(options)
    sandbox.token = token
    taken = await sandbox.start(host, port)
    if options.state is not None:  # one that is killed starts empty the next time, never in its own past
        options.state.unlink(missing_ok=True)
    if ready is not None:
        ready.set_result(taken)
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    with contextlib.suppress(NotImplementedError):
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, over.set)
    try:
        async with asyncio.TaskGroup() as group:
            failure = group.create_task(sandbox.wait())
            await over.wait()
            failure.cancel()
    finally:
        await sandbox.close()
