"""The exchange accounts: keys from the environment are only named here, those typed in are kept sealed."""

from __future__ import annotations

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, func, select, update

from storage.database import Database
from storage.tables import Accounts, Bots
from storage.vault import Vault
from trading.model import Environment
from trading.ports import Account, Credentials, Endpoints


class NoKeys(Exception):
    """No keys are stored for this account: they stand in the environment, or nowhere."""


class NameTaken(Exception):
    """The owner has an account of this name on this venue and environment already."""


class InUse(Exception):
    """Bots stand on this account; `bots` is how many."""

    def __init__(self, bots: int) -> None:
        super().__init__(f"{bots} bots stand on this account")
        self.bots = bots


def account_of(row: Accounts) -> Account:
    assert row.id is not None
    where = msgspec.json.decode(row.endpoints, type=Endpoints) if row.endpoints else None
    return Account(row.id, row.owner, row.name, row.venue, Environment(row.environment), where)


async def everything(database: Database, owner: int | None = None) -> list[Account]:
    wanted = select(Accounts).where(~col(Accounts.removed)).order_by(col(Accounts.id))
    if owner is not None:
        wanted = wanted.where(col(Accounts.owner) == owner)
    async with database.reading() as session:
        return [account_of(row) for row in (await session.execute(wanted)).scalars()]


async def ensure(
    database: Database,
    owner: int,
    name: str,
    venue: str,
    environment: Environment,
    now: int,
    endpoints: Endpoints | None = None,
) -> Account:
    """The account whose keys the caller holds (environment, demo): the same one at every start, where it is now.

    Another environment is another account, so that a testnet bot never wakes up with real money.
    """
    async with database.session() as session:
        row = await _find(session, owner, name, venue, environment)
        if row is None:
            row = _fresh(owner, name, venue, environment, now)
            session.add(row)
        row.source, row.removed = "env", False  # keys sealed earlier stay: they count again when the others are gone
        row.endpoints = msgspec.json.encode(endpoints).decode() if endpoints else None
        await session.flush()
        return account_of(row)


async def add(
    database: Database,
    vault: Vault,
    owner: int,
    name: str,
    venue: str,
    environment: Environment,
    credentials: Credentials,
    now: int,
    endpoints: Endpoints | None = None,
) -> Account:
    """Keep an account with its keys sealed. Raises NameTaken."""
    async with database.session() as session:
        row = await _find(session, owner, name, venue, environment)
        if row is not None and not row.removed:
            raise NameTaken(name)
        if row is None:
            row = _fresh(owner, name, venue, environment, now)
            session.add(row)
        row.source, row.removed = "stored", False
        row.endpoints = msgspec.json.encode(endpoints).decode() if endpoints else None
        await session.flush()
        assert row.id is not None
        row.sealed = vault.seal(credentials, row.id)
        await session.flush()
        return account_of(row)


async def credentials(database: Database, vault: Vault, account: int) -> Credentials:
    """The stored keys, opened. Raises NoKeys, vault.WrongKey, vault.Tampered."""
    async with database.reading() as session:
        row = await session.get(Accounts, account)
    if row is None or row.sealed is None:
        raise NoKeys(account)
    return vault.open(row.sealed, account)


async def remove(database: Database, account: int) -> bool:
    """Forget the keys; the row stays for its books. Whether there was such an account. Raises InUse."""
    async with database.session() as session:
        standing = select(func.count()).where(col(Bots.account) == account, ~col(Bots.hidden))
        bots = (await session.execute(standing)).scalar_one()
        if bots:
            raise InUse(bots)
        gone = await session.execute(
            update(Accounts)
            .where(col(Accounts.id) == account, ~col(Accounts.removed))
            .values(removed=True, sealed=None)
            .returning(col(Accounts.id))
        )
        return gone.first() is not None


async def _find(
    session: AsyncSession, owner: int, name: str, venue: str, environment: Environment
) -> Accounts | None:
    wanted = select(Accounts).where(
        col(Accounts.owner) == owner,
        col(Accounts.name) == name,
        col(Accounts.venue) == venue,
        col(Accounts.environment) == environment.value,
    )
    return (await session.execute(wanted)).scalar_one_or_none()


def _fresh(owner: int, name: str, venue: str, environment: Environment, now: int) -> Accounts:
    return Accounts(
        owner=owner, name=name, venue=venue, environment=environment.value, source="env", created=now
    )
