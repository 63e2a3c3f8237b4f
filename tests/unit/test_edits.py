"""Editing a grid: what may be changed, the same noes as in planning, and performance added up. Pure."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.fakes import NOW, a_card
from trading import plan as planning
from trading.core.engine import Engine
from trading.core.lifecycle import IllegalMove, Status
from trading.live import edits, performance
from trading.messages import Edit, Mark, Stop
from trading.parameters import clean
from trading.plan import stops
from trading.ports import Day
from trading.sandbox.instruments import LISTINGS
from trading.strategies.grid import Grid, GridPlan
from trading.views import Declined

D = Decimal
BTC = LISTINGS["BTCUSDT"]
NEUTRAL = {"symbol": "BTCUSDT", "direction": "neutral", "lower": "60000", "upper": "70000", "grids": "10",
           "investment": "2000", "leverage": "5"}  # fmt: skip


def planned(**more: str) -> GridPlan:
    return planning.make(
        clean(NEUTRAL | more), BTC.instrument, D(65000), brackets=BTC.brackets, available=D(9000), wallet_free=D(9000),
        chat=True,
    ).plan  # fmt: skip


# --------------------------------------------------------------------------- texts


def test_a_value_is_put_in_another_taken_away_and_the_rest_stays() -> None:
    given = NEUTRAL | {"stop_loss": "55000", "note": "old"}
    after = edits.edited(given, {"stop_loss": "", "stop_loss_high": "75,000", "note": " new  one "})
    assert after == NEUTRAL | {"stop_loss_high": "75000", "note": "new one"}
    assert [(each.name, each.before, each.after) for each in edits.differences(given, after)] == [
        ("stop_loss", "55000", ""), ("stop_loss_high", "", "75000"), ("note", "old", "new one"),
    ]  # fmt: skip


def test_the_single_stop_of_a_neutral_grid_counts_on_its_own_side() -> None:
    given = NEUTRAL | {"stop_loss": "75000"}
    assert edits.edited(given, {"stop_loss": "55000"}) == NEUTRAL | {"stop_loss": "55000", "stop_loss_high": "75000"}


@pytest.mark.parametrize("name", ["grids", "lower", "symbol", "leverage", "nonsense"])
def test_nothing_else_may_be_edited(name: str) -> None:
    with pytest.raises(Declined) as no:
        edits.edited(NEUTRAL, {name: "1"})
    assert no.value.refusals[0].code == "not_editable"


def test_a_torn_edit_is_recognised_by_the_running_plan() -> None:
    plan = planned(stop_loss="55000")
    assert edits.torn(NEUTRAL | {"stop_loss": "55000.04"}, plan) is None  # the tick is 0.1
    assert edits.torn(NEUTRAL | {"stop_loss": "54000"}, plan) == NEUTRAL | {"stop_loss": "55000"}
    assert edits.torn(NEUTRAL, plan) == NEUTRAL | {"stop_loss": "55000"}


# --------------------------------------------------------------------------- the plan


def test_stops_move_and_the_worst_case_with_them() -> None:
    plan = planned(stop_loss="55000")
    params = clean(NEUTRAL | {"stop_loss": "59000", "stop_loss_high": "71000"})
    moved = stops.moved(params, plan, D(65000), BTC.brackets)
    assert (moved.plan.stop_loss, moved.plan.stop_loss_high) == (59000, 71000)
    assert moved.worst_after < moved.worst_before
    assert moved.plan.levels == plan.levels
    worst = planning.make(
        params, BTC.instrument, D(65000), brackets=BTC.brackets, available=D(9000), wallet_free=D(9000), chat=True,
    ).worst_loss  # fmt: skip
    assert moved.worst_after == worst.quantize(D("0.01"), rounding="ROUND_HALF_UP")


@pytest.mark.parametrize(
    ("more", "now", "code"),
    [
        ({"stop_loss": "59000"}, "58000", "already_beyond_stop"),
        ({"stop_loss_high": "71000"}, "71000", "already_beyond_stop"),
        ({"stop_loss": "40000"}, "65000", "liquidation_before_stop"),
    ],
)
def test_moved_stops_meet_the_noes_of_planning(more: dict[str, str], now: str, code: str) -> None:
    with pytest.raises(Declined) as no:
        stops.moved(clean(NEUTRAL | more), planned(), D(now), BTC.brackets)
    assert [each.code for each in no.value.refusals] == [code]


# --------------------------------------------------------------------------- the engine


def running() -> Engine:
    engine = Engine("abcd", 1, BTC.instrument, {})
    engine.adopt(Grid.begin(planned(stop_loss="50000"), "abcd", 1))
    engine.kept.status = Status.RUNNING
    return engine


def test_an_edit_is_committed_moves_no_order_and_the_checkpoint_has_it() -> None:
    engine = running()
    assert engine.handle(Edit(1, D(59000), D(71000), None)) == []
    assert engine.must_commit
    kept = Engine.read(engine.checkpoint())
    assert kept.status is Status.RUNNING
    plan = Grid.unpack(kept.strategy, "abcd", 1).plan
    assert (plan.stop_loss, plan.stop_loss_high) == (59000, 71000)


def test_a_mark_that_was_beyond_the_old_stop_begins_anew_with_the_new_one() -> None:
    engine = running()
    engine.handle(Mark(1_000, D(49000)))
    engine.handle(Edit(1_500, D(49500), None, None))
    engine.handle(Mark(2_100, D(49000)))
    assert engine.status is Status.RUNNING
    engine.handle(Mark(3_200, D(49000)))
    assert engine.status is Status.STOPPING


def test_a_bot_on_its_way_down_is_not_edited() -> None:
    engine = running()
    engine.handle(Stop(1))
    with pytest.raises(IllegalMove):
        engine.handle(Edit(2, D(59000)))


# --------------------------------------------------------------------------- performance


def test_a_rate_a_year_needs_a_day() -> None:
    it = a_card(started=NOW, matched=D(5), total=D(-10), investment=D(500))
    days = [Day(0, D(5), 3, 6, D("0.1"))]
    early = performance.performance(it, days, NOW + performance.LEAST - 1)
    assert (early.grid_apr, early.total_apr) == (None, None)
    done = performance.performance(it, days, NOW + performance.LEAST)
    assert (done.grid_apr, done.total_apr) == (D("3.65"), D("-7.3"))
    assert performance.performance(a_card(started=None, total=None), [], NOW).grid_apr is None
