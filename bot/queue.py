"""The order of updates: one person's in the order they came, different people's side by side, each once.

A webhook delivers at least once, and a poll that broke off before its confirmation is answered with the same updates
again. What a crash makes Telegram repeat meets the seals and drafts, which know what was done.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Coroutine
from typing import Any

import structlog
from telegram import Update
from telegram.ext import BaseUpdateProcessor

log = structlog.get_logger("bot.queue")
AT_ONCE = 256
EACH = 25
"""Updates of one person that may wait; further ones are dropped, so that nobody fills the house."""

REMEMBERED = 4_096
"""Numbers of updates that were seen."""


class ByUser(BaseUpdateProcessor):
    """Keyed by sender, else by chat."""

    def __init__(self) -> None:
        super().__init__(AT_ONCE)
        self._turns: dict[int, asyncio.Lock] = {}
        self._waiting: dict[int, int] = {}
        self._seen: OrderedDict[int, None] = OrderedDict()

    async def do_process_update(self, update: object, coroutine: Awaitable[Any]) -> None:
        key = _key(update)
        waiting = self._waiting.get(key, 0)
        is_known = isinstance(update, Update) and self._is_known(update.update_id)
        if is_known or waiting >= EACH:
            log.warning("update came twice" if is_known else "too many updates at once, one dropped", user=key)
            if isinstance(coroutine, Coroutine):
                coroutine.close()
            return
        self._waiting[key] = waiting + 1
        try:
            async with self._turns.setdefault(key, asyncio.Lock()):
                await coroutine
        finally:
            self._waiting[key] -= 1
            if not self._waiting[key]:
                del self._waiting[key], self._turns[key]

    def _is_known(self, number: int) -> bool:
        if number in self._seen:
            return True
        self._seen[number] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return False

    async def initialize(self) -> None:
        """Nothing to prepare."""

    async def shutdown(self) -> None:
        """Nothing to put away."""


def _key(update: object) -> int:
    if not isinstance(update, Update):
        return 0
    person, chat = update.effective_user, update.effective_chat
    return person.id if person is not None else chat.id if chat is not None else 0
