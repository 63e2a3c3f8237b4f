"""Benchmark: 1,000 fills a minute on 20 grids through outbox, courier and a local Telegram with its flood limits on.

Everything is real but the exchange: the journal's rows in SQLite, the front of the service, HTTP to the local chat. It
fails where Telegram answered 429, a critical notice took two seconds, an answer to a person took two, or memory grew.

    python -m benchmarks.chat [--minutes 2] [--fills 1000] [--grids 20]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import random
import resource
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
from msgspec import Struct

from bot.app import Front
from bot.localchat import LocalChat, Person
from bot.localchat.errors import TooMany
from bot.localchat.flood import Flood
from storage import outbox
from storage.database import Database
from tests.fakes import OWNER, FakeDesk, a_card
from tests.hand import Hand
from trading.messages import Notice, NoticeKind

TOKEN = "123456:TESTTOKENTESTTOKENTESTTOKENTESTTOKE"
CRITICAL_EVERY, ANSWER_EVERY = 10.0, 7.0
"""Seconds."""
LIMIT = 2.0
"""Seconds that a critical notice or an answer may take."""
GROWTH = 8.0
"""MB that memory may grow between the first quarter and the end."""


class Counting(Flood):
    """Telegram's limits, and how often they were met."""

    refused = 0

    def take(self, chat: int, *, edit: bool = False) -> None:
        try:
            super().take(chat, edit=edit)
        except TooMany:
            Counting.refused += 1
            raise


class Found(Struct):
    """What a run measured."""

    fills: int = 0
    pairs: int = 0
    critical: list[float] = []
    answers: list[float] = []
    memory: list[tuple[float, float]] = []


def now() -> int:
    return int(time.time() * 1000)


def memory() -> float:
    """What this process holds, MB."""
    gc.collect()
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 1e6
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


class Bench:
    """A chat, a front and a desk of many grids."""

    def __init__(self, chat: LocalChat, database: Database, front: Front, hand: Hand, grids: int) -> None:
        self.chat = chat
        self.database = database
        self.front = front
        self.hand = hand
        self.grids = grids
        self.found = Found()
        self.seen: dict[str, float] = {}

    async def tell(self, kind: NoticeKind, ref: str, bot: int, **values: str) -> None:
        common = {"symbol": f"S{bot:02}USDT", "badge": "DEMO", "quote": "USDT"}
        notice = Notice(bot, kind, ref, now(), common | values)
        await outbox.add(
            self.database, chat=OWNER, kind=kind.value, ref=ref, payload=msgspec.json.encode(notice).decode(),
            now=now(), bot=bot, account=1, urgency=outbox.priority(kind),
        )  # fmt: skip

    async def fills(self, per_minute: int, until: float) -> None:
        """Fills at an even pace on any grid; every second one completes a pair."""
        pause, due = 60 / per_minute, time.monotonic()
        while time.monotonic() < until:
            number = self.found.fills = self.found.fills + 1
            bot = random.randrange(1, self.grids + 1)
            await self.tell(NoticeKind.FILL, f"f{number}", bot, side="BUY", price="10", qty="1")
            if number % 2:
                self.found.pairs += 1
                values = {"buy": "10", "sell": "10.1", "qty": "1", "profit": "0.1", "pairs": str(number)}
                await self.tell(NoticeKind.PAIR, f"p{number}", bot, matched="1", **values)
            due += pause
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def watch(self) -> None:
        """When each message arrived on the screen."""
        queue = self.chat.store.listen()
        while (event := await queue.get()) is not None:
            if event["type"] in ("message", "edit") and event["message"]["outgoing"]:
                text = event["message"].get("text", "")
                self.seen.setdefault(text, time.monotonic())

    async def criticals(self, until: float) -> None:
        """Now and then something that must be told at once."""
        number = 0
        while time.monotonic() < until:
            number += 1
            began = time.monotonic()
            await self.tell(NoticeKind.FAILED, f"c{number}", 1 + number % self.grids, text=f"critical {number}.")
            self.found.critical.append(await self.arrived(f"critical {number}.") - began)
            await asyncio.sleep(CRITICAL_EVERY)

    async def arrived(self, words: str) -> float:
        while True:
            for text, at in reversed(list(self.seen.items())):
                if words in text:
                    return at
            await asyncio.sleep(0.01)

    async def person(self, until: float) -> None:
        """Somebody looks at a grid and refreshes it meanwhile."""
        while time.monotonic() < until:
            began = time.monotonic()
            await self.hand.types("/grid 1", "Grid profit")
            self.found.answers.append(time.monotonic() - began)
            await asyncio.sleep(ANSWER_EVERY)

    async def measure(self, began: float, until: float) -> None:
        while time.monotonic() < until:
            await asyncio.sleep(5)
            self.found.memory.append((time.monotonic() - began, memory()))


@asynccontextmanager
async def opened(folder: Path, grids: int) -> AsyncIterator[Bench]:
    chat = LocalChat(TOKEN, "trellis_demo_bot", [Person(OWNER, "Ann")])
    chat.methods.flood = Counting(True)
    root = f"http://127.0.0.1:{await chat.start()}"
    database = Database(f"sqlite:///{folder / 'state.db'}")
    await database.open()
    desk = FakeDesk()
    for bot in range(1, grids + 1):
        desk.put(a_card(bot, symbol=f"S{bot:02}USDT"))
    front = Front(
        TOKEN, desk, database, base_url=root, owner_id=OWNER, clock=now, tells_fills=True,  # type: ignore[arg-type]
    )  # fmt: skip
    async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as group:
        tasks = [group.create_task(front.run()), group.create_task(front.deliver())]
        bench = Bench(chat, database, front, Hand(http, root, OWNER), grids)
        tasks.append(group.create_task(bench.watch()))
        while not front.is_up:
            await asyncio.sleep(0.05)
        yield bench
        for task in tasks:
            task.cancel()
    await database.close()
    await chat.close()


async def run(minutes: float, fills: int, grids: int) -> Bench:
    with tempfile.TemporaryDirectory() as folder:
        async with opened(Path(folder), grids) as bench:
            began = time.monotonic()
            until = began + minutes * 60
            async with asyncio.TaskGroup() as work:
                work.create_task(bench.fills(fills, until))
                work.create_task(bench.criticals(until))
                work.create_task(bench.person(until))
                work.create_task(bench.measure(began, until))
            while await outbox.pending(bench.database):
                await asyncio.sleep(0.1)
            return bench


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--fills", type=int, default=1_000, help="a minute")
    parser.add_argument("--grids", type=int, default=20)
    chosen = parser.parse_args()
    bench = asyncio.run(run(chosen.minutes, chosen.fills, chosen.grids))
    found = bench.found
    settled = [held for at, held in found.memory if at > chosen.minutes * 60 / 4]
    growth = settled[-1] - settled[0]
    sent = bench.chat.store.chat(OWNER).last
    print(f"{found.fills} fills and {found.pairs} pairs on {chosen.grids} grids in {chosen.minutes:g} min")
    print(f"messages in the chat   {sent} ({sent / chosen.minutes:.0f} a minute)")
    print(f"429 answers            {Counting.refused}")
    print(f"critical notice        worst {max(found.critical):.2f} s of {len(found.critical)}")
    print(f"answer to /grid        worst {max(found.answers):.2f} s of {len(found.answers)}")
    print(f"memory                 {settled[0]:.1f} MB at a quarter, {settled[-1]:.1f} MB at the end ({growth:+.1f})")
    wrong = [
        name
        for name, is_wrong in {
            "429": Counting.refused > 0,
            "critical": max(found.critical) > LIMIT,
            "answers": max(found.answers) > LIMIT,
            "memory": growth > GROWTH,
        }.items()
        if is_wrong
    ]
    print("FAILED: " + ", ".join(wrong) if wrong else "good")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
