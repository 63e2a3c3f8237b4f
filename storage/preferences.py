"""How each person wants things: small texts by name; what stands at its default is not kept."""

from __future__ import annotations

from sqlmodel import col, delete, select

from storage.database import Database
from storage.tables import Preferences


async def everything(database: Database, user: int) -> dict[str, str]:
    """All of one person's, by name."""
    async with database.reading() as session:
        rows = (await session.execute(select(Preferences).where(col(Preferences.user) == user))).scalars().all()
    return {row.name: row.value for row in rows}


async def get(database: Database, user: int, name: str, default: str = "") -> str:
    async with database.reading() as session:
        row = await session.get(Preferences, (user, name))
    return row.value if row is not None else default


async def put(database: Database, user: int, name: str, value: str) -> None:
    """Keep it; an empty `value` forgets it."""
    async with database.session() as session:
        if not value:
            await session.execute(
                delete(Preferences).where(col(Preferences.user) == user, col(Preferences.name) == name)
            )
            return
        await session.execute(
            database.insert(Preferences)
            .values(user=user, name=name, value=value)
            .on_conflict_do_update(index_elements=["user", "name"], set_={"value": value})
        )
