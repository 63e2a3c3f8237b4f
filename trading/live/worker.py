"""One exchange account at work: its gateway and its sessions, the unit of scale."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog

from trading.live import audit
from trading.live.session import Session
from trading.messages import (
    Disconnected,
    Event,
    Foreign,
    Funding,
    Mark,
    Notice,
    NoticeKind,
    Quote,
    Reason,
    Refused,
    Tick,
)
from trading.ports import Account, Gateway, Journal, TradingError

log = structlog.get_logger("worker")

Open = Callable[[Account], Awaitable[Gateway]]
SILENT = 10_000
"""A quote older than this, ms, is asked for at the next audit."""
SAY_AFTER = 5_000
"""A connection that is back within this time, ms, was not worth a message."""


class Worker:
    """Connects one account and keeps it connected; routes each event to the bot that its order name tells."""

    def __init__(
        self,
        account: Account,
        install: str,
        open_gateway: Open,
        journal: Journal,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        clock: Callable[[], int],
    ) -> None:
        self.account = account
        self.install = install
        self.journal = journal
        self.spawn = spawn
        self.clock = clock
        self.gateway: Gateway | None = None
        self.sessions: dict[int, Session] = {}
        self._on: dict[str, tuple[Session, ...]] = {}
        """The same by symbol: with fifty bots on an account every price would else be shown to all of them."""
        self.quotes: dict[str, Quote] = {}
        self.is_up = False
        self.why = "connecting"
        self.ready = asyncio.Event()
        """Set once the account was reached for the first time."""
        self.on_rule_broken: Callable[[], None] = lambda: None
        """Called when the venue refuses an order by one of its rules, or because the symbol trades no longer."""
        self._open = open_gateway
        self._down_since: int | None = clock()
        self._was_told = False
        self._is_auditing = False
        self._is_cold = True
        self._watched: set[str] = set()

    def now(self) -> int:
        """The venue's time where the gateway knows it: every wait and every reading is measured by that."""
        return self.gateway.now() if self.gateway is not None else self.clock()

    # ------------------------------------------------------------------ connection

    async def run(self) -> None:
        """Connect, keep trying, then tick every second until cancelled."""
        wait = 0.5
        while not await self._connected():
            await self._say_down()
            await asyncio.sleep(wait)
            wait = min(wait * 2, 30)
        while True:
            await asyncio.sleep(1)
            await self._say_down()
            now = self.now()
            for session in list(self.sessions.values()):
                session.feed(Tick(now))

    async def _connected(self) -> bool:
        try:
            if self.gateway is None:
                self.gateway = await self._open(self.account)
            await self.gateway.connect(self._on_event, self._on_state)
        except (TradingError, OSError) as error:
            self.why = str(error)
            log.warning("connect_failed", account=self.account.name, error=str(error))
            return False
        except Exception as error:  # the supervising place of an account: a fault of ours must not end its bots
            self.why = type(error).__name__
            log.exception("connect_broke", account=self.account.name)
            return False
        return True

    async def close(self) -> None:
        if self.gateway is not None:
            await self.gateway.close()

    def _on_state(self, up: bool, why: str) -> None:
        if up and not self.is_up:
            self.is_up, self.why = True, ""
            self.spawn(self._recover())
        elif not up and self.is_up:
            self.is_up, self.why = False, why
            self._down_since = self.clock()
            log.warning("account_down", account=self.account.name, why=why)
            for session in list(self.sessions.values()):
                session.feed(Disconnected(self.now()))

    async def _recover(self) -> None:
        """After every connect: reconcile each bot, then say what was found."""
        since, cold = self._down_since or self.clock(), self._is_cold
        self._is_cold = False
        self.ready.set()
        sessions = list(self.sessions.values())
        before = sum(session.engine.ledger.books.fills for session in sessions)
        await asyncio.gather(*(self._watch(session.engine.instrument.symbol) for session in sessions))
        await audit.read(sessions)
        if not self.is_up:
            return
        told, self._was_told, self._down_since = self._was_told, False, None
        if sessions and (cold or told):
            fills = sum(session.engine.ledger.books.fills for session in sessions) - before
            orders = sum(len(session.engine.orders) for session in sessions)
            await self._tell(
                NoticeKind.RECOVERED,
                bots=len(sessions),
                orders=orders,
                fills=fills,
                seconds=(self.clock() - since) // 1000,
            )

    async def _say_down(self) -> None:
        late = self._down_since is not None and self.clock() - self._down_since > SAY_AFTER
        if not self.is_up and late and not self._was_told and self.sessions:
            self._was_told = True
            await self._tell(NoticeKind.DISCONNECTED, why=self.why)

    async def _tell(self, kind: NoticeKind, **values: object) -> None:
        now = self.clock()
        texts = {name: str(value) for name, value in values.items()}
        texts |= {"account": self.account.name, "badge": self.account.environment.badge}
        await self.journal.tell(self.account, [Notice(0, kind, f"{self.account.id}:{now}", now, texts)])

    # ------------------------------------------------------------------ routing

    def _on_event(self, symbol: str, event: Event) -> None:
        if isinstance(event, Foreign | Funding):
            for session in self._on.get(symbol, ()):
                session.feed(event)
            return
        cid = getattr(event, "cid", None)
        if cid is None or cid.install != self.install:
            return
        if isinstance(event, Refused) and event.reason in (Reason.FILTER, Reason.NOT_ALLOWED):
            self.on_rule_broken()
        owner = self.sessions.get(cid.bot)
        if owner is not None:
            owner.feed(event)

    def _on_market(self, symbol: str, event: Event) -> None:
        if isinstance(event, Quote):
            self.quotes[symbol] = event
        elif not isinstance(event, Mark):
            return
        for session in self._on.get(symbol, ()):
            session.feed(event)

    # ------------------------------------------------------------------ bots

    async def add(self, session: Session) -> None:
        """Take a session in; it is reconciled at once where the account is connected, else on connect."""
        symbol = session.engine.instrument.symbol
        self.sessions[session.bot] = session
        self._on[symbol] = (*(each for each in self._on.get(symbol, ()) if each.bot != session.bot), session)
        if self.is_up:
            await self._watch(symbol)

    def drop(self, bot: int) -> None:
        """Let a session go: its bot is over."""
        session = self.sessions.pop(bot, None)
        if session is None:
            return
        symbol = session.engine.instrument.symbol
        left = tuple(each for each in self._on.pop(symbol, ()) if each.bot != bot)
        if left:
            self._on[symbol] = left
        elif symbol in self._watched:
            self._watched.discard(symbol)
            self.spawn(self._unwatch(symbol))

    async def _watch(self, symbol: str) -> None:
        if symbol not in self._watched and self.gateway is not None:
            self._watched.add(symbol)
            await self.gateway.watch(symbol, self._on_market)

    async def _unwatch(self, symbol: str) -> None:
        self.quotes.pop(symbol, None)  # from here on it would only grow old
        if self.gateway is not None:
            await self.gateway.unwatch(symbol, self._on_market)

    async def audit(self) -> None:
        """Look at every bot (scheduler, each minute); one look that is still under way is enough."""
        if not self.is_up or self._is_auditing:
            return
        assert self.gateway is not None
        self._is_auditing = True
        try:
            await self._requote()
            await audit.audit(self.gateway, list(self.sessions.values()))
        except TradingError as error:
            log.info("audit_failed", account=self.account.name, error=str(error))
        finally:
            self._is_auditing = False

    async def _requote(self) -> None:
        """Read the touch where the stream was silent: what moved while it was down nobody says again."""
        assert self.gateway is not None
        now = self.gateway.now()
        known = {symbol: self.quotes.get(symbol) for symbol in self._watched}
        silent = [symbol for symbol, quote in known.items() if quote is None or now - quote.time >= SILENT]
        if not silent:
            return
        try:
            found = await self.gateway.touches(silent)
        except TradingError as error:
            log.info("no_quotes", symbols=silent[:10], error=str(error))
            return
        for symbol in silent:
            if symbol in found and self.quotes.get(symbol) is known[symbol]:
                self._on_market(symbol, found[symbol])
