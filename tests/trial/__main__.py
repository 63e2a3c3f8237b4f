"""`python -m tests.trial`: the fault trial on demand, for as long as one likes."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from pathlib import Path

from tests.trial.trial import trial

parser = argparse.ArgumentParser(prog="python -m tests.trial", description=__doc__)
parser.add_argument("--minutes", type=float, default=5)
parser.add_argument("--seed", type=int, default=None, help="the same seed does the same deeds; times vary")
parser.add_argument("--run", type=int, default=None, help="only this run of the seed, again and again")
parser.add_argument("--audit", type=float, default=20, help="seconds between audits")
parser.add_argument("--limits", action="store_true", help="the exchange's rate limits refuse")
parser.add_argument("--postgres", action="store_true", help="on the server of TRELLIS_TEST_POSTGRES")
parser.add_argument("--folder", type=Path, default=Path("trial"), help="logs and evidence of violated runs")
parser.add_argument("--report", type=Path, default=None, help="the report as JSON, FOLDER/report.json by default")
given = parser.parse_args()
seed = time.time_ns() // 1_000_000 % 1_000_000 if given.seed is None else given.seed
given.folder.mkdir(parents=True, exist_ok=True)
found = asyncio.run(
    trial(
        given.folder.resolve(),
        seed,
        given.minutes,
        os.environ["TRELLIS_TEST_POSTGRES"] if given.postgres else "",
        audit=given.audit,
        limits=given.limits,
        only=given.run,
    )
)
found.save(given.report or given.folder / "report.json")
sys.stdout.write(found.text() + "\n")
sys.exit(1 if found.violations else 0)
