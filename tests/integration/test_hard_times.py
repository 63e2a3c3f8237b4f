"""Every command while the person has blocked the bot, or Telegram fails in the middle: nothing breaks or is lost."""

import asyncio

import pytest

from tests.fakes import a_card
from tests.house import House, house

__all__ = ["house"]
pytestmark = pytest.mark.timeout(120)

COMMANDS = (
    "/start", "/help", "/new", "/new BTCUSDT neutral 58000-72000 40 5000u 5x", "/grids", "/grid 1", "/stop 1",
    "/panic", "/balance", "/positions", "/orders", "/profit", "/accounts", "/settings", "/audit", "/health",
    "/version", "/cancel",
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_blocked_bot_goes_on_and_answers_again_when_it_may(house: House, command: str) -> None:
    house.desk.put(a_card())
    async with house.open():
        await house.hand.says("/version")
        await house.hand.sees("1.2.3")
        await house.hand.says(command)
        await house.hand.block(True)
        await asyncio.sleep(0.2)
        await house.hand.block(False)
        await house.hand.types("/health", "Health")


@pytest.mark.parametrize("mode", ["error", "drop"])
@pytest.mark.parametrize("command", COMMANDS)
async def test_telegram_failing_in_the_middle_of_a_command_ends_by_itself(
    house: House, command: str, mode: str
) -> None:
    house.desk.put(a_card())
    before = house.desk.card(1).status
    async with house.open():
        await house.hand.says(command)
        await house.hand.outage(mode)
        await asyncio.sleep(0.3)
        await house.hand.outage("off")
        await _again(house)
    assert house.desk.card(1).status == before


async def _again(house: House) -> None:
    """The library pauses before it polls again; then the bot answers."""
    for _ in range(5):
        try:
            await house.hand.types("/health", "Health")
        except AssertionError:
            continue
        return
    raise AssertionError("the bot did not come back")
