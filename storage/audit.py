"""Who did what, when, and what came of it."""

from __future__ import annotations

from msgspec import Struct
from sqlmodel import col, delete, func, select

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


async def count(database: Database) -> int:
    """How many entries there are."""
    async with database.reading() as session:
        return (await session.execute(select(func.count()).select_from(tables.Audit))).scalar_one()


async def prune(database: Database, before: int) -> int:
    """Forget what is older than `before` (ms); how many entries that were."""
    async with database.session() as session:
        gone = await session.execute(
            delete(tables.Audit).where(col(tables.Audit.time) < before).returning(col(tables.Audit.id))
        )
        return len(gone.all())


async def latest(database: Database, limit: int, user: int | None = None, skip: int = 0) -> list[Entry]:
    """Newest first, after `skip` of them; of one user where given."""
    wanted = select(tables.Audit).order_by(col(tables.Audit.id).desc()).offset(skip).limit(limit)
    if user is not None:
        wanted = wanted.where(col(tables.Audit.user) == user)
    async with database.reading() as session:
        rows = (await session.execute(wanted)).scalars().all()
    return [Entry(row.time, row.user, row.action, row.target, row.outcome) for row in rows]
