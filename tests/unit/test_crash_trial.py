"""The crash trial: thousands of random lives, and planted faults that it must catch."""

import os

import pytest

from tests.crash import trial

RUNS = int(os.environ.get("TRELLIS_CRASH_RUNS", "1500"))
SHARDS = 6


@pytest.mark.parametrize("shard", range(SHARDS))
def test_after_any_crash_bot_and_venue_agree(shard):
    kills = sum(trial(seed).kills for seed in range(shard, RUNS, SHARDS))
    assert kills > 0
