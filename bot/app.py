"""The Telegram front: the line, the gate, the rooms and the outbox, put together in front of the desk.

Telegram may be down, slow or gone: trading never waits for it. `run` and `deliver` are two coroutines for the
service's TaskGroup.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from bot.access import Gate
from bot.accounting import Accounting
from bot.actions import Actions
from bot.budget import Budget
from bot.charting import Charting
from bot.charts import Charts
from bot.commands import Commands
from bot.connection import Connection
from bot.editing import Editing
from bot.journal import Journal
from bot.late import Late
from bot.live import Live
from bot.notify import Courier
from bot.pages import Pages
from bot.panel import Panel
from bot.panicking import Panicking
from bot.reception import Reception, Rooms
from bot.seals import Seals
from bot.settling import Settling
from bot.wizard import Wizard
from storage import outbox, told, users
from storage.database import Database, Unusable
from storage.users import Role
from trading.live.desk import Desk
from trading.views import HealthRow

EVENTS = 3
"""Last events that a card shows."""


class Front:
    """The chat side of the service."""

    def __init__(
        self,
        token: str,
        desk: Desk,
        database: Database,
        *,
        base_url: str | None = None,
        owner_id: int | None = None,
        clock: Callable[[], int],
        version: str = "",
        tells_fills: bool = False,
    ) -> None:
        logging.getLogger("httpx").setLevel(logging.WARNING)  # its INFO lines carry the token
        self._owner_id = owner_id
        self._database = database
        self._clock = clock
        budget = Budget()
        self._connection = Connection(token, base_url)
        self.panel = Panel(self._connection.bot, budget)
        seals, self._charts = Seals(), Charts()
        pages = Pages(desk, seals, clock, version, self._own_health, partial(told.latest, database, limit=EVENTS))
        actions = Actions(desk, pages, seals, clock)
        wizard = Wizard(desk, database, pages, actions, clock)
        editing = Editing(desk, database, pages, seals, clock)
        journal = Journal(database, clock)
        rooms = (
            Panicking(desk, pages, self.panel, seals, clock),
            Charting(desk, database, pages, self._charts, clock),
            Accounting(desk, pages, seals, clock),
            Settling(database),
            journal,
        )
        commands = Commands(pages, wizard, editing, rooms, version)
        self._live = Live(database, self.panel, budget, pages.show, lambda: self.is_up)
        self.reception = Reception(
            self.panel,
            database,
            Rooms(pages, actions, wizard, editing, commands, journal, self._live),
            Late(clock),
        )
        self._courier = Courier(
            database, self.panel, budget, self._connection.answers, clock, tells_fills, self._live.card
        )
        Gate(database, clock, budget).attach(self._connection.application)
        self.reception.attach(self._connection.application)

    @property
    def is_up(self) -> bool:
        """Whether Telegram answered the last time it was asked."""
        return self._connection.is_up

    def __repr__(self) -> str:
        return f"Front(is_up={self.is_up})"

    async def run(self) -> None:
        """Answer the chats until cancelled; a Telegram that cannot be reached is tried again and again."""
        await self._enrol()
        try:
            await self.reception.open(self._connection.keep())
        finally:
            await self._charts.end()
            await self._connection.end()

    async def deliver(self) -> None:
        """Bring what the outbox holds to the chats, and keep the cards there alive, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._courier.run(), name="courier")
            group.create_task(self._live.run(), name="live")

    async def _enrol(self) -> None:
        """The owner named in the environment is let in."""
        if self._owner_id is None:
            return
        known = await users.get(self._database, self._owner_id)
        if known is None or known.role is not Role.ADMIN:
            await users.add(self._database, self._owner_id, Role.ADMIN, self._clock())

    async def _own_health(self) -> list[HealthRow]:
        """The parts that the desk does not know of."""
        rows = [HealthRow("telegram", self.is_up, "" if self.is_up else "unreachable")]
        try:
            waiting = await outbox.pending(self._database)
        except Unusable:
            return [HealthRow("database", False, "unreachable"), *rows]
        return [HealthRow("database", True), *rows, HealthRow("outbox", True, "waiting", {"count": str(waiting)})]
