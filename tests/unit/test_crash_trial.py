"""The crash trial: thousands of random lives, and planted faults that it must catch."""

import os

import pytest

from tests.crash import trial
from tests.faults import FAULTS

RUNS = int(os.environ.get("TRELLIS_CRASH_RUNS", "5000"))
SHARDS = 6


@pytest.mark.parametrize("shard", range(SHARDS))
def test_after_any_crash_bot_and_venue_agree(shard):
    kills = sum(trial(seed).kills for seed in range(shard, RUNS, SHARDS))
    assert kills > 0


@pytest.mark.parametrize("fault", FAULTS)
def test_the_trial_catches_a_planted_fault(fault):
    make_engine, commits_late = FAULTS[fault]
    for seed in range(1000):
        try:
            trial(seed, make_engine, commits_late)
        except AssertionError:
            return
    pytest.fail(f"{fault}: not caught in 1,000 runs")
