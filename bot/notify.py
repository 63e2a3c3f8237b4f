"""The way from the outbox to the chats: at least once, at the pace Telegram allows, and never in anybody's way.

Urgent notices go first and are told again until somebody acknowledges them; fills and pairs that come within three
seconds are one message; what piled up in an outage is one summary. A send that timed out may have arrived: what
matters is sent again, marked "again"; fills are not, because the next ones carry their sums.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import httpx
import structlog
from telegram.error import BadRequest, Forbidden, NetworkError, RetryAfter, TelegramError

from bot import letter, switches, words
from bot.budget import Budget, Rank
from bot.letter import Letter, Tally
from bot.panel import Panel, seconds_of
from storage import outbox, preferences
from storage.database import Database
from storage.journal import OUT_OF_REACH
from storage.outbox import Parcel, Priority, Queue
from trading.messages import NoticeKind

log = structlog.get_logger("bot.notify")
FOLD = 3_000
"""ms within which the fills and pairs of one chat become one message."""
AWAY = 60_000
"""ms after which what waits counts as piled up by an outage."""
MANY = 5
"""Messages that may be told one by one after an outage."""
SWARM = 8
"""Urgent messages that may be told one by one at any time."""
BATCH = 20
FOLDED = 1_000
"""Fills and pairs that one message adds up."""
REPEATS = (5 * 60_000, 15 * 60_000, 60 * 60_000)
"""ms after which an urgent notice is told again, and again, unless it is acknowledged."""
IDLE = 0.4
"""Seconds between two looks into an idle outbox."""
LAST = 0.6
"""Seconds that a sending under way has left at the end."""
REMEMBERED = 1_000
_RANKS = {Priority.CRITICAL: Rank.CRITICAL, Priority.NORMAL: Rank.NOTICE, Priority.FILL: Rank.FILL}
_SURELY_NOT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""Causes after which nothing can have arrived."""


class Courier:
    """Delivers what is due; every chat at its own pace."""

    def __init__(
        self,
        database: Database,
        panel: Panel,
        budget: Budget,
        is_up: Callable[[], Awaitable[bool]],
        clock: Callable[[], int],
        tells_fills: bool,
        card: Callable[[int, int], int | None] = lambda chat, bot: None,
    ) -> None:
        self._database = database
        self._panel = panel
        self._budget = budget
        self._is_up = is_up
        self._clock = clock
        self._untold = frozenset() if tells_fills else frozenset(kind.value for kind in words.UNTOLD)
        self._card = card
        self._threads: dict[tuple[int, int], int | None] = {}
        self._preferences: dict[int, dict[str, str]] = {}

    async def run(self) -> None:
        """For ever; the outbox keeps everything while Telegram is away."""
        is_first = True
        while True:
            sent = 0
            try:
                if is_first:
                    await outbox.drop_unclear(self._database, Priority.FILL)
                    is_first = False
                sent = await self.round() if await self._is_up() else 0
            except* (TelegramError, *OUT_OF_REACH) as group:  # the rows stay; a full disk ends nobody
                log.warning("delivery interrupted", errors=[type(error).__name__ for error in group.exceptions])
            await asyncio.sleep(0.05 if sent else IDLE)

    async def round(self) -> int:
        """Send what may be sent now; how many messages went."""
        now = self._clock()
        chats: dict[int, list[Queue]] = {}
        for queue in await outbox.queues(self._database, now):
            chats.setdefault(queue.chat, []).append(queue)
        reminders: dict[int, list[Parcel]] = {}
        for parcel in await outbox.urged(self._database, now, BATCH):
            reminders.setdefault(parcel.chat, []).append(parcel)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._chat(chat, waiting)) for chat, waiting in chats.items()]
            tasks += [group.create_task(self._remind(chat, due)) for chat, due in reminders.items()]
        return sum(task.result() for task in tasks)

    # ------------------------------------------------------------------ one chat

    async def _chat(self, chat: int, waiting: Sequence[Queue]) -> int:
        """The most urgent first; how many messages went."""
        alone = {queue.priority: queue.count for queue in waiting if queue.priority is not Priority.FILL}
        is_late = min(queue.oldest for queue in waiting) < self._clock() - AWAY
        has_fills = any(queue.priority is Priority.FILL for queue in waiting)
        if is_late and sum(alone.values()) + has_fills > MANY:
            return await self._sum_up(chat, is_late)
        if alone.get(Priority.CRITICAL, 0) > SWARM:
            return await self._sum_up(chat, is_late, Priority.CRITICAL)
        sent = 0
        for queue in waiting:
            if queue.priority is Priority.FILL:
                sent += await self._fold(queue)
            else:
                sent += await self._singles(queue)
        return sent

    async def _singles(self, queue: Queue) -> int:
        parcels = await outbox.due(self._database, self._clock(), BATCH, chat=queue.chat, urgency=queue.priority)
        parcels = await self._wanted(queue.chat, parcels)
        for number, parcel in enumerate(parcels):
            if self._budget.take(queue.chat, _RANKS[queue.priority]):
                return number
            silent = self._mode(queue.chat, parcel) == "silent"
            await self._whole(self._send(queue.chat, [parcel], letter.single(parcel), silent))
        return len(parcels)

    async def _wanted(self, chat: int, parcels: Sequence[Parcel]) -> list[Parcel]:
        """Without those that nobody wants to be told; they are done with."""
        self._preferences[chat] = await preferences.everything(self._database, chat)
        unwanted = {parcel.id for parcel in parcels if self._mode(chat, parcel) == "off"}
        await outbox.dead(self._database, list(unwanted))
        return [parcel for parcel in parcels if parcel.id not in unwanted]

    def _mode(self, chat: int, parcel: Parcel) -> str:
        """`on`, `silent` or `off`, as the reader set it."""
        if parcel.kind in self._untold:
            return "off"
        return switches.mode(self._preferences.get(chat, {}), NoticeKind(parcel.kind), self._clock())

    async def _fold(self, queue: Queue) -> int:
        """Fills and pairs, three seconds after the first of them."""
        now = self._clock()
        if queue.oldest > now - FOLD and queue.count < FOLDED:
            return 0
        parcels = await outbox.due(self._database, now, FOLDED, chat=queue.chat, urgency=Priority.FILL)
        told = await self._wanted(queue.chat, parcels)
        if not told or self._budget.take(queue.chat, Rank.FILL):
            return 0
        silent = all(self._mode(queue.chat, parcel) == "silent" for parcel in told)
        await self._whole(self._send(queue.chat, told, letter.folded(told), silent))
        return 1

    async def _sum_up(self, chat: int, is_late: bool, urgency: Priority | None = None) -> int:
        """All that waits in one message, so that the end of an outage is no flood."""
        if self._budget.take(chat, Rank.CRITICAL):
            return 0
        tally, parcels = Tally(), list[Parcel]()
        after: tuple[int, int] | None = None
        while page := await outbox.due(self._database, self._clock(), FOLDED, chat=chat, urgency=urgency, after=after):
            wanted = await self._wanted(chat, page)
            for parcel in wanted:
                tally.add(parcel)
            parcels += wanted
            after = (int(page[-1].priority), page[-1].id)
            await asyncio.sleep(0)
        if not parcels:
            return 0
        again = any(parcel.claimed is not None for parcel in parcels)
        log.info("summary instead of single notices", chat=chat, notices=len(parcels))
        await self._whole(self._send(chat, parcels, letter.summary(tally, self._clock(), is_late, again), False))
        return 1

    async def _remind(self, chat: int, parcels: Sequence[Parcel]) -> int:
        """Tell again what nobody acknowledged."""
        if self._budget.take(chat, Rank.CRITICAL):
            return 0
        ids = [parcel.id for parcel in parcels]
        now = self._clock()
        try:
            message = await self._panel.notify(chat, letter.reminder(parcels).screen, False, parcels[-1].message)
        except RetryAfter:
            return 0
        except (Forbidden, BadRequest) as error:
            log.warning("reminder refused", chat=chat, error=error.message)
            await outbox.dead(self._database, ids)
            return 0
        except TelegramError as error:  # the row stays; a reminder told twice does no harm
            log.info("reminder delayed", error=type(error).__name__)
            return 0
        await self._urge(parcels, message, now)
        return 1

    # ------------------------------------------------------------------ one message

    async def _whole(self, sending: Coroutine[Any, Any, None]) -> None:
        """An orderly end waits a moment for what is under way, so that it is not told twice."""
        work = asyncio.ensure_future(sending)
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait({work}, timeout=LAST)
            work.cancel()
            raise

    async def _send(self, chat: int, parcels: Sequence[Parcel], what: Letter, is_silent: bool) -> None:
        ids = [parcel.id for parcel in parcels]
        await outbox.claim(self._database, parcels=ids, now=self._clock())
        root = await self._root(chat, what)
        try:
            message = await self._panel.notify(chat, what.screen, is_silent, root)
        except TelegramError as error:
            await self._failed(chat, parcels, error)
            return
        urgent = [parcel for parcel in parcels if parcel.priority is not Priority.FILL]
        notices = [(parcel, letter.notice_of(parcel)) for parcel in urgent]
        urgent = [parcel for parcel, told in notices if letter.is_urgent(told)]
        kept = {parcel.id for parcel in urgent}
        await outbox.sent(self._database, [number for number in ids if number not in kept], message)
        await self._urge(urgent, message, self._clock(), first=True)
        for parcel, told in notices:
            if kinds := letter.settled_by(told):
                await outbox.settle(self._database, parcel.account, parcel.bot, kinds)
            if told.kind is NoticeKind.STARTED:
                self._threads[chat, parcel.bot] = message

    async def _urge(self, parcels: Sequence[Parcel], message: int, now: int, first: bool = False) -> None:
        """Keep them for the next reminder; the last one was the last."""
        rounds: dict[int, list[int]] = {}
        for parcel in parcels:
            rounds.setdefault(1 if first else parcel.attempts + 1, []).append(parcel.id)
        for times, ids in rounds.items():
            if times > len(REPEATS):
                log.warning("urgent notices were never acknowledged", count=len(ids))
                await outbox.sent(self._database, ids, message)
            else:
                await outbox.urge(self._database, ids, message, times, now + REPEATS[times - 1])

    async def _root(self, chat: int, what: Letter) -> int | None:
        """The message that this one answers: the grid's card, else the notice of its start."""
        if not what.bot:
            return None
        if (card := self._card(chat, what.bot)) is not None:
            return card
        if (chat, what.bot) not in self._threads:
            if len(self._threads) >= REMEMBERED:
                self._threads.pop(next(iter(self._threads)))
            self._threads[chat, what.bot] = await outbox.last_told(
                self._database, chat, what.account, what.bot, NoticeKind.STARTED.value
            )
        return self._threads[chat, what.bot]

    async def _failed(self, chat: int, parcels: Sequence[Parcel], error: TelegramError) -> None:
        now, attempts = self._clock(), parcels[0].attempts + 1
        ids = [parcel.id for parcel in parcels]
        if isinstance(error, RetryAfter):
            await outbox.retry(self._database, ids, now + int(seconds_of(error) * 1000) + 100)
        elif isinstance(error, Forbidden | BadRequest):
            log.warning("notice refused", chat=chat, error=error.message)
            await outbox.dead(self._database, ids)
        else:
            is_unclear = isinstance(error, NetworkError) and not isinstance(error.__cause__, _SURELY_NOT)
            log.info("notice delayed", error=type(error).__name__, unclear=is_unclear)
            wait = min(60_000, 1_000 * 2 ** min(attempts, 6))
            fills = {parcel.id for parcel in parcels if is_unclear and parcel.priority is Priority.FILL}
            await outbox.dead(self._database, list(fills))
            others = [number for number in ids if number not in fills]
            await outbox.retry(self._database, others, now + wait, unclear=is_unclear)
