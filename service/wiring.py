"""The service: storage, desk, scheduler and chat wired into one TaskGroup, from the first lock to the last commit."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import structlog
from msgspec import Struct

from alerts.schedule import Schedule, first_jobs
from bot.app import Front
from bot.claim import WrongToken, first_owner
from bot.words import translated as _
from service.settings import Settings
from storage import accounts, users
from storage.books import DatabaseBooks
from storage.database import Database, Locked, Unusable
from storage.journal import DatabaseJournal
from storage.schema import Newer
from storage.users import Role
from storage.vault import Vault, VaultError, open_vault
from trading.gateways.catalog import open_gateway
from trading.live.desk import Desk
from trading.model import Environment
from trading.ports import Account, Broken, Credentials, Endpoints, Gateway

log = structlog.get_logger("service")
T = TypeVar("T")

VERSION = "0.1.0"
SETTLE_SECONDS = 3.0
CHECK_SECONDS = 30.0
ALIVE_SECONDS = 10.0
ALIVE_LIMIT = 60.0


class Trouble(Exception):
    """Why the service cannot run, as one sentence for the person."""


class Held(Trouble):
    """The same because process `pid` runs on the database; 0 where that is not known yet."""

    def __init__(self, sentence: str, pid: int) -> None:
        super().__init__(sentence)
        self.pid = pid


class Chat(Struct, frozen=True):
    """Where the bot's Telegram is. Never printed: the token opens it."""

    token: str
    api: str = ""
    """Another Bot API server; empty = Telegram's own."""

    def __repr__(self) -> str:
        return f"Chat(***, {self.api!r})"


class Keys(Struct, frozen=True):
    """An account whose keys were given to this process and are not stored."""

    name: str
    environment: Environment
    credentials: Credentials
    endpoints: Endpoints | None = None


def now() -> int:
    """The wall clock, ms UTC."""
    return time.time_ns() // 1_000_000


def spin(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` on uvloop where it exists, else on asyncio's own loop."""
    gc.freeze()  # what was loaded is here for good: looking through it again would hold the loop for 0.1 to 0.4 s
    factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    if sys.platform != "win32":
        with contextlib.suppress(ImportError):
            import uvloop

            factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)


def stop_on_signals() -> asyncio.Event:
    """Set at the first SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    return stop


@asynccontextmanager
async def opened(settings: Settings, exclusive: bool) -> AsyncIterator[Database]:
    """The database, brought up to date; for this process alone where `exclusive`. Raises Trouble."""
    try:
        database = Database(settings.database)
        await database.open(exclusive=exclusive)
    except Locked as held:
        raise Held(_holder(held), held.pid) from None
    except Newer:
        raise Trouble(_("The database was written by a newer version of Trellis: update the program.")) from None
    except Unusable as error:
        raise Trouble(_("The database cannot be used: {why}.").format(why=str(error).rstrip("."))) from None
    try:
        yield database
    finally:
        await database.close()


def _holder(held: Locked) -> str:
    if not held.pid:
        return _("Another Trellis is just starting on this database: only one may.")
    since = datetime.fromtimestamp(held.since / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return _("Trellis runs on this database already (process {pid} on {host}, since {since}): only one may.").format(
        pid=held.pid, host=held.host, since=since
    )


def vault_of(settings: Settings) -> Vault:
    """Raises Trouble."""
    try:
        return open_vault(settings.home, settings.vault_key.get_secret_value() if settings.vault_key else None)
    except VaultError as error:
        raise Trouble(_("The vault cannot be opened: {why}.").format(why=error)) from None


async def owner_of(settings: Settings, database: Database) -> int:
    """Whose the keys of the environment are; made an admin where given by TRELLIS_OWNER_ID. 0 = nobody is known yet."""
    if settings.owner_id is not None:
        await users.add(database, settings.owner_id, Role.ADMIN, now())
        return settings.owner_id
    return next((user.id for user in await users.everybody(database) if user.role is Role.ADMIN), 0)


async def claimed(database: Database, chat: Chat, stop: asyncio.Event, show: Callable[[str, str], None]) -> int:
    """Who claims the bot with the code that `show` gets, with the bot's user name; 0 where `stop` came first.

    Raises Trouble.
    """
    try:
        return await first_owner(chat.token, chat.api, database, now, stop, show)
    except WrongToken:
        raise Trouble(_("Telegram refuses the token: check TRELLIS_TELEGRAM_TOKEN.")) from None


def keys_of(settings: Settings) -> list[Keys]:
    """The account of the environment's keys. Raises Trouble where half of them is missing."""
    key, secret = settings.binance_key, settings.binance_secret
    if key is None and secret is None:
        return []
    if key is None or secret is None:
        missing = "TRELLIS_BINANCE_KEY" if key is None else "TRELLIS_BINANCE_SECRET"
        raise Trouble(_("{missing} is not set, though its other half is: set both or neither.").format(missing=missing))
    credentials = Credentials(key.get_secret_value(), secret.get_secret_value())
    rest = settings.exchange.url
    if rest:
        streams = rest.replace("http", "ws", 1)
        return [Keys("sandbox", Environment.DEMO, credentials, Endpoints(rest, f"{streams}/ws-fapi/v1", streams))]
    return [Keys("binance", Environment(settings.environment), credentials)]


class Opener:
    """Opens the gateway of an account with the keys this process was given, else with those sealed in the database."""

    def __init__(self, database: Database, vault: Vault, allow_withdraw: bool = False) -> None:
        self._database = database
        self._vault = vault
        self._allow_withdraw = allow_withdraw
        self._given: dict[int, Credentials] = {}

    async def give(self, owner: int, keys: Keys) -> None:
        """Name the account of `keys` in the database and keep them in memory only."""
        account = await accounts.ensure(
            self._database, owner, keys.name, "binance", keys.environment, now(), keys.endpoints
        )
        self._given[account.id] = keys.credentials

    async def __call__(self, account: Account) -> Gateway:
        """Raises Broken where the keys are missing or cannot be opened."""
        credentials = self._given.get(account.id)
        if credentials is None:
            try:
                credentials = await accounts.credentials(self._database, self._vault, account.id)
            except accounts.NoKeys:
                raise Broken(
                    f"no keys for account {account.name}: they were given by the environment and are no more"
                ) from None
            except VaultError as error:
                raise Broken(str(error)) from None
        return open_gateway(account, credentials, self._allow_withdraw)


async def run(
    settings: Settings,
    database: Database,
    *,
    chat: Chat | None,
    owner: int,
    keys: list[Keys],
    stop: asyncio.Event,
    ready: Callable[[], Awaitable[None]],
) -> None:
    """Serve until `stop` is set; then leave every order resting, commit what is left and return."""
    opener = Opener(database, vault_of(settings), settings.exchange.allow_withdraw_key)
    for each in keys:
        await opener.give(owner, each)
    journal = DatabaseJournal(database)
    desk = Desk(DatabaseBooks(database), journal, opener, now)
    choice = settings.schedule
    schedule = first_jobs(
        desk.audit_bots,
        desk.refresh_rules,
        desk.keep_alive,
        audit_seconds=choice.audit_seconds,
        rules_hours=choice.rules_hours,
        keepalive_minutes=choice.keepalive_minutes,
    )
    loaded = asyncio.Event()
    schedule.every("database", CHECK_SECONDS, lambda: _check(database, stop))
    schedule.every("alive", ALIVE_SECONDS, lambda: _touch(settings.home / "alive"), soon=True)
    try:
        async with asyncio.TaskGroup() as parts:
            tasks = [
                parts.create_task(journal.run(), name="journal"),
                parts.create_task(_trade(desk, schedule, loaded), name="trading"),
            ]
            if chat is not None:
                front = Front(
                    chat.token,
                    desk,
                    database,
                    base_url=chat.api or None,
                    owner_id=owner or None,
                    clock=now,
                    version=VERSION,
                    tells_fills=True,
                )
                tasks.append(parts.create_task(_after(loaded, front.run), name="chat"))
                tasks.append(parts.create_task(_after(loaded, front.deliver), name="outbox"))
            log.info("service_started", pid=os.getpid(), accounts=len(keys), chat=chat is not None)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SETTLE_SECONDS):
                    await _settled(desk, stop)
            await ready()
            await stop.wait()
            log.info("service_stopping")
            for task in reversed(tasks):
                task.cancel()
    finally:
        await journal.close()
        with contextlib.suppress(OSError):
            (settings.home / "alive").unlink()
        log.info("service_stopped")


async def _trade(desk: Desk, schedule: Schedule, loaded: asyncio.Event) -> None:
    """The desk with its regular jobs, until cancelled."""
    await desk.open()
    loaded.set()
    try:
        async with schedule.running():
            await asyncio.Event().wait()
    finally:
        await desk.close()


async def _after(loaded: asyncio.Event, work: Callable[[], Awaitable[None]]) -> None:
    """The chat waits for the books to be read: nobody shall be told that there are no grids when there are."""
    await loaded.wait()
    await work()


async def _settled(desk: Desk, stop: asyncio.Event) -> None:
    """Until every account is reached for the first time: the first look shall not show what is only starting."""
    while not stop.is_set() and (not desk.accounts() or not all(row.ok for row in desk.health())):  # noqa: ASYNC110
        await asyncio.sleep(0.05)


async def _check(database: Database, stop: asyncio.Event) -> None:
    """End the service where another one has the database: two on one account would trade against each other."""
    try:
        await database.check()
    except Unusable as error:
        log.error("database_unusable", error=str(error))  # the journal waits; orders rest on the exchange
    except Locked as taken:
        log.critical("database_taken", pid=taken.pid, host=taken.host)
        stop.set()


async def _touch(file: Path) -> None:
    """Tell the health check that the event loop lives (decision 0007)."""
    await asyncio.to_thread(file.touch)


def is_alive(home: Path) -> bool:
    """Whether a service on `home` has touched its file within the last minute."""
    try:
        return time.time() - (home / "alive").stat().st_mtime < ALIVE_LIMIT
    except OSError:
        return False
