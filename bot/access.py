"""The gate in front of every update: known numeric ids pass, everybody else gets one sentence and nothing more.

Fail-closed: it stands in a group of its own before all handlers and lets nothing through that it does not know. What
looks like a secret ends here too, deleted and explained, whoever of the known sends it.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog
from msgspec import Struct
from telegram import Chat, Message, Update
from telegram.error import TelegramError
from telegram.ext import Application, ApplicationHandlerStop, ContextTypes, TypeHandler

from bot.budget import Budget, Rank
from bot.leaks import has_secret
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

    def __init__(self, database: Database, clock: Callable[[], int], budget: Budget | None = None) -> None:
        self._database = database
        self._clock = clock
        self._budget = budget or Budget()
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
        if update.effective_message is not None and update.callback_query is None:
            await self._search(update.effective_message, known.id)
        context.user_data[READER] = Reader(known.id, known.role)

    async def _search(self, message: Message, person: int) -> None:
        """Raises ApplicationHandlerStop where the message holds a secret, which it does no longer then."""
        name = message.document.file_name if message.document is not None else ""
        if not any(has_secret(part) for part in (message.text, message.caption, name) if part):
            return
        key = "secret"
        try:
            await message.delete()
        except TelegramError as error:
            log.warning("secret not deleted", error=type(error).__name__)
            key = "secret_stays"
        log.warning("secret pasted", user=person)
        await audit.add(self._database, audit.Entry(self._clock(), person, "secret", "", key))
        await self._budget.admit(message.chat_id, Rank.ANSWER)
        try:
            await message.chat.send_message(say(key))
        except TelegramError as error:
            log.info("secret not explained", error=type(error).__name__)
        raise ApplicationHandlerStop

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
        chat = update.effective_chat
        if chat is not None and self._budget.take(chat.id, Rank.LIVE):
            return  # a crowd of strangers takes nothing from those who are let in
        try:
            if update.callback_query is not None:
                await update.callback_query.answer(text, show_alert=True)
            elif update.effective_chat is not None and update.message is not None:
                await update.effective_chat.send_message(text)
        except TelegramError as error:
            log.info("stranger not answered", error=type(error).__name__)
