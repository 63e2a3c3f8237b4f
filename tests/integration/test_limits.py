"""What the wizard offers is what the desk would accept, learned from the desk itself."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bot import form, limits
from bot.form import Draft
from tests.fakes import FakeDesk
from trading.views import Declined

RANGE = {"symbol": "BTCUSDT", "direction": "neutral", "lower": "53020", "upper": "76650", "grids": "35"}


def draft(**fields: str) -> Draft:
    return Draft("n", 1, fields=RANGE | fields)


async def test_the_least_investment_is_enough_and_a_cent_less_is_not() -> None:
    desk = FakeDesk()
    found = await limits.amounts(desk, draft(leverage="2"))
    assert found.most == desk.held
    assert found.least is not None
    await desk.preview(1, draft(leverage="2", investment=str(found.least)).fields)
    with pytest.raises(Declined, match="below_minimum"):
        await desk.preview(1, draft(leverage="2", investment=str(found.least - Decimal("0.01"))).fields)


async def test_leverages_begin_where_orders_are_large_enough_and_end_where_liquidation_would_come() -> None:
    desk = FakeDesk()
    found = await limits.leverages(desk, draft(investment="1000"), 20)
    assert 1 < found.least < found.most < 20
    for leverage in (found.least, found.most):
        await desk.preview(1, draft(investment="1000", leverage=str(leverage)).fields)
    for leverage, why in ((found.least - 1, "below_minimum"), (found.most + 1, "liquidation_inside")):
        with pytest.raises(Declined, match=why):
            await desk.preview(1, draft(investment="1000", leverage=str(leverage)).fields)


@pytest.mark.parametrize("direction", ["long", "neutral", "short"])
@pytest.mark.parametrize("share", form.SHARES)
async def test_every_leverage_that_is_offered_leads_to_a_preview(direction: str, share: int) -> None:
    desk = FakeDesk()
    whole = draft(direction=direction, investment=str(desk.held * share / 100))
    found = await limits.leverages(desk, whole, 20)
    for leverage in form.LEVERAGES:
        if found.least <= leverage <= found.most:
            await desk.preview(1, {**whole.fields, "leverage": str(leverage)})


async def test_an_amount_per_order_needs_no_least() -> None:
    desk = FakeDesk()
    assert (await limits.amounts(desk, draft(per_order="60u"))).least is None
    assert (await limits.leverages(desk, draft(per_order="60u"), 20)).least == 1


async def test_nothing_is_known_while_the_exchange_is_down() -> None:
    desk = FakeDesk()
    desk.is_down = True
    assert await limits.amounts(desk, draft()) == form.Amounts()
