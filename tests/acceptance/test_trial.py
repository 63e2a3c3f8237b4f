"""The socket fault trial for a short while: what is longer is run by hand, `python -m tests.trial --minutes 60`."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.databases import POSTGRES
from tests.trial.trial import trial

MINUTES = float(os.environ.get("TRELLIS_TRIAL_MINUTES", "2.5"))
pytestmark = [pytest.mark.slow, pytest.mark.timeout(60 * MINUTES + 600)]


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
async def test_faults_and_kills_over_real_sockets_lose_and_double_nothing(tmp_path: Path, database: str) -> None:
    if database == "postgresql" and not POSTGRES:
        pytest.skip("TRELLIS_TEST_POSTGRES holds no URL")
    seed = int(os.environ.get("TRELLIS_SEED", time.time()))
    found = await trial(tmp_path, seed, MINUTES, POSTGRES if database == "postgresql" else "")
    print(found.text())  # noqa: T201 - shown where the test fails
    assert found.violations == [], found.text()
    assert found.heals and found.fills
