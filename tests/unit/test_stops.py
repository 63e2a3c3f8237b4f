"""Other stops for a grid that runs: what they change, what is refused, and from when they act."""

from __future__ import annotations

from decimal import Decimal as D

import msgspec
import pytest

from tests.unit.pit import Pit
from tests.unit.pit import plan as pit_plan
from tests.unit.test_plan import BRACKETS, make, params
from trading.core.lifecycle import IllegalMove, Status
from trading.messages import Edit, Mark, Stop
from trading.model import Bracket, Direction
from trading.plan.exposure import Cross
from trading.plan.stops import Moved, moved
from trading.views import Declined, Refusal

LINE = "BTCUSDT {} 60000-64000 4 1000u {}x {}"


def move(
    direction: str,
    before: str,
    after: str,
    now: str | None = "62100",
    brackets: tuple[Bracket, ...] = BRACKETS,
    leverage: int = 5,
    cross: Cross | None = None,
) -> Moved:
    plan = make(LINE.format(direction, leverage, before)).plan
    wanted = params(LINE.format(direction, leverage, after))
    return moved(wanted, plan, None if now is None else D(now), brackets, cross)


def refused(direction: str, before: str, after: str, **more: object) -> Refusal:
    with pytest.raises(Declined) as caught:
        move(direction, before, after, **more)  # type: ignore[arg-type]
    (refusal,) = caught.value.refusals
    return refusal


# --------------------------------------------------------------------------- the plan


@pytest.mark.parametrize(
    ("direction", "before", "after", "stops"),
    [
        ("long", "sl=58000", "sl=59000 tp=66000", ("59000", None, "66000")),
        ("long", "sl=58000 tp=66000", "", (None, None, None)),
        ("short", "sl=66000", "sl=65000.04", ("65000", None, None)),
        ("neutral", "sl=58000 sl=66000", "sl=66000", (None, "66000", None)),
    ],
)
def test_moved_stops_replace_the_old_ones_on_the_tick_and_nothing_else(
    direction: str, before: str, after: str, stops: tuple[str | None, ...]
) -> None:
    found = move(direction, before, after).plan
    assert (found.stop_loss, found.stop_loss_high, found.take_profit) == tuple(s and D(s) for s in stops)
    assert msgspec.structs.replace(found, stop_loss=None, stop_loss_high=None, take_profit=None) == (
        make(LINE.format(direction, 5, "")).plan
    )


@pytest.mark.parametrize(("direction", "before", "after"), [("long", 58000, 59000), ("short", 66000, 65000)])
def test_the_worst_case_before_and_after_is_that_of_two_fresh_plans(direction: str, before: int, after: int) -> None:
    found = move(direction, f"sl={before}", f"sl={after}")
    worst = [make(LINE.format(direction, 5, f"sl={at}")).worst_loss for at in (before, after)]
    assert [found.worst_before, found.worst_after] == [each.quantize(D("0.01")) for each in worst]


@pytest.mark.parametrize(
    ("direction", "before", "after", "now", "code"),
    [
        ("long", "sl=58000", "sl=59000", "59000", "already_beyond_stop"),
        ("short", "sl=66000", "sl=65000", "65000", "already_beyond_stop"),
        ("neutral", "sl=66000", "sl=65000", "65001", "already_beyond_stop"),
        ("long", "tp=66000", "tp=65000", "65000", "already_beyond_target"),
        ("short", "tp=58000", "tp=59000", "58999", "already_beyond_target"),
    ],
)
def test_stops_that_the_price_has_passed_already_are_refused(
    direction: str, before: str, after: str, now: str, code: str
) -> None:
    assert refused(direction, before, after, now=now).code == code
    assert move(direction, before, after, now=None), "while the price is unknown nobody can say so"


def test_a_stop_that_rounds_onto_the_bound_is_refused() -> None:
    assert refused("long", "", "sl=59999.99").code == "stop_not_below"


def test_a_stop_beyond_the_liquidation_names_the_nearest_that_acts() -> None:
    refusal = refused("long", "sl=58000", "sl=50000", leverage=10)
    assert refusal.code == "liquidation_before_stop"
    nearest = refusal.values["nearest"]
    assert move("long", "sl=58000", f"sl={nearest}", leverage=10)
    assert move("long", "sl=58000", "sl=50000", leverage=10, brackets=()), "nothing is known of liquidation"
    assert move("long", "sl=58000 margin=cross", "sl=50000 margin=cross", leverage=10, cross=Cross(D(10**6)))


def test_a_liquidation_inside_the_range_is_no_reason_to_refuse_a_stop() -> None:
    line = "BTCUSDT long 58000-72000 20 5000u 25x {}"
    plan = make(line.format(""), "65000", brackets=None).plan
    assert moved(params(line.format("sl=57000")), plan, D(65000), BRACKETS).plan.stop_loss == 57000


# --------------------------------------------------------------------------- the engine


def pit(**stops: str) -> Pit:
    made = Pit(msgspec.structs.replace(pit_plan(Direction.LONG), **{name: D(at) for name, at in stops.items()}))
    made.start()
    return made


def test_an_edit_is_committed_and_counts_its_samples_anew() -> None:
    bot = pit(stop_loss="58000")
    bot.handle(Mark(bot.now, D(57000)))
    assert bot.engine.handle(Edit(bot.now, stop_loss=D(57500))) == []
    assert bot.engine.must_commit
    bot.handle(Mark(bot.now + 1000, D(57400)))
    assert bot.engine.status is Status.RUNNING, "the sample before the edit was of another stop"
    bot.handle(Mark(bot.now + 2000, D(57400)))
    bot.settle()
    assert (bot.engine.status, bot.engine.kept.reason) == (Status.FINISHED, "stop_loss")


def test_an_edited_stop_survives_a_crash() -> None:
    bot = pit(stop_loss="58000")
    bot.handle(Edit(bot.now, take_profit=D(72000)))
    bot.restart(bot.engine.checkpoint())
    for later in (0, 1000):
        bot.handle(Mark(bot.now + later, D(57000)))
    assert bot.engine.status is Status.RUNNING
    for later in (2000, 3000):
        bot.handle(Mark(bot.now + later, D(72000)))
    bot.settle()
    assert (bot.engine.status, bot.engine.kept.reason) == (Status.FINISHED, "take_profit")


def test_a_bot_that_stops_or_has_stopped_is_not_edited() -> None:
    bot = pit(stop_loss="58000")
    bot.engine.handle(Stop(bot.now, close=True))
    for status in (Status.STOPPING, Status.STOPPED):
        assert bot.engine.status is status
        before = bot.engine.checkpoint()
        with pytest.raises(IllegalMove):
            bot.engine.handle(Edit(bot.now, stop_loss=D(57000)))
        assert bot.engine.checkpoint() == before
        bot.snapshot()
        for order in bot.resting():
            bot.venue.cancel("me", "BTCUSDT", order.order_id, None, bot.now)
        bot.settle()
