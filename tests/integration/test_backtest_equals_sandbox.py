"""One grid over one day of candles: backtested in memory, and traded through the sandbox's sockets."""

import asyncio
import gzip
import os
import time
from decimal import Decimal as D
from pathlib import Path

import aiohttp
import msgspec
import pytest

from storage.database import Database
from tests.integration.test_desk import Bench, opened
from trading.backtest import Options as BacktestOptions
from trading.backtest import perform, prepare
from trading.core.engine import Engine
from trading.sandbox.server import Options, Sandbox

pytestmark = [pytest.mark.real_data, pytest.mark.slow, pytest.mark.timeout(300)]
DATA = Path(os.environ.get("TRELLIS_DATA") or Path(__file__).parents[2].parent / "shared" / "data")
TAPE = DATA / "klines" / "binance-um_BTCUSDT_1m_2025-05-04_2025-06-24.csv.gz"
DAY = 1440


def a_day(folder: Path) -> Path:
    if not TAPE.exists():
        pytest.skip("the recorded market data is not here (../shared/data or TRELLIS_DATA)")
    tape = folder / "BTCUSDT-1m-day.csv"
    with gzip.open(TAPE, "rt") as rows, tape.open("w") as day:
        day.writelines(row for n, row in enumerate(rows) if n <= DAY)
    return tape


@pytest.mark.parametrize("direction", ["neutral", "long", "short"])
async def test_a_backtest_and_the_sandbox_give_the_same_fills_and_the_same_ledger(tmp_path, direction):
    tape = a_day(tmp_path)
    line = f"BTCUSDT {direction} 93000-98000 50 9000u 2x"
    (job,) = prepare([str(tape)], [line], BacktestOptions())
    expected = perform(job).outcome
    assert expected.fills > 50

    sandbox = Sandbox(Options(replay=(f"BTCUSDT={tape}",), speed=0, hold=True, settle=25, limits=False))
    await sandbox.start()
    database = Database(f"sqlite:///{tmp_path}/t.db")
    await database.open()
    try:
        async with opened(Bench(sandbox, database)) as bench:
            grid = {"lower": "93000", "upper": "98000", "grids": "50", "investment": "9000", "leverage": "2"}
            bot = await bench.running(direction=direction.upper(), **grid)
            await bench.until(lambda: len(bench.orders()) == 50)
            url = f"http://127.0.0.1:{sandbox.port}/sandbox/market"
            async with aiohttp.ClientSession() as http, http.post(url, json={"go": True}):
                pass
            await played(sandbox, bench, bot, expected.fills)
            engine: Engine = bench.desk.roster.bots[bot].engine
            books, last = engine.ledger.books, sandbox.exchange.venue.last("BTCUSDT")
            initial = sum(1 for o in sandbox.exchange.venue.all_orders("sandboxkey") if ".o." in o.client_id)
            assert last == expected.last
            assert books.fills - initial == expected.fills
            assert books.pairs == expected.pairs
            assert books.matched == expected.matched
            assert engine.ledger.unmatched(last) == expected.unmatched
            assert books.fees == expected.fees
            assert books.position == expected.position
            assert msgspec.structs.asdict(books)["funding"] == D(0) == expected.funding
    finally:
        await database.close()
        await sandbox.close()


async def played(sandbox: Sandbox, bench: Bench, bot: int, fills: int) -> None:
    """Until the tape has come to its end and nothing happens any more."""
    end, before, quiet = time.monotonic() + 240, -1, 0
    while quiet < 10:
        assert time.monotonic() < end, f"{bench.desk.card(bot).fills} of {fills} fills"
        await asyncio.sleep(0.2)
        now = sandbox.exchange.venue.last("BTCUSDT"), bench.desk.card(bot).fills
        quiet = quiet + 1 if now == before else 0
        before = now
