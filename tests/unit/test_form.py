"""The form is made from declarations alone, and the draft moves only by answers."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bot import form
from bot.form import Draft
from trading.parameters import clean
from trading.parameters.vocabulary import PARAMETERS
from trading.views import Declined

EMPTY = Draft("abcdefgh", 1)
WHOLE = replace(
    EMPTY,
    step=form.PREVIEW,
    fields={
        "symbol": "BTCUSDT", "direction": "neutral", "lower": "58000", "upper": "72000", "grids": "40",
        "investment": "5000", "leverage": "5",
    },
)  # fmt: skip


def test_the_questions_come_in_order_until_the_preview() -> None:
    draft, asked = EMPTY, []
    answers = {
        "symbol": "BTCUSDT", "direction": "long", "range": "58000-72000", "grids": "40", "investment": "500u",
        "leverage": "5x",
    }  # fmt: skip
    while draft.step != form.PREVIEW:
        asked.append(draft.step)
        draft = form.put(draft, form.read(draft.step, answers[draft.step]))
    assert tuple(asked) == form.STEPS
    assert clean(draft.fields).leverage == 5


def test_back_leads_through_every_question_to_the_first() -> None:
    step, seen = form.PREVIEW, []
    while step:
        step = form.before(step)
        seen.append(step)
    assert seen == [*reversed(form.STEPS), ""]


def test_a_changed_answer_leads_straight_back_to_the_preview() -> None:
    changed = form.put(WHOLE, form.read("grids", "50"))
    assert changed.step == form.PREVIEW
    assert changed.fields["grids"] == "50"


def test_another_symbol_drops_every_price_and_asks_for_the_range_again() -> None:
    draft = form.put(WHOLE, {"stop_loss": "55000"})
    changed = form.put(draft, {"symbol": "ETHUSDT"})
    assert changed.step == "range"
    assert not {"lower", "upper", "stop_loss"} & set(changed.fields)
    assert changed.fields["investment"] == "5000"


def test_the_same_symbol_again_keeps_everything() -> None:
    assert form.put(WHOLE, {"symbol": "BTCUSDT"}) == WHOLE


def test_a_step_or_levels_stand_in_for_the_count_and_are_replaced_by_one() -> None:
    fields = {name: value for name, value in WHOLE.fields.items() if name != "grids"}
    draft = replace(WHOLE, fields=fields | {"step": "100"})
    assert form.following(draft) == form.PREVIEW
    assert "step" not in form.put(draft, {"grids": "40"}).fields
    custom = replace(EMPTY, fields={"symbol": "BTCUSDT", "direction": "long", "levels": "1,2,3", "spacing": "custom"})
    assert form.following(custom) == "investment"
    ranged = form.put(custom, {"lower": "1", "upper": "3"})
    assert "spacing" not in ranged.fields
    assert ranged.step == "grids"


@pytest.mark.parametrize(
    "text",
    [
        "58000-72000",
        "58,000 – 72,000",
        "58000 72000",
        "58000 to 72000",
        "５８０００～７２０００",
        "٥٨٠٠٠-٧٢٠٠٠",
        "58000..72000",
    ],
)
def test_a_range_may_be_typed_in_many_ways(text: str) -> None:
    assert form.read("range", text) == {"lower": "58000", "upper": "72000"}


@pytest.mark.parametrize(
    ("step", "text", "code"),
    [
        ("range", "about here", "range_wanted"),
        ("range", "a1-2", "bad_number"),
        ("range", "58000", "range_wanted"),
        ("range", "72000-58000", "upper_not_above_lower"),
        ("range", "58000-58000", "upper_not_above_lower"),
        ("grids", "1", "out_of_bounds"),
        ("grids", "501", "out_of_bounds"),
        ("grids", "4.5", "not_whole"),
        ("grids", "many", "bad_number"),
        ("investment", "0", "not_positive"),
        ("investment", "-5", "not_positive"),
        ("investment", "much", "bad_number"),
        ("leverage", "0x", "out_of_bounds"),
        ("ask.spacing", "cubic", "bad_choice"),
        ("ask.stop_loss", "5%", "price_wanted"),
    ],
)
def test_a_wrong_answer_is_refused_with_a_code(step: str, text: str, code: str) -> None:
    with pytest.raises(Declined) as no:
        form.read(step, text)
    assert no.value.refusals[0].code == code


@given(st.sampled_from([*form.STEPS, *(f"ask.{name}" for name in PARAMETERS)]), st.text(max_size=60))
def test_no_typed_text_breaks_the_form(step: str, text: str) -> None:
    try:
        answer = form.read(step, text)
    except Declined:
        return
    assert all(name in PARAMETERS for name in answer)


@pytest.mark.parametrize("name", list(PARAMETERS))
def test_every_declaration_has_a_form(name: str) -> None:
    parameter = PARAMETERS[name]
    assert form.label(parameter)
    assert form.help_line(parameter)
    if parameter.default:
        assert form.shown(parameter, parameter.default)


def test_bounds_are_told() -> None:
    assert form.help_line(PARAMETERS["grids"]).endswith("(2 to 500)")
    assert "1x to 1,000x" in form.help_line(PARAMETERS["leverage"])


@pytest.mark.parametrize(
    ("direction", "widths"),
    [("neutral", [(5, 5), (10, 10), (20, 20)]), ("long", [(3, 6), (6, 12), (12, 24)]),
     ("short", [(6, 3), (12, 6), (24, 12)])],
)  # fmt: skip
def test_presets_lean_with_the_direction(direction: str, widths: list[tuple[int, int]]) -> None:
    found = form.ranges(direction, Decimal("64980.5"), Decimal("0.1"))
    assert [(each.down, each.up) for each in found] == widths
    assert all(each.lower < Decimal("64980.5") < each.upper for each in found)


@given(
    st.decimals("0.00000100", "1000000", places=8), st.sampled_from(["0.1", "0.01", "0.00000001"]),
    st.sampled_from(["long", "neutral", "short"]),
)  # fmt: skip
def test_presets_lie_on_the_tick(price: Decimal, tick: str, direction: str) -> None:
    for each in form.ranges(direction, price, Decimal(tick)):
        assert each.lower % Decimal(tick) == 0
        assert each.upper % Decimal(tick) == 0
        assert 0 < each.lower < each.upper


def test_a_draft_is_described_in_one_line() -> None:
    assert form.describe(WHOLE) == "BTCUSDT neutral · 58,000 – 72,000 · 40 grids"
    assert form.describe(EMPTY) == ""
