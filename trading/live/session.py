"""The shell round one engine: events in, commits at the right moment, intents out (architecture §3).

A fill is answered first and committed after, in one grouped commit; a command is committed before its first order
leaves. Events are handled in the call that brings them, so no task switch stands between a fill and its answer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import structlog

from trading.core.engine import ORDERS_UNKNOWN, READS_DISAGREE, Engine
from trading.core.lifecycle import IllegalMove, Status
from trading.messages import Command, Delisted, Disconnected, Event, Intent, Mark, Pause, Quote, Reconcile, Replan, Tick
from trading.ports import Broken, Disagree, Gateway, Journal, NotListed, RateLimited, Record, TradingError

log = structlog.get_logger("session")

QUIET_READS = 2
"""Reads tried while events flow; after that the bot is frozen for the time of one reading."""
LOOK = 20.0
"""Seconds after which an audit goes on to the next bot though one is still being read."""
LATEST_ONLY = (Quote, Mark, Tick)

Spawn = Callable[[Coroutine[Any, Any, None]], object]


async def _nothing() -> None:
    """Where no plan can be made."""


class Session:
    """One bot at work. `feed` never blocks; `do` returns when the command is committed."""

    def __init__(self, engine: Engine, gateway: Gateway, journal: Journal, spawn: Spawn) -> None:
        self.engine = engine
        self.gateway = gateway
        self.journal = journal
        self.on_replan: Callable[[], Coroutine[Any, Any, None]] = _nothing
        """Makes the plan that a trigger or a reset asks for."""
        self.on_over: Callable[[], None] = lambda: None
        self.on_broken: Callable[[BaseException], None] = lambda error: None
        self._spawn = spawn
        self._inbox: deque[Event] = deque()
        self._quote: Quote | None = None
        """The latest that came while the bot was held: it may release what waits for a price."""
        self._commands: deque[tuple[Command, asyncio.Future[None]]] = deque()
        self._committing: asyncio.Event | None = None
        """While a commit is under way; set when it is over."""
        self._frozen = True
        self._reconciling: asyncio.Event | None = None
        self._ended = False
        self._saved = -1
        self._epoch = 0
        """Counts disconnects."""

    @property
    def bot(self) -> int:
        return self.engine.bot

    @property
    def is_reading(self) -> bool:
        return self._reconciling is not None

    # ------------------------------------------------------------------ events and commands

    def feed(self, event: Event) -> None:
        """Take an event: handled now, or kept in order while a commit or a reading holds the bot."""
        if self._ended:
            return
        if isinstance(event, Disconnected):
            # from here on every account event waits for the Snapshot
            self.engine.handle(event)
            self._frozen = True
            self._epoch += 1
            return
        if self._committing is not None or self._frozen:
            if not isinstance(event, LATEST_ONLY):
                self._inbox.append(event)
            elif isinstance(event, Quote):
                self.engine.see(event)
                self._quote = event
            return
        if isinstance(event, Quote):
            self._quote = None
        self._inbox.append(event)
        self._work()

    async def do(self, command: Command) -> None:
        """Carry out a command; returns when it is committed. Raises IllegalMove, and then nothing has changed."""
        if self._ended:
            raise Broken("the session is over")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._commands.append((command, done))
        self._work()
        await done

    def _work(self) -> None:
        try:
            while self._committing is None and not self._ended:
                if self._commands:
                    self._obey(*self._commands[0])
                    self._commands.popleft()
                elif self._inbox and not self._frozen:
                    self._handle(self._inbox.popleft())
                elif self._quote is not None and not self._frozen:
                    quote, self._quote = self._quote, None
                    self._handle(quote)
                else:
                    return
        except Exception as error:  # the supervising place: one bad bot never takes another down
            log.exception("session_broken", bot=self.bot)
            self._end(error)
            self.on_broken(error)

    def _end(self, why: BaseException) -> None:
        """Nothing is handled from here on; who still waits for a command is told."""
        self._ended = True
        while self._commands:
            _, done = self._commands.popleft()
            if not done.done():
                done.set_exception(why)

    def _obey(self, command: Command, done: asyncio.Future[None]) -> None:
        try:
            intents = self.engine.handle(command)
        except IllegalMove as error:
            if not done.done():  # who asked may have stopped waiting
                done.set_exception(error)
            return
        self._committing = asyncio.Event()
        self._spawn(self._commit(intents, done, self._committing))

    def _handle(self, event: Event) -> None:
        intents = self.engine.handle(event)
        if self.engine.must_commit:
            self._committing = asyncio.Event()
            self._spawn(self._commit(intents, None, self._committing))
            return
        self._dispatch(intents)
        if self.engine.moves != self._saved or self.engine.notices:
            self._saved = self.engine.moves
            self.journal.later(self)

    async def _commit(self, intents: list[Intent], done: asyncio.Future[None] | None, over: asyncio.Event) -> None:
        """Commit the new state, then let its orders leave."""
        try:
            await self.journal.now(self)
        except Exception as error:  # nothing may leave that is not committed
            log.exception("commit_failed", bot=self.bot)
            if done is not None and not done.done():
                done.set_exception(error)
            self._end(error)
            over.set()
            self.on_broken(error)
            return
        over.set()
        self._committing = None
        if done is not None and not done.done():
            done.set_result(None)
        self._dispatch(intents)
        if not self.engine.status.is_live:
            self._end(Broken("the session is over"))
            self.on_over()
            return
        self._work()

    def _dispatch(self, intents: list[Intent]) -> None:
        for intent in intents:
            if isinstance(intent, Reconcile):
                self._spawn(self.reconcile())
            elif isinstance(intent, Replan):
                self._spawn(self.on_replan())
            else:
                self.gateway.send(intent)

    # ------------------------------------------------------------------ the journal's side

    def take(self) -> Record:
        """What is to be committed, as of this instant."""
        engine = self.engine
        fills, notices, booked = tuple(engine.fills), tuple(engine.notices), tuple(engine.booked)
        engine.fills.clear()
        engine.booked.clear()
        engine.notices.clear()
        return Record(engine.bot, engine.status.value, engine.kept.reason, engine.checkpoint(), fills, notices, booked)

    # ------------------------------------------------------------------ recovery (architecture §5)

    async def reconcile(self) -> None:
        """Read the venue's truth and handle it: cold start, reconnect and audit are this one path.

        Returns when it is done, or when it failed in a way that the next audit will try again.
        """
        if self._reconciling is not None:
            await self._reconciling.wait()
            return
        self._reconciling = asyncio.Event()
        try:
            await self._read()
        finally:
            self._reconciling.set()
            self._reconciling = None
            self._work()

    async def look(self) -> None:
        """`reconcile` for who has others to look at too: a reading that goes on failing is not waited for."""
        over = asyncio.Event()
        self._spawn(self._look(over))
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK):
                await over.wait()

    async def _look(self, over: asyncio.Event) -> None:
        try:
            await self.reconcile()
        finally:
            over.set()

    async def _read(self) -> None:
        attempt = 0
        wait = 0.5
        while not self._ended:
            if self._committing is not None:
                # its orders have not left yet: that the venue knows none of them would say nothing
                await self._committing.wait()
                continue
            cold = self._frozen
            freeze = cold or attempt >= QUIET_READS
            attempt += 1
            moves, epoch = self.engine.moves, self._epoch
            try:
                self._frozen = freeze
                snapshot = await self.gateway.snapshot(self.engine.request())
            except Disagree as error:
                if not freeze and self.engine.moves != moves:
                    continue
                self._thaw(cold, epoch)
                await self._disagreed(error)
                return
            except NotListed:
                self._frozen = False
                self.feed(Delisted(self.gateway.now()))
                return
            except RateLimited as error:
                self._thaw(cold, epoch)
                await asyncio.sleep(max(0.5, (error.until - self.gateway.now()) / 1000))
                continue
            except TradingError as error:
                self._thaw(cold, epoch)
                log.warning("snapshot_failed", bot=self.bot, error=str(error))
                await asyncio.sleep(wait)
                if not self._frozen and wait > 4:
                    return
                wait = min(wait * 2, 5)
                continue
            if epoch != self._epoch:
                continue  # the stream broke while we read: what was read has a gap behind it
            if freeze or self.engine.moves == moves:
                self._inbox.appendleft(snapshot)
                self._frozen = False
                self._work()
                return

    def _thaw(self, cold: bool, epoch: int) -> None:
        """A reading failed: the bot is as held as it was before, and no less where the stream broke meanwhile."""
        self._frozen = cold or epoch != self._epoch

    async def _disagreed(self, error: Disagree) -> None:
        """The reads never agreed: the bot pauses with that reason until an audit's reads do."""
        log.error("reads_disagree", bot=self.bot, error=str(error))
        if self.engine.status is Status.RUNNING:
            self.engine.is_synced = False
            await self.do(Pause(self.gateway.now(), ORDERS_UNKNOWN if error.is_forgotten else READS_DISAGREE))
