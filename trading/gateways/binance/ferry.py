"""One read for everybody who waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Ferry(Generic[T]):
    """Shares the answers of a read; nobody is given one that was asked for before they came."""

    def __init__(self, read: Callable[[], Awaitable[T]]) -> None:
        self._read = read
        self._left = 0
        """How many reads have begun."""
        self._landed: tuple[int, T] | None = None
        """The number of the last one that came back, and what it brought."""
        self._is_away = asyncio.Lock()

    async def ask(self) -> T:
        """The answer to a read that begins now or later; an error is for whoever made that read."""
        return (await self.share())[0]

    async def share(self) -> tuple[T, bool]:
        """`ask`, and whether somebody else made the read."""
        came = self._left
        async with self._is_away:
            is_shared = self._landed is not None and self._landed[0] > came
            if not is_shared:
                self._left += 1
                number = self._left
                self._landed = number, await self._read()
            assert self._landed is not None
            return self._landed[1], is_shared
