"""A person at the local chat: types, presses, looks, over HTTP as the chat page does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import aiohttp

PATIENCE = 8.0


class Hand:
    """One person's thumb and eyes."""

    def __init__(self, http: aiohttp.ClientSession, root: str, person: int) -> None:
        self._http = http
        self.root = root
        self.person = person

    async def _post(self, path: str, **wish: Any) -> dict[str, Any]:
        async with self._http.post(f"{self.root}/chat/{path}", json=wish) as response:
            answer: dict[str, Any] = await response.json()
            assert response.status == 200, answer
            return answer

    async def screens(self) -> list[dict[str, Any]]:
        """Every message in the chat, oldest first."""
        async with self._http.get(f"{self.root}/chat/{self.person}/screen?limit=100") as response:
            found: list[dict[str, Any]] = await response.json()
            return found

    async def bot_screens(self) -> list[dict[str, Any]]:
        return [each for each in await self.screens() if each["from"] == "bot"]

    async def sees(self, words: str, where: Callable[[dict[str, Any]], bool] = lambda each: True) -> dict[str, Any]:
        """The newest message of the bot that says `words`, waited for."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            for each in reversed(await self.bot_screens()):
                if words in each["text"] and where(each):
                    return each
            await asyncio.sleep(0.03)
        raise AssertionError(f"{words!r} is not on screen: {[e['text'] for e in await self.bot_screens()][-3:]}")

    async def types(self, text: str, sees: str) -> dict[str, Any]:
        """Type and see the answer in a message that was changed or sent after it."""
        before = {each["id"]: each["text"] for each in await self.bot_screens()}
        await self._post(f"{self.person}/send", text=text)
        return await self.sees(sees, lambda each: before.get(each["id"]) != each["text"])

    async def says(self, text: str) -> None:
        """Type without waiting for anything."""
        await self._post(f"{self.person}/send", text=text)

    async def presses(self, screen: dict[str, Any], caption: str, sees: str = "") -> dict[str, Any]:
        """Press the button that has `caption` in it, and see."""
        answer = await self.pressed(screen, caption)
        assert answer is not None, "the press was not answered"
        return await self.sees(sees) if sees else screen

    async def pressed(self, screen: dict[str, Any], caption: str) -> dict[str, Any] | None:
        """Press; the answer that the chat shows."""
        captions = [text for row in screen["buttons"] for text in row]
        found = next((text for text in captions if caption in text), None)
        assert found is not None, f"{caption!r} is not among {captions}"
        answer = await self._post(f"{self.person}/press", message=screen["id"], text=found, wait=6)
        shown: dict[str, Any] | None = answer["answer"]
        return shown

    async def outage(self, mode: str) -> None:
        await self._post("outage", mode=mode)

    async def flood(self, seconds: float) -> None:
        await self._post("flood", seconds=seconds)

    async def block(self, blocked: bool) -> None:
        await self._post(f"{self.person}/block", blocked=blocked)
