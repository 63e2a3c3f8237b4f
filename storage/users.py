"""The people who may talk to the bot, by numeric Telegram id."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct
from sqlmodel import col, delete, func, select

from storage.database import Database
from storage.tables import Users


class Role(Enum):
    """What a person may do, each with what the ones before it may."""

    VIEWER = "viewer"
    TRADER = "trader"
    ADMIN = "admin"


class User(Struct, frozen=True):
    id: int
    role: Role
    language: str
    added: int


def _user(row: Users) -> User:
    return User(row.id, Role(row.role), row.language, row.added)


async def get(database: Database, user: int) -> User | None:
    async with database.reading() as session:
        row = await session.get(Users, user)
    return _user(row) if row else None


async def everybody(database: Database) -> list[User]:
    """In the order they were added."""
    async with database.reading() as session:
        rows = (await session.execute(select(Users).order_by(col(Users.added), col(Users.id)))).scalars().all()
    return [_user(row) for row in rows]


async def add(database: Database, user: int, role: Role, now: int, language: str = "en") -> User:
    """The person with this role; one who is known keeps language and date."""
    async with database.session() as session:
        await session.execute(
            database.insert(Users)
            .values(id=user, role=role.value, language=language, added=now)
            .on_conflict_do_update(index_elements=["id"], set_={"role": role.value})
        )
        return _user(await session.get_one(Users, user))


async def remove(database: Database, user: int) -> bool:
    """Whether there was such a person."""
    async with database.session() as session:
        gone = await session.execute(delete(Users).where(col(Users.id) == user).returning(col(Users.id)))
        return gone.first() is not None


async def count(database: Database, role: Role) -> int:
    """How many have exactly this role: nobody removes the last admin, the first owner is an admin."""
    async with database.reading() as session:
        return (await session.execute(select(func.count()).where(col(Users.role) == role.value))).scalar_one()
