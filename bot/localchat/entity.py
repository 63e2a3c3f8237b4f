"""An entity of a message, and what all readers of marked-up text share: UTF-16 lengths, links, order, errors."""

from __future__ import annotations

import re
from typing import Any

Entity = dict[str, Any]
Formatted = tuple[str, list[Entity]]


class EntityError(ValueError):
    """Text that cannot be parsed; its message is Telegram's sentence after "can't parse entities: "."""


def units(text: str) -> int:
    """Length in UTF-16 code units."""
    return len(text) + sum(1 for c in text if ord(c) > 0xFFFF)


def byte_offset(text: str, at: int) -> int:
    """Where a character stands in the UTF-8 bytes of the text."""
    return len(text[:at].encode("utf-8", "surrogatepass"))


PRIORITY = {
    "blockquote": 0,
    "expandable_blockquote": 0,
    "pre": 11,
    "code": 20,
    "text_link": 49,
    "text_mention": 49,
    "bold": 90,
    "italic": 91,
    "underline": 92,
    "strikethrough": 93,
    "spoiler": 94,
    "custom_emoji": 99,
}


def ordered(entities: list[Entity]) -> list[Entity]:
    """Entities as Telegram lists them: by offset, longer first, then by kind."""
    return sorted(entities, key=lambda e: (e["offset"], -e["length"], PRIORITY.get(e["type"], 50)))


def link(kind: str, offset: int, length: int, url: str) -> Entity | None:
    """A link or a mention by id; None where the address is none that Telegram keeps."""
    user = re.fullmatch(r"tg://user\?id=(\d+)", url, re.IGNORECASE)
    if user:
        someone = {"id": int(user[1]), "is_bot": False, "first_name": "User"}
        return {"type": "text_mention", "offset": offset, "length": length, "user": someone}
    checked = checked_url(url)
    return {"type": kind, "offset": offset, "length": length, "url": checked} if checked else None


def checked_url(url: str) -> str:
    """The address as Telegram stores it, or an empty text where it is no address."""
    match = re.fullmatch(r"(?:(https?|tg|ton|tonsite)://)?([^\s/?#]+)([/?#]\S*)?", url.strip(), re.IGNORECASE)
    if match is None:
        return ""
    scheme, host, rest = (match[1] or "").lower(), match[2], match[3] or ""
    if scheme in ("tg", "ton", "tonsite"):
        return f"{scheme}://{host}{rest}"
    if not scheme and not re.fullmatch(r"[^\s@]+\.[^\W\d_]{2,}(:\d+)?", host):
        return ""
    if scheme and not re.fullmatch(r"[\w.\-@\[\]]+(:\d+)?", host):
        return ""
    return f"{scheme or 'http'}://{host}{rest if rest.startswith('/') else '/' + rest}"
