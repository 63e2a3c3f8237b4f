"""From the start of the process to ready: the service on an exchange, and the demo to its page; and what they weigh.

    python -m benchmarks.startup --times 5 --json startup.json

Measured beside it: an interpreter that does nothing, and one that only loads the program. Every process writes its
bytecode into a folder of this benchmark, which a first start has filled, as on a machine that runs it a second time.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from benchmarks.room import ROOT, part, resident, told
from benchmarks.service import SECRET
from trading.sandbox.options import Opening, Options
from trading.sandbox.server import Sandbox

PATIENCE = 60.0


class Start(Struct):
    """One start, s and bytes."""

    ready: float
    resident: int = 0
    """Of the process that was started, when ready."""
    whole: int = 0
    """With every process it started."""


class Ground:
    """Where processes start: a folder, its bytecode and environment, and a sandbox for the service."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._taken = 0
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TRELLIS_")}
        kept.pop("PYTHONDONTWRITEBYTECODE", None)
        self.environment = kept | {"PYTHONPYCACHEPREFIX": str(folder / "bytecode")}

    def once(self, *arguments: str) -> Start:
        """A process that ends by itself."""
        began = time.monotonic()
        subprocess.run([sys.executable, *arguments], cwd=ROOT, env=self.environment, check=True)
        return Start(time.monotonic() - began)

    def until(self, line: str, *arguments: str, **environment: str) -> Start:
        """`run.py` until it prints a line with `line` in it; SystemExit where it never does."""
        began = time.monotonic()
        with subprocess.Popen(
            [sys.executable, "run.py", *arguments],
            cwd=ROOT,
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout is not None
            end = threading.Timer(PATIENCE, process.kill)
            end.start()
            try:
                if not any(line in heard for heard in process.stdout):
                    raise SystemExit(f"run.py {' '.join(arguments)} never said {line!r}")
                ready = time.monotonic() - began
                family = [process.pid, *_children(process.pid)]
                return Start(ready, resident(process.pid), sum(map(resident, family)))
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(PATIENCE)
                end.cancel()

    def home(self) -> str:
        """A new state folder."""
        self._taken += 1
        return str(self.folder / f"home-{self._taken}")

    def service(self, home: str, port: int) -> Start:
        return self.until(
            "Trellis runs",
            TRELLIS_HOME=home,
            TRELLIS_OWNER_ID="1",
            TRELLIS_TELEGRAM__ENABLED="false",
            TRELLIS_EXCHANGE__URL=f"http://127.0.0.1:{port}",
            TRELLIS_BINANCE_KEY="benchmark",
            TRELLIS_BINANCE_SECRET=SECRET,
        )

    def demo(self, home: str) -> Start:
        return self.until("http://127.0.0.1", "demo", "--no-browser", "--data", home)


def _children(pid: int) -> Iterator[int]:
    """Processes that `pid` started, and theirs."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == pid:
            child = int(stat.parent.name)
            yield child
            yield from _children(child)


def starts(ground: Ground, port: int, times: int) -> dict[str, list[Start]]:
    """Everything so many times, after one start of each that does not count."""
    found: dict[str, list[Start]] = {}
    service, demo = ground.home(), ground.home()
    kinds = {
        "an interpreter": lambda: ground.once("-c", "pass"),
        "the program loaded": lambda: ground.once("-c", "import run"),
        "service, first start": lambda: ground.service(ground.home(), port),
        "service": lambda: ground.service(service, port),
        "demo, first start": lambda: ground.demo(ground.home()),
        "demo": lambda: ground.demo(demo),
    }
    for number in range(times + 1):
        for name, start in kinds.items():
            began = start()
            if number:
                found.setdefault(name, []).append(began)
    return found


async def run(times: int) -> dict[str, list[Start]]:
    sandbox = Sandbox(Options(accounts=(Opening("benchmark", SECRET),), still=True))
    port = await sandbox.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            return await asyncio.to_thread(starts, Ground(Path(folder)), port, times)
    finally:
        await sandbox.close()


def show(found: dict[str, list[Start]]) -> None:
    print(f"\n{'until ready':22}{'s':>7}{'least':>8}{'most':>8}{'MB':>7}{'all, MB':>9}")
    for name, each in found.items():
        times = [start.ready for start in each]
        weights = "".join(f"{_megabytes(each, key):{width}.0f}" for key, width in (("resident", 7), ("whole", 9)))
        print(f"{name:22}{part(times, 0.5):7.2f}{min(times):8.2f}{max(times):8.2f}{weights}")


def _megabytes(each: Sequence[Start], key: str) -> float:
    return part([getattr(start, key) for start in each], 0.5) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=5, help="that each is started and counts")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = asyncio.run(run(given.times))
    show(found)
    told({"starts": found}, given.json)


if __name__ == "__main__":
    main()
