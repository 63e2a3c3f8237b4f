"""The way from the outbox to the chats: at least once, at the pace Telegram allows, and never in anybody's way.

A send that timed out may have arrived: what matters is sent again, marked "again"; pairs and fills are not repeated,
because the next one carries their sums.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from html import escape
from typing import Any

import httpx
import msgspec
import structlog
from msgspec import Struct
from telegram.error import BadRequest, Forbidden, NetworkError, RetryAfter, TelegramError

from bot import words
from bot.menu import Button, Screen, button
from bot.panel import Panel, seconds_of
from bot.words import Told, say
from storage import outbox
from storage.database import Database
from storage.outbox import Parcel, Priority
from trading.messages import Notice, NoticeKind, Reason

log = structlog.get_logger("bot.notify")
FOLD = 3_000
"""ms within which the pairs of one grid become one message."""
PACE = 1_050
"""ms between two messages to one chat."""
BATCH = 200
IDLE = 0.4
"""Seconds between two looks into an idle outbox."""
LAST = 0.6
"""Seconds that a sending under way has left at the end."""
_FOLDED = frozenset({NoticeKind.PAIR.value, NoticeKind.FILL.value})
_SURELY_NOT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""Causes after which nothing can have arrived."""


class Batch(Struct, frozen=True):
    """Parcels that go in one message."""

    chat: int
    parcels: tuple[Parcel, ...]

    @property
    def ids(self) -> list[int]:
        return [parcel.id for parcel in self.parcels]

    @property
    def is_folded(self) -> bool:
        return self.parcels[0].kind in _FOLDED

    @property
    def is_unclear(self) -> bool:
        """Whether an earlier attempt may have arrived."""
        return any(parcel.claimed is not None for parcel in self.parcels)


def batches(parcels: Sequence[Parcel]) -> list[Batch]:
    """Parcels as messages: pairs of one grid together, everything else alone, in the given order."""
    found: dict[tuple[int, ...], list[Parcel]] = {}
    for parcel in parcels:
        is_fresh_pair = parcel.kind in _FOLDED and parcel.claimed is None
        key = (parcel.chat, parcel.account, parcel.bot) if is_fresh_pair else (parcel.chat, -1, -1, parcel.id)
        found.setdefault(key, []).append(parcel)
    return [Batch(group[0].chat, tuple(group)) for group in found.values()]


class Courier:
    """Delivers what is due, one message per chat and second."""

    def __init__(
        self,
        database: Database,
        panel: Panel,
        is_up: Callable[[], Awaitable[bool]],
        clock: Callable[[], int],
        tells_fills: bool,
    ) -> None:
        self._database = database
        self._panel = panel
        self._is_up = is_up
        self._clock = clock
        self._untold = frozenset() if tells_fills else frozenset(kind.value for kind in words.UNTOLD)
        self._free_at: dict[int, int] = {}
        self._folded_at: dict[tuple[int, int], int] = {}

    async def run(self) -> None:
        """For ever; the outbox keeps everything while Telegram is away."""
        while True:
            try:
                sent = await self.round() if await self._is_up() else 0
            except TelegramError as error:
                log.warning("delivery interrupted", error=type(error).__name__)
                sent = 0
            await asyncio.sleep(0.05 if sent else IDLE)

    async def round(self) -> int:
        """Send what may be sent now; how many messages went."""
        parcels = await outbox.due(self._database, self._clock(), BATCH)
        hushed = [parcel.id for parcel in parcels if parcel.kind in self._untold]
        if hushed:
            await outbox.dead(self._database, hushed)
        sent = 0
        for batch in batches([parcel for parcel in parcels if parcel.kind not in self._untold]):
            if batch.is_unclear and batch.parcels[0].priority is Priority.FILL:
                await outbox.dead(self._database, batch.ids)
            elif self._may_go(batch):
                await self._whole(self._send(batch))
                sent += 1
        return sent

    async def _whole(self, sending: Coroutine[Any, Any, None]) -> None:
        """An orderly end waits a moment for what is under way, so that it is not told twice."""
        work = asyncio.ensure_future(sending)
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait({work}, timeout=LAST)
            work.cancel()
            raise

    def _may_go(self, batch: Batch) -> bool:
        now = self._clock()
        if self._free_at.get(batch.chat, 0) > now:
            return False
        last = self._folded_at.get((batch.chat, batch.parcels[0].bot), 0)
        return not batch.is_folded or now - last >= FOLD

    async def _send(self, batch: Batch) -> None:
        screen, told = compose(batch)
        now = self._clock()
        self._free_at[batch.chat] = now + PACE
        if batch.is_folded:
            self._folded_at[batch.chat, batch.parcels[0].bot] = now
        await outbox.claim(self._database, batch.ids, now)
        try:
            message = await self._panel.notify(batch.chat, screen, told.is_silent)
        except TelegramError as error:
            await self._failed(batch, error)
            return
        await outbox.sent(self._database, batch.ids, message)

    async def _failed(self, batch: Batch, error: TelegramError) -> None:
        now, attempts = self._clock(), batch.parcels[0].attempts + 1
        if isinstance(error, RetryAfter):
            until = now + int(seconds_of(error) * 1000) + 100
            self._free_at[batch.chat] = until
            await outbox.retry(self._database, batch.ids, until)
        elif isinstance(error, Forbidden | BadRequest):
            log.warning("notice refused", chat=batch.chat, error=error.message)
            await outbox.dead(self._database, batch.ids)
        else:
            is_unclear = isinstance(error, NetworkError) and not isinstance(error.__cause__, _SURELY_NOT)
            log.info("notice delayed", error=type(error).__name__, unclear=is_unclear)
            wait = min(60_000, 1_000 * 2 ** min(attempts, 6))
            await outbox.retry(self._database, batch.ids, now + wait, unclear=is_unclear)


def compose(batch: Batch) -> tuple[Screen, Told]:
    """The message of a batch."""
    notices = [_notice(parcel) for parcel in batch.parcels]
    pairs = [each for each in notices if each.kind is NoticeKind.PAIR]
    told = words.pairs(pairs) if len(pairs) > 1 else words.notice(pairs[0] if pairs else notices[-1])
    fills = [each for each in notices if each.kind is NoticeKind.FILL]
    lines = [told.body]
    if fills and (pairs or len(fills) > 1):
        lines = [*([told.body] if pairs else []), *(words.notice(each).title for each in fills[:10])]
    first = notices[0]
    badge = first.values.get("badge", "")
    again = f"({say('again')}) " if batch.is_unclear else ""
    head = f"<b>{escape(again + told.title, quote=False)}</b>" + (f" · {badge}" if badge else "")
    body = escape("\n".join(line for line in lines if line), quote=False)
    return Screen(f"{head}\n{body}" if body else head, _rows(first)), told


def _notice(parcel: Parcel) -> Notice:
    return msgspec.json.decode(parcel.payload, type=Notice)


def _rows(notice: Notice) -> tuple[tuple[Button, ...], ...]:
    if not notice.bot or notice.kind in (NoticeKind.PAIR, NoticeKind.FILL):
        return ()
    rows: list[tuple[Button, ...]] = []
    slot = notice.values.get("slot", "")
    if notice.kind is NoticeKind.SLOT_WAITS and notice.values.get("reason") == Reason.CANCELLED_ELSEWHERE.value:
        rows.append((button(say("b_place_now"), "ask_place", notice.bot, slot),))
    name = f"{notice.values.get('symbol', '')} #{notice.bot}".strip()
    rows.append((button(say("b_open", name=name), "open", notice.bot),))
    return tuple(rows)


