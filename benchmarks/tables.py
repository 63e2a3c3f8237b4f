"""The tables of docs/performance.md, written from the reports of one folder.

    python -m benchmarks.tables FOLDER --machine "two cores of their own, nobody else"

A report that is not there leaves its table as it is. Tables stand between `<!-- NAME -->` and `<!-- /NAME -->`.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.room import ROOT, part

PAGE = ROOT / "docs" / "performance.md"
Report = dict[str, Any]


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def grids(report: Report) -> str:
    heads = ("grids", "fills each", "service, µs", "p90", "p99", "bare client, µs", "p90", "p99", "**ratio**", "p90",
             "p99", "run by run")  # fmt: skip
    rows = []
    for row in report["rows"]:
        ours, theirs, ratio = row["service"], row["bare"], row["ratio"]
        times = [f"{each[share]:,.0f}" for each in (ours, theirs) for share in ("median", "p90", "p99")]
        ratios = [f"**{ratio['median']:.2f}**", f"{ratio['p90']:.2f}", f"{ratio['p99']:.2f}"]
        each = ", ".join(f"{ratio:.2f}" for ratio in row["ratios"])
        rows.append([f"{row['grids']:,}", f"{row['fills']:,}", *times, *ratios, each])
    return table(heads, rows)


def memory(report: Report) -> str:
    heads = (
        "grids",
        "MB without",
        "MB with",
        "kB a grid",
        "made and started in, s",
        "1 ms timer late, µs: median, p99, most",
    )
    return table(
        heads,
        [
            [
                f"{row['grids']:,}",
                f"{row['idle_MB']:.0f}",
                f"{row['MB']:.0f}",
                f"{row['kB_a_grid']:.0f}",
                f"{part(row['making_s'], 0.5):.1f}",
                ", ".join(f"{each:,.0f}" for each in row["lag_us"]),
            ]
            for row in report["rows"]
        ],
    )


def burst(report: Report) -> str:
    heads = ("burst", "client", "bursts", "first order, µs", "twentieth", "p90", "p99", "**ratio**", "run by run")
    rows = []
    for name, shape in report["shapes"].items():
        each = ", ".join(f"{ratio:.2f}" for ratio in shape["ratios"])
        for client, figures in shape["us"].items():
            times = [f"{figures[key]:,.0f}" for key in ("first", "median", "p90", "p99")]
            ratio = figures["median"] / shape["us"]["bare"]["median"]
            is_ours = client == "service"
            told = f"**{ratio:.2f}**" if is_ours else ""
            rows.append([name, client, str(figures["bursts"]), *times, told, each if is_ours else ""])
    return table(heads, rows)


def recovery(*reports: Report) -> str:
    heads = (
        "",
        "loaded",
        "desk has its books",
        "accounts reached",
        "**all reconciled**",
        "orders rest",
        "most",
        "kills",
    )
    rows = []
    for report in reports:
        times, limits = report["s"], "Binance's budgets" if report["limits"] == "real" else "no limits"
        accounts = f"{report['accounts']} account{'s' if report['accounts'] > 1 else ''}, {limits}"
        stages = [f"{times[key]:.2f}" for key in ("imported", "opened", "reached")]
        most = max(kill["answered"] for kill in report["kills"])
        ends = [f"**{times['reconciled']:.2f}**", f"{times['answered']:.2f}", f"{most:.2f}"]
        rows.append([accounts, *stages, *ends, str(len(report["kills"]))])
    return table(heads, rows)


def quotes(report: Report) -> str:
    alone, socket = report["alone"], report["socket"]
    kinds = {kind: rates for kind, rates in report["kinds"].items() if kind in ("bookTicker", "trade", "depthUpdate")}
    heads = ("", "all frames", *kinds, "through a socket")
    ways = zip(alone, socket, strict=True)
    rows = [
        [
            alone_,
            f"{alone[alone_]:,.0f}",
            *(f"{rates[alone_]:,.0f}" for rates in kinds.values()),
            f"{socket[through]:,.0f}",
        ]
        for alone_, through in ways
    ]
    return table(heads, rows)


def startup(report: Report) -> str:
    rows = []
    for name, starts in report["starts"].items():
        times = [start["ready"] for start in starts]
        weights = [part([start[key] for start in starts], 0.5) / 1e6 for key in ("resident", "whole")]
        told = [f"{weight:.0f}" if weight else "" for weight in weights]
        rows.append([name, f"{part(times, 0.5):.2f}", f"{min(times):.2f} – {max(times):.2f}", *told])
    return table(("", "s", "least – most", "MB", "all, MB"), rows)


TABLES: dict[str, tuple[tuple[str, ...], Callable[..., str]]] = {
    "grids": (("grids",), grids),
    "memory": (("grids",), memory),
    "burst": (("burst",), burst),
    "recovery": (("recovery", "recovery-20", "recovery-real"), recovery),
    "quotes": (("quotes",), quotes),
    "startup": (("startup",), startup),
}
"""By name: the reports it needs, and who draws it."""


def condition(reports: Sequence[Report], machine: str) -> str:
    """Under what these figures came about."""
    now = [report["conditions"] for report in reports]
    steps = sorted({f"{each['calibration_ns']:.0f}" for each in now})
    loads = sorted({f"{each['load'][0]:.1f}" for each in now})
    python = now[0]["python"]
    told = f"calibration {', '.join(steps)} ns, load at the end {', '.join(loads)}, Python {python}"
    return f"{now[0]['cores']} cores{', ' + machine if machine else ''}; {told}:"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where grids.json, burst.json, … lie")
    parser.add_argument("--machine", default="", help="what else ran there, in words")
    given = parser.parse_args()
    page = PAGE.read_text("utf-8")
    for name, (files, draw) in TABLES.items():
        found = [given.folder / f"{file}.json" for file in files]
        reports = [msgspec.json.decode(file.read_bytes()) for file in found if file.exists()]
        if not reports:
            continue
        text = f"<!-- {name} -->\n{condition(reports, given.machine)}\n\n{draw(*reports)}\n<!-- /{name} -->"
        page, times = re.subn(f"<!-- {name} -->.*?<!-- /{name} -->", lambda _, new=text: new, page, flags=re.DOTALL)
        print(f"{name}: {'written' if times else 'has no place on the page'}")
    PAGE.write_text(page, "utf-8")


if __name__ == "__main__":
    main()
