"""Where benchmarks happen: a sandbox in this process with ears on its sockets, and the processes that trade there."""

from __future__ import annotations

import asyncio
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import calibration, listing
from benchmarks.ears import Watch, listen
from benchmarks.rivals import Pair, Task
from benchmarks.service import SECRET
from tests.trial.lines import Gone, Process
from trading.model import Side
from trading.sandbox.drive import reach
from trading.sandbox.options import Opening, Options
from trading.sandbox.server import Sandbox

ROOT = Path(__file__).resolve().parents[1]
BARE = "bare"


def resident(pid: int) -> int:
    """Bytes of memory that a process holds; Linux only."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Room:
    """A still made-up exchange without limits, our service with its accounts, and the bare client with its own."""

    def __init__(
        self, accounts: Sequence[str], instruments: int, rivals: Sequence[str] = (BARE,), limits: bool = False
    ) -> None:
        self.accounts = list(accounts)
        self.symbols = listing.symbols(instruments)
        self._folder = tempfile.TemporaryDirectory()
        self.folder = Path(self._folder.name)
        names = [*accounts, *rivals]
        self.sandbox = Sandbox(
            Options(
                accounts=tuple(Opening(name, SECRET, Decimal(10_000_000)) for name in names),
                rules=listing.write(self.folder, instruments),
                still=True,
                limits=limits,
                scramble=False,
            )
        )
        self.watch = Watch()
        self.port = 0
        self.service = self._service()
        self._bare: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Room:
        self.port = await self.sandbox.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._bare is not None:
            self._bare.terminate()
            await asyncio.to_thread(self._bare.wait, 20)
        await self.service.end(signal.SIGTERM)
        await self.sandbox.close()
        self._folder.cleanup()

    # ------------------------------------------------------------------ who trades

    def _service(self) -> Process:
        arguments = [f"--database=sqlite:///{self.folder}/benchmark.db", f"--port={self.port}"]
        arguments += [f"--account={name}" for name in self.accounts]
        return Process("benchmarks.service", self.folder / "errors.log", *arguments, f"--log={self.folder}/log")

    async def serve(self) -> int:
        """Start our service; when all its accounts were reached, by the monotonic clock, ns."""
        self.service = self._service()
        await self.service.spawn()
        try:
            return int(await self.service.ask("settled", 120))
        except (Gone, TimeoutError):
            raise SystemExit(f"the service did not start; {self._errors()}") from None

    async def rival(self, pairs: Mapping[str, Sequence[Pair]]) -> None:
        """Start the bare client with these orders by account, and wait until they rest."""
        tasks = [Task(account, self.port, tuple(each)) for account, each in pairs.items()]
        command = [sys.executable, "-m", "benchmarks.rivals", msgspec.json.encode(tasks).decode()]
        self._bare = subprocess.Popen(command, cwd=ROOT)
        for account, each in pairs.items():
            await self.rest(account, len(each))

    async def rest(self, account: str, orders: int, seconds: float = 120) -> None:
        """Until so many orders of `account` rest; SystemExit where they never do."""
        end = time.monotonic() + seconds
        while (found := len(self.sandbox.exchange.venue.open_orders(account))) != orders:
            if time.monotonic() > end:
                raise SystemExit(f"{account}: {found} orders rest, not {orders}; {self._errors()}")
            await asyncio.sleep(0.05)

    def _errors(self) -> str:
        log = self.folder / "errors.log"
        return log.read_text()[-2000:] if log.exists() else ""

    def listen(self) -> None:
        """From now on what every socket says is timed."""
        listen(self.sandbox.exchange, self.watch)

    # ------------------------------------------------------------------ the market and the books

    def go(self, symbol: str, price: Decimal, is_quiet: bool = False) -> None:
        """The price goes there; where `is_quiet` the new quote is kept until `show`."""
        if is_quiet:  # a symbol that is touched already is shown by who touched it
            self.sandbox.exchange.publisher._touched.add(symbol)
        reach(self.sandbox.exchange, symbol, price)

    def show(self, symbol: str) -> None:
        """Tell the quote that was kept."""
        self.sandbox.exchange.publisher._touched.discard(symbol)
        self.sandbox.exchange.publisher.touch(symbol)

    def begin_minute(self) -> None:
        """As if nobody had asked anything yet: without limits a client goes by the usual ones until it knows better."""
        self.sandbox.exchange.quota._weights.clear()

    def sides(self, account: str, symbol: str) -> dict[Side, int]:
        """How many orders rest on each side."""
        orders = self.sandbox.exchange.venue.open_orders(account, symbol)
        buys = sum(order.side is Side.BUY for order in orders)
        return {Side.BUY: buys, Side.SELL: len(orders) - buys}


def part(times: Sequence[float], share: float) -> float:
    """The value below which `share` of `times` lie."""
    ordered = sorted(times)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def conditions() -> dict[str, Any]:
    """What figures of this moment depend on."""
    return {
        "calibration_ns": round(calibration.nanoseconds(), 1),
        "load": [round(each, 2) for each in os.getloadavg()],
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def told(figures: dict[str, Any], file: Path | None) -> None:
    """Say under which conditions, and write everything down where asked."""
    now = conditions()
    print(
        f"calibration loop: {now['calibration_ns']} ns a step; load {now['load'][0]}; "
        f"{now['cores']} cores; Python {now['python']}"
    )
    if file is not None:
        file.write_bytes(msgspec.json.encode({"conditions": now, **figures}))
