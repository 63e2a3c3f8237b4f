"""Texts with HTML and MarkdownV2 are read as Telegram reads them, down to the error's byte offset."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.localchat.entities import EntityError, parse, units
from bot.localchat.errors import BadRequest
from bot.localchat.text import formatted


def short(entities: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Entities as tuples: kind, offset, length and what else they carry."""
    return [
        (
            *(e[k] for k in ("type", "offset", "length")),
            *(e[k] for k in sorted(e.keys() - {"type", "offset", "length"})),
        )
        for e in entities
    ]


HTML = [
    ("plain &lt;&gt;&amp;&quot; &nbsp;", 'plain <>&" &nbsp;', []),
    ("🟢 <b>BTC</b> up", "🟢 BTC up", [("bold", 3, 3)]),
    ("<b>a<i>🏁b</i></b>", "a🏁b", [("bold", 0, 4), ("italic", 1, 3)]),
    (
        "<strong>1</strong><em>2</em><ins>3</ins><del>4</del>",
        "1234",
        [("bold", 0, 1), ("italic", 1, 1), ("underline", 2, 1), ("strikethrough", 3, 1)],
    ),
    ('<span class="tg-spoiler">x</span><tg-spoiler>y</tg-spoiler>', "xy", [("spoiler", 0, 1), ("spoiler", 1, 1)]),
    ('<a href="https://example.org/?a=1&amp;b=2">go</a>', "go", [("text_link", 0, 2, "https://example.org/?a=1&b=2")]),
    ("<a href='example.org'>go</a>", "go", [("text_link", 0, 2, "http://example.org/")]),
    ("<a href='not a link'>go</a>", "go", []),
    ('<pre><code class="language-python">x=1</code></pre>', "x=1", [("pre", 0, 3, "python")]),
    ("<pre>  a\n  b</pre>", "  a\n  b", [("pre", 0, 7)]),
    ("<blockquote expandable>q</blockquote>", "q", [("expandable_blockquote", 0, 1)]),
    ("<blockquote>q<b>w</b></blockquote>", "qw", [("blockquote", 0, 2), ("bold", 1, 1)]),
    ('<tg-time unix="1700000000" format="t">then</tg-time>', "then", [("date_time", 0, 4, "t", 1700000000)]),
    ("<B>x</B>&#128994;&#x41;", "x🟢A", [("bold", 0, 1)]),
    ("<b></b>x", "x", []),
]


@pytest.mark.parametrize(("source", "text", "entities"), HTML)
def test_html_becomes_text_and_entities(source: str, text: str, entities: list[Any]) -> None:
    plain, got = parse(source, "HTML")
    assert plain == text
    assert short(got) == entities


HTML_ERRORS = [
    ("1 < 2", 'Unsupported start tag "" at byte offset 2'),
    ("é<br>", 'Unsupported start tag "br" at byte offset 2'),
    ("🟢<b", "Unclosed start tag at byte offset 4"),
    ("<b>x", 'Can\'t find end tag corresponding to start tag "b"'),
    ("x</b>", "Unexpected end tag at byte offset 1"),
    ("<b>x</b", "Unclosed end tag at byte offset 4"),
    ("<b>x</i>", 'Unmatched end tag at byte offset 4, expected "</b>", found "</i>"'),
    ("<b><i>x</b></i>", 'Unmatched end tag at byte offset 7, expected "</i>", found "</b>"'),
    ("<span>x</span>", 'Tag "span" must have class "tg-spoiler" at byte offset 0'),
    ("<a =x>y</a>", 'Empty attribute name in the tag "a" at byte offset 0'),
    ("<a href=x/>y</a>", "Unexpected end of name token at byte offset 8"),
    ('<a href="x>y</a>', "Unclosed start tag at byte offset 0"),
    ("<i a = ", 'Unclosed start tag "i" at byte offset 0'),
    ('<tg-emoji emoji-id="x">y</tg-emoji>', "Invalid custom emoji identifier specified"),
]


@pytest.mark.parametrize(("source", "words"), HTML_ERRORS)
def test_broken_html_is_refused_in_telegrams_words(source: str, words: str) -> None:
    with pytest.raises(EntityError) as caught:
        parse(source, "HTML")
    assert str(caught.value) == words
    with pytest.raises(BadRequest, match="can't parse entities: "):
        formatted(source, "HTML")


MARKDOWN = [
    (
        "*b* _i_ __u__ ~s~ ||x||",
        "b i u s x",
        [("bold", 0, 1), ("italic", 2, 1), ("underline", 4, 1), ("strikethrough", 6, 1), ("spoiler", 8, 1)],
    ),
    ("🟢*b _🏁_*", "🟢b 🏁", [("bold", 2, 4), ("italic", 4, 2)]),
    (r"1\.5 \- 2\!", "1.5 - 2!", []),
    ("`a_b`", "a_b", [("code", 0, 3)]),
    ("```python\nx = 1\n```", "x = 1\n", [("pre", 0, 6, "python")]),
    ("```\nx\n```", "x\n", [("pre", 0, 2)]),
    (r"[go](https://example.org/\))", "go", [("text_link", 0, 2, "https://example.org/)")]),
    (">q\n>w\nend", "q\nw\nend", [("blockquote", 0, 3)]),
    ("a\n**>q\n>w||\nend", "a\nq\nw\nend", [("expandable_blockquote", 2, 3)]),
    ("__u_i___", "ui", [("underline", 0, 2), ("italic", 1, 1)]),
]


@pytest.mark.parametrize(("source", "text", "entities"), MARKDOWN[:-1])
def test_markdown_becomes_text_and_entities(source: str, text: str, entities: list[Any]) -> None:
    plain, got = parse(source, "MarkdownV2")
    assert plain == text
    assert short(got) == entities


MARKDOWN_ERRORS = [
    ("1.5", "Character '.' is reserved and must be escaped with the preceding '\\'"),
    ("a > b", "Character '>' is reserved and must be escaped with the preceding '\\'"),
    ("a | b", "Character '|' is reserved and must be escaped with the preceding '\\'"),
    ("é*x", "Can't find end of Bold entity at byte offset 2"),
    ("_x", "Can't find end of Italic entity at byte offset 0"),
    ("__x", "Can't find end of Underline entity at byte offset 0"),
    ("`x", "Can't find end of Code entity at byte offset 0"),
    ("```x", "Can't find end of Pre entity at byte offset 0"),
    ("```x ", "Can't find end of PreCode entity at byte offset 0"),
    ("[x](y", "Can't find end of a URL at byte offset 4"),
    ("![👍]", "Custom emoji entity must contain a tg://emoji URL"),
]


@pytest.mark.parametrize(("source", "words"), MARKDOWN_ERRORS)
def test_broken_markdown_is_refused_in_telegrams_words(source: str, words: str) -> None:
    with pytest.raises(EntityError) as caught:
        parse(source, "MarkdownV2")
    assert str(caught.value) == words


def test_an_unknown_parse_mode_is_refused() -> None:
    with pytest.raises(BadRequest, match="unsupported parse_mode"):
        formatted("x", "BBCode")


def test_commands_links_and_tags_are_found_outside_code() -> None:
    text, entities = formatted(
        "/new@trellis_bot 🟢 https://example.org/x. #grid $BTC a@b.org <code>/no</code> 1/2", "HTML"
    )
    kinds = [
        (e["type"], text.encode("utf-16-le")[2 * e["offset"] : 2 * (e["offset"] + e["length"])].decode("utf-16-le"))
        for e in entities
    ]
    assert kinds == [
        ("bot_command", "/new@trellis_bot"),
        ("url", "https://example.org/x"),
        ("hashtag", "#grid"),
        ("cashtag", "$BTC"),
        ("email", "a@b.org"),
        ("code", "/no"),
    ]


def test_styles_are_split_round_code_and_space_is_trimmed() -> None:
    text, entities = formatted("  \n<b>a <code>x</code> b</b>  \n", "HTML")
    assert text == "a x b"
    assert short(entities) == [("bold", 0, 2), ("code", 2, 1), ("bold", 3, 2)]


PIECES = st.sampled_from(
    [
        "<b>",
        "</b>",
        "<i>",
        "</",
        "<",
        ">",
        "&",
        "&#",
        "&lt;",
        "🟢",
        "é",
        "a",
        "\n",
        "\r",
        "\0",
        "*",
        "_",
        "__",
        "`",
        "```",
        "[",
        "](",
        ")",
        "||",
        "|",
        "!",
        "\\",
        "**>",
        '"',
        "=",
        "<a href=",
        "~",
        "<pre>",
        "</pre>",
        "<code class='language-x'>",
        "</>",
        "  ",
        "/go",
        "@name",
        ".",
    ]
)
TEXTS = st.one_of(st.lists(PIECES, max_size=14).map("".join), st.text(max_size=40))


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.sampled_from(["HTML", "MarkdownV2", "Markdown", None]))
def test_any_text_is_parsed_or_refused_and_offsets_stay_inside(source: str, mode: str | None) -> None:
    try:
        text, entities = formatted(source, mode)
    except BadRequest as refused:
        assert refused.description.startswith("Bad Request: can't parse entities: ")
        return
    raw = text.encode("utf-16-le", "surrogatepass")
    for entity in entities:
        assert entity["length"] > 0 and entity["offset"] >= 0
        assert entity["offset"] + entity["length"] <= units(text)
        start, end = 2 * entity["offset"], 2 * (entity["offset"] + entity["length"])
        raw[start:end].decode("utf-16-le")  # never half of a surrogate pair


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=30))
def test_escaped_text_comes_back_whole(source: str) -> None:
    escaped = source.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text, entities = parse(f"<b>{escaped}</b>", "HTML")
    assert (text, short(entities)) == (source, [("bold", 0, units(source))])
    marked = "".join("\\" + c if c in r"_*[]()~`>#+-=|{}.!\\" else c for c in source)
    text, entities = parse(f"*{marked}*", "MarkdownV2")
    assert (text, short(entities)) == (source, [("bold", 0, units(source))])
