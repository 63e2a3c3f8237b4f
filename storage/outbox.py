"""What is to be told and has not been yet: rows that outlive a restart, each told once as far as anybody can know."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any

from msgspec import Struct
from sqlmodel import col, func, select, update

from storage import tables
from storage.database import Database
from trading.messages import NoticeKind

UNIQUE = ["account", "bot", "kind", "ref"]


class Priority(IntEnum):
    """Smaller goes first: a storm of fills must not hold up an error."""

    CRITICAL = 0
    NORMAL = 1
    FILL = 2


_CRITICAL = {NoticeKind.ERROR, NoticeKind.FAILED, NoticeKind.DISCONNECTED, NoticeKind.RECOVERED}
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
    claimed: int | None


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


async def due(database: Database, now: int, limit: int) -> list[Parcel]:
    """What may be sent now, by priority, then in the order it happened."""
    wanted = (
        select(tables.Outbox)
        .where(col(tables.Outbox.state) == "pending", col(tables.Outbox.next_at) <= now)
        .order_by(col(tables.Outbox.priority), col(tables.Outbox.id))
        .limit(limit)
    )
    async with database.reading() as session:
        return [_parcel(each) for each in (await session.execute(wanted)).scalars()]


async def next_due(database: Database) -> int | None:
    """When the next pending row may be sent, ms; None with nothing to send."""
    wanted = select(func.min(tables.Outbox.next_at)).where(col(tables.Outbox.state) == "pending")
    async with database.reading() as session:
        return (await session.execute(wanted)).scalar_one()


async def claim(database: Database, parcels: Sequence[int], now: int) -> None:
    """Write down, before the request leaves, that these are being sent."""
    await _change(database, parcels, claimed=now, attempts=tables.Outbox.attempts + 1)


async def sent(database: Database, parcels: Sequence[int], message_id: int) -> None:
    """Several rows may have gone in one message."""
    await _change(database, parcels, state="sent", message_id=message_id, claimed=None)


async def retry(database: Database, parcels: Sequence[int], next_at: int, unclear: bool = False) -> None:
    """Try again from `next_at`; `unclear` = the last attempt may have arrived, so the claim stays."""
    await _change(database, parcels, next_at=next_at, **({} if unclear else {"claimed": None}))


async def dead(database: Database, parcels: Sequence[int]) -> None:
    """Never to be told: the chat refuses it, or it may have been told and is not worth saying twice."""
    await _change(database, parcels, state="dead")


async def pending(database: Database) -> int:
    """How many wait."""
    wanted = select(func.count()).where(col(tables.Outbox.state) == "pending")
    async with database.reading() as session:
        return (await session.execute(wanted)).scalar_one()


async def _change(database: Database, parcels: Sequence[int], **values: Any) -> None:
    if not parcels:
        return
    async with database.session() as session:
        await session.execute(update(tables.Outbox).where(col(tables.Outbox.id).in_(parcels)).values(**values))


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
    )
