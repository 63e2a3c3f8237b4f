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

from trading.gateways.binance import errors, orders, wire
from trading.gateways.binance.errors import Reaction
from trading.gateways.binance.events import Translator, is_settlement
from trading.gateways.binance.names import Names
from trading.gateways.binance.orders import Orders
from trading.gateways.binance.public import Public
from trading.gateways.binance.rates import Rates
from trading.gateways.binance.rest import Clock, Rest
from trading.gateways.binance.signing import signer
from trading.gateways.binance.silence import Watchman
from trading.gateways.binance.snapshot import Reader
from trading.gateways.binance.stops import Stops
from trading.gateways.binance.streams import Socket, Stream
from trading.gateways.limiter import Address, Limiter
from trading.messages import Amend, Cancel, CancelRefused, Event, Funding, Intent, Place, Snapshot
from trading.model import ZERO, MarginMode, Side, StopOrder
from trading.ports import (
    Capabilities,
    Credentials,
    Endpoints,
    Health,
    KeyMayWithdraw,
    OnEvent,
    Rejected,
    SnapshotRequest,
    TradingError,
    Withdrawals,
)

log = structlog.get_logger("binance")

OnState = Callable[[bool, str], None]
Chore = Callable[[], Coroutine[Any, Any, None]]
CAPABILITIES = Capabilities(amend=False, batch_place=0, reduce_only=True, history=90 * 86_400_000, stops=True)
"""No batches but while the order socket is down: they are slower (decision 0008)."""
GATHER = 1.0
"""How long after its event funding is read, s: the other symbols' events follow, and the list may lag."""
REVIVE = 1.0
"""Pause before everything is started anew after a fault of ours, s."""


class _Limits(Struct, frozen=True, rename="camel"):
    rate_limits: list[wire.RateLimit] = []


def _ignore(symbol: str, event: Event) -> None:
    """Nobody listens before `connect`."""


class BinanceGateway(Public):
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
        limiter, names = Limiter(address), Names()
        self._signer = signer(credentials)
        rest = Rest(endpoints.rest, self._signer, limiter, Clock())
        self._rates = Rates(rest)
        super().__init__(rest, limiter, Reader(rest, names, self._rates), endpoints)
        self._endpoints = endpoints
        self._allow_withdraw = allow_withdraw
        self._withdrawals = Withdrawals.UNKNOWN
        self._stops = Stops(self._rest, self._limiter)
        self._translator = Translator(names, self._rates.now)
        self._stale = asyncio.Event()
        """Set when the venue says that our clock is wrong."""
        self._orders = Orders(self._signer, self._limiter, self._rest, names, self._emit, self._stale.set)
        self._order_stream = Stream(
            "orders",
            self._order_address,
            self._orders.on_text,
            self._on_orders_up,
            self._on_orders_down,
            self._on_refused,
        )
        self._orders.stream = self._order_stream
        self._reader.lag = self._orders.lag
        self._orders.courier.on_trouble = self._on_rest_trouble
        self._user_stream = Stream(
            "user", self._user_address, self._on_user_text, self._on_up, self._on_user_down, self._on_refused
        )
        self._watchman = Watchman(
            self._user_stream, lambda: self._orders.accepted, self._market, self.quotes, self._user_stream.abort
        )
        self._on_event: OnEvent = _ignore
        self._on_state: OnState | None = None
        self._is_up = False
        self._why = "not connected"
        self._ban: asyncio.TimerHandle | None = None
        """Runs until a ban is over."""
        self._is_probing = False
        self._listen_key = ""
        self._settling: asyncio.TimerHandle | None = None
        """Runs until the funding that was just settled is read."""
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
        self._limiter.address.on_ban.discard(self._watch_ban)
        for timer in (self._ban, self._settling):
            if timer is not None:
                timer.cancel()
        self._market.close()
        self._orders.close()
        self._is_up, self._why = False, "closed"
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
            raise KeyMayWithdraw(
                "the API key may withdraw: take that permission away, or start with --allow-withdraw-key"
            )

    def now(self) -> int:
        """The venue's time, ms UTC, as far as the last sync told."""
        return self._clock.now()

    def health(self) -> Health:
        orders_by = "socket" if self._order_stream.is_open else "rest" if self._orders.courier.is_open else ""
        return Health(
            self._is_up,
            "" if self._is_up else self._why,
            orders_by,
            until if (until := self._limiter.address.banned_until) > self._clock.now() else 0,
            self._withdrawals,
            self._signer.kind,
        )

    async def keep_alive(self) -> None:
        """Called by the scheduler every 20 to 30 minutes: listenKey, clock, rates of fee assets."""
        try:
            kept = wire.decode(await self._rest.listen_key("PUT"), wire.ListenKey).listen_key
        except Rejected as error:
            if errors.meaning(0, error.code, "").reaction is not Reaction.RENEW:
                raise
            kept = ""
        if kept != self._listen_key:  # somebody else with this API key ended ours: nothing comes through it any more
            self._user_stream.abort()
        await self._rest.sync()
        await self._rates.refresh()

    def _start(self) -> None:
        self._limiter.address.on_ban.add(self._watch_ban)
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
                    group.create_task(self._keep_time())
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

    async def _keep_time(self) -> None:
        """Set the clock when it is wrong; orders that were refused for that wait no longer than for any answer."""
        while True:
            await self._stale.wait()
            self._stale.clear()
            try:
                async with asyncio.timeout(orders.TIMEOUT):
                    await self._rest.sync()
            except (TradingError, TimeoutError) as error:
                log.warning("clock_not_set", error=str(error) or type(error).__name__)
            self._orders.tell_untimely()

    # ------------------------------------------------------------------ streams

    async def _order_address(self) -> str:
        await self._before_opening()
        return self._endpoints.ws_api

    async def _user_address(self) -> str:
        await self._before_opening()
        self._listen_key = wire.decode(await self._rest.listen_key("POST"), wire.ListenKey).listen_key
        return f"{self._endpoints.streams.rstrip('/')}/private/ws?listenKey={self._listen_key}"

    def _on_up(self, socket: Socket) -> None:
        self._reader.fundings.doubt()
        self._set_state("reconnecting")

    def _on_user_down(self, why: str) -> None:
        self._set_state(why)

    def _on_orders_up(self, socket: Socket) -> None:
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
        if not self._is_probing:
            self._is_probing = True
            self._chores.put_nowait(self._probe)

    async def _probe(self) -> None:
        """Whether orders may go over REST while their socket is down."""
        self._is_probing = False
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
        until, now = self._limiter.address.banned_until, self._clock.now()
        if until > now and self._ban is None:
            log.error("banned", until=f"{datetime.fromtimestamp(until / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC")
            self._ban = asyncio.get_running_loop().call_later((until - now) / 1000, self._end_ban)
            self._orders.give_up()
        self._set_state(f"banned by the venue until {until}")

    def _end_ban(self) -> None:
        self._ban = None
        self._watch_ban()

    def _set_state(self, why: str) -> None:
        """Tell the change, once."""
        is_up = self._user_stream.is_open and self._orders.is_open and self._ban is None
        self._why = why
        if is_up is not self._is_up and self._on_state is not None:
            self._is_up = is_up
            self._on_state(is_up, "" if is_up else why)

    def _on_user_text(self, data: bytes) -> None:
        if wire.is_idle(data):
            return
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
        if is_settlement(frame):
            self._on_settlement()
        if self._rates.missing and self._chores.empty():
            self._chores.put_nowait(self._rates.refresh)

    def _on_settlement(self) -> None:
        """Read what was settled, once for the events of all symbols, which come together."""
        self._reader.fundings.doubt()
        if self._settling is None:
            self._settling = asyncio.get_running_loop().call_later(GATHER, self._chores.put_nowait, self._tell_funding)

    async def _tell_funding(self) -> None:
        self._settling = None
        for row in await self._reader.fundings.news(self._clock.now()):
            self._on_event(row.symbol, Funding(row.time, row.income, row.asset))

    def _emit(self, symbol: str, event: Event) -> None:
        self._on_event(symbol, event)

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
        """Only what differs is sent: beside orders of others the venue refuses even a change to what is so."""
        wanted = "ISOLATED" if mode is MarginMode.ISOLATED else "CROSSED"
        now = (await self._configurations(symbol)).get(symbol)
        if now is None or now.margin_type.upper() != wanted:
            try:
                await self._rest.change("/fapi/v1/marginType", {"symbol": symbol, "marginType": wanted})
            except Rejected as error:
                if not errors.meaning(0, error.code, "").is_done:
                    raise
        if now is None or now.leverage != leverage:
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
