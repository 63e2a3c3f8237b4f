"""Binance USD-M futures as a Gateway: one account's streams, orders and reads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import structlog
from msgspec import Struct
from msgspec.structs import replace

from trading.gateways.binance import errors, wire
from trading.gateways.binance.errors import Reaction
from trading.gateways.binance.events import Translator
from trading.gateways.binance.market import Market
from trading.gateways.binance.names import Names
from trading.gateways.binance.orders import Orders
from trading.gateways.binance.rates import Rates
from trading.gateways.binance.rest import HANDSHAKE, Clock, Rest
from trading.gateways.binance.signing import Parameter, signer
from trading.gateways.binance.silence import Watchman
from trading.gateways.binance.snapshot import Reader, stated, working
from trading.gateways.binance.stops import Stops
from trading.gateways.binance.streams import Socket, Stream
from trading.gateways.limiter import Address, Limiter
from trading.messages import Amend, Cancel, CancelRefused, Event, Intent, Mark, Place, Quote, Snapshot
from trading.model import ZERO, Balance, Bracket, Candle, Instrument, MarginMode, Position, Side, StopOrder
from trading.ports import (
    Capabilities,
    Credentials,
    Endpoints,
    Health,
    KeyMayWithdraw,
    Rejected,
    SnapshotRequest,
    TradingError,
    Withdrawals,
)

log = structlog.get_logger("binance")

OnEvent = Callable[[str, Event], None]
OnState = Callable[[bool, str], None]
Chore = Callable[[], Coroutine[Any, Any, None]]
CAPABILITIES = Capabilities(amend=False, batch_place=0, reduce_only=True, history=90 * 86_400_000, stops=True)
REVIVE = 1.0
"""Pause before everything is started anew after a fault of ours, s."""


class _Limits(Struct, frozen=True, rename="camel"):
    rate_limits: list[wire.RateLimit] = []


def _ignore(symbol: str, event: Event) -> None:
    """Nobody listens before `connect`."""


class BinanceGateway:
    """One API key on Binance USD-M futures (ports.Gateway)."""

    capabilities = CAPABILITIES

    def __init__(
        self,
        endpoints: Endpoints,
        credentials: Credentials,
        address: Address | None = None,
        allow_withdraw: bool = False,
    ) -> None:
        """`address`: budgets shared with the other accounts behind it. Raises Broken for a secret we cannot use."""
        self._signer, self._limiter, self._clock = signer(credentials), Limiter(address), Clock()
        self._endpoints = endpoints
        self._allow_withdraw = allow_withdraw
        self._withdrawals = Withdrawals.UNKNOWN
        self._rest = Rest(endpoints.rest, self._signer, self._limiter, self._clock)
        names = Names()
        self._rates = Rates(self._rest)
        self._reader = Reader(self._rest, names, self._rates)
        self._stops = Stops(self._rest, self._limiter)
        self._translator = Translator(names, self._rates.now)
        self._market = Market(endpoints.streams, self._before_opening, self._on_refused)
        self._orders = Orders(self._signer, self._limiter, self._rest, names, self._emit, self._on_stale)
        self._order_stream = Stream(
            "orders",
            self._order_address,
            self._orders.on_text,
            self._on_orders_up,
            self._on_orders_down,
            self._on_refused,
        )
        self._orders.stream = self._order_stream
        self._orders.courier.on_trouble = self._on_rest_trouble
        self._user_stream = Stream(
            "user", self._user_address, self._on_user_text, self._on_up, self._on_user_down, self._on_refused
        )
        self._watchman = Watchman(
            self._user_stream, lambda: self._orders.accepted, self._market, self._quotes, self._user_stream.abort
        )
        self._on_event: OnEvent = _ignore
        self._on_state: OnState | None = None
        self._is_up = False
        self._why = "not connected"
        self._ban: asyncio.TimerHandle | None = None
        """Runs until a ban is over."""
        self._chores: asyncio.Queue[Chore] = asyncio.Queue()
        self._life: asyncio.Task[None] | None = None

    # ------------------------------------------------------------------ life

    async def connect(self, on_event: OnEvent, on_state: OnState) -> None:
        """Check clock, budgets and keys, then keep both account streams open; raises where the venue says no."""
        await self._rest.sync()
        await self._check_key()
        info = await self._rest.get("/fapi/v1/exchangeInfo")
        self._limiter.configure(wire.decode(info, _Limits).rate_limits)
        for balance in await self.balances():
            if balance.asset == "BNB":
                await self._rates.refresh(("BNB", "USDT"))
        self._on_event, self._on_state = on_event, on_state
        self._start()

    async def close(self) -> None:
        """Let orders rest on the venue; what was on its way is told as uncertain."""
        if self._life is not None:
            self._life.cancel()
            await asyncio.gather(self._life, return_exceptions=True)
            self._life = None
        self._market.close()
        self._orders.close()
        await self._rest.close()

    async def _check_key(self) -> None:
        """Raises KeyMayWithdraw; that the venue could not be asked is told by `health` and the log."""
        if not self._endpoints.keys:
            log.info("withdrawals_unknown", why="nowhere to ask")
            return
        try:
            reply = await self._rest.ask(f"{self._endpoints.keys}/sapi/v1/account/apiRestrictions", {})
            permissions = wire.decode(reply.body, wire.KeyPermissions)
        except TradingError as error:
            log.warning("withdrawals_unknown", why=type(error).__name__)
            return
        self._withdrawals = Withdrawals.ALLOWED if permissions.enable_withdrawals else Withdrawals.FORBIDDEN
        if permissions.enable_withdrawals and not self._allow_withdraw:
            raise KeyMayWithdraw("the API key may withdraw: take that permission away, or allow it explicitly")

    def now(self) -> int:
        """The venue's time, ms UTC, as far as the last sync told."""
        return self._clock.now()

    def health(self) -> Health:
        orders_by = "socket" if self._order_stream.is_open else "rest" if self._orders.courier.is_open else ""
        return Health(
            self._is_up,
            "" if self._is_up else self._why,
            orders_by,
            self._limiter.address.banned_until(self._clock.now()),
            self._withdrawals,
            self._signer.kind,
        )

    async def keep_alive(self) -> None:
        """Called by the scheduler every 20 to 30 minutes: listenKey, clock, rates of fee assets."""
        try:
            await self._rest.listen_key("PUT")
        except Rejected as error:
            if errors.meaning(0, error.code, "").reaction is not Reaction.RENEW:
                raise
            self._user_stream.abort()
        await self._rest.sync()
        await self._rates.refresh()

    def _start(self) -> None:
        if self._life is None:
            self._life = asyncio.create_task(self._live(), name="binance gateway")

    async def _live(self) -> None:
        """The supervised place of every task of this gateway: what dies of a fault of ours is started anew."""
        while True:
            try:
                async with asyncio.TaskGroup() as group:
                    for route in self._market.routes:
                        group.create_task(route.run())
                    group.create_task(self._work())
                    group.create_task(self._orders.courier.run())
                    group.create_task(self._watchman.run())
                    group.create_task(self._user_stream.run())
                    group.create_task(self._order_stream.run())
            except Exception:
                log.exception("gateway_broke")
                self._set_state("fault")
                self._orders.lose()
                self._orders.lose_rest()
                await asyncio.sleep(REVIVE)

    async def _work(self) -> None:
        """Small jobs that a callback may not wait for."""
        while True:
            chore = await self._chores.get()
            try:
                await chore()
            except TradingError as error:
                log.warning("chore_failed", error=str(error))

    # ------------------------------------------------------------------ streams

    async def _before_opening(self) -> None:
        await self._rest.allowed(HANDSHAKE)

    async def _order_address(self) -> str:
        await self._before_opening()
        return self._endpoints.ws_api

    async def _user_address(self) -> str:
        await self._before_opening()
        key = wire.decode(await self._rest.listen_key("POST"), wire.ListenKey).listen_key
        return f"{self._endpoints.streams.rstrip('/')}/private/ws?listenKey={key}"

    def _on_refused(self, status: int, retry_after: str, body: str) -> None:
        """A socket was refused: bans and limits are heeded wherever they are told."""
        self._rest.heed(status, wire.Fault(0, body), retry_after)
        self._watch_ban()

    def _on_up(self, socket: Socket) -> None:
        self._set_state("reconnecting")

    def _on_user_down(self, why: str) -> None:
        self._set_state(why)

    def _on_orders_up(self, socket: Socket) -> None:
        self._orders.courier.is_open = False
        self._orders.log_on()
        self._set_state("reconnecting")

    def _on_orders_down(self, why: str) -> None:
        """Orders go over REST meanwhile; whether it really works is asked at once, and at each vain reopening."""
        if self._is_up and not self._orders.courier.is_open:
            log.warning("orders_by_rest", why=why)
            self._orders.courier.is_open = True
        self._orders.lose()
        self._set_state(why)
        self._on_rest_trouble()

    def _on_rest_trouble(self) -> None:
        if self._chores.empty():
            self._chores.put_nowait(self._probe)

    async def _probe(self) -> None:
        """Whether orders may go over REST while their socket is down."""
        if self._order_stream.is_open:
            return
        try:
            await self._rest.get("/fapi/v1/ping")
        except TradingError as error:
            why = f"orders: neither socket nor REST: {error}"
            self._orders.lose_rest()
        else:
            why = "reconnecting"
            if not self._order_stream.is_open:
                self._orders.courier.is_open = True
        self._set_state(why)

    def _watch_ban(self) -> None:
        """While the venue bans us nothing is sent and the account is down; then all is well again by itself."""
        left = self._limiter.address.banned_until(self._clock.now()) - self._clock.now()
        if left > 0 and self._ban is None:
            until = datetime.fromtimestamp(self._limiter.blocked_until / 1000, UTC)
            log.error("banned", until=f"{until:%Y-%m-%d %H:%M:%S} UTC")
            self._ban = asyncio.get_running_loop().call_later(left / 1000, self._end_ban)
        self._set_state(f"banned by the venue until {self._limiter.blocked_until}")

    def _end_ban(self) -> None:
        self._ban = None
        self._watch_ban()

    def _set_state(self, why: str) -> None:
        """Tell the change, once."""
        is_up = self._user_stream.is_open and self._orders.is_open and self._ban is None
        if is_up is not self._is_up and self._on_state is not None:
            self._is_up, self._why = is_up, why
            self._on_state(is_up, "" if is_up else why)

    def _on_user_text(self, data: bytes) -> None:
        try:
            frame = wire.user_event(data)
        except wire.Malformed as error:
            log.warning("malformed_frame", error=str(error))
            return
        if frame is None:
            if b'"serverShutdown"' in data:
                self._user_stream.abort()
            return
        if isinstance(frame, wire.ListenKeyExpired):
            self._user_stream.abort()
            return
        for symbol, event in self._translator.events(frame):
            self._on_event(symbol, event)
        if self._rates.missing and self._chores.empty():
            self._chores.put_nowait(self._rates.refresh)

    def _emit(self, symbol: str, event: Event) -> None:
        self._on_event(symbol, event)

    def _on_stale(self) -> None:
        if self._chores.empty():
            self._chores.put_nowait(self._rest.sync)

    # ------------------------------------------------------------------ orders

    def send(self, intent: Intent) -> None:
        """Returns at once; the answer is an event."""
        if isinstance(intent, Place | Cancel):
            self._orders.send(intent)
        elif isinstance(intent, Amend):
            event = CancelRefused(self._clock.now(), intent.cid, 0, "amend is not supported")
            asyncio.get_running_loop().call_soon(self._emit, intent.symbol, event)

    async def snapshot(self, request: SnapshotRequest) -> Snapshot:
        """A name whose placement was under way when the reading began or ended is never called absent."""
        before = self._orders.under_way()
        snapshot = await self._reader.snapshot(request)
        under_way = before | self._orders.under_way()
        return replace(snapshot, absent=snapshot.absent - under_way) if under_way else snapshot

    async def prepare(self, symbol: str, leverage: int, mode: MarginMode) -> None:
        wanted = "ISOLATED" if mode is MarginMode.ISOLATED else "CROSSED"
        try:
            await self._rest.change("/fapi/v1/marginType", {"symbol": symbol, "marginType": wanted})
        except Rejected as error:
            if not errors.meaning(0, error.code, "").is_done:
                raise
        await self._rest.change("/fapi/v1/leverage", {"symbol": symbol, "leverage": leverage})

    async def place_stop(
        self,
        symbol: str,
        side: Side,
        trigger_price: Decimal,
        close_position: bool = True,
        client_algo_id: str = "",
        qty: Decimal = ZERO,
    ) -> StopOrder:
        """On the mark price; see ports.Gateway."""
        return await self._stops.place(symbol, side, trigger_price, client_algo_id, ZERO if close_position else qty)

    async def cancel_stop(self, symbol: str, client_algo_id: str) -> bool:
        return await self._stops.cancel(client_algo_id)

    async def stops(self, symbol: str | None = None) -> list[StopOrder]:
        return await self._stops.waiting(symbol)

    # ------------------------------------------------------------------ reads

    async def instruments(self) -> dict[str, Instrument]:
        """Symbols whose rules cannot be read are left out; the leverage limits are those of the account."""
        info = wire.exchange_info(await self._rest.get("/fapi/v1/exchangeInfo"))
        self._limiter.configure(info.rate_limits)
        found: dict[str, Instrument] = {}
        for row in info.symbols:
            try:
                found[row.symbol] = wire.instrument(row)
            except wire.Malformed as error:
                log.info("symbol_skipped", symbol=row.symbol, error=str(error))
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

    async def _quotes(self, symbol: str) -> list[wire.BookTickerRow]:
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
        rows = wire.decode(await self._rest.read("/fapi/v3/positionRisk"), list[wire.PositionRisk])
        held = [row for row in rows if row.position_amt]
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

    async def is_hedge_mode(self) -> bool:
        body = await self._rest.read("/fapi/v1/positionSide/dual", weight=30)
        return wire.decode(body, wire.PositionMode).dual_side_position

    # ------------------------------------------------------------------ market

    async def watch(self, symbol: str, on_event: OnEvent) -> None:
        """The first quote and mark are read, for quiet markets; from then on the streams speak."""
        self._market.watch(symbol, on_event)
        try:
            quote = await self.quote(symbol)
            body = await self._rest.get("/fapi/v1/premiumIndex", {"symbol": symbol})
            index = wire.one_or_many(body, wire.PremiumIndex)[0]
        except TradingError as error:
            log.info("no_first_quote", symbol=symbol, error=str(error))
            return
        if not self._market.is_heard(symbol):
            on_event(symbol, quote)
            on_event(symbol, Mark(index.time or self._clock.now(), index.mark_price))

    async def unwatch(self, symbol: str, on_event: OnEvent) -> None:
        self._market.unwatch(symbol, on_event)
