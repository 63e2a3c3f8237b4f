"""The wizard's questions and its preview, each a screen of one and the same message.

Every button names its draft by nonce and the step it answers, so one of an older draft is known as such.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from html import escape

from bot import form, numbers, words
from bot.form import Amounts, Draft, Leverages
from bot.menu import Button, Press, Screen, button, grid
from bot.presets import Preset
from bot.words import say
from trading.model import Instrument
from trading.parameters.declaration import Kind, Parameter, shown
from trading.parameters.vocabulary import PARAMETERS
from trading.ports import Account

UNKNOWN = Amounts()
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")


def answer(draft: Draft, text: str, step: str, value: str, style: str = "") -> Button:
    """A button that answers `step`."""
    return Button(text, Press("w", 0, f"{step}={value}", draft.nonce), style)


def go(draft: Draft, text: str, step: str, style: str = "") -> Button:
    """A button that only moves to another step."""
    return Button(text, Press("wgo", 0, step, draft.nonce), style)


def _screen(draft: Draft, badge: str, question: str, rows: Sequence[tuple[Button, ...]], back: str) -> Screen:
    about = form.describe(draft)
    head = f"🧭 <b>{say('w_title')}</b> · <b>{badge}</b>" if badge else f"🧭 <b>{say('w_title')}</b>"
    text = f"{head}\n{escape(about, quote=False)}" if about else head
    foot = [go(draft, say("b_back"), back)] if back else []
    foot.append(Button(say("b_cancel"), Press("wcancel", 0, "", draft.nonce)))
    return Screen(f"{text}\n\n{question}", (*(row for row in rows if row), tuple(foot)))


def account(draft: Draft, accounts: Sequence[Account]) -> Screen:
    rows = [
        (answer(draft, f"{each.name} · {each.environment.badge}", "account", str(each.id)),) for each in accounts
    ]
    return _screen(draft, "", say("w_account"), rows, "")


def symbol(draft: Draft, badge: str, known: Sequence[str] = SYMBOLS, back: str = "") -> Screen:
    rows = grid([answer(draft, each, "symbol", each) for each in known], 3)
    return _screen(draft, badge, say("w_symbol"), rows, back)


def direction(draft: Draft, badge: str) -> Screen:
    rows = [(answer(draft, say(f"w_{each}"), "direction", each),) for each in ("long", "neutral", "short")]
    return _screen(draft, badge, say("w_direction"), rows, "symbol")


def range_(
    draft: Draft,
    badge: str,
    price: Decimal | None,
    instrument: Instrument | None,
    proposed: Sequence[Preset] = (),
    swing: Decimal | None = None,
) -> Screen:
    """Without a price there are no presets, only typing; `swing`: how far it usually moves in a day, a share."""
    rows: list[tuple[Button, ...]] = []
    example = "58000-72000"
    lines = []
    if price is not None and instrument is not None:
        plain = form.ranges(draft.fields.get("direction", "neutral"), price, instrument.tick_size)
        rows = [(answer(draft, _proposal(each), "preset", each.text()),) for each in proposed]
        rows.append(tuple(answer(draft, _named(each), "range", _typed(each)) for each in plain))
        example = _typed(plain[0]) if plain else example
        about = [say("w_price", price=f"<b>{numbers.price(price)}</b>")]
        if swing is not None:
            about.append(say("w_swing", percent=numbers.percent(swing, 1)))
        lines.append("\n".join(about))
    if proposed:
        lines.append(say("w_presets"))
    lines.append(say("w_range", example=f"<code>{example}</code>"))
    return _screen(draft, badge, "\n\n".join(lines), rows, "direction")


def _typed(each: form.Range) -> str:
    return f"{shown(each.lower)}-{shown(each.upper)}"


def _named(each: form.Range) -> str:
    even = each.down == each.up
    return say("w_range_even", percent=each.up) if even else say("w_range_lean", down=each.down, up=each.up)


def _proposal(each: Preset) -> str:
    return say(
        "w_preset_button",
        name=say(f"w_preset_{each.name}"),
        lower=numbers.price(each.lower),
        upper=numbers.price(each.upper),
        grids=words.count("grid", each.grids),
        leverage=each.leverage,
    )


def grids(draft: Draft, badge: str) -> Screen:
    width = Decimal(draft.fields["upper"]) - Decimal(draft.fields["lower"]) if "upper" in draft.fields else Decimal(0)
    rows = grid([answer(draft, _step(count, width), "grids", str(count)) for count in form.COUNTS], 2)
    bounds = PARAMETERS["grids"]
    question = say("w_grids", least=numbers.number(bounds.least or 2), most=numbers.number(bounds.most or 500))
    return _screen(draft, badge, question, rows, "range")


def _step(count: int, width: Decimal) -> str:
    return say("w_step", count=count, step=numbers.near(width / count)) if width > 0 else str(count)


def investment(draft: Draft, badge: str, quote: str, amounts: Amounts = UNKNOWN) -> Screen:
    """Only shares that suffice are offered, and the least where a share does not."""
    unit, free = escape(quote, quote=False), amounts.most
    least = amounts.least if "leverage" in draft.fields else None
    lines = [say("w_free", free=f"<b>{numbers.amount(free, unit)}</b>")] if free is not None else []
    if amounts.least is not None:
        key = "w_least" if least is not None else "w_least_at"
        lines.append(say(key, least=f"<b>{numbers.amount(amounts.least, unit)}</b>"))
    rows: list[tuple[Button, ...]] = []
    if free is not None and least is not None and least > free:
        lines.append(say("w_least_over"))
        rows.append(tuple(go(draft, words.parameter(step), step) for step in ("grids", "range", "leverage")))
    elif free is not None:
        parts = {each: _part(free, each) for each in form.SHARES}
        enough = {each: part for each, part in parts.items() if part > 0 and (least is None or part >= least)}
        if least is not None and len(enough) < len(parts):
            amount = enough_for(least, free)
            rows.append((answer(draft, say("w_least_button", amount=amount), "investment", amount.replace(",", "")),))
        rows.append(tuple(answer(draft, _share(each, part), "investment", str(part)) for each, part in enough.items()))
    lines.append(say("w_investment", quote=unit))
    return _screen(draft, badge, "\n".join(lines[:-1]) + "\n\n" * bool(lines[:-1]) + lines[-1], rows, "grids")


def enough_for(least: Decimal, free: Decimal | None) -> str:
    """A round amount over the least, where that much is free."""
    easy = form.round_up(least)
    return numbers.number(easy if free is None or easy <= free else least)


def _part(free: Decimal, share: int) -> Decimal:
    part = free * share / 100
    quantum = Decimal(1) if part >= 10 else Decimal("0.01")
    return part.quantize(quantum, rounding="ROUND_DOWN")


def _share(share: int, part: Decimal) -> str:
    return say("w_share", percent=share, amount=numbers.number(part))


def leverage(draft: Draft, badge: str, most: int, suits: Leverages | None = None) -> Screen:
    """Only what suits the amount and the range is offered, and it is said why the rest is not."""
    known = [each for each in form.LEVERAGES if each <= most]
    offered = [each for each in known if suits is None or suits.least <= each <= suits.most]
    lines = []
    if suits is not None and not offered:
        lines.append(say("w_leverage_none"))
    elif suits is not None:
        lines += [say("w_leverage_least", least=suits.least)] if suits.least > known[0] else []
        lines += [say("w_leverage_most", most=suits.most)] if suits.most < known[-1] else []
    rows = list(grid([answer(draft, f"{each}x", "leverage", str(each)) for each in offered or known], 3))
    if not offered:
        rows.append(tuple(go(draft, words.parameter(step), step) for step in ("grids", "range", "investment")))
    question = "\n\n".join(["\n".join(lines)] * bool(lines) + [say("w_leverage", most=most)])
    return _screen(draft, badge, question, rows, "investment")


# --------------------------------------------------------------------------- changes


def edit(draft: Draft, badge: str) -> Screen:
    """What to change, after the preview."""
    names = {step: words.parameter(step) for step in form.STEPS}
    rows = grid([go(draft, name, step) for step, name in names.items()], 2)
    return _screen(draft, badge, say("w_edit"), [*rows, (go(draft, say("b_more"), "more"),)], form.PREVIEW)


def _others(draft: Draft) -> list[Parameter]:
    """What the questions leave out, as far as it means something in this direction."""
    asked = {name for step in form.STEPS for name in form.fields_of(step)}
    is_neutral = draft.fields.get("direction", "neutral") == "neutral"
    asked |= {"take_profit", "initial"} if is_neutral else {"stop_loss_high"}
    return [each for each in PARAMETERS.values() if each.name not in asked and form.has_choice(each)]


def more(draft: Draft, badge: str) -> Screen:
    """Every other parameter, with its value where it is not the default."""
    rows = grid([go(draft, _with_value(draft, each), f"ask.{each.name}") for each in _others(draft)], 2)
    return _screen(draft, badge, say("w_more"), rows, form.PREVIEW)


def _with_value(draft: Draft, parameter: Parameter) -> str:
    value = draft.fields.get(parameter.name)
    return form.label(parameter) if value is None else f"{form.label(parameter)}: {form.shown(parameter, value)}"


_ASKS = {Kind.PRICE: "w_ask_price", Kind.MONEY: "w_ask_money", Kind.INTEGER: "w_ask_integer"}


def ask(draft: Draft, badge: str, parameter: Parameter) -> Screen:
    """The form of one declaration."""
    value = draft.fields.get(parameter.name, "")
    default = form.shown(parameter, parameter.default) if parameter.default else say("w_default_none")
    now = form.shown(parameter, value) if value else f"{default} ({say('w_default')})"
    step = f"ask.{parameter.name}"
    is_choice = parameter.kind in (Kind.CHOICE, Kind.FLAG)
    choices = [answer(draft, words.value_of(each), step, each) for each in parameter.choices] if is_choice else []
    rows = list(grid(choices, 2))
    if value:
        rows.append((go(draft, say("b_clear"), f"drop.{parameter.name}"),))
    lines = [
        f"<b>{escape(form.label(parameter), quote=False)}</b>\n{escape(form.help_line(parameter), quote=False)}",
        escape(say("w_now", value=now), quote=False),
    ]
    if not is_choice:
        lines.append(say(_ASKS.get(parameter.kind, "w_ask")))
    return _screen(draft, badge, "\n\n".join(lines), rows, "more")


def example(sentence: str) -> Screen:
    """What was wrong with a line, and how one looks."""
    text = f"⚠️ {escape(sentence, quote=False)}\n\n{say('example')}\n<code>{say('help_example')}</code>"
    return Screen(text, ((button(say("b_new"), "new"), button(say("b_help"), "help")),))
