"""Marked-up text as Telegram reads it: HTML or MarkdownV2 -> plain text and entities, offsets in UTF-16 units.

The parse errors carry Telegram's own words; byte offsets in them count UTF-8 bytes of the text as sent.
"""

from __future__ import annotations

from collections.abc import Callable

from bot.localchat.entity import Entity, EntityError, Formatted, ordered, units
from bot.localchat.html import Html
from bot.localchat.markdown import Markdown, MarkdownV2

__all__ = ["Entity", "EntityError", "Formatted", "ordered", "parse", "units"]


def parse(text: str, parse_mode: str | None) -> Formatted:
    """Plain text and entities of a text sent with a parse mode; raises EntityError, or KeyError on an unknown mode."""
    mode = (parse_mode or "").lower()
    if mode in ("", "none"):
        return text, []
    parsers: dict[str, Callable[[], Formatted]] = {
        "html": lambda: Html(text).parse(),
        "markdownv2": lambda: MarkdownV2(text).parse(),
        "markdown": lambda: Markdown(text).parse(),
    }
    plain, entities = parsers[mode]()
    return plain, ordered(entities)
