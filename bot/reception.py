"""The reception: what a message or a press of somebody whom the gate let in leads to, shown and noted.

Handlers are few (command, text, press, anything else); the work is done in the rooms behind them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

import structlog
from msgspec import Struct
from msgspec.structs import replace
from telegram import CallbackQuery, Message, Update
from telegram.error import TelegramError
from telegram.ext import CallbackQueryHandler, ContextTypes, MessageHandler, filters

from bot.access import READER, Reader
from bot.actions import Actions
from bot.commands import Commands
from bot.connection import AnyApplication
from bot.editing import Editing, Question
from bot.journal import Journal, outcome_of, target_of
from bot.late import Late
from bot.live import Live
from bot.menu import Press, Screen, decode
from bot.pages import After, Pages, Reply, declined
from bot.panel import Panel
from bot.seals import nonce
from bot.wizard import VERBS, Wizard
from bot.words import say
from storage import outbox
from storage.database import Database, Unusable
from trading.views import Declined

log = structlog.get_logger("bot")
SLOW = 2.5
"""Seconds after which a press is answered before its work is done."""


class Rooms(Struct, frozen=True):
    """Where the work behind an update is done."""

    pages: Pages
    actions: Actions
    wizard: Wizard
    editing: Editing
    commands: Commands
    journal: Journal
    live: Live


class Reception:
    """Takes updates one by one, each person's in order."""

    def __init__(self, panel: Panel, database: Database, rooms: Rooms, late: Late) -> None:
        self.panel = panel
        self._database = database
        self._pages = rooms.pages
        self._actions = rooms.actions
        self._wizard = rooms.wizard
        self._editing = rooms.editing
        self._commands = rooms.commands
        self._journal = rooms.journal
        self._live = rooms.live
        self._late = late
        self._group: asyncio.TaskGroup | None = None
        """What goes on in the background while the front runs."""

    def attach(self, application: AnyApplication) -> None:
        """Take the updates that pass the gate."""
        messages = filters.UpdateType.MESSAGE
        application.add_handler(CallbackQueryHandler(self._on_press))
        application.add_handler(MessageHandler(messages & filters.TEXT, self._on_text))
        application.add_handler(MessageHandler(messages & ~filters.StatusUpdate.ALL, self._on_other))
        application.add_error_handler(self._on_error)

    async def open(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work`, with what goes on in the background beside it."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            await work

    async def _go_on(self, after: After, message: int) -> None:
        """What goes on with a message after its press was answered."""
        try:
            await after(message)
        except (TelegramError, Declined, Unusable) as error:
            log.warning("not gone on with a message", error=type(error).__name__)

    # ------------------------------------------------------------------ texts

    async def _on_text(self, update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
        """Done at once, or asked about where it was long on its way."""
        message, reader = update.message, _reader(context)
        if message is None or message.text is None:
            return
        text = message.text.strip()
        question = self._late.question(reader.id, text, int(message.date.timestamp() * 1000))
        if question is not None:
            await self._send(reader, message, Reply(question))
            await self._journal.note(reader, "late", text, "asked again")
            return
        await self._typed(reader, message, text)

    async def _typed(self, reader: Reader, message: Message, text: str) -> None:
        """A command, an answer to the wizard's question, a grid in one line, or none of these."""
        if text.startswith("/"):
            name, _, rest = text[1:].partition(" ")
            name = name.partition("@")[0].lower()
            reply = await self._asked(self._commands.obey(reader, name, rest.strip()))
            try:
                await self._send(reader, message, reply)
            finally:
                await self._journal.note(reader, f"/{name}", rest.strip(), outcome_of(reply))
            return
        question = await self._editing.load(reader) if reader.can_act else None
        draft = await self._wizard.load(reader) if reader.can_act else None
        action, reply = "text", Reply(self._commands.lost(text), outcome="not understood")
        if self._wizard.looks_like_line(text):
            action, reply = "line", await self._asked(self._commands.line(reader, text))
        elif question is not None and question.message:
            action, reply = "answer", await self._asked(self._edited(reader, question, text))
            await self._replace(reader, message, question.message, reply)
        elif draft is not None and draft.message:
            action, reply = "answer", Reply(await self._wizard.typed(reader, draft, text))
            await self._replace(reader, message, draft.message, reply)
        if action != "answer":
            await self._send(reader, message, reply)
        await self._journal.note(reader, action, text, outcome_of(reply))

    async def _edited(self, reader: Reader, question: Question, text: str) -> Reply:
        try:
            return Reply(await self._editing.typed(reader, question, text))
        except Declined as no:
            return declined(no, await self._pages.anywhere(reader, Press("grid", question.bot)))

    async def _on_other(self, update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
        if update.message is not None:
            await self._send(_reader(context), update.message, Reply(self._commands.lost("", "not_text")))

    # ------------------------------------------------------------------ presses

    async def _on_press(self, update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
        query, reader = update.callback_query, _reader(context)
        if query is None:
            return
        press = decode(query.data or "")
        if press is not None and press.verb == "late":
            await self._still_wanted(reader, query, press)
            return
        async with asyncio.TaskGroup() as group:
            late = group.create_task(self._answer_late(query))
            reply = await self._asked(self.pressed(reader, query, press or Press("home"), press is not None))
            is_answered = late.done()
            late.cancel()
        if not is_answered:
            await self.panel.answer(query, reply.toast, reply.alert)
        elif reply.toast and reply.screen is not None and reply.alert:
            reply = replace(reply, screen=reply.screen.with_notice(reply.toast))
        known = press or Press("unknown")
        try:
            await self._show(reader, query, reply)
        finally:  # what was done is on record even where the answer could not be shown
            await self._journal.note(reader, known.verb, target_of(known), outcome_of(reply))

    async def _show(self, reader: Reader, query: CallbackQuery, reply: Reply) -> None:
        """What a press leads to, in the pressed message where that can be."""
        if reply.document is not None:
            await self.panel.document(reader.id, reply.document)
        seen = query.message
        if reply.is_gone and isinstance(seen, Message):
            await self.panel.remove(reader.id, seen.message_id)
        if reply.screen is None:
            return
        if isinstance(seen, Message) and not reply.is_new:
            shown = await self.panel.edit(reader.id, seen.message_id, reply.screen, bool(seen.photo))
        else:
            shown = await self.panel.send(reader.id, reply.screen)
        await self._follow(reader, reply.screen, shown)
        if reply.after is not None and self._group is not None:
            self._group.create_task(self._go_on(reply.after, shown))

    async def _follow(self, reader: Reader, screen: Screen, shown: int) -> None:
        """Remember which message shows what."""
        self._live.follow(reader, screen, shown)
        await self._wizard.follow(reader, screen, shown)
        await self._editing.follow(reader, screen, shown)

    async def _still_wanted(self, reader: Reader, query: CallbackQuery, press: Press) -> None:
        """A late message that is to be done after all."""
        text = self._late.take(reader.id, press)
        await self.panel.answer(query, "" if text else say("outdated"), alert=text is None)
        await self.panel.unbutton(query, "late")
        if text is not None and isinstance(query.message, Message):
            await self._typed(reader, query.message, text)

    async def _acknowledged(self, reader: Reader, query: CallbackQuery, press: Press) -> Reply:
        """A notice was seen: it is not told again."""
        message = query.message.message_id if query.message is not None else 0
        up_to = press.target if press.argument == "all" else 0
        await outbox.acknowledge(self._database, reader.id, message, press.target, up_to)
        if press.verb == "ack":
            await self.panel.unbutton(query, "ack")
        return Reply(toast=say("acknowledged"), outcome="acknowledged")

    async def _answer_late(self, query: Any) -> None:
        await asyncio.sleep(SLOW)
        await self.panel.answer(query)

    async def pressed(self, reader: Reader, query: CallbackQuery, press: Press, is_known: bool) -> Reply:
        if not is_known:
            return Reply(await self._pages.anywhere(reader, press), say("outdated"), alert=True)
        if press.verb == "ack":
            return await self._acknowledged(reader, query, press)
        if press.verb == "open" and query.message is not None:  # who looks at the grid has seen the notice
            await outbox.acknowledge(self._database, reader.id, query.message.message_id)
        if self._actions.has(press.verb):
            return await self._actions.act(reader, press)
        if press.verb in VERBS:
            await self._editing.clear(reader)
            return await self._wizard.press(reader, press)
        return await self._commands.press(reader, press)

    async def _asked(self, work: Any) -> Reply:
        """The reply of `work`, or the desk's no."""
        try:
            reply: Reply = await work
        except Declined as no:
            return declined(no)
        return reply

    # ------------------------------------------------------------------ showing

    async def _send(self, reader: Reader, message: Message, reply: Reply) -> None:
        """Answer a message with a message."""
        screen = reply.screen or self._commands.plain(reply.toast)
        if reply.screen is not None and reply.toast:
            screen = screen.with_notice(reply.toast)
        shown = await self.panel.send(message.chat_id, screen)
        await self._follow(reader, screen, shown)

    async def _replace(self, reader: Reader, message: Message, panel: int, reply: Reply) -> None:
        """Show the wizard's next screen in its one message, moved down where others came after it."""
        assert reply.screen is not None
        if self.panel.is_newest(message.chat_id, panel):
            shown = await self.panel.edit(message.chat_id, panel, reply.screen)
        else:
            shown = await self.panel.send(message.chat_id, reply.screen)
            await self.panel.remove(message.chat_id, panel)
        await self._follow(reader, reply.screen, shown)
        if message.from_user is not None and message.from_user.id == reader.id:
            await self.panel.remove(message.chat_id, message.message_id)

    async def _on_error(self, update: object, context: ContextTypes.DEFAULT_TYPE) -> None:
        """Nothing is lost silently: a reference for the reader, the error for the log."""
        reference = nonce()
        error = context.error
        log.error("update failed", reference=reference, exc_info=error)
        if isinstance(error, TelegramError) or not isinstance(update, Update) or update.effective_user is None:
            return
        if context.user_data is None or READER not in context.user_data:
            return
        await self._journal.note(_reader(context), "fault", _asked_by(update), f"reference {reference}")
        with contextlib.suppress(TelegramError):
            await self.panel.send(update.effective_user.id, self._commands.plain(say("failed", reference=reference)))


def _asked_by(update: Update) -> str:
    """The press or text of an update, for the record."""
    if update.callback_query is not None:
        return update.callback_query.data or ""
    return update.message.text or "" if update.message is not None else ""


def _reader(context: ContextTypes.DEFAULT_TYPE) -> Reader:
    """Who the gate let in; without one nothing is handled."""
    reader = (context.user_data or {})[READER]
    assert isinstance(reader, Reader)
    return reader
