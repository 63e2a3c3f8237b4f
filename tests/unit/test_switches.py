"""Notices are switched in groups; what stopped a grid is never off; quiet hours make silent what is on."""

from __future__ import annotations

import pytest

from bot import switches
from trading.messages import NoticeKind

HOUR = 3_600_000


@pytest.mark.parametrize("kind", list(NoticeKind))
def test_every_kind_is_in_one_group_and_has_a_mode(kind: NoticeKind) -> None:
    assert sum(kind in kinds for kinds in switches.GROUPS.values()) == 1
    assert switches.mode({}, kind, 0) in switches.MODES


def test_presses_go_round_and_trouble_is_never_off() -> None:
    wishes: dict[str, str] = {}
    seen = []
    for _ in range(3):
        wishes["notify.pair"] = switches.following(wishes, "pair")
        seen.append(wishes["notify.pair"])
    assert seen == ["off", "on", "silent"]
    assert switches.of_group({"notify.trouble": "off"}, "trouble") == "on"
    assert switches.following({"notify.trouble": "silent"}, "trouble") == "on"
    assert switches.of_group({"notify.pair": "shout"}, "pair") == "silent"


@pytest.mark.parametrize(
    ("hours", "hour", "quiet"),
    [("22-7", 23, True), ("22-7", 6, True), ("22-7", 7, False), ("22-7", 12, False), ("0-8", 0, True),
     ("0-8", 8, False), ("", 3, False), ("9-17", 10, False), ("x", 3, False)],
)  # fmt: skip
def test_quiet_hours_may_pass_midnight(hours: str, hour: int, quiet: bool) -> None:
    assert switches.is_quiet(hours, hour * HOUR) is quiet
    mode = switches.mode({"quiet": hours}, NoticeKind.STARTED, hour * HOUR)
    assert mode == ("silent" if quiet else "on")
