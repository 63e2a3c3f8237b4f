"""A message's text as the server keeps it: parsed, trimmed, with the commands and links Telegram finds by itself."""

from __future__ import annotations

import re
from typing import Any

from bot.localchat.entities import Entity, EntityError, Formatted, ordered, parse, units
from bot.localchat.entity import link
from bot.localchat.errors import BadRequest

MAX_ENTITIES = 100
SPLITTABLE = ("bold", "italic", "underline", "strikethrough", "spoiler")
OWN = (
    *SPLITTABLE,
    "blockquote",
    "expandable_blockquote",
    "code",
    "pre",
    "text_link",
    "text_mention",
    "custom_emoji",
    "date_time",
)
"""Kinds a sender may state; all others the server finds by itself."""

FOUND = (
    ("bot_command", re.compile(r"(?<![\w/<>])/[A-Za-z0-9_]{1,64}(?:@[A-Za-z0-9_]{3,32})?(?![\w/<>])")),
    ("url", re.compile(r"(?<![\w@])https?://[^\s<>\"'«»]*[^\s<>\"'«».,:;!?)\]]")),
    ("email", re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}(?![\w@])", re.ASCII)),
    ("url", re.compile(r"(?<![\w@./])(?:[a-z0-9-]+\.)+(?:com|org|net|io|me|dev|app)(?:/[^\s<>\"']*)?(?![\w@])", re.I)),
    ("mention", re.compile(r"(?<![\w@/])@[A-Za-z]\w{3,31}(?![\w@])", re.ASCII)),
    ("hashtag", re.compile(r"(?<![\w#])#(?=\w*[^\W\d])\w{1,256}(?![\w#])")),
    ("cashtag", re.compile(r"(?<![\w$])\$[A-Z]{1,8}(?![\w$])")),
)


def formatted(text: str, parse_mode: str | None, stated: list[Any] | None = None) -> Formatted:
    """Text and entities as a message carries them; raises BadRequest in Telegram's words."""
    if stated is not None and not parse_mode:
        plain, entities = text, [entity for item in stated if (entity := own_entity(item)) is not None]
    else:
        try:
            plain, entities = parse(text, parse_mode)
        except KeyError:
            raise BadRequest("unsupported parse_mode") from None
        except EntityError as error:
            raise BadRequest(f"can't parse entities: {error}") from None
    plain, entities = cleaned(plain, within(entities, 0, units(plain)))
    entities = split_round_code(entities)
    return plain, ordered(entities + found(plain, entities))[:MAX_ENTITIES]


def own_entity(item: Any) -> Entity | None:
    """One entity as a request states it; None for the kinds the server ignores."""
    if not isinstance(item, dict):
        raise BadRequest("can't parse MessageEntity: expected an Object")
    kind, offset, length = item.get("type"), item.get("offset"), item.get("length")
    if not isinstance(kind, str) or not isinstance(offset, int) or not isinstance(length, int):
        field = "type" if not isinstance(kind, str) else "offset" if not isinstance(offset, int) else "length"
        raise BadRequest(f"can't parse MessageEntity: Can't find field \"{field}\"")
    if kind not in OWN:
        return None
    if kind == "text_link":
        return link(kind, offset, length, str(item.get("url", "")))
    entity: Entity = {"type": kind, "offset": offset, "length": length}
    for field in ("language", "custom_emoji_id", "user", "unix_time", "date_time_format"):
        if item.get(field):
            entity[field] = item[field]
    return entity


def within(entities: list[Entity], start: int, end: int) -> list[Entity]:
    """Entities cut to the units start..end of a text and moved so that start becomes 0; empty ones fall away."""
    cut = []
    for entity in entities:
        first, last = max(entity["offset"], start), min(entity["offset"] + entity["length"], end)
        if last > first:
            cut.append({**entity, "offset": first - start, "length": last - first})
    return cut


def cleaned(text: str, entities: list[Entity]) -> Formatted:
    """No control characters, no space at the end, none before the first entity."""
    text = "".join(" " if c < " " and c not in "\n\r" else c for c in text)
    if "\r" in text:
        entities = without_returns(text, entities)
        text = text.replace("\r", "")
    text = text.rstrip(" \n")
    first = min((e["offset"] for e in entities), default=len(text))
    lead = 0
    while lead < min(first, len(text)) and text[lead] in " \n":
        lead += 1
    return text[lead:], within(entities, lead, units(text))


def without_returns(text: str, entities: list[Entity]) -> list[Entity]:
    """Entities moved as if carriage returns were gone."""
    raw = text.encode("utf-16-le", "surrogatepass")
    gone = [0]
    for at in range(0, len(raw), 2):
        gone.append(gone[-1] + (raw[at : at + 2] == b"\r\0"))
    moved = []
    for entity in entities:
        start, end = entity["offset"], entity["offset"] + entity["length"]
        moved.append({**entity, "offset": start - gone[start], "length": end - gone[end] - start + gone[start]})
    return [entity for entity in moved if entity["length"] > 0]


def split_round_code(entities: list[Entity]) -> list[Entity]:
    """Nothing else lies inside code and pre: other styles are split round them, links inside fall away."""
    codes = sorted((e["offset"], e["offset"] + e["length"]) for e in entities if e["type"] in ("code", "pre"))
    kept: list[Entity] = []
    for entity in entities:
        start, end = entity["offset"], entity["offset"] + entity["length"]
        if entity["type"] in SPLITTABLE:
            for low, high in codes:
                if start < low < end:
                    kept.append({**entity, "offset": start, "length": low - start})
                if low < end and high > start:
                    start = max(start, high)
            if start < end:
                kept.append({**entity, "offset": start, "length": end - start})
        elif entity["type"] in ("code", "pre") or not any(low <= start < high for low, high in codes):
            kept.append(entity)
    return kept


def found(text: str, entities: list[Entity]) -> list[Entity]:
    """Commands, links, mentions, tags and addresses in the text, outside code and stated links."""
    taken = [
        (e["offset"], e["offset"] + e["length"])
        for e in entities
        if e["type"] in ("code", "pre", "text_link", "text_mention", "custom_emoji")
    ]
    out: list[Entity] = []
    for kind, pattern in FOUND:
        for match in pattern.finditer(text):
            start = units(text[: match.start()])
            end = start + units(match[0])
            if not any(low < end and start < high for low, high in taken):
                out.append({"type": kind, "offset": start, "length": end - start})
                taken.append((start, end))
    return out
