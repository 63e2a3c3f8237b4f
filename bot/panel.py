"""The bot's hand in a chat: sends screens, edits them in place, answers presses; never edits to the same content."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

import structlog
from telegram import Bot, CallbackQuery, InlineKeyboardButton, InlineKeyboardMarkup, LinkPreviewOptions, Message
from telegram.constants import ParseMode
from telegram.error import BadRequest, Conflict, Forbidden, InvalidToken, RetryAfter, TelegramError, TimedOut

from bot.menu import Button, Screen, encode, split

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


class Panel:
    """One bot's messages; remembers what they show and which is the newest of a chat."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot
        self._shown: OrderedDict[tuple[int, int], int] = OrderedDict()
        self._newest: dict[int, int] = {}

    async def send(self, chat: int, screen: Screen, silent: bool = False) -> int:
        """A new message, several where the text is too long; the id of the one with the buttons."""
        keys, parts, sent = markup(screen), split(screen.text), 0
        for at, part in enumerate(parts):
            is_last = at == len(parts) - 1
            message = await self._patiently(lambda p=part, k=keys if is_last else None: self._post(chat, p, k, silent))  # type: ignore[misc]
            sent = message.message_id
        self._remember(chat, sent, parts[-1], keys)
        self._newest[chat] = max(sent, self._newest.get(chat, 0))
        return sent

    async def notify(self, chat: int, screen: Screen, silent: bool) -> int:
        """A notice, tried once: whoever sends it keeps it until it went."""
        keys, text = markup(screen), split(screen.text)[0]
        message = await self._post(chat, text, keys, silent)
        self._remember(chat, message.message_id, text, keys)
        self._newest[chat] = max(message.message_id, self._newest.get(chat, 0))
        return message.message_id

    async def _post(self, chat: int, text: str, keys: InlineKeyboardMarkup | None, silent: bool) -> Message:
        return await self._bot.send_message(
            chat,
            text,
            parse_mode=ParseMode.HTML,
            reply_markup=keys,
            disable_notification=silent,
            link_preview_options=LinkPreviewOptions(is_disabled=True),
        )

    def is_newest(self, chat: int, message: int) -> bool:
        """Whether nothing of ours came after `message`, as far as this process knows."""
        return message >= self._newest.get(chat, 0)

    async def edit(self, chat: int, message: int, screen: Screen) -> int:
        """Show `screen` in place of what the message shows; a new message where that cannot be. The message's id."""
        keys, text = markup(screen), split(screen.text)[0]
        if self._shown.get((chat, message)) == _mark(text, keys):
            return message
        try:
            await self._patiently(
                lambda: self._bot.edit_message_text(
                    text,
                    chat,
                    message,
                    parse_mode=ParseMode.HTML,
                    reply_markup=keys,
                    link_preview_options=LinkPreviewOptions(is_disabled=True),
                )
            )
        except BadRequest as error:
            if "not modified" not in error.message.lower():
                log.info("edit refused, sending anew", error=error.message)
                return await self.send(chat, screen)
        self._remember(chat, message, text, keys)
        return message

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

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Again after a flood limit or when surely nothing arrived; a clear refusal is passed on."""
        for attempt in range(TRIES):
            try:
                return await call()
            except RetryAfter as error:
                if attempt == TRIES - 1 or seconds_of(error) > PATIENCE:
                    raise
                await asyncio.sleep(seconds_of(error) + 0.1)
            except (BadRequest, TimedOut, Forbidden, Conflict, InvalidToken):
                raise
            except TelegramError:  # no connection, or an answer that is no JSON: a proxy's 502
                if attempt == TRIES - 1:
                    raise
                await asyncio.sleep(0.5 * (attempt + 1))
        raise AssertionError("unreachable")

    def _remember(self, chat: int, message: int, text: str, keys: InlineKeyboardMarkup | None) -> None:
        self._shown[chat, message] = _mark(text, keys)
        self._shown.move_to_end((chat, message))
        while len(self._shown) > REMEMBERED:
            self._shown.popitem(last=False)


def _mark(text: str, keys: InlineKeyboardMarkup | None) -> int:
    return hash((text, keys.to_json() if keys else ""))
