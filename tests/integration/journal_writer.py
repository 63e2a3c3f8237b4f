"""A process that commits as fast as it can until it is killed; prints each committed `now`. Arguments: URL, bots."""

from __future__ import annotations

import asyncio
import sys

from storage.database import Database
from storage.journal import DatabaseJournal
from tests.databases import Bot, a_bot


async def main(url: str, count: int) -> None:
    database = Database(url)
    await database.open()
    journal = DatabaseJournal(database)
    bots = [Bot((await a_bot(database, str(number))).id) for number in range(count)]
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(journal.run())
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            for bot in bots:
                bot.fill()
                journal.later(bot)
                await asyncio.sleep(0.0005)
            commanded = bots[0]
            commanded.fill()
            await journal.now(commanded)
            sys.stdout.write(f"{commanded.count}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
