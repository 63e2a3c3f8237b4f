"""The machine's own measure: a fixed loop over plain ints, so that ratios compare between machines and hours."""

from __future__ import annotations

import time
from collections.abc import Callable

LEVELS = 100
STEPS = 50_000


def path(steps: int = STEPS, levels: int = LEVELS) -> list[int]:
    """A deterministic walk over level numbers, half a level at a time."""
    state, place, walk = 12345, levels, []
    for _ in range(steps):
        state = (1103515245 * state + 12345) & 0x7FFFFFFF
        place += 1 if state & 0x10000 else -1
        place = min(max(place, 1), 2 * levels - 1)
        walk.append(place)
    return walk


def skip(walk: list[int], levels: int = LEVELS) -> int:
    """A grid as a pointer: the level below, the level above, nothing else. How many levels the walk crossed."""
    below = walk[0] // 2
    low, high = 2 * below, 2 * below + 2
    fills = 0
    for price in walk:
        if low < price < high:
            continue
        while price <= low and below > 0:
            below -= 1
            low, high, fills = low - 2, high - 2, fills + 1
        while price >= high and below < levels - 1:
            below += 1
            low, high, fills = low + 2, high + 2, fills + 1
    return fills


def once(run: Callable[[], object]) -> float:
    """How long `run` takes, s."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def best(run: Callable[[], object], times: int = 25) -> float:
    """The shortest of several runs, s: what the code costs when nobody else has the core."""
    shortest = float("inf")
    for _ in range(times):
        shortest = min(shortest, once(run))
    return shortest


def nanoseconds() -> float:
    """What one step of the loop costs on this machine just now, ns."""
    walk = path()
    return best(lambda: skip(walk)) / len(walk) * 1e9
