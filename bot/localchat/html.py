"""Reads Telegram's HTML."""

from __future__ import annotations

import re
from collections.abc import Callable

from bot.localchat.entity import Entity, EntityError, Formatted, byte_offset, link, units

HTML_TAGS = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "ins": "underline",
    "s": "strikethrough",
    "strike": "strikethrough",
    "del": "strikethrough",
    "tg-spoiler": "spoiler",
    "span": "spoiler",
    "tg-emoji": "custom_emoji",
    "tg-time": "date_time",
    "a": "text_link",
    "pre": "pre",
    "code": "code",
    "blockquote": "blockquote",
}
NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
SPACE = " \t\r\n\0\v"
"""What the server calls a space; the end of the text counts as one."""


class Html:
    """Reader of Telegram's HTML."""

    def __init__(self, text: str) -> None:
        self.text = text + "\0"
        self.end = len(text)
        self.at = 0
        self.out: list[str] = []
        self.length = 0
        self.open: list[tuple[str, dict[str, str], int, int]] = []
        self.entities: list[Entity] = []

    def parse(self) -> Formatted:
        while self.at < self.end:
            char = self.text[self.at]
            if char == "&" and (decoded := self.reference()):
                self.put(decoded)
            elif char != "<":
                self.put(char)
                self.at += 1
            elif self.text[self.at + 1] == "/":
                self.close_tag()
            else:
                self.open_tag()
        if self.open:
            raise EntityError(f'Can\'t find end tag corresponding to start tag "{self.open[-1][0]}"')
        for entity in self.entities:
            if entity["type"] == "code":
                entity.pop("language", None)
        text = "".join(self.out)
        if any(0xD800 <= ord(c) <= 0xDFFF for c in text):
            raise EntityError(
                "Text contains invalid Unicode characters after decoding HTML entities, "
                "check for unmatched surrogate code units"
            )
        return text, self.entities

    def put(self, piece: str) -> None:
        self.out.append(piece)
        self.length += units(piece)

    def reference(self) -> str:
        """The character a reference stands for, stepping over it; empty where it is no reference."""
        match = re.compile(r"&(?:#x([0-9a-fA-F]*)|#([0-9]*)|([A-Za-z]*))").match(self.text, self.at)
        if match is None:
            return ""
        hexadecimal, decimal, name = match.groups()
        if name is not None:
            decoded = NAMED.get(name, "")
        else:
            number = int(hexadecimal or "0", 16) if hexadecimal is not None else int(decimal or "0")
            fits = 0 < number < 0x10FFFF and match.end() - self.at < 10
            decoded = chr(number) if fits else ""
        if decoded:
            self.at = match.end() + (self.text[match.end()] == ";")
        return decoded

    def fail(self, words: str, at: int, after: str = "") -> EntityError:
        return EntityError(f"{words} at byte offset {byte_offset(self.text, at)}{after}")

    def skip(self, stop: Callable[[str], bool]) -> None:
        while self.at <= self.end and not stop(self.text[self.at]):
            self.at += 1

    def spaces(self) -> None:
        while self.at < self.end and self.text[self.at] in SPACE:
            self.at += 1

    def open_tag(self) -> None:
        begin = self.at
        self.at += 1
        self.skip(lambda c: c in SPACE or c == ">")
        if self.at >= self.end:
            raise self.fail("Unclosed start tag", begin)
        name = self.text[begin + 1 : self.at].lower()
        if name not in HTML_TAGS:
            raise self.fail(f'Unsupported start tag "{name}"', begin)
        attributes: dict[str, str] = {}
        while self.text[self.at] != ">":
            self.spaces()
            if self.text[self.at] == ">":
                break
            key, value = self.attribute(name, begin)
            attributes[key] = value
        self.at += 1
        if name == "span" and attributes.get("class") != "tg-spoiler":
            raise self.fail('Tag "span" must have class "tg-spoiler"', begin)
        self.open.append((name, attributes, self.length, len(self.out)))

    def attribute(self, tag: str, begin: int) -> tuple[str, str]:
        start = self.at
        self.skip(lambda c: c in SPACE or c in "=>")
        key = self.text[start : self.at]
        if not key:
            raise self.fail(
                f'Empty attribute name in the tag "{tag}"' if self.at < self.end else "Unclosed start tag", begin
            )
        self.spaces()
        if self.at >= self.end:
            raise self.fail(f'Unclosed start tag "{tag}"', begin)
        if self.text[self.at] != "=":
            return key, ""  # an attribute may stand alone, as `expandable` does
        self.at += 1
        self.spaces()
        if self.at >= self.end:
            raise self.fail(f'Unclosed start tag "{tag}"', begin)
        value = self.quoted() if self.text[self.at] in "'\"" else self.token()
        if self.at >= self.end:
            raise self.fail("Unclosed start tag", begin)
        return key, value

    def token(self) -> str:
        start = self.at
        self.skip(lambda c: not (c.isascii() and (c.isalnum() or c in ".-")))
        if self.text[self.at] not in SPACE and self.text[self.at] != ">":
            raise self.fail("Unexpected end of name token", start)
        return self.text[start : self.at].lower()

    def quoted(self) -> str:
        quote = self.text[self.at]
        self.at += 1
        value: list[str] = []
        while self.at < self.end and self.text[self.at] != quote:
            if self.text[self.at] == "&" and (decoded := self.reference()):
                value.append(decoded)
                continue
            value.append(self.text[self.at])
            self.at += 1
        self.at = min(self.at + 1, self.end)
        return "".join(value)

    def close_tag(self) -> None:
        begin = self.at
        if not self.open:
            raise self.fail("Unexpected end tag", begin)
        self.at += 2
        self.skip(lambda c: c in SPACE or c == ">")
        found = self.text[begin + 2 : self.at].lower()
        self.spaces()
        if self.text[min(self.at, self.end)] != ">":
            raise self.fail("Unclosed end tag", begin)
        self.at += 1
        name, attributes, offset, part = self.open[-1]
        if found and found != name:
            raise self.fail("Unmatched end tag", begin, f', expected "</{name}>", found "</{found}>"')
        self.open.pop()
        if self.length > offset:
            self.add(name, attributes, offset, part)

    def add(self, name: str, attributes: dict[str, str], offset: int, part: int) -> None:
        kind = HTML_TAGS[name]
        entity: Entity = {"type": kind, "offset": offset, "length": self.length - offset}
        if name == "a":
            found = link(kind, offset, entity["length"], attributes.get("href") or "".join(self.out[part:]))
            if found is None:
                return
            entity = found
        elif name == "tg-emoji":
            if not re.fullmatch(r"[1-9]\d{0,18}", attributes.get("emoji-id", "")):
                raise EntityError("Invalid custom emoji identifier specified")
            entity["custom_emoji_id"] = attributes["emoji-id"]
        elif name == "tg-time":
            if not re.fullmatch(r"\d{1,10}", attributes.get("unix", "")):
                raise EntityError("Invalid date-time specified")
            entity["unix_time"] = int(attributes["unix"])
            if attributes.get("format"):
                entity["date_time_format"] = attributes["format"]
        elif name == "blockquote" and "expandable" in attributes:
            entity["type"] = "expandable_blockquote"
        elif name in ("pre", "code") and self.joined(name, attributes, entity):
            return
        self.entities.append(entity)

    def joined(self, name: str, attributes: dict[str, str], entity: Entity) -> bool:
        """Whether this <pre> or <code> is one with the other right inside it; keeps the language in mind."""
        language = attributes.get("class", "").removeprefix("language-")
        language = language if name == "code" and language != attributes.get("class") else ""
        last = self.entities[-1] if self.entities else None
        same = last is not None and (last["offset"], last["length"]) == (entity["offset"], entity["length"])
        if last is not None and same and name == "pre" and last["type"] == "code" and last.get("language"):
            last["type"] = "pre"
            return True
        if last is not None and same and name == "code" and last["type"] == "pre" and language:
            last["language"] = language
            return True
        if language:
            entity["language"] = language
        return False
