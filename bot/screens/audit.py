"""Who did what: a page of the latest entries, and all of them as a table."""

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
LONGEST = 100
"""Characters of an entry's parts that a page shows; the table has all of them."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet would take for a formula."""


def audit(entries: Sequence[Entry], total: int, number: int) -> Screen:
    """`entries`: those of this page, newest first."""
    here, pages, _ = page(range(total), number, SIZE)
    lines = [f"🗒 <b>{say('audit_title')}</b>", f"<i>{say('audit_utc')}</i>", ""]
    lines += [_line(entry) for entry in entries[:SIZE]] or [say("audit_none")]
    turn = pager("audit", 0, here, pages)
    foot = (button(say("b_refresh"), "audit", 0, str(here) if here else ""), button(say("b_home"), "home"))
    return Screen("\n".join(lines), (*((turn,) if turn else ()), (button(say("b_csv"), "audit_csv"),), foot))


MARK = "\0"
NAMES = {
    "w": "new", "wgo": "new", "wmake": "create", "wcancel": "leave the wizard", "line": "/new", "draft": "continue",
    "eask": "edit", "evalue": "edit", "edo": "change", "ecancel": "leave the edit", "perf": "performance",
    "picture": "chart", "levels": "orders", "panicdo": "emergency stop", "panicsee": "panic", "open": "grid",
    "acctest": "test keys", "accremove": "remove account", "accgone": "forget keys", "ack": "acknowledge",
    "setnotify": "settings", "setquiet": "settings", "setcharts": "settings", "setlanguage": "settings",
}  # fmt: skip
"""Presses whose verb in a button is no word."""


def _line(entry: Entry) -> str:
    at = datetime.fromtimestamp(entry.time / 1000, UTC)
    what = " ".join(part for part in (NAMES.get(entry.action, entry.action), _short(entry.target)) if part)
    text = say(
        "audit_line",
        time=f"{at.day} {at:%b %H:%M:%S}",
        who=str(entry.user) if entry.user else "Trellis",
        what=f"{MARK}{what}{MARK}",  # as code: a tap on an old command must not send it again
        outcome=_short(entry.outcome).replace("_", " ") or "–",
    )
    before, command, after = escape(text, quote=False).split(MARK, 2)
    return f"{before}<code>{command}</code>{after}"


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= LONGEST else f"{plain[: LONGEST - 1]}…"


def table(entries: Sequence[Entry]) -> bytes:
    """CSV, newest last, with a byte order mark, so that spreadsheets read it as UTF-8."""
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\r\n")
    writer.writerow(("time", "user", "action", "target", "outcome"))
    for entry in reversed(entries):
        at = datetime.fromtimestamp(entry.time / 1000, UTC).isoformat(timespec="milliseconds")
        writer.writerow((at, entry.user, *map(_safe, (entry.action, entry.target, entry.outcome))))
    return target.getvalue().encode("utf-8-sig")


def _safe(text: str) -> str:
    """As text, whatever it begins with."""
    return f"'{text}" if text.startswith(FORMULA) else text
