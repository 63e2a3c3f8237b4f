"""Who did what, when, and what came of it."""

from __future__ import annotations

from msgspec import Struct
from sqlmodel import col, select

from storage import tables
from storage.database import Database


class Entry(Struct, frozen=True):
    time: int
    user: int
    """0 for the service itself."""
    action: str
    target: str
    outcome: str


async def add(database: Database, entry: Entry) -> None:
    async with database.session() as session:
        await session.execute(
            database.insert(tables.Audit).values(
                time=entry.time, user=entry.user, action=entry.action, target=entry.target, outcome=entry.outcome
            )
        )


async def latest(database: Database, limit: int, user: int | None = None) -> list[Entry]:
    """Newest first; of one user where given."""
    wanted = select(tables.Audit).order_by(col(tables.Audit.id).desc()).limit(limit)
    if user is not None:
        wanted = wanted.where(col(tables.Audit.user) == user)
    async with database.reading() as session:
        rows = (await session.execute(wanted)).scalars().all()
    return [Entry(row.time, row.user, row.action, row.target, row.outcome) for row in rows]
