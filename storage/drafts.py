"""What a person has filled in so far, so that a restart loses none of it. One draft per person."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct
from sqlmodel import col, delete

from storage.database import Database
from storage.tables import Drafts


class Draft(Struct, frozen=True):
    user: int
    step: str
    fields: dict[str, str]
    message: str
    """The message that shows it, as the chat front writes it."""
    updated: int


async def load(database: Database, user: int) -> Draft | None:
    async with database.reading() as session:
        row = await session.get(Drafts, user)
    if row is None:
        return None
    return Draft(row.user, row.step, msgspec.json.decode(row.fields, type=dict[str, str]), row.message, row.updated)


async def save(
    database: Database, user: int, step: str, fields: Mapping[str, str], now: int, message: str = ""
) -> None:
    """Replaces the person's draft."""
    values = {
        "step": step,
        "fields": msgspec.json.encode(dict(fields)).decode(),
        "message": message,
        "updated": now,
    }
    async with database.session() as session:
        await session.execute(
            database.insert(Drafts)
            .values(user=user, **values)
            .on_conflict_do_update(index_elements=["user"], set_=values)
        )


async def clear(database: Database, user: int) -> None:
    async with database.session() as session:
        await session.execute(delete(Drafts).where(col(Drafts.user) == user))
