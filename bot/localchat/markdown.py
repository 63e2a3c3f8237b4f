"""Reads Telegram's MarkdownV2, and the legacy Markdown."""

from __future__ import annotations

import re

from bot.localchat.entity import Entity, EntityError, Formatted, byte_offset, link, units

V2_RESERVED = "_*[]()~`>#+-=|{}.!\n"
V2_NAMES = {
    "bold": "Bold",
    "italic": "Italic",
    "underline": "Underline",
    "strikethrough": "Strikethrough",
    "spoiler": "Spoiler",
    "code": "Code",
    "pre": "Pre",
    "text_link": "TextUrl",
    "custom_emoji": "CustomEmoji",
    "blockquote": "BlockQuote",
}
V2_ENDS = {
    "bold": "*",
    "underline": "__",
    "strikethrough": "~",
    "spoiler": "||",
    "code": "`",
    "pre": "```",
    "text_link": "]",
    "custom_emoji": "]",
}


class MarkdownV2:
    """Reader of Telegram's MarkdownV2."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.out: list[str] = []
        self.length = 0
        self.open: list[tuple[str, str, int, int, int]] = []  # kind, language, offset, where it began, output index
        self.quote = False
        self.entities: list[Entity] = []

    def parse(self) -> Formatted:
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == "\\" and 0 < ord(self.ahead(1) or "\0") <= 126:
                self.put(self.text[self.at + 1])
                self.at += 2
            elif char not in ("`" if self.open and self.open[-1][0] in ("code", "pre") else V2_RESERVED):
                self.put(char)
                self.at += 1
            elif self.open and self.ends(char):
                self.finish(char)
            else:
                self.begin(char)
        if self.quote and self.open and self.open[-1][0] in ("blockquote", "expandable_blockquote"):
            self.close("blockquote")
        if self.open:
            raise self.lost_end()
        return "".join(self.out), self.entities

    def ahead(self, by: int) -> str:
        return self.text[self.at + by : self.at + by + 1]

    def put(self, piece: str) -> None:
        self.out.append(piece)
        self.length += units(piece)

    def lost_end(self) -> EntityError:
        kind, language, _, began, _ = self.open[-1]
        name = "PreCode" if kind == "pre" and language else V2_NAMES[kind]
        return EntityError(f"Can't find end of {name} entity at byte offset {byte_offset(self.text, began)}")

    def reserved(self, char: str) -> EntityError:
        return EntityError(f"Character '{char}' is reserved and must be escaped with the preceding '\\'")

    def ends(self, char: str) -> bool:
        kind = self.open[-1][0]
        if self.quote and char == "\n" and self.ahead(1) != ">":
            return True
        if self.quote and kind == "blockquote" and char == "|":
            return self.text.startswith("||", self.at) and self.ahead(2) in ("", "\n")
        if kind == "italic":
            return char == "_" and self.ahead(1) != "_"
        return kind in V2_ENDS and self.text.startswith(V2_ENDS[kind], self.at)

    def begin(self, char: str) -> None:
        began = self.at
        if char == "\n":
            return self.newline()
        kinds = {"_": "italic", "*": "bold", "~": "strikethrough", "[": "text_link", "`": "code"}
        pair = self.text[self.at : self.at + 2]
        language = ""
        if self.at == 0 and (char == ">" or self.text.startswith("**>")):
            kind, self.quote, self.at = "blockquote", True, 1 if char == ">" else 3
        elif pair in ("__", "||", "!["):
            kind, self.at = {"__": "underline", "||": "spoiler", "![": "custom_emoji"}[pair], self.at + 2
        elif self.text.startswith("```", self.at):
            kind, language = "pre", self.fence()
        elif char in kinds:
            kind, self.at = kinds[char], self.at + 1
        else:
            raise self.reserved(char)
        self.open.append((kind, language, self.length, began, len(self.out)))
        return None

    def newline(self) -> None:
        self.put("\n")
        self.at += 1
        quoted, empty_bold = self.ahead(0) == ">", self.text.startswith("**>", self.at)
        if not quoted and not (empty_bold and not self.quote):
            return
        began = self.at
        self.at += 1 if quoted else 3
        if not self.quote:
            self.quote = True
            self.open.append(("blockquote", "", self.length, began, len(self.out)))

    def fence(self) -> str:
        """Step over ``` with its language and one line end; the language."""
        self.at += 3
        match = re.compile(r"([^\s`\0]*)(?=[\s])").match(self.text, self.at)
        language = match[1] if match else ""
        self.at += len(language)
        for newline in ("\r\n", "\n\r", "\n", "\r"):
            if self.text.startswith(newline, self.at):
                self.at += len(newline)
                break
        return language

    def finish(self, char: str) -> None:
        kind = self.open[-1][0]
        if char == "\n" and kind != "blockquote":
            raise self.lost_end()
        if kind == "blockquote":
            expandable = char == "|"
            self.at += 2 if expandable else 0
            return self.close("expandable_blockquote" if expandable else "blockquote")
        self.at += 1 if kind == "italic" else len(V2_ENDS[kind])
        url = self.url(kind) if kind in ("text_link", "custom_emoji") else ""
        return self.close(kind, url)

    def url(self, kind: str) -> str:
        if self.ahead(0) != "(":
            if kind == "custom_emoji":
                raise EntityError("Custom emoji entity must contain a tg://emoji URL")
            return "".join(self.out[self.open[-1][4] :])
        self.at += 1
        start, url = self.at, []
        while self.at < len(self.text) and self.text[self.at] != ")":
            if self.text[self.at] == "\\" and 0 < ord(self.ahead(1) or "\0") <= 126:
                self.at += 1
            url.append(self.text[self.at])
            self.at += 1
        if self.at >= len(self.text):
            what = "a custom emoji URL" if kind == "custom_emoji" else "a URL"
            raise EntityError(f"Can't find end of {what} at byte offset {byte_offset(self.text, start)}")
        self.at += 1
        return "".join(url)

    def close(self, kind: str, url: str = "") -> None:
        _, language, offset, _, _ = self.open.pop()
        self.quote = self.quote and not kind.endswith("blockquote")
        entity: Entity | None = {"type": kind, "offset": offset, "length": self.length - offset}
        if kind == "text_link":
            entity = link(kind, offset, self.length - offset, url)
        elif kind == "custom_emoji" and entity is not None:
            match = re.fullmatch(r"tg:(?://)?emoji\?id=(\d+)", url)
            if match is None:
                raise EntityError("Custom emoji URL must have an emoji identifier")
            entity["custom_emoji_id"] = match[1]
        elif language and entity is not None:
            entity["language"] = language
        if entity is not None and entity["length"] > 0:
            self.entities.append(entity)


class Markdown:
    """Reader of the legacy Markdown: *bold*, _italic_, `code`, ```pre```, [text](url); no nesting."""

    def __init__(self, text: str) -> None:
        self.text = text

    def parse(self) -> Formatted:
        text, at, out, length = self.text, 0, [], 0
        entities: list[Entity] = []
        while at < len(text):
            char = text[at]
            if char == "\\" and text[at + 1 : at + 2] in tuple("_*`["):
                char, at = text[at + 1], at + 1
            elif char in "_*`[":
                inner, entity, after = self.span(at)
                entity["offset"], entity["length"] = length, units(inner)
                made = link("text_link", length, units(inner), entity["url"]) if "url" in entity else entity
                if made is not None and made["length"]:
                    entities.append(made)
                out.append(inner)
                length += units(inner)
                at = after
                continue
            out.append(char)
            length += units(char)
            at += 1
        return "".join(out), entities

    def span(self, at: int) -> tuple[str, Entity, int]:
        text = self.text
        mark = "```" if text.startswith("```", at) else text[at]
        end = text.find("]" if mark == "[" else mark, at + len(mark))
        if end < 0:
            where = byte_offset(text, at)
            raise EntityError(f"Can't find end of the entity starting at byte offset {where}")
        inner = text[at + len(mark) : end]
        if mark == "[":
            match = re.compile(r"\(([^)]*)\)").match(text, end + 1)
            return inner, {"type": "text_link", "url": match[1] if match else inner}, match.end() if match else end + 1
        kind = {"*": "bold", "_": "italic", "`": "code", "```": "pre"}[mark]
        return inner, {"type": kind}, end + len(mark)
