"""How a person wants to be told things: on, silent or off for each group of notices, and quiet hours.

Pure. Kept as preferences under `notify.<group>` and `quiet`; what stands at its default is not kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from trading.messages import NoticeKind

MODES = ("on", "silent", "off")
GROUPS: dict[str, frozenset[NoticeKind]] = {
    "pair": frozenset({NoticeKind.PAIR}),
    "fill": frozenset({NoticeKind.FILL}),
    "life": frozenset({NoticeKind.STARTED, NoticeKind.STOPPED, NoticeKind.RESUMED}),
    "trouble": frozenset(
        {
            NoticeKind.PAUSED, NoticeKind.FAILED, NoticeKind.FINISHED, NoticeKind.SLOT_WAITS, NoticeKind.FOREIGN_TRADE,
            NoticeKind.ERROR,
        }
    ),
    "connection": frozenset({NoticeKind.DISCONNECTED, NoticeKind.RECOVERED}),
}  # fmt: skip
"""What is switched together; every kind is in one of them."""
DEFAULTS = {"pair": "silent", "fill": "silent"}
"""The others are on."""
NEVER_OFF = frozenset({"trouble"})
"""A grid that stopped by itself is told, silently at least."""
QUIET = ("", "22-7", "23-8", "0-8")
"""Quiet hours to choose from, UTC; empty = none."""


def group_of(kind: NoticeKind) -> str:
    return next(name for name, kinds in GROUPS.items() if kind in kinds)


def mode(preferences: Mapping[str, str], kind: NoticeKind, now: int) -> str:
    """`on`, `silent` or `off` for a notice of `kind` at `now`, ms: quiet hours make silent what is on."""
    chosen = of_group(preferences, group_of(kind))
    return "silent" if chosen == "on" and is_quiet(preferences.get("quiet", ""), now) else chosen


def of_group(preferences: Mapping[str, str], group: str) -> str:
    chosen = preferences.get(f"notify.{group}", "")
    return chosen if chosen in choices(group) else DEFAULTS.get(group, "on")


def choices(group: str) -> tuple[str, ...]:
    return MODES[:2] if group in NEVER_OFF else MODES


def following(preferences: Mapping[str, str], group: str) -> str:
    """What the next press of the switch means."""
    every = choices(group)
    return every[(every.index(of_group(preferences, group)) + 1) % len(every)]


def is_quiet(hours: str, now: int) -> bool:
    """Whether `now`, ms, lies in quiet hours such as `22-7`, UTC."""
    if hours not in QUIET or not hours:
        return False
    begin, end = map(int, hours.split("-"))
    hour = datetime.fromtimestamp(now / 1000, UTC).hour
    return begin <= hour < end if begin < end else hour >= begin or hour < end
