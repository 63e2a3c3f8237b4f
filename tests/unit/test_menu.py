"""Callback data names its object, survives any content, and never grows over what Telegram takes."""

from __future__ import annotations

from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.menu import LIMIT, Press, Screen, button, decode, encode, page, pager, split
from bot.seals import LIFE, Seals, Verdict

VERBS = st.from_regex(r"[a-z][a-z0-9_]{0,11}", fullmatch=True)
NONCES = st.from_regex(r"[0-9a-z]{0,12}", fullmatch=True)
PRESSES = st.builds(
    Press,
    verb=VERBS,
    target=st.integers(-(10**12), 10**12),
    argument=st.text(max_size=20),
    nonce=NONCES,
    expires=st.integers(0, 10**11),
)


@given(PRESSES)
def test_a_press_comes_back_as_it_was_or_is_refused_as_too_long(press: Press) -> None:
    try:
        text = encode(press)
    except ValueError:
        return
    assert len(text.encode()) <= LIMIT
    assert decode(text) == press


@given(st.text(max_size=80))
def test_foreign_callback_data_is_no_press_or_an_honest_one(text: str) -> None:
    press = decode(text)
    assert press is None or isinstance(press.target, int)


@pytest.mark.parametrize(
    "text", ["", "g1:stop:5", "2:stop:5", "1:", "1:STOP:5", "1:stop:!", "1:stop:5:a:b:c:d", "1:x:" + "z" * 14]
)
def test_other_versions_and_malformed_data_are_not_presses(text: str) -> None:
    assert decode(text) is None


def test_the_longest_button_of_the_wizard_fits() -> None:
    longest = Press("w", 0, "range=0.00001234-0.00001299", "abcdefgh")
    assert decode(encode(longest)) == longest
    make = Press("wmake", 0, "start", "abcdefgh", 1_800_000_000)
    assert decode(encode(make)) == make


def test_data_over_the_limit_is_refused_rather_than_cut() -> None:
    with pytest.raises(ValueError, match="over 64 bytes"):
        encode(Press("w", 0, "€" * 20))


def test_a_page_number_is_brought_into_bounds() -> None:
    assert page(range(41), 99, 20) == (2, 3, 40)
    assert page([], -3, 20) == (0, 1, 0)
    assert pager("orders", 0, 0, 1) == ()
    assert [each.press.argument for each in pager("orders", 0, 0, 3)] == ["2", "0", "1"]


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=300), st.integers(8, 60))
def test_a_long_text_is_split_without_losing_a_word(text: str, limit: int) -> None:
    text = text.replace("<", "").replace("&", "")
    parts = split(text, limit)
    assert all(len(unescape(part).encode("utf-16-le")) // 2 <= limit for part in parts)
    assert "".join(unescape("".join(parts)).split()) == "".join(text.split()) or not text.strip()


def test_a_notice_above_a_screen_is_escaped() -> None:
    assert Screen("x").with_notice("<b> & co").text == "&lt;b&gt; &amp; co\n\nx"


# --------------------------------------------------------------------------- seals


def sealed(seals: Seals, now: int = 0) -> Press:
    return seals.button(now, 7, "Stop", Press("stop", 3, "keep")).press


def test_a_seal_works_once() -> None:
    seals = Seals()
    press = sealed(seals)
    assert seals.take(1_000, 7, press) is Verdict.GOOD
    assert seals.take(1_001, 7, press) is Verdict.USED


@pytest.mark.parametrize("change", [{"verb": "delete"}, {"target": 4}, {"argument": "close"}, {"nonce": "aaaaaaaa"}])
def test_a_seal_of_one_thing_opens_no_other(change: dict[str, object]) -> None:
    seals = Seals()
    press = sealed(seals)
    fields = {"verb": press.verb, "target": press.target, "argument": press.argument, "nonce": press.nonce} | change
    assert seals.take(0, 7, Press(**fields, expires=press.expires)) is Verdict.STALE
    assert seals.take(0, 7, press) is Verdict.GOOD


def test_a_seal_is_bound_to_its_reader_and_to_time_and_forgotten_by_a_restart() -> None:
    seals = Seals()
    press = sealed(seals)
    assert seals.take(0, 8, press) is Verdict.STALE
    assert seals.take((LIFE + 1) * 1000, 7, press) is Verdict.STALE
    assert Seals().take(0, 7, press) is Verdict.STALE


def test_old_seals_cost_no_memory() -> None:
    seals = Seals()
    for at in range(50):
        sealed(seals, at * LIFE * 1000)
    assert len(seals._out) < 5


def test_a_plain_button_carries_no_seal() -> None:
    assert encode(button("Open", "grid", 35).press) == "1:grid:z"
