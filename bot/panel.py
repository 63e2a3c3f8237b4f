"""The bot's hand in a chat: sends screens, edits them in place, answers presses; never edits to the same content.

Edits of one message wait for each other, and of those that wait only the newest is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import structlog
from msgspec import Struct
from telegram import (
    Bot,
    CallbackQuery,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputFile,
    InputMediaPhoto,
    LinkPreviewOptions,
    Message,
    ReplyParameters,
)
from telegram.constants import ParseMode
from telegram.error import BadRequest, Conflict, Forbidden, InvalidToken, RetryAfter, TelegramError, TimedOut

from bot.budget import Budget, Rank
from bot.menu import CAPTION_LIMIT, Button, Screen, decode, encode, split

if TYPE_CHECKING:
    from bot.pages import Document

log = structlog.get_logger("bot.panel")
T = TypeVar("T")
REMEMBERED = 2_000
TRIES = 3
PATIENCE = 30.0
"""Longest wait in seconds that a flood limit may ask of an answer."""
TOAST = 200


def seconds_of(error: RetryAfter) -> float:
    """The wait a flood limit asks for, whichever way the library gives it."""
    wait = error.retry_after
    return wait.total_seconds() if isinstance(wait, timedelta) else float(wait)


def markup(screen: Screen) -> InlineKeyboardMarkup | None:
    """The buttons as Telegram takes them."""
    if not screen.rows:
        return None
    return InlineKeyboardMarkup([[_key(button) for button in row] for row in screen.rows])


def _key(button: Button) -> InlineKeyboardButton:
    return InlineKeyboardButton(button.text, callback_data=encode(button.press), style=button.style or None)


class Mark(Struct, frozen=True):
    """What a message shows, to be told from something else."""

    words: int
    picture: int


class Panel:
    """One bot's messages; remembers what they show and which is the newest of a chat."""

    def __init__(self, bot: Bot, budget: Budget | None = None) -> None:
        self._bot = bot
        self._budget = budget or Budget()
        self._turns: dict[tuple[int, int], asyncio.Lock] = {}
        self._editors: dict[tuple[int, int], int] = {}
        self._wishes: OrderedDict[tuple[int, int], int] = OrderedDict()
        """How often each message was to be edited."""
        self._shown: OrderedDict[tuple[int, int], Mark] = OrderedDict()
        self._newest: dict[int, int] = {}

    async def send(self, chat: int, screen: Screen, silent: bool = False) -> int:
        """A new message, several where the text is too long; the id of the one with the buttons."""
        keys, parts, sent = markup(screen), _parts(screen), 0
        for at, part in enumerate(parts):
            is_last = at == len(parts) - 1
            picture = screen.picture if is_last else None
            post = partial(self._post, chat, part, keys if is_last else None, silent, picture=picture)
            sent = (await self._patiently(chat, post)).message_id
        self._remember(chat, sent, _mark(parts[-1], keys, screen.picture))
        self._newest[chat] = max(sent, self._newest.get(chat, 0))
        return sent

    async def notify(self, chat: int, screen: Screen, silent: bool, answers: int | None = None) -> int:
        """A notice, tried once: whoever sends it asks the budget before and keeps it until it went."""
        keys, text = markup(screen), _parts(screen)[0]
        message = await self._once(chat, self._post(chat, text, keys, silent, answers, screen.picture))
        self._remember(chat, message.message_id, _mark(text, keys, screen.picture))
        self._newest[chat] = max(message.message_id, self._newest.get(chat, 0))
        return message.message_id

    async def _post(
        self,
        chat: int,
        text: str,
        keys: InlineKeyboardMarkup | None,
        silent: bool,
        answers: int | None = None,
        picture: bytes | None = None,
    ) -> Message:
        if picture is not None:
            return await self._bot.send_photo(
                chat,
                picture,
                text,
                parse_mode=ParseMode.HTML,
                reply_markup=keys,
                disable_notification=silent,
                reply_parameters=ReplyParameters(answers, allow_sending_without_reply=True) if answers else None,
            )
        return await self._bot.send_message(
            chat,
            text,
            parse_mode=ParseMode.HTML,
            reply_markup=keys,
            disable_notification=silent,
            link_preview_options=LinkPreviewOptions(is_disabled=True),
            reply_parameters=ReplyParameters(answers, allow_sending_without_reply=True) if answers else None,
        )

    async def document(self, chat: int, file: Document) -> None:
        """A file to keep."""
        content = InputFile(file.content, filename=file.name)
        caption, mode = file.caption or None, ParseMode.HTML
        await self._patiently(chat, lambda: self._bot.send_document(chat, content, caption=caption, parse_mode=mode))

    def is_newest(self, chat: int, message: int) -> bool:
        """Whether nothing of ours came after `message`, as far as this process knows."""
        return message >= self._newest.get(chat, 0)

    async def edit(self, chat: int, message: int, screen: Screen, has_picture: bool = False) -> int:
        """Show `screen` in place of what the message shows; a new message where that cannot be. The message's id.

        A text never becomes a picture, nor a picture a text: the one is sent anew, and a picture taken away then.
        """
        if has_picture is not (screen.picture is not None):
            shown = await self.send(chat, screen)
            if has_picture:
                await self.remove(chat, message)
            return shown
        wish = self._wish(chat, message)
        async with self._turn(chat, message):
            if wish != self.wishes(chat, message):
                return message  # a newer screen waits for this message
            try:
                await self._change(chat, message, screen, lambda call: self._patiently(chat, call, is_edit=True))
            except BadRequest as error:
                log.info("edit refused, sending anew", error=error.message)
                return await self.send(chat, screen)
        return message

    async def refresh(self, chat: int, message: int, screen: Screen, wish: int) -> None:
        """Show `screen` in place unless an edit was wished for since `wish`; tried once, after `Budget.take`."""
        async with self._turn(chat, message):
            before = self._shown.get((chat, message))
            is_same_kind = before is not None and (before.picture == hash(None)) is (screen.picture is None)
            if wish == self.wishes(chat, message) and is_same_kind:
                await self._change(chat, message, screen, lambda call: self._once(chat, call()))

    def wishes(self, chat: int, message: int) -> int:
        """How often this message was to be edited so far."""
        return self._wishes.get((chat, message), 0)

    def _wish(self, chat: int, message: int) -> int:
        self._wishes[chat, message] = wish = self.wishes(chat, message) + 1
        self._wishes.move_to_end((chat, message))
        while len(self._wishes) > REMEMBERED:
            self._wishes.popitem(last=False)
        return wish

    @contextlib.asynccontextmanager
    async def _turn(self, chat: int, message: int) -> AsyncIterator[None]:
        """One edit of a message at a time."""
        lock = self._turns.setdefault((chat, message), asyncio.Lock())
        self._editors[chat, message] = self._editors.get((chat, message), 0) + 1
        try:
            async with lock:
                yield
        finally:
            self._editors[chat, message] -= 1
            if not self._editors[chat, message]:
                del self._editors[chat, message], self._turns[chat, message]

    async def _change(
        self,
        chat: int,
        message: int,
        screen: Screen,
        way: Callable[[Callable[[], Awaitable[object]]], Awaitable[object]],
    ) -> None:
        """Edit, unless that is what the message shows. Raises BadRequest where it cannot be edited."""
        keys, text = markup(screen), _parts(screen)[0]
        before, mark = self._shown.get((chat, message)), _mark(text, keys, screen.picture)
        if before == mark:
            return
        is_same_picture = before is not None and before.picture == mark.picture
        try:
            await way(partial(self._put, chat, message, text, keys, screen.picture, is_same_picture))
        except BadRequest as error:
            if "not modified" not in error.message.lower():
                raise
        self._remember(chat, message, mark)

    async def _put(
        self,
        chat: int,
        message: int,
        text: str,
        keys: InlineKeyboardMarkup | None,
        picture: bytes | None,
        is_same_picture: bool,
    ) -> None:
        if picture is None:
            await self._bot.edit_message_text(
                text,
                chat,
                message,
                parse_mode=ParseMode.HTML,
                reply_markup=keys,
                link_preview_options=LinkPreviewOptions(is_disabled=True),
            )
        elif is_same_picture:
            await self._bot.edit_message_caption(
                chat, message, caption=text, parse_mode=ParseMode.HTML, reply_markup=keys
            )
        else:
            media = InputMediaPhoto(picture, text, parse_mode=ParseMode.HTML)
            await self._bot.edit_message_media(media, chat, message, reply_markup=keys)

    async def unbutton(self, query: CallbackQuery, verb: str) -> None:
        """Take the buttons of this verb from the pressed message."""
        seen = query.message
        if not isinstance(seen, Message) or seen.reply_markup is None:
            return
        rows = [
            [key for key in row if (press := decode(str(key.callback_data or ""))) is None or press.verb != verb]
            for row in seen.reply_markup.inline_keyboard
        ]
        keys = InlineKeyboardMarkup([row for row in rows if row])
        chat, message = seen.chat.id, seen.message_id
        self._shown.pop((chat, message), None)
        try:
            await self._patiently(
                chat, lambda: self._bot.edit_message_reply_markup(chat, message, reply_markup=keys), is_edit=True
            )
        except BadRequest as error:
            log.info("buttons stay", error=error.message)

    async def answer(self, query: CallbackQuery, text: str = "", alert: bool = False) -> None:
        """Stop the spinner; a press too old to be answered is nobody's trouble."""
        try:
            await query.answer(text[:TOAST] or None, show_alert=alert)
        except TelegramError as error:
            log.info("press not answered", error=error.message)

    async def remove(self, chat: int, message: int) -> None:
        """Take a message away, where Telegram allows it."""
        self._shown.pop((chat, message), None)
        try:
            await self._bot.delete_message(chat, message)
        except TelegramError as error:
            log.debug("message stays", error=error.message)

    async def _once(self, chat: int, work: Awaitable[T]) -> T:
        """What `work` brings; a flood limit silences everybody."""
        try:
            return await work
        except RetryAfter as error:
            self._budget.rest(chat, seconds_of(error) + 0.1)
            raise

    async def _patiently(self, chat: int, call: Callable[[], Awaitable[T]], is_edit: bool = False) -> T:
        """As an answer: before all else, again after a flood limit or when surely nothing arrived."""
        for attempt in range(TRIES):
            if self._budget.wait(chat, Rank.ANSWER, is_edit) > PATIENCE:
                raise RetryAfter(int(PATIENCE))
            await self._budget.admit(chat, Rank.ANSWER, is_edit)
            try:
                return await self._once(chat, call())
            except RetryAfter:
                if attempt == TRIES - 1:
                    raise
            except (BadRequest, TimedOut, Forbidden, Conflict, InvalidToken):
                raise
            except TelegramError:  # no connection, or an answer that is no JSON: a proxy's 502
                if attempt == TRIES - 1:
                    raise
                await asyncio.sleep(0.5 * (attempt + 1))
        raise AssertionError("unreachable")

    def _remember(self, chat: int, message: int, mark: Mark) -> None:
        self._shown[chat, message] = mark
        self._shown.move_to_end((chat, message))
        while len(self._shown) > REMEMBERED:
            self._shown.popitem(last=False)


def _parts(screen: Screen) -> list[str]:
    """A caption is one part: pictures say little."""
    if screen.picture is None:
        return split(screen.text)
    return split(screen.text, CAPTION_LIMIT)[:1]


def _mark(text: str, keys: InlineKeyboardMarkup | None, picture: bytes | None) -> Mark:
    return Mark(hash((text, keys.to_json() if keys else "")), hash(picture))
