"""The line to Telegram: opened again and again, ended in good order, and whether it answers.

Telegram may be down, slow or gone: trading never waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from typing import Any

import structlog
from telegram import Bot, BotCommand
from telegram.error import Conflict, InvalidToken, RetryAfter, TelegramError
from telegram.ext import Application, ApplicationBuilder
from telegram.request import HTTPXRequest

from bot.panel import seconds_of
from bot.queue import ByUser
from bot.screens.help import COMMANDS
from bot.words import say

os.environ.setdefault("PTB_TIMEDELTA", "true")  # the library's coming way to say how long to wait
log = structlog.get_logger("bot")
POLL = 25
"""Seconds a long poll waits."""
ENDING = 0.8
"""Seconds that an orderly end may take."""
RETRY_LEAST, RETRY_MOST = 1.0, 30.0
AnyApplication = Application[Any, Any, Any, Any, Any, Any]


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


class Connection:
    """One bot's long poll. A given address is a local chat: no proxy of the environment stands between."""

    def __init__(self, token: str, base_url: str | None) -> None:
        self.is_up = False
        """Whether Telegram answered the last time it was asked."""
        self._stopping = False
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
        self.application: AnyApplication = builder.build()

    @property
    def bot(self) -> Bot:
        bot: Bot = self.application.bot
        return bot

    def __repr__(self) -> str:
        return f"Connection(is_up={self.is_up})"

    async def keep(self) -> None:
        """Stay connected until cancelled; a Telegram that cannot be reached is tried again and again."""
        wait = RETRY_LEAST
        while True:
            try:
                await self._start()
                await asyncio.Event().wait()
            except TelegramError as error:
                wait = await self._pause(error, wait)

    async def answers(self) -> bool:
        """Whether Telegram can be written to. After an outage the long poll is silent until something happens: ask."""
        updater = self.application.updater
        if not self.is_up and updater is not None and updater.running and not self._stopping:
            with contextlib.suppress(TelegramError):
                await self.bot.get_me()
                self._beat(True)
        return self.is_up

    def _beat(self, is_up: bool) -> None:
        if is_up != self.is_up:
            log.info("telegram is back" if is_up else "telegram is away")
        self.is_up = is_up

    async def _start(self) -> None:
        application = self.application
        await application.initialize()
        with contextlib.suppress(TelegramError):
            await self.bot.set_my_commands([BotCommand(name, say(f"c_{name}")) for name in COMMANDS])
        assert application.updater is not None
        if not application.running:
            await application.start()
        await application.updater.start_polling(
            timeout=POLL, allowed_updates=["message", "callback_query"], error_callback=self._on_poll_error
        )
        self.is_up = True
        log.info("telegram started", bot=self.bot.username)

    async def _pause(self, error: TelegramError, wait: float) -> float:
        """Wait before the next start; the following wait."""
        self.is_up = False
        if isinstance(error, InvalidToken):
            log.error("telegram refuses the token: check TRELLIS_TELEGRAM_TOKEN")
            wait = RETRY_MOST
        else:
            log.warning("telegram cannot be reached, trying again", error=type(error).__name__, seconds=wait)
        await asyncio.sleep(seconds_of(error) if isinstance(error, RetryAfter) else wait)
        return min(wait * 2, RETRY_MOST)

    def _on_poll_error(self, error: TelegramError) -> None:
        self.is_up = False
        if isinstance(error, Conflict):
            log.error("another program reads this bot's messages: stop it, or use a token of its own")
        elif not self._stopping:
            log.warning("telegram poll failed", error=type(error).__name__)

    async def end(self) -> None:
        """Each part ends by itself, however the others fare."""
        self.is_up, self._stopping = False, True
        updater = self.application.updater
        with contextlib.suppress(TelegramError, TimeoutError, RuntimeError):
            async with asyncio.timeout(ENDING / 2):
                if updater is not None and updater.running:
                    await updater.stop()
        with contextlib.suppress(TelegramError, TimeoutError, RuntimeError):
            async with asyncio.timeout(ENDING / 2):
                if self.application.running:
                    await self.application.stop()
        with contextlib.suppress(TelegramError, TimeoutError, RuntimeError):
            async with asyncio.timeout(ENDING / 4):
                await self.application.shutdown()
