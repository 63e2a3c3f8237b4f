"""What a trial found, as JSON and as text."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec
from msgspec import Struct, field


class Violation(Struct):
    """An invariant that did not hold after a heal."""

    run: int
    heal: int
    seconds: float
    """Since the run began."""
    what: list[str]
    evidence: str
    """The folder with books, words and logs."""
    deeds: list[str]
    """What was done in this run, newest last."""


class Report(Struct):
    """Counts over all runs of one seed."""

    seed: int
    database: str = ""
    seconds: float = 0
    runs: int = 0
    heals: int = 0
    kills: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    deeds: dict[str, int] = field(default_factory=dict)
    """What persons did: verbs, foreign orders, cancels by hand."""
    orders: int = 0
    fills: int = 0
    heal_seconds: list[float] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)

    def fault(self, name: str) -> None:
        self.faults[name] = self.faults.get(name, 0) + 1

    def deed(self, name: str) -> None:
        self.deeds[name] = self.deeds.get(name, 0) + 1

    def save(self, file: Path) -> None:
        file.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=2))

    def text(self) -> str:
        """A few lines for a person."""
        slow = sorted(self.heal_seconds)
        middle = slow[len(slow) // 2] if slow else 0
        rows = [
            f"seed {self.seed}, {self.database}, {self.seconds / 60:.1f} minutes",
            f"runs {self.runs}, heals {self.heals}, kills {self.kills}, faults {sum(self.faults.values())}, "
            f"orders {self.orders}, fills {self.fills}",
            "faults: " + _counted(self.faults),
            "deeds: " + _counted(self.deeds),
            f"a heal took {middle:.1f} s in the middle, {slow[-1] if slow else 0:.1f} s at most",
            f"violations {len(self.violations)}",
        ]
        for each in self.violations:
            rows.append(f"  run {each.run}, heal {each.heal}, second {each.seconds:.0f}: {each.evidence}")
            rows += [f"    {what}" for what in each.what]
            rows += [f"      {deed[:160]}" for deed in each.deeds[-20:]]
        return "\n".join(rows)


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in Counter(counts).most_common()) or "none"
