"""The gate in front of every update: known numeric ids pass, everybody else gets one sentence and nothing more.

Fail-closed: it stands in a group of its own before all handlers and lets nothing through that it does not know.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog
from msgspec import Struct
from telegram import Chat, Update
from telegram.error import TelegramError
from telegram.ext import Application, ApplicationHandlerStop, ContextTypes, TypeHandler

from bot.words import say
from storage import audit, users
from storage.database import Database
from storage.users import Role

log = structlog.get_logger("bot.access")
SILENCE = 60_000
"""ms between two answers to the same stranger."""
REMEMBERED = 1_000
"""Strangers, so that a crowd of them costs no memory."""
READER = "reader"
"""Where a passed update carries its reader, in the context's `user_data`."""


class Reader(Struct, frozen=True):
    """A person who was let in."""

    id: int
    role: Role

    @property
    def can_act(self) -> bool:
        """Viewers look, traders and admins act."""
        return self.role in (Role.TRADER, Role.ADMIN)

    def may_see(self, owner: int) -> bool:
        """Everybody sees what is theirs, an admin everything."""
        return self.role is Role.ADMIN or owner == self.id


class Gate:
    """Who may pass."""

    def __init__(self, database: Database, clock: Callable[[], int]) -> None:
        self._database = database
        self._clock = clock
        self._told: dict[int, int] = {}

    def attach(self, application: Application) -> None:  # type: ignore[type-arg]
        """Stand before every other handler."""
        application.add_handler(TypeHandler(Update, self.check), group=-1)

    async def check(self, update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
        """Raises ApplicationHandlerStop unless the sender is known and the chat private."""
        person = update.effective_user
        known = await users.get(self._database, person.id) if person is not None and not person.is_bot else None
        chat = update.effective_chat
        if known is None:
            if person is not None:
                await self._turn_away(update, person.id)
            raise ApplicationHandlerStop
        if chat is not None and chat.type != Chat.PRIVATE:
            await self._say(update, "private_only", person_id=known.id)
            raise ApplicationHandlerStop
        if context.user_data is None:
            raise ApplicationHandlerStop
        context.user_data[READER] = Reader(known.id, known.role)

    async def _turn_away(self, update: Update, person: int) -> None:
        now = self._clock()
        if now - self._told.get(person, now - SILENCE) < SILENCE:
            return
        if len(self._told) >= REMEMBERED:
            self._told.pop(next(iter(self._told)))
        self._told[person] = now
        kind = "press" if update.callback_query else "message" if update.effective_message else "update"
        await audit.add(self._database, audit.Entry(now, person, f"stranger.{kind}", "", "refused"))
        log.warning("stranger refused", user=person, kind=kind)
        if update.effective_chat is None or update.effective_chat.type == Chat.PRIVATE:
            await self._say(update, "stranger", person_id=person)

    async def _say(self, update: Update, key: str, person_id: int) -> None:
        text = say(key, id=person_id)
        try:
            if update.callback_query is not None:
                await update.callback_query.answer(text, show_alert=True)
            elif update.effective_chat is not None and update.message is not None:
                await update.effective_chat.send_message(text)
        except TelegramError as error:
            log.info("stranger not answered", error=type(error).__name__)
