"""Notices as messages: whatever stands in a name or an exchange's words, Telegram can parse and shows as it is."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from bot import letter
from bot.budget import CHAT, TOTAL, Budget, Rank
from bot.letter import Tally
from bot.localchat.text import formatted
from bot.menu import TEXT_LIMIT, Screen, decode, encode, split
from storage.outbox import Parcel, Priority
from trading.messages import Notice, NoticeKind

NASTY = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60) | st.sampled_from(
    ["<b>", "</b>", "&amp;", "&", "<a href='x'>", "{x}", "{0}", "🦊", "<script>", "1:stop:1", "%s", "\\"]
)
KEYS = ("symbol", "badge", "text", "code", "reason", "account", "side", "price", "profit", "quote", "client_id", "slot")
VALUES = st.dictionaries(st.sampled_from(KEYS), NASTY, max_size=6)
PARCELS = st.builds(
    lambda number, bot, kind, values, claimed: Parcel(
        number, 1, bot, kind.value, str(number), 1,
        msgspec.json.encode(Notice(bot, kind, str(number), 1_770_000_000_000, values)).decode(),
        Priority.NORMAL, 1_770_000_000_000, 0, claimed,
    ),
    st.integers(1, 10**9), st.integers(0, 3), st.sampled_from(NoticeKind), VALUES, st.none() | st.just(1),
)  # fmt: skip


def shown(screen: Screen) -> str:
    """What Telegram shows; it refuses what it cannot parse."""
    for row in screen.rows:
        for button in row:
            assert decode(encode(button.press)) == button.press
    part = split(screen.text)[0]
    text, _ = formatted(part, "HTML")
    assert len(text.encode("utf-16-le")) // 2 <= TEXT_LIMIT
    return text


@given(PARCELS)
def test_any_notice_is_a_message_that_telegram_takes(parcel: Parcel) -> None:
    assert shown(letter.single(parcel).screen)
    assert shown(letter.reminder([parcel]).screen)


@given(st.dictionaries(st.sampled_from(("text", "symbol", "code")), NASTY.map(str.strip), min_size=3))
def test_what_the_exchange_said_is_shown_letter_by_letter(values: dict[str, str]) -> None:
    notice = Notice(1, NoticeKind.ERROR, "1", 1, values)
    payload = msgspec.json.encode(notice).decode()
    parcel = Parcel(1, 1, 1, "error", "1", 1, payload, Priority.CRITICAL, 1, 0, None)
    text = shown(letter.single(parcel).screen)
    if values["text"] and values["code"]:
        assert " ".join(values["text"].split()) in " ".join(text.split())


@settings(max_examples=60)
@given(st.lists(PARCELS, min_size=1, max_size=40))
def test_any_heap_of_notices_is_one_message_that_telegram_takes(parcels: list[Parcel]) -> None:
    tally = Tally()
    for parcel in parcels:
        tally.add(parcel)
    assert shown(letter.summary(tally, 1_770_000_500_000, True, False).screen)
    assert shown(letter.reminder(parcels).screen)
    storm = [parcel for parcel in parcels if parcel.kind in letter.FOLDED]
    if storm:
        assert shown(letter.folded(storm).screen)


@given(st.lists(st.tuples(st.integers(1, 5), st.sampled_from(Rank), st.booleans(), st.floats(0, 2)), max_size=120))
def test_the_budget_is_never_overdrawn_and_leaves_room_for_answers(asks: list[tuple[int, Rank, bool, float]]) -> None:
    now = [0.0]
    budget = Budget(lambda: now[0])
    taken: list[float] = []
    for chat, rank, is_edit, pause in asks:
        now[0] += pause
        before = budget.wait(chat, Rank.ANSWER, is_edit)
        if not budget.take(chat, rank, is_edit):
            taken.append(now[0])
            if rank is not Rank.ANSWER:
                assert budget.wait(chat, Rank.ANSWER, is_edit) == 0, "an answer may always follow"
        else:
            assert budget.wait(chat, Rank.ANSWER, is_edit) == before
        for start in taken:
            within = [at for at in taken if start <= at <= start + 1]
            assert len(within) <= TOTAL[0] + TOTAL[1] + 1


def test_a_flood_limit_silences_its_chat_for_as_long_and_the_others_for_a_moment() -> None:
    now = [0.0]
    budget = Budget(lambda: now[0])
    budget.rest(1, 30)
    assert budget.take(1, Rank.ANSWER) == 30 and budget.take(2, Rank.ANSWER) == 1
    now[0] = 2.0
    assert budget.take(1, Rank.ANSWER) == 28 and budget.take(2, Rank.ANSWER) == 0


def test_a_storm_of_low_rank_ends_before_the_bucket_is_empty() -> None:
    budget = Budget(lambda: 0.0)
    sent = sum(budget.take(1, Rank.FILL) == 0 for _ in range(50))
    assert 0 < sent < CHAT[0]
    assert budget.take(1, Rank.FILL) > 0 and budget.take(1, Rank.CRITICAL) == 0 and budget.take(1, Rank.ANSWER) == 0
