"""A chat, a database and a desk that outlive the Telegram front in front of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
import pytest

from bot.app import Front
from bot.localchat import LocalChat, Person
from storage import outbox, users
from storage.database import Database
from storage.users import Role
from tests.fakes import OWNER, FakeDesk
from tests.hand import Hand
from trading.messages import Notice, NoticeKind

TOKEN = "123456:TESTTOKENTESTTOKENTESTTOKENTESTTOKE"
STRANGER = 77_000_001
VIEWER = 77_000_002


def now() -> int:
    return int(time.time() * 1000)


class House:
    """A chat, a database and a desk that outlive the front in front of them."""

    def __init__(self, chat: LocalChat, root: str, database: Database, http: aiohttp.ClientSession) -> None:
        self.chat = chat
        self.root = root
        self.database = database
        self.http = http
        self.desk = FakeDesk()
        self.clock = now
        self.tells_fills = False
        self.hand = self.hand_of(OWNER)

    def hand_of(self, person: int) -> Hand:
        return Hand(self.http, self.root, person)

    def front(self) -> Front:
        return Front(
            TOKEN,
            self.desk,
            self.database,
            base_url=self.root,
            owner_id=OWNER,
            clock=lambda: self.clock(),
            version="1.2.3",
            tells_fills=self.tells_fills,
        )

    @asynccontextmanager
    async def open(self, wait: bool = True) -> AsyncIterator[Front]:
        """The front runs; leaving ends it, which takes less than a second."""
        front = self.front()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(front.run()), group.create_task(front.deliver())]
            try:
                async with asyncio.timeout(10):
                    while wait and not front.is_up:
                        await asyncio.sleep(0.02)
                yield front
            finally:
                began = time.monotonic()
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
                assert time.monotonic() - began < 1.0

    async def notice(self, kind: NoticeKind, ref: str, bot: int = 1, **values: str) -> None:
        notice = Notice(bot, kind, ref, now(), {"symbol": "BTCUSDT", "badge": "DEMO", "quote": "USDT", **values})
        await outbox.add(
            self.database, chat=OWNER, kind=kind.value, ref=ref, payload=msgspec.json.encode(notice).decode(),
            now=now(), bot=bot, account=1, urgency=outbox.priority(kind),
        )  # fmt: skip


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    people = [Person(OWNER, "Ann", "ann"), Person(STRANGER, "Eve", "eve"), Person(VIEWER, "Vic", "vic")]
    chat = LocalChat(TOKEN, "trellis_demo_bot", people, flood_limits=False)
    port = await chat.start()
    database = Database(f"sqlite:///{tmp_path / 'state.db'}")
    await database.open()
    await users.add(database, VIEWER, Role.VIEWER, 1)
    async with aiohttp.ClientSession() as http:
        yield House(chat, f"http://127.0.0.1:{port}", database, http)
    await database.close()
    await chat.close()
