"""What buttons do: each takes its seal, checks the reader's right and the state again, and asks the desk once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from bot.access import Reader
from bot.menu import Press
from bot.pages import Pages, Reply, declined
from bot.seals import Seals, Verdict
from bot.words import say
from trading.live.desk import Desk
from trading.views import Card, Declined

log = structlog.get_logger("bot.actions")
SETTLES, LOOK = 3.0, 0.1
"""Seconds that a state which passes by itself is waited for, and between two looks."""
CONFIRM = "confirm"
"""The refusal code by which the desk asks for a confirmation; its warnings come with it."""


class Actions:
    """Everything that moves something, by verb."""

    def __init__(self, desk: Desk, pages: Pages, seals: Seals, clock: Callable[[], int]) -> None:
        self._desk = desk
        self._pages = pages
        self._seals = seals
        self._clock = clock
        self._verbs: dict[str, Callable[[Reader, Card, str], Awaitable[Reply]]] = {
            "start": self._start,
            "stop": self._stop,
            "pause": self._pause,
            "resume": self._resume,
            "delete": self._delete,
            "place": self._place,
            "reset": self._reset,
        }

    def has(self, verb: str) -> bool:
        return verb in self._verbs

    async def act(self, reader: Reader, press: Press) -> Reply:
        """Do what a sealed button says, once."""
        if not reader.can_act:
            return Reply(toast=say("viewers_look"), alert=True)
        verdict = self._seals.take(self._clock(), reader.id, press)
        if verdict is Verdict.USED:
            return Reply(await self._pages.anywhere(reader, press), say("done_already"))
        if verdict is Verdict.STALE:
            return Reply(await self._pages.anywhere(reader, press), say("outdated"), alert=True, outcome="outdated")
        it = self._pages.card_of(reader, press.target)
        try:
            return await self._verbs[press.verb](reader, it, press.argument)
        except Declined as no:
            log.info("declined", verb=press.verb, bot=it.id, user=reader.id, why=[each.code for each in no.refusals])
            return declined(no, await self._pages.anywhere(reader, press))

    async def start(self, reader: Reader, it: Card, confirmed: bool = False, closes: bool = False) -> Reply:
        """Start, or ask for what must be confirmed first; the card comes once it runs, or soon."""
        try:
            await self._desk.start(it.id, reader.id, confirmed=confirmed, close_first=closes)
        except Declined as no:
            if not any(each.code == CONFIRM for each in no.refusals):
                raise
            warnings = [each for each in no.refusals if each.code != CONFIRM] or list(no.refusals)
            return Reply(self._pages.ask_anyway(reader, it, warnings, closes), outcome="asked to confirm")
        return await self._done(reader, it, "done_started", "STARTING")

    async def _start(self, reader: Reader, it: Card, argument: str) -> Reply:
        said = argument.split(".")
        return await self.start(reader, it, "confirmed" in said, "close" in said)

    async def _reset(self, reader: Reader, it: Card, argument: str) -> Reply:
        await self._desk.reset(it.id, reader.id, flatten=argument == "flatten")
        return await self._done(reader, it, "done_resetting", "RESETTING")

    async def _stop(self, reader: Reader, it: Card, argument: str) -> Reply:
        if argument == "flat" and it.position:  # what to do with it was not asked
            asked = await self._pages.ask_stop(reader, Press("ask_stop", it.id))
            return Reply(asked.with_notice("⚠️ " + say("stop_moved")), outcome="asked again")
        await self._desk.stop(it.id, reader.id, close=argument == "close")
        return await self._done(reader, it, "done_stopping", "STOPPING")

    async def _pause(self, reader: Reader, it: Card, argument: str) -> Reply:
        await self._desk.pause(it.id, reader.id)
        return await self._done(reader, it, "done_paused")

    async def _resume(self, reader: Reader, it: Card, argument: str) -> Reply:
        await self._desk.resume(it.id, reader.id, skip_initial=argument == "skip")
        return await self._done(reader, it, "done_resumed")

    async def _place(self, reader: Reader, it: Card, argument: str) -> Reply:
        await self._desk.place_again(it.id, int(argument), reader.id)
        return await self._done(reader, it, "done_placing")

    async def _delete(self, reader: Reader, it: Card, argument: str) -> Reply:
        await self._desk.delete(it.id, reader.id)
        return Reply(await self._pages.grids(reader, Press("grids")), say("done_deleted"), outcome="done")

    async def _done(self, reader: Reader, it: Card, key: str, passing: str = "") -> Reply:
        """The card, once the `passing` state is over or has lasted a while."""
        for _ in range(round(SETTLES / LOOK)):
            if not passing or self._desk.card(it.id).status != passing:
                break
            await asyncio.sleep(LOOK)
        return Reply(await self._pages.grid(reader, Press("grid", it.id)), say(key), outcome="done")
