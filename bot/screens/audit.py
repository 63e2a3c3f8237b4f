"""Who did what: the latest entries, and all of them as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape

from bot.menu import Screen, button, page, pager
from bot.words import say
from storage.audit import Entry

SIZE = 12
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet would take for a formula."""


def audit(entries: Sequence[Entry], number: int, mine: int) -> Screen:
    """`mine`: the reader's id, whose entries need no name."""
    here, pages, first = page(entries, number, SIZE)
    lines = [f"🗒 <b>{say('audit_title')}</b>", ""]
    lines += [_line(entry, mine) for entry in entries[first : first + SIZE]] or [say("audit_none")]
    turn = pager("audit", 0, here, pages)
    foot = (
        button(say("b_refresh"), "audit", 0, str(here) if here else ""),
        button(say("b_csv"), "auditcsv"),
        button(say("b_home"), "home"),
    )
    return Screen("\n".join(lines), (*((turn,) if turn else ()), foot))


def _line(entry: Entry, mine: int) -> str:
    at = datetime.fromtimestamp(entry.time / 1000, UTC)
    who = "" if entry.user == mine else say("audit_service") if not entry.user else f"{entry.user} "
    text = f"{who}{entry.action} {entry.target}".strip()
    outcome = entry.outcome if len(entry.outcome) <= 120 else f"{entry.outcome[:119]}…"
    more = f" → {outcome}" if outcome not in ("", "done", "shown") else ""
    return f"<code>{at.day:>2} {at:%b %H:%M:%S}</code> {escape(f'{text[:160]}{more}', quote=False)}"


def table(entries: Sequence[Entry]) -> bytes:
    """CSV with a byte order mark, so that spreadsheets read it as UTF-8."""
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\r\n")
    writer.writerow(("time", "user", "action", "target", "outcome"))
    for entry in entries:
        at = datetime.fromtimestamp(entry.time / 1000, UTC).isoformat(timespec="milliseconds")
        writer.writerow((at, entry.user, *map(_safe, (entry.action, entry.target, entry.outcome))))
    return target.getvalue().encode("utf-8-sig")


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA) else text
