"""The life of a bot, as one table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.core.lifecycle import LIVE, MOVES, OVER, IllegalMove, Move, Status, after


def test_every_state_can_be_reached_from_created():
    reached, frontier = {Status.CREATED}, [Status.CREATED]
    while frontier:
        here = frontier.pop()
        for (status, _), there in MOVES.items():
            if status is here and there not in reached:
                reached.add(there)
                frontier.append(there)
    assert reached == set(Status)


def test_whatever_is_live_can_be_stopped_and_whatever_is_over_can_start_again():
    for status in LIVE:
        assert after(status, Move.STOP) in (Status.STOPPING, Status.STOPPED)
    for status in OVER:
        assert after(status, Move.START) is Status.STARTING
        assert after(status, Move.WAIT) is Status.WAITING


@given(st.sampled_from(list(Status)), st.sampled_from(list(Move)))
def test_a_move_is_in_the_table_or_refused_by_name(status, move):
    if (status, move) in MOVES:
        assert after(status, move) is MOVES[status, move]
    else:
        with pytest.raises(IllegalMove, match=status.value):
            after(status, move)


def test_only_stopping_leads_to_an_end_but_for_what_never_placed_anything():
    ends = {status for (status, _), there in MOVES.items() if there in OVER}
    assert ends == {Status.STOPPING, Status.STARTING, Status.WAITING}
