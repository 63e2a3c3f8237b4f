"""The exchange itself: the matching venue with everything Binance keeps around it, without any socket."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable
from decimal import Decimal

import msgspec
from msgspec import Struct

from trading.core import records
from trading.core.algo import AlgoBook, AlgoState, Told
from trading.core.liquidation import PREFIX
from trading.core.venue import Venue
from trading.gateways.binance import wire
from trading.model import Instrument
from trading.sandbox import events
from trading.sandbox.alarm import Alarm
from trading.sandbox.auth import secret_of
from trading.sandbox.faults import Faults
from trading.sandbox.feeds import Feed, Hub
from trading.sandbox.listenkeys import ListenKeys
from trading.sandbox.options import Opening, Options
from trading.sandbox.publisher import Publisher
from trading.sandbox.quota import Quota
from trading.sandbox.shapes import forced_order, short
from trading.sandbox.tape import Print, Tape

FUNDING_PERIOD = 8 * 60 * 60_000
ALARM_PERIOD = 100
"""ms between looks at one account after the other, whether it is in danger."""
LATE = 0.002
"""Seconds that events of a request may come after its answer."""


class Caller(Struct, frozen=True):
    """Who asks: an account's key ("" for public requests) and the address it comes from."""

    account: str
    address: str


class Exchange:
    """Accounts, markets, streams and limits. Everything here happens in one step of the event loop."""

    def __init__(
        self, options: Options, venue: Venue, replayed: frozenset[str] = frozenset(), algos: AlgoState | None = None
    ) -> None:
        """`replayed`: symbols whose candles come from a recording."""
        self.options = options
        self.venue = venue
        self.algos = AlgoBook(venue, algos)
        self.replayed = replayed
        self.rules: dict[str, Instrument] = venue.instruments
        self.secrets = {opening.key: opening.secret for opening in options.accounts}
        self.quota = Quota(options.limits)
        self.faults = Faults()
        self.hub = Hub(options.strict_routes)
        self.listen_keys = ListenKeys()
        self.tapes = {symbol: Tape(rules) for symbol, rules in self.rules.items()}
        self.publisher = Publisher(venue, self.rules, self.tapes, self.hub, self.now, self.funding)
        self.joint: set[str] = set()
        """Accounts in multi-assets mode. USDT is the only collateral here, so no sum differs."""
        self.countdowns: dict[tuple[str, str], int] = {}
        """When all orders of (account, symbol) are cancelled, ms."""
        self.rates: dict[str, Decimal] = {}
        """The coming funding rate per symbol, where a funding file runs."""
        self.settled: list[tuple[str, int, Decimal, Decimal]] = []
        """Settled fundings: symbol, tape time, rate, mark; oldest first."""
        self.amendments: list[wire.Amendment] = []
        """Oldest first, of all accounts; order ids are unique."""
        self.margin_moves: list[tuple[str, wire.MarginChange]] = []
        """By account, oldest first."""
        self.infos: dict[str, wire.SymbolInfo] = {}
        """What the real exchange published of a symbol, told as it was."""
        self.burning: set[str] = set()
        """Accounts that would pay fees in BNB, had they any."""
        self.started = self.now()
        self.acted = 0.0
        """Loop time of the last signed request that is no GET."""
        self.filled = 0.0
        """Loop time of the last fill; 0 = none at this point of the tape."""
        self.chance = random.Random(options.seed)
        self.heard: set[str] = set()
        """What was asked for and told since the start: endpoints, methods, streams and events by name."""
        self._cached: dict[str, bytes] = {}
        self._untold: list[events.Frame] = []
        self.alarm = Alarm(venue)
        self._alarmed = 0

    # ---- time and identity

    def now(self) -> int:
        """The server's time: the wall clock, plus skew where a fault asks for it."""
        return time.time_ns() // 1_000_000 + self.faults.skew

    def open_accounts(self, openings: Iterable[Opening]) -> None:
        """Open those that are not open yet."""
        for opening in openings:
            if opening.key not in self.venue.accounts:
                self.venue.open_account(opening.key, opening.usdt, self.now())

    def secret(self, key: str) -> str | None:
        return self.secrets.get(key)

    def secret_of(self, key: str | None) -> str:
        """-2014 or -2015 where `key` opens nothing."""
        return secret_of(self, key)

    # ---- what is told

    def gather(self) -> list[records.AccountEvent]:
        """What the venue did since the last time; the caller passes it to `tell`."""
        return self.venue.drain()

    def tell(self, happened: Iterable[records.AccountEvent], at_once: bool = True) -> None:
        """Trades go to the public, user events to their accounts: now, or with the next `_deliver`.

        Conditional orders follow first: what happened, or the prices of now, may set them off.
        """
        told = self.algos.follow(happened, self.now()) if self.algos.is_busy else happened
        self._note(told)
        self._untold += events.frames(told, self.rules, self.now(), self._shuffle)
        if at_once:
            self._deliver()

    def flush(self) -> None:
        """Tell everything that happened."""
        happened = self.gather()
        if happened or self._untold or self.algos.is_busy:
            self.tell(happened)

    def flush_soon(self) -> None:
        """Tell now, or a moment later, so that answers and events race as they do in production."""
        later = self.options.scramble and self.chance.random() < 0.5
        self.tell(self.gather(), at_once=not later)
        if later:
            asyncio.get_running_loop().call_later(LATE, self._deliver)

    def _deliver(self) -> None:
        untold, self._untold = self._untold, []
        for account, name, frame in self.faults.arrange(untold):
            key = self.listen_keys.current(account)
            if key is not None:
                self.heard.add(name)
                self.faults.deliver(self.hub, key, frame, name)

    def _shuffle(self) -> bool:
        return self.options.scramble and self.chance.random() < 0.5

    def _note(self, happened: Iterable[Told]) -> None:
        """What the public sees of account events: trades, and books that changed."""
        now = self.now()
        for event in happened:
            if not isinstance(event, records.OrderUpdate):
                continue
            trade = event.trade
            if trade is not None:
                self.filled = asyncio.get_running_loop().time()
                tape = self.tapes[trade.symbol]
                if trade.trade_id > tape.last_id:
                    seller = (trade.side.sign > 0) == trade.maker
                    self.print(trade.symbol, Print(trade.trade_id, trade.price, trade.qty, now, seller))
                if event.order.client_id.startswith(PREFIX):
                    self.publisher.force(forced_order(event.order, self.rules[trade.symbol], now))
            self.publisher.touch(event.order.symbol)

    def print(self, symbol: str, trade: Print) -> None:
        """A public trade."""
        self.tapes[symbol].add(trade, in_bars=symbol not in self.replayed)
        self.publisher.show_trade(symbol, trade)

    def act(self) -> None:
        """A signed request that is no GET has come."""
        self.acted = asyncio.get_running_loop().time()

    def funding(self, symbol: str) -> tuple[Decimal, int]:
        """The coming rate (0 without a funding file) and when it is due by the clock of the exchange."""
        now = self.now()
        return self.rates.get(symbol, Decimal(0)), now - now % FUNDING_PERIOD + FUNDING_PERIOD

    def settle_funding(self, symbol: str, rate: Decimal, time: int) -> None:
        """Let positions pay, and remember it as settled at `time` (of the tape, where one runs)."""
        self.venue.settle_funding(symbol, rate, self.now())
        self.settled.append((symbol, time, rate, self.venue.mark(symbol)))

    def cached(self, name: str, make: Callable[[], object]) -> bytes:
        """An answer that never changes, encoded once."""
        found = self._cached.get(name)
        if found is None:
            found = self._cached[name] = wire.encode(make())
        return found

    def note_amendment(self, order: records.Order, was: tuple[Decimal, Decimal], modify_id: int | None) -> None:
        """Remember a change of `order`, whose price and quantity were `was`."""
        change = wire.AmendmentFields(
            price=wire.Change(short(was[0]), short(order.price)),
            orig_qty=wire.Change(short(was[1]), short(order.qty)),
            count=order.amendments,
            modify_id=msgspec.UNSET if modify_id is None else modify_id,
        )
        self.amendments.append(
            wire.Amendment(
                amendment_id=len(self.amendments) + 1,
                symbol=order.symbol,
                pair=order.symbol,
                order_id=order.order_id,
                client_order_id=order.client_id,
                time=order.updated,
                amendment=change,
            )
        )

    # ---- what time does

    def sweep(self) -> None:
        """Everything that falls due: GTD orders, dead man's switches, listen keys, margin calls."""
        now = self.now()
        self.venue.tick(now)
        for (account, symbol), due in list(self.countdowns.items()):
            if due <= now:
                del self.countdowns[account, symbol]
                self.venue.cancel_all(account, symbol, now)
        for key in self.listen_keys.expired(now):
            self.expire_key(key)
        if now - self._alarmed >= ALARM_PERIOD:
            self._alarmed = now
            account = self.alarm.next_account()
            for call in self.alarm.calls(account, now, self.rules) if account else ():
                self._untold.append((account, "MARGIN_CALL", wire.encode(call)))
        self.flush()

    def set_joint(self, account: str, is_joint: bool) -> None:
        """Set the multi-assets mode of an account, and tell it."""
        self.joint = self.joint | {account} if is_joint else self.joint - {account}
        now = self.now()
        change = wire.AccountConfigUpdate(event_time=now, time=now, mode=wire.AssetModeChange(is_joint))
        self._untold.append((account, "ACCOUNT_CONFIG_UPDATE", wire.encode(change)))

    def set_status(self, symbol: str, status: str) -> None:
        """Halt or resume a symbol, and say so to everybody."""
        self.rules[symbol] = self.venue.set_status(symbol, status)
        if symbol in self.infos:
            self.infos[symbol] = msgspec.structs.replace(self.infos[symbol], status=status)
        self._cached.clear()
        self.publisher.tell_contract(symbol, self.venue.brackets.get(symbol, ()))

    def expire_key(self, key: str) -> None:
        """Tell the sockets of a dead listen key; they stay open and silent."""
        event = wire.ListenKeyExpired(event_time=self.now(), listen_key=key)
        self.hub.publish(key, wire.encode(event), "listenKeyExpired")

    def drop(self, feeds: Iterable[Feed]) -> int:
        """Cut sockets; how many."""
        cut = list(feeds)
        for feed in cut:
            feed.drop()
        return len(cut)
