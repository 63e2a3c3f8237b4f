"""The room of settings: one press, the next choice, kept in the database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from bot import switches
from bot.access import Reader
from bot.menu import Press
from bot.pages import Reply
from bot.screens import settings
from bot.words import say
from storage import preferences
from storage.database import Database


class Settling:
    """Every person's own; viewers have theirs, too."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.verbs: Mapping[str, Callable[[Reader, Press], Awaitable[Reply]]] = {
            "settings": self._show,
            "setnotify": self._notify,
            "setquiet": self._quiet,
            "setcharts": self._charts,
            "setlanguage": self._language,
        }

    async def _show(self, reader: Reader, press: Press) -> Reply:
        wishes = await preferences.everything(self._database, reader.id)
        return Reply(settings.settings(wishes, reader.id, reader.role.value))

    async def _put(self, reader: Reader, name: str, value: str) -> Reply:
        await preferences.put(self._database, reader.id, name, value)
        return await self._show(reader, Press("settings"))

    async def _notify(self, reader: Reader, press: Press) -> Reply:
        if press.argument not in switches.GROUPS:
            return await self._show(reader, press)
        wishes = await preferences.everything(self._database, reader.id)
        chosen = switches.following(wishes, press.argument)
        is_default = chosen == switches.of_group({}, press.argument)
        return await self._put(reader, f"notify.{press.argument}", "" if is_default else chosen)

    async def _quiet(self, reader: Reader, press: Press) -> Reply:
        hours = await preferences.get(self._database, reader.id, "quiet")
        at = switches.QUIET.index(hours) if hours in switches.QUIET else 0
        return await self._put(reader, "quiet", switches.QUIET[(at + 1) % len(switches.QUIET)])

    async def _charts(self, reader: Reader, press: Press) -> Reply:
        theme = await preferences.get(self._database, reader.id, "charts", "dark")
        return await self._put(reader, "charts", "light" if theme == "dark" else "")

    async def _language(self, reader: Reader, press: Press) -> Reply:
        return Reply((await self._show(reader, press)).screen, say("settings_language_later"))
