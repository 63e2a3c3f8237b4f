"""The room of the audit: the latest entries, and all of them as a file. Admins see everybody's, others their own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

from bot.access import Reader
from bot.menu import Press
from bot.pages import Document, Reply
from bot.screens import audit as screen
from bot.words import say
from storage import audit
from storage.audit import Entry
from storage.database import Database
from storage.users import Role

LATEST, ALL = 240, 50_000


class Auditing:
    """Looks only."""

    def __init__(self, database: Database, clock: Callable[[], int]) -> None:
        self._database = database
        self._clock = clock
        self.verbs: Mapping[str, Callable[[Reader, Press], Awaitable[Reply]]] = {
            "audit": self._show,
            "auditcsv": self._file,
        }

    async def _entries(self, reader: Reader, limit: int) -> list[Entry]:
        only = None if reader.role is Role.ADMIN else reader.id
        return await audit.latest(self._database, limit, only)

    async def _show(self, reader: Reader, press: Press) -> Reply:
        number = int(press.argument) if press.argument.isascii() and press.argument.isdigit() else 0
        return Reply(screen.audit(await self._entries(reader, LATEST), number, reader.id))

    async def _file(self, reader: Reader, press: Press) -> Reply:
        entries = await self._entries(reader, ALL)
        at = datetime.fromtimestamp(self._clock() / 1000, UTC)
        name = f"trellis-audit-{at:%Y%m%d-%H%M%S}.csv"
        caption = say("audit_caption", count=len(entries))
        return Reply(document=Document(name, screen.table(entries), caption), toast=say("audit_sent"))
