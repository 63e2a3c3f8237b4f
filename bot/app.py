"""The Telegram front: an application of few handlers (command, text, press) in front of the desk; the rest are screens.

Telegram may be down, slow or gone: trading never waits for it. `run` and `deliver` are two coroutines for the
service's TaskGroup.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog
from msgspec.structs import replace
from telegram import BotCommand, CallbackQuery, Message, Update
from telegram.error import Conflict, InvalidToken, RetryAfter, TelegramError
from telegram.ext import Application, ApplicationBuilder, CallbackQueryHandler, ContextTypes, MessageHandler, filters
from telegram.request import HTTPXRequest

from bot.access import READER, Gate, Reader
from bot.accounting import Accounting
from bot.actions import Actions
from bot.budget import Budget
from bot.charting import Charting
from bot.charts import Charts
from bot.commands import Commands
from bot.editing import Editing, Question
from bot.journal import Journal, outcome_of, target_of
from bot.late import Late
from bot.live import Live
from bot.menu import Press, Screen, decode
from bot.notify import Courier
from bot.pages import After, Pages, Reply, declined
from bot.panel import Panel, seconds_of
from bot.panicking import Panicking
from bot.queue import ByUser
from bot.screens.help import COMMANDS
from bot.seals import Seals, nonce
from bot.settling import Settling
from bot.wizard import VERBS, Wizard
from bot.words import say
from storage import outbox, told, users
from storage.database import Database, Unusable
from storage.users import Role
from trading.live.desk import Desk
from trading.views import Declined, HealthRow

os.environ.setdefault("PTB_TIMEDELTA", "true")  # the library's coming way to say how long to wait
log = structlog.get_logger("bot")
POLL = 25
"""Seconds a long poll waits."""
SLOW = 2.5
"""Seconds after which a press is answered before its work is done."""
ENDING = 0.8
"""Seconds that an orderly end may take."""
RETRY_LEAST, RETRY_MOST = 1.0, 30.0
EVENTS = 3
"""Last events that a card shows."""


class Pulse(HTTPXRequest):
    """The connection of the long poll; it tells whether Telegram answers."""

    def __init__(self, beat: Callable[[bool], None], **options: Any) -> None:
        super().__init__(**options)
        self._beat = beat

    async def do_request(self, *args: Any, **kwargs: Any) -> tuple[int, bytes]:
        try:
            code, payload = await super().do_request(*args, **kwargs)
        except TelegramError:
            self._beat(False)
            raise
        self._beat(code == 200)
        return code, payload


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
        self._owner_id = owner_id
        self._database = database
        self._clock = clock
        self._is_up = False
        self._stopping = False
        self._group: asyncio.TaskGroup | None = None
        """What goes on in the background while the front runs."""
        logging.getLogger("httpx").setLevel(logging.WARNING)  # its INFO lines carry the token
        self._budget = Budget()
        self._application = self._build(token, base_url)
        self.panel = Panel(self._application.bot, self._budget)
        seals = Seals()
        self._pages = Pages(desk, seals, clock, version, self._own_health, partial(told.latest, database, limit=EVENTS))
        self._actions = Actions(desk, self._pages, seals, clock)
        self._wizard = Wizard(desk, database, self._pages, self._actions, clock)
        self._editing = Editing(desk, database, self._pages, seals, clock)
        self._charts = Charts()
        self._journal = Journal(database, clock)
        rooms = (
            Panicking(desk, self._pages, self.panel, seals, clock),
            Charting(desk, database, self._pages, self._charts, clock),
            Accounting(desk, self._pages, seals, clock),
            Settling(database),
            self._journal,
        )
        self._commands = Commands(self._pages, self._wizard, self._editing, rooms, version)
        self._late = Late(clock)
        self._live = Live(database, self.panel, self._budget, self._pages.show, lambda: self._is_up)
        self._courier = Courier(
            database, self.panel, self._budget, self._answers, clock, tells_fills, self._live.card
        )

    @property
    def is_up(self) -> bool:
        """Whether Telegram answered the last time it was asked."""
        return self._is_up

    def __repr__(self) -> str:
        return f"Front(is_up={self._is_up})"

    # ------------------------------------------------------------------ life

    def _build(self, token: str, base_url: str | None) -> Application[Any, Any, Any, Any, Any, Any]:
        """A given address is a local chat: no proxy of the environment stands between."""
        plain: dict[str, Any] = {"httpx_kwargs": {"trust_env": False}} if base_url else {}
        patience: dict[str, Any] = dict.fromkeys(("read_timeout", "write_timeout"), 15.0)
        patience |= dict.fromkeys(("connect_timeout", "pool_timeout"), 5.0)
        builder = (
            ApplicationBuilder()
            .token(token)
            .job_queue(None)
            .concurrent_updates(ByUser())
            .request(HTTPXRequest(connection_pool_size=16, **patience, **plain))
            .get_updates_request(Pulse(self._beat, connection_pool_size=2, **patience, **plain))
        )
        if base_url:
            root = base_url.rstrip("/")
            builder = builder.base_url(f"{root}/bot").base_file_url(f"{root}/file/bot")
        application = builder.build()
        Gate(self._database, self._clock, self._budget).attach(application)
        application.add_handler(CallbackQueryHandler(self._on_press))
        application.add_handler(MessageHandler(filters.UpdateType.MESSAGE & filters.COMMAND, self._on_command))
        application.add_handler(MessageHandler(filters.UpdateType.MESSAGE & filters.TEXT, self._on_text))
        application.add_handler(MessageHandler(filters.UpdateType.MESSAGE & ~filters.StatusUpdate.ALL, self._on_other))
        application.add_error_handler(self._on_error)
        return application

    def _beat(self, is_up: bool) -> None:
        if is_up != self._is_up:
            log.info("telegram is back" if is_up else "telegram is away")
        self._is_up = is_up

    async def run(self) -> None:
        """Answer the chats until cancelled; a Telegram that cannot be reached is tried again and again."""
        await self._enrol()
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                await self._keep_on()
        finally:
            self._stopping = True
            await self._charts.end()
            await self._end()

    async def _keep_on(self) -> None:
        wait = RETRY_LEAST
        while True:
            try:
                await self._start()
                await asyncio.Event().wait()
            except TelegramError as error:
                wait = await self._pause(error, wait)

    async def _go_on(self, after: After, message: int) -> None:
        """What goes on with a message after its press was answered."""
        try:
            await after(message)
        except (TelegramError, Declined, Unusable) as error:
            log.warning("not gone on with a message", error=type(error).__name__)

    async def deliver(self) -> None:
        """Bring what the outbox holds to the chats, and keep the cards there alive, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._courier.run(), name="courier")
            group.create_task(self._live.run(), name="live")

    async def _answers(self) -> bool:
        """Whether Telegram can be written to. After an outage the long poll is silent until something happens: ask."""
        updater = self._application.updater
        if not self._is_up and updater is not None and updater.running and not self._stopping:
            with contextlib.suppress(TelegramError):
                await self._application.bot.get_me()
                self._beat(True)
        return self._is_up

    async def _enrol(self) -> None:
        """The owner named in the environment is let in."""
        if self._owner_id is None:
            return
        known = await users.get(self._database, self._owner_id)
        if known is None or known.role is not Role.ADMIN:
            await users.add(self._database, self._owner_id, Role.ADMIN, self._clock())

    async def _start(self) -> None:
        application = self._application
        await application.initialize()
        with contextlib.suppress(TelegramError):
            await application.bot.set_my_commands([BotCommand(name, say(f"c_{name}")) for name in COMMANDS])
        assert application.updater is not None
        if not application.running:
            await application.start()
        await application.updater.start_polling(
            timeout=POLL, allowed_updates=["message", "callback_query"], error_callback=self._on_poll_error
        )
        self._is_up = True
        log.info("telegram started", bot=application.bot.username)

    async def _pause(self, error: TelegramError, wait: float) -> float:
        """Wait before the next start; the following wait."""
        self._is_up = False
        if isinstance(error, InvalidToken):
            log.error("telegram refuses the token: check TRELLIS_TELEGRAM_TOKEN")
            wait = RETRY_MOST
        else:
            log.warning("telegram cannot be reached, trying again", error=type(error).__name__, seconds=wait)
        await asyncio.sleep(seconds_of(error) if isinstance(error, RetryAfter) else wait)
        return min(wait * 2, RETRY_MOST)

    async def _end(self) -> None:
        """Each part ends by itself, however the others fare."""
        self._is_up = False
        updater = self._application.updater
        with contextlib.suppress(TelegramError, TimeoutError, RuntimeError):
            async with asyncio.timeout(ENDING / 2):
                if updater is not None and updater.running:
                    await updater.stop()
        with contextlib.suppress(TelegramError, TimeoutError, RuntimeError):
            async with asyncio.timeout(ENDING / 2):
                if self._application.running:
                    await self._application.stop()
        with contextlib.suppress(TelegramError, TimeoutError, RuntimeError):
            async with asyncio.timeout(ENDING / 4):
                await self._application.shutdown()

    def _on_poll_error(self, error: TelegramError) -> None:
        self._is_up = False
        if isinstance(error, Conflict):
            log.error("another program reads this bot's messages: stop it, or use a token of its own")
        elif not self._stopping:
            log.warning("telegram poll failed", error=type(error).__name__)

    async def _own_health(self) -> list[HealthRow]:
        """The parts that the desk does not know of."""
        rows = [HealthRow("telegram", self._is_up, "" if self._is_up else "unreachable")]
        try:
            waiting = await outbox.pending(self._database)
        except Unusable:
            return [HealthRow("database", False, "unreachable"), *rows]
        return [HealthRow("database", True), *rows, HealthRow("outbox", True, "waiting", {"count": str(waiting)})]

    # ------------------------------------------------------------------ updates

    async def _on_command(self, update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
        await self._on_text(update, context)

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
            reply = await self._asked(self._pressed(reader, query, press or Press("home"), press is not None))
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

    async def _pressed(self, reader: Reader, query: CallbackQuery, press: Press, is_known: bool) -> Reply:
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
