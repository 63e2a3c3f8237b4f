"""What there was to tell of one bot, newest first: its last events, sent or not."""

from __future__ import annotations

import msgspec
from sqlmodel import col, select

from storage import tables
from storage.database import Database
from trading.messages import Notice


async def latest(database: Database, bot: int, limit: int) -> list[Notice]:
    wanted = (
        select(tables.Outbox.payload)
        .where(col(tables.Outbox.bot) == bot)
        .order_by(col(tables.Outbox.id).desc())
        .limit(limit)
    )
    async with database.reading() as session:
        return [msgspec.json.decode(text, type=Notice) for text in (await session.execute(wanted)).scalars()]
