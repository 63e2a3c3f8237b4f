"""What a draft may be given: amounts and leverages that suffice and are safe, learned from the desk's own refusals."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal

from bot.form import Amounts, Draft, Leverages
from trading.live.desk import Desk
from trading.views import Declined, Refusal

LITTLE, MUCH = "1", "1000000000"
"""Investments that are surely refused, so that the refusals name what would do."""


async def amounts(desk: Desk, draft: Draft) -> Amounts:
    """What this grid needs (at 1x while no leverage is chosen), and what is free for it."""
    return Amounts(await _least(desk, draft, {}), _named(await _probe(desk, draft, {"investment": MUCH}), "most"))


async def leverages(desk: Desk, draft: Draft, most: int) -> Leverages:
    """From where on orders are large enough, and up to where nothing is liquidated inside the range."""
    invested = Decimal(draft.fields.get("investment", 0))
    needed = await _least(desk, draft, {"leverage": "1"}) if invested else None
    lowest = int((needed / invested).to_integral_value(ROUND_CEILING)) if needed is not None else 1
    highest = most
    for no in await _probe(desk, draft, {"leverage": str(most)}):
        safe = {"liquidation_inside": "leverage", "leverage_for_notional": "most"}.get(no.code)
        if safe is not None:
            highest = min(highest, int(no.values.get(safe) or 0))
    return Leverages(max(1, lowest), highest)


async def _least(desk: Desk, draft: Draft, values: Mapping[str, str]) -> Decimal | None:
    if "per_order" in draft.fields:
        return None
    return _named(await _probe(desk, draft, {"investment": LITTLE, **values}), "least")


async def _probe(desk: Desk, draft: Draft, values: Mapping[str, str]) -> tuple[Refusal, ...]:
    """Why the draft with these values would be refused."""
    try:
        await desk.preview(draft.account, {**draft.fields, **values})
    except Declined as no:
        return no.refusals
    return ()


def _named(refusals: tuple[Refusal, ...], name: str) -> Decimal | None:
    """The amount of money that one of them names."""
    about = {"least": "below_minimum", "most": "over_balance"}[name]
    return next((Decimal(no.values[name]) for no in refusals if no.code == about and no.values.get(name)), None)
