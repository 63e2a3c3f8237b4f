"""Draws the docs' diagrams from the code's own tables, so that no picture can lie: `python -m docs.diagrams`."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from trading.core.lifecycle import LIVE, MOVES, OVER, Move, Status
from trading.core.orders import TABLE

HERE = Path(__file__).parent


def lifecycle() -> str:
    """The life of a bot as a Mermaid state diagram."""
    edges: defaultdict[tuple[Status, Status], list[str]] = defaultdict(list)
    for status in Status:
        for move in Move:
            if (status, move) in MOVES:
                edges[status, MOVES[status, move]].append(move.value)
    lines = ["stateDiagram-v2", "    [*] --> CREATED"]
    lines += [f"    {a.value} --> {b.value}: {', '.join(moves)}" for (a, b), moves in edges.items()]
    lines += [f"    {status.value} --> [*]" for status in Status if status in OVER]
    live = ", ".join(status.value for status in Status if status in LIVE)
    return "\n".join(["```mermaid", *lines, "```", "", f"Live (orders may rest on the exchange): {live}."])


def orders() -> str:
    """What becomes of an order's status at each event, as a table."""
    events = list(dict.fromkeys(kind.__name__ for _, kind in TABLE))
    states = list(dict.fromkeys(status for status, _ in TABLE))
    rows = ["| status | " + " | ".join(events) + " |", "|---" * (len(events) + 1) + "|"]
    for status in states:
        cells = [next((t.value for (s, k), t in TABLE.items() if s is status and k.__name__ == e), "") for e in events]
        rows.append(f"| {status.value} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def page() -> str:
    """`docs/lifecycle.md`."""
    return (
        "# The life of a bot and of an order\n\n"
        "Made by `python -m docs.diagrams` from the tables in `trading/core/lifecycle.py` and\n"
        "`trading/core/orders.py`; a test holds this page against them.\n\n"
        f"## A bot\n\n{lifecycle()}\n\n"
        "An illegal move is refused with a sentence and changes nothing. STOPPING stays, and says why,\n"
        "until the exchange has confirmed that nothing of ours is left.\n\n"
        f"## An order\n\nRows: where it stands. Columns: what is heard. An order over is forgotten.\n\n{orders()}\n"
    )


if __name__ == "__main__":
    (HERE / "lifecycle.md").write_text(page(), "utf-8")
