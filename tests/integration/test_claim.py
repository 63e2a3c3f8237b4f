"""The first owner: whoever has the console's code, once, in time, and not by guessing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from bot import claim
from bot.localchat import LocalChat, Person
from service import wiring
from service.wiring import Chat, Trouble
from storage import audit, users
from storage.database import Database
from storage.users import Role
from tests.hand import Hand

pytestmark = pytest.mark.timeout(60)
TOKEN = "123456:TESTTOKENTESTTOKENTESTTOKENTESTTOKE"
ANN, EVE = 1001, 2002


class Door:
    """A bot without an owner, and two people before it."""

    def __init__(self, root: str, database: Database, http: aiohttp.ClientSession) -> None:
        self.root = root
        self.database = database
        self.ann, self.eve = Hand(http, root, ANN), Hand(http, root, EVE)
        self.stop = asyncio.Event()
        self.codes: list[str] = []

    async def open(self) -> int:
        """Wait for the owner."""
        chat = Chat(TOKEN, self.root)
        return await wiring.claimed(self.database, chat, self.stop, lambda code, bot: self.codes.append(code))

    async def code(self, number: int = 0) -> str:
        async with asyncio.timeout(5):
            while len(self.codes) <= number:
                await asyncio.sleep(0.02)
        return self.codes[number]


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    chat = LocalChat(TOKEN, "trellis_demo_bot", [Person(ANN, "Ann"), Person(EVE, "Eve")], flood_limits=False)
    port = await chat.start()
    database = Database(f"sqlite:///{tmp_path / 'state.db'}")
    await database.open()
    async with aiohttp.ClientSession() as http:
        yield Door(f"http://127.0.0.1:{port}", database, http)
    await database.close()
    await chat.close()


@pytest.mark.parametrize("way", ["/claim {code}", "{code}", "/start {plain}", "/claim  {lower} "])
async def test_who_sends_the_code_is_the_owner_and_the_code_is_used_up(door: Door, way: str) -> None:
    opening = asyncio.create_task(door.open())
    code = await door.code()
    await door.eve.types("/start", "no owner yet")
    await door.ann.types(way.format(code=code, plain=code.replace("-", ""), lower=code.lower()), "you are the owner")
    assert await opening == ANN
    known = await users.everybody(door.database)
    assert [(user.id, user.role) for user in known] == [(ANN, Role.ADMIN)]
    assert [entry.outcome for entry in await audit.latest(door.database, 5)] == ["owner"]
    assert code not in str(await audit.latest(door.database, 5))


async def test_guessing_is_stopped_for_one_person_and_for_many(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim, "ALL_TRIES", claim.TRIES + 1)
    opening = asyncio.create_task(door.open())
    code = await door.code()
    for _ in range(claim.TRIES - 1):
        await door.eve.types("AAAA-AAAA", "not the code")
    await door.eve.types("AAAA-AAAA", "not the code either")
    await door.eve.says(code)  # right, but nobody listens to her any more
    await door.ann.types("BBBB-BBBB", "not the code")
    assert await door.code(1) != code, "so many wrong tries replace the code"
    assert not opening.done()
    await door.ann.types(f"/claim {code}", "not the code")
    await door.ann.types(f"/claim {door.codes[-1]}", "you are the owner")
    assert await opening == ANN


async def test_a_code_that_is_too_old_is_none(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    offset = [0]
    monkeypatch.setattr(wiring, "now", lambda: int(time.time() * 1000) + offset[0])
    opening = asyncio.create_task(door.open())
    code = await door.code()
    offset[0] = claim.LIFE
    await door.ann.types(code, "not the code")
    await door.ann.types(await door.code(1), "you are the owner")
    assert await opening == ANN


async def test_telegram_may_be_down_and_the_end_may_come_first(door: Door) -> None:
    await door.ann.outage("error")
    opening = asyncio.create_task(door.open())
    await door.code()
    await asyncio.sleep(0.3)
    assert not opening.done()
    door.stop.set()
    assert await opening == 0


async def test_a_wrong_token_is_one_sentence(door: Door) -> None:
    with pytest.raises(Trouble, match="refuses the token"):
        await wiring.claimed(door.database, Chat("1:WRONG", door.root), door.stop, lambda code, bot: None)
