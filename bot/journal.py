"""What everybody asked of the bot, and what came of it: an entry for each command, text and press."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog

from bot.access import Reader
from bot.menu import Press
from bot.pages import Document, Reply
from bot.screens import audit as screens
from bot.words import say
from storage import audit
from storage.database import Database
from storage.journal import OUT_OF_REACH
from storage.users import Role

log = structlog.get_logger("bot.journal")
LONGEST = 120
"""Characters of a text that are kept."""
KEPT = 180 * 86_400_000
"""ms after which an entry is forgotten."""
PRUNED = 500
"""Entries between two looks for what may be forgotten."""
EXPORTED = 50_000


class Journal:
    """Writes entries after the answer went, so that nobody waits for them."""

    def __init__(self, database: Database, clock: Callable[[], int]) -> None:
        self._database = database
        self._clock = clock
        self._written = 0

    @property
    def verbs(self) -> dict[str, Callable[[Reader, Press], Awaitable[Reply]]]:
        """Its room in the chat."""
        return {"audit": self.page, "audit_csv": self.table}

    async def note(self, reader: Reader, action: str, target: str, outcome: str) -> None:
        """A database that cannot be written is told elsewhere; the log has the entry then."""
        entry = audit.Entry(self._clock(), reader.id, action, target[:LONGEST], outcome[:LONGEST])
        log.info("asked", user=reader.id, action=action, target=entry.target[:40], outcome=entry.outcome)
        try:
            await audit.add(self._database, entry)
            self._written += 1
            if self._written % PRUNED == 1:
                await audit.prune(self._database, self._clock() - KEPT)
        except OUT_OF_REACH as error:
            log.warning("audit not written", error=type(error).__name__)

    # ------------------------------------------------------------------ looking

    async def page(self, reader: Reader, press: Press) -> Reply:
        """Who did what; admins only."""
        if reader.role is not Role.ADMIN:
            return Reply(toast=say("admins_only"), alert=True, outcome="forbidden")
        number = int(press.argument) if press.argument.isascii() and press.argument.isdigit() else 0
        total = await audit.count(self._database)
        last = max(0, -(-total // screens.SIZE) - 1)
        skip = min(number, last) * screens.SIZE
        entries = await audit.latest(self._database, screens.SIZE, skip=skip)
        return Reply(screens.audit(entries, total, number))

    async def table(self, reader: Reader, press: Press) -> Reply:
        """The same as a file."""
        if reader.role is not Role.ADMIN:
            return Reply(toast=say("admins_only"), alert=True, outcome="forbidden")
        entries = await audit.latest(self._database, EXPORTED)
        return Reply(document=Document("audit.csv", screens.table(entries), say("audit_caption")))


def target_of(press: Press) -> str:
    """What a press was about, for the journal."""
    parts = [f"#{press.target}" if press.target else "", press.argument]
    return " ".join(part for part in parts if part)


def outcome_of(reply: Reply) -> str:
    """What a reply says came of it."""
    if reply.outcome != "shown":
        return reply.outcome
    known = {say("outdated"): "outdated", say("done_already"): "done already", say("viewers_look"): "forbidden"}
    if reply.toast:
        return known.get(reply.toast, reply.toast)
    return "shown"
