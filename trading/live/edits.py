"""Changes of a bot's parameters: what may be edited, read and put into the rest. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from trading.parameters import GridParameters, canonical, clean
from trading.parameters.declaration import shown
from trading.plan.stops import NAMES as STOPS
from trading.strategies.grid import GridPlan
from trading.strategies.ladder import on_tick
from trading.views import Changed, Declined, Refusal

EDITABLE = (*STOPS, "note")
"""What may be edited so far; the rest of a grid is laid anew."""


def edited(parameters: Mapping[str, str], changes: Mapping[str, str]) -> dict[str, str]:
    """All parameters with `changes` (canonical or typed; empty = none) put in; raises Declined."""
    wrong = [name for name in changes if name not in EDITABLE]
    if wrong:
        raise Declined(*(Refusal("not_editable", {"name": name}) for name in wrong))
    texts = {name: text for name, text in parameters.items() if name not in STOPS} | stops(clean(parameters))
    for name, text in changes.items():
        texts.pop(name, None)
        texts |= canonical({name: text})
    clean(texts)
    return texts


def stops(params: GridParameters | GridPlan) -> dict[str, str]:
    """The stops that are set, each on its own side."""
    found = {name: getattr(params, name) for name in STOPS}
    return {name: shown(price) for name, price in found.items() if price is not None}


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[Changed, ...]:
    names = [name for name in EDITABLE if before.get(name, "") != after.get(name, "")]
    return tuple(Changed(name, before.get(name, ""), after.get(name, "")) for name in names)


def torn(parameters: Mapping[str, str], plan: GridPlan) -> dict[str, str] | None:
    """The parameters as the running plan has them, where a crash parted the two; None = they agree."""
    tick = plan.instrument.tick_size
    params = clean(parameters)
    wanted = {name: getattr(params, name) for name in STOPS}
    if all((None if at is None else on_tick(at, tick)) == getattr(plan, name) for name, at in wanted.items()):
        return None
    return {name: text for name, text in parameters.items() if name not in STOPS} | stops(plan)
