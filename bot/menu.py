"""What a chat shows: a Screen of text and Buttons, and the codec of a button's callback data.

Pure. Callback data is self-contained and versioned (telegram.md §3): it names its object, never a place in a list, so
an old button acts on the right thing or not at all. `1:verb:target:argument:nonce:expiry`, at most 64 bytes, trailing
empty fields left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape, unescape
from urllib.parse import quote, unquote

from msgspec import Struct

VERSION = "1"
LIMIT = 64
"""Bytes of callback data that Telegram takes."""
TEXT_LIMIT = 4096
"""Characters of a message, counted after entities are taken out, in UTF-16 units."""
CAPTION_LIMIT = 1024
"""The same of what stands under a picture."""
_VERB = re.compile(r"[a-z][a-z0-9_]{0,11}")
_NONCE = re.compile(r"[0-9a-z]{0,12}")
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_PLAIN = " .,;-_~()*!'+=/%@"
"""Left readable in the argument; `%` itself is always quoted by `quote`."""


class Press(Struct, frozen=True):
    """What pressing a button asks for."""

    verb: str
    target: int = 0
    """Id of the object: a bot, an account."""
    argument: str = ""
    nonce: str = ""
    """Of a seal (single use) or of a draft."""
    expires: int = 0
    """Seconds UTC; 0 = never."""


class Button(Struct, frozen=True):
    """One inline button. `style` is Telegram's: `danger`, `success`, `primary` or none."""

    text: str
    press: Press
    style: str = ""


class Screen(Struct, frozen=True):
    """A whole message: HTML text and rows of buttons."""

    text: str
    rows: tuple[tuple[Button, ...], ...] = ()
    picture: bytes | None = None
    """A PNG that the text stands under; such a message stays one with a picture."""

    def with_notice(self, sentence: str) -> Screen:
        """The same screen with one plain sentence above it."""
        return Screen(f"{escape(sentence, quote=False)}\n\n{self.text}", self.rows, self.picture)


def encode(press: Press) -> str:
    """Callback data of `press`; ValueError where it does not fit or is malformed."""
    if not _VERB.fullmatch(press.verb) or not _NONCE.fullmatch(press.nonce) or press.expires < 0:
        raise ValueError(f"not a press: {press.verb!r}")
    argument = quote(press.argument, safe=_PLAIN.replace("%", ""))
    fields = [VERSION, press.verb, _base36(press.target), argument, press.nonce, _base36(press.expires)]
    while not fields[-1]:
        fields.pop()
    text = ":".join(fields)
    if len(text.encode()) > LIMIT:
        raise ValueError(f"callback data over {LIMIT} bytes: {press.verb}")
    return text


def decode(text: str) -> Press | None:
    """The press in `text`; None where it is of another version or not ours."""
    fields = text.split(":")
    if not 2 <= len(fields) <= 6 or fields[0] != VERSION or not _VERB.fullmatch(fields[1]):
        return None
    target, argument, nonce, expires = (*fields[2:], *[""] * (6 - len(fields)))
    if not _NONCE.fullmatch(nonce):
        return None
    numbers = (_number(target), _number(expires))
    if numbers[0] is None or numbers[1] is None or numbers[1] < 0:
        return None
    return Press(fields[1], numbers[0], unquote(argument), nonce, numbers[1])


def button(text: str, verb: str, target: int = 0, argument: str = "", style: str = "") -> Button:
    """A button that moves nothing: it only opens something."""
    return Button(text, Press(verb, target, argument), style)


def grid(buttons: Iterable[Button], width: int) -> tuple[tuple[Button, ...], ...]:
    """Buttons in rows of `width`."""
    row = list(buttons)
    return tuple(tuple(row[i : i + width]) for i in range(0, len(row), width))


def page(items: Sequence[object], number: int, size: int) -> tuple[int, int, int]:
    """(page, pages, first index) with `number` brought into bounds."""
    pages = max(1, -(-len(items) // size))
    here = min(max(number, 0), pages - 1)
    return here, pages, here * size


def pager(verb: str, target: int, here: int, pages: int) -> tuple[Button, ...]:
    """Earlier and later buttons; empty where there is one page."""
    if pages < 2:
        return ()
    return (
        button("‹", verb, target, str((here - 1) % pages)),
        button(f"{here + 1} / {pages}", verb, target, str(here)),
        button("›", verb, target, str((here + 1) % pages)),
    )


def split(text: str, limit: int = TEXT_LIMIT) -> list[str]:
    """`text` in parts of at most `limit` UTF-16 units, cut at line ends where possible.

    For texts whose tags close on their own line, which is how every screen writes them.
    """
    parts: list[str] = []
    part = ""
    for line in text.split("\n"):
        for piece in _pieces(line, limit):
            joined = f"{part}\n{piece}" if part else piece
            if part and _units(joined) > limit:
                parts.append(part)
                part = piece
            else:
                part = joined
    parts.append(part)
    return [p for p in parts if p.strip()] or [text]


def _pieces(line: str, limit: int) -> list[str]:
    """A line over the limit loses its tags and is cut; Telegram counts what is left after entities."""
    if _units(line) <= limit:
        return [line]
    plain, size = unescape(re.sub(r"<[^>]*>", "", line)), limit // 2
    return [escape(plain[i : i + size], quote=False) for i in range(0, len(plain), size)]


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _base36(number: int) -> str:
    if number == 0:
        return ""
    sign, rest, text = ("-" if number < 0 else ""), abs(number), ""
    while rest:
        rest, digit = divmod(rest, 36)
        text = _DIGITS[digit] + text
    return sign + text


def _number(text: str) -> int | None:
    if not text:
        return 0
    if not re.fullmatch(r"-?[0-9a-z]{1,13}", text) or not text.isascii():
        return None
    return int(text, 36)
