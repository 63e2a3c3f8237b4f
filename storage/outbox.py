"""What is to be told and has not been yet: rows that outlive a restart, each told once as far as anybody can know.

A row is `pending`, then `sent`, or `urged` where it is told again until somebody acknowledges it, or `dead`.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any

from msgspec import Struct
from sqlmodel import col, func, or_, select, update

from storage import tables
from storage.database import Database
from trading.messages import NoticeKind

AT_ONCE = 500
"""Rows that one statement changes: databases count its parameters."""
UNIQUE = ["account", "bot", "kind", "ref"]


class Priority(IntEnum):
    """Smaller goes first: a storm of fills must not hold up an error."""

    CRITICAL = 0
    NORMAL = 1
    FILL = 2


_CRITICAL = {
    *(NoticeKind.ERROR, NoticeKind.FAILED, NoticeKind.PAUSED, NoticeKind.FINISHED),
    *(NoticeKind.DISCONNECTED, NoticeKind.RECOVERED),
}
_FILL = {NoticeKind.PAIR, NoticeKind.FILL}


def priority(kind: NoticeKind) -> Priority:
    """How urgent a notice of this kind is."""
    if kind in _CRITICAL:
        return Priority.CRITICAL
    return Priority.FILL if kind in _FILL else Priority.NORMAL


class Parcel(Struct, frozen=True):
    """One row. `payload` is JSON, for the journal's rows a Notice; `claimed` says when an attempt began whose outcome
    is not known, so a person may have read it already."""

    id: int
    account: int
    bot: int
    kind: str
    ref: str
    chat: int
    payload: str
    priority: Priority
    created: int
    attempts: int
    """Of sending; once it went and is urged, how often it was told."""
    claimed: int | None
    message: int | None = None
    """The message that told it last."""


class Queue(Struct, frozen=True):
    """What waits for one chat at one priority."""

    chat: int
    priority: Priority
    count: int
    oldest: int
    """When the oldest was made, ms."""


async def add(
    database: Database,
    *,
    chat: int,
    kind: str,
    ref: str,
    payload: str,
    now: int,
    account: int = 0,
    bot: int = 0,
    urgency: Priority = Priority.NORMAL,
) -> None:
    """Adds nothing where (account, bot, kind, ref) was told of before."""
    values = row(
        account=account, bot=bot, kind=kind, ref=ref, chat=chat, payload=payload, now=now, urgency=urgency
    )
    async with database.session() as session:
        adding = database.insert(tables.Outbox).values(**values)
        await session.execute(adding.on_conflict_do_nothing(index_elements=UNIQUE))


def row(
    *, account: int, bot: int, kind: str, ref: str, chat: int, payload: str, now: int, urgency: Priority
) -> dict[str, Any]:
    """A pending row, due at once."""
    return {
        "account": account,
        "bot": bot,
        "kind": kind,
        "ref": ref,
        "chat": chat,
        "payload": payload,
        "priority": int(urgency),
        "created": now,
        "state": "pending",
        "attempts": 0,
        "next_at": now,
    }


async def queues(database: Database, now: int) -> list[Queue]:
    """What may be sent now, counted by chat and priority."""
    row = tables.Outbox
    wanted = (
        select(col(row.chat), col(row.priority), func.count(), func.min(row.created))
        .where(col(row.state) == "pending", col(row.next_at) <= now)
        .group_by(col(row.chat), col(row.priority))
        .order_by(col(row.priority), col(row.chat))
    )
    async with database.reading() as session:
        return [Queue(chat, Priority(urgency), *rest) for chat, urgency, *rest in await session.execute(wanted)]


async def due(
    database: Database,
    now: int,
    limit: int,
    *,
    chat: int | None = None,
    urgency: Priority | None = None,
    after: tuple[int, int] | None = None,
) -> list[Parcel]:
    """What may be sent now, by priority, then in the order it happened; `after` this (priority, id)."""
    row = tables.Outbox
    wanted = select(row).where(col(row.state) == "pending", col(row.next_at) <= now)
    if chat is not None:
        wanted = wanted.where(col(row.chat) == chat)
    if urgency is not None:
        wanted = wanted.where(col(row.priority) == int(urgency))
    if after is not None:
        least, last = after
        later = (col(row.priority) == least) & (col(row.id) > last)
        wanted = wanted.where(or_(col(row.priority) > least, later))
    return await _parcels(database, wanted.order_by(col(row.priority), col(row.id)).limit(limit))


async def urged(database: Database, now: int, limit: int) -> list[Parcel]:
    """What was told, is not acknowledged, and is to be told again now."""
    row = tables.Outbox
    wanted = select(row).where(col(row.state) == "urged", col(row.next_at) <= now)
    return await _parcels(database, wanted.order_by(col(row.priority), col(row.id)).limit(limit))


async def last_told(database: Database, chat: int, account: int, bot: int, kind: str) -> int | None:
    """The message that told a notice of this kind last."""
    row = tables.Outbox
    told = (col(row.account) == account, col(row.bot) == bot, col(row.kind) == kind, col(row.chat) == chat)
    wanted = select(row.message_id).where(*told, col(row.message_id).is_not(None)).order_by(col(row.id).desc()).limit(1)
    async with database.reading() as session:
        return (await session.execute(wanted)).scalar_one_or_none()


async def _parcels(database: Database, wanted: Any) -> list[Parcel]:
    async with database.reading() as session:
        return [_parcel(each) for each in (await session.execute(wanted)).scalars()]


async def claim(database: Database, parcels: Sequence[int], now: int) -> None:
    """Write down, before the request leaves, that these are being sent."""
    await _change(database, parcels, claimed=now, attempts=tables.Outbox.attempts + 1)


async def sent(database: Database, parcels: Sequence[int], message_id: int) -> None:
    """Several rows may have gone in one message."""
    await _change(database, parcels, state="sent", message_id=message_id, claimed=None)


async def urge(database: Database, parcels: Sequence[int], message_id: int, times: int, next_at: int) -> None:
    """Told for the `times`th time by this message; again at `next_at` unless acknowledged before, even just now."""
    table = tables.Outbox
    told = {"state": "urged", "message_id": message_id, "claimed": None, "attempts": times, "next_at": next_at}
    async with database.session() as session:
        for at in range(0, len(parcels), AT_ONCE):
            some = (col(table.id).in_(parcels[at : at + AT_ONCE]), col(table.state).in_(("pending", "urged")))
            await session.execute(update(table).where(*some).values(**told))


async def acknowledge(database: Database, chat: int, message: int, row: int = 0, up_to: int = 0) -> int:
    """Somebody has seen what `message` told, or this row, or everything up to that one; how many waited for it."""
    table = tables.Outbox
    which = or_(col(table.message_id) == message, col(table.id) == row, col(table.id) <= up_to)
    is_under_way = (col(table.state) == "pending") & col(table.claimed).is_not(None)  # seen before that was noted
    return await _settle(database, or_(col(table.state) == "urged", is_under_way), col(table.chat) == chat, which)


async def settle(database: Database, account: int, bot: int, kinds: Sequence[str]) -> int:
    """What these notices asked for is over by itself: they are not told again."""
    table = tables.Outbox
    whose = (col(table.account) == account, col(table.bot) == bot, col(table.kind).in_(list(kinds)))
    return await _settle(database, col(table.state) == "urged", *whose)


async def _settle(database: Database, *which: Any) -> int:
    async with database.session() as session:
        change = update(tables.Outbox).where(*which).values(state="sent", claimed=None)
        return len((await session.execute(change.returning(col(tables.Outbox.id)))).all())


async def retry(database: Database, parcels: Sequence[int], next_at: int, unclear: bool = False) -> None:
    """Try again from `next_at`; `unclear` = the last attempt may have arrived, so the claim stays."""
    await _change(database, parcels, next_at=next_at, **({} if unclear else {"claimed": None}))


async def dead(database: Database, parcels: Sequence[int]) -> None:
    """Never to be told: the chat refuses it, or it may have been told and is not worth saying twice."""
    await _change(database, parcels, state="dead")


async def drop_unclear(database: Database, urgency: Priority) -> None:
    """What an earlier process was sending when it ended, where that is not worth saying twice."""
    table = tables.Outbox
    cut_off = (col(table.state) == "pending", col(table.priority) == int(urgency), col(table.claimed).is_not(None))
    async with database.session() as session:
        await session.execute(update(table).where(*cut_off).values(state="dead"))


async def pending(database: Database) -> int:
    """How many wait."""
    wanted = select(func.count()).where(col(tables.Outbox.state) == "pending")
    async with database.reading() as session:
        return (await session.execute(wanted)).scalar_one()


async def _change(database: Database, parcels: Sequence[int], **values: Any) -> None:
    if not parcels:
        return
    async with database.session() as session:
        for at in range(0, len(parcels), AT_ONCE):
            some = col(tables.Outbox.id).in_(parcels[at : at + AT_ONCE])
            await session.execute(update(tables.Outbox).where(some).values(**values))


def _parcel(each: tables.Outbox) -> Parcel:
    assert each.id is not None
    return Parcel(
        each.id,
        each.account,
        each.bot,
        each.kind,
        each.ref,
        each.chat,
        each.payload,
        Priority(each.priority),
        each.created,
        each.attempts,
        each.claimed,
        each.message_id,
    )
