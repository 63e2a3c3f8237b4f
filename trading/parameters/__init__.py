"""The parameters of a range grid: read from a line, a file or a dictionary, and made one typed, consistent value.

Pure. The canonical form is a dictionary of declared names to canonical texts, as database and wizard keep it; `clean`
makes it a `GridParameters`. Declarations are in `vocabulary.py`, the one-liner is in `line.py`; both are offered here.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from decimal import Decimal

from msgspec import Struct

from trading.model import Direction, MarginMode, Sizing, Spacing
from trading.parameters.declaration import CODES as VALUE_CODES
from trading.parameters.declaration import Kind, Parameter, symbols_meant
from trading.parameters.line import format_line, parse_line
from trading.parameters.vocabulary import NAMES, PARAMETERS, canonical, read, resolve
from trading.views import Declined, Refusal

__all__ = [
    "CODES", "PARAMETERS", "GridParameters", "Kind", "Parameter", "PerOrder", "Step", "canonical", "clean",
    "format_line", "from_mapping", "parse_line", "read", "read_file", "resolve", "sides", "stop_problems",
    "symbols_meant",
]  # fmt: skip

D = Decimal
CODES: dict[str, tuple[str, ...]] = {
    **VALUE_CODES,
    "unknown_parameter": ("name", "nearest"),
    "given_twice": ("name",),
    "unexpected": ("text",),
    "missing": ("name",),
    "not_together": ("name", "other"),
    "only_with": ("name", "other"),
    "upper_not_above_lower": ("lower", "upper"),
    "step_wants_spacing": ("step", "spacing"),
    "too_few_levels": ("count",),
    "stop_not_below": ("stop", "lower"),
    "stop_not_above": ("stop", "upper"),
    "stop_inside_range": ("stop", "lower", "upper"),
    "target_not_above": ("target", "upper"),
    "target_not_below": ("target", "lower"),
    "no_target_for_neutral": ("target",),
    "bad_file": ("problem",),
    "unknown_file_kind": ("kind",),
}
"""Every refusal of reading parameters with the names of its values."""


class PerOrder(Struct, frozen=True):
    """What each order is to be worth, in quote, or to hold, in base."""

    value: Decimal
    is_notional: bool


class Step(Struct, frozen=True):
    """The distance of two levels: a price, or a fraction of the lower one."""

    value: Decimal
    is_fraction: bool


class GridParameters(Struct, frozen=True):
    """What a person asked for, typed and consistent in itself; whether the exchange allows it, `plan.make` says."""

    symbol: str
    direction: Direction
    spacing: Spacing
    leverage: int
    margin_mode: MarginMode
    sizing: Sizing
    density: Decimal
    post_only: bool
    initial: bool
    close_on_stop: bool
    reverse_distance: int
    reserve: Decimal
    """A fraction of the buying power."""
    lower: Decimal
    """CUSTOM: the lowest of the given levels."""
    upper: Decimal
    grids: int | None = None
    """None = `step` says."""
    step: Step | None = None
    levels: tuple[Decimal, ...] = ()
    investment: Decimal | None = None
    """None = `per_order` says."""
    per_order: PerOrder | None = None
    max_position: Decimal | None = None
    max_open_orders: int | None = None
    trigger: Decimal | None = None
    stop_loss: Decimal | None = None
    stop_loss_high: Decimal | None = None
    take_profit: Decimal | None = None
    note: str = ""


def from_mapping(given: Mapping[str, object]) -> dict[str, str]:
    """The canonical dictionary of a parsed file: tables are flattened, numbers and lists become text.

    Raises Declined.
    """
    flat: dict[str, str] = {}
    for name, value in _flatten(given, ""):
        is_stops = isinstance(value, list | tuple) and len(value) == 2 and NAMES.get(name) == "stop_loss"
        if is_stops and isinstance(value, list | tuple):
            flat[name], flat["stop_loss_high"] = map(_as_text, value)
        elif name in flat:
            raise Declined(Refusal("given_twice", {"name": name}))
        else:
            flat[name] = _as_text(value)
    return canonical(flat)


def _flatten(given: Mapping[str, object], prefix: str) -> Iterator[tuple[str, object]]:
    for key, value in given.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, str(key))
        elif value is not None:
            joined = f"{prefix}_{key}"
            yield (joined if joined in NAMES else str(key)), value


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        value = Decimal(repr(value))
    if isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) < 40:
        return format(value, "f")
    if isinstance(value, list | tuple):
        return ";".join(map(_as_text, value))
    return str(value)


def read_file(text: str, kind: str = "toml") -> dict[str, str]:
    """The canonical dictionary of a file's text; other formats come parsed through `from_mapping`.

    Raises Declined.
    """
    if kind != "toml":
        raise Declined(Refusal("unknown_file_kind", {"kind": kind[:40]}))
    try:
        return from_mapping(tomllib.loads(text, parse_float=Decimal))
    except (tomllib.TOMLDecodeError, RecursionError, ArithmeticError, ValueError) as error:
        raise Declined(Refusal("bad_file", {"problem": str(error)[:200]})) from None


def clean(given: Mapping[str, str]) -> GridParameters:
    """The typed parameters; raises Declined with every problem found."""
    texts = _settle(canonical(given))
    problems = [*_conflicts(texts), *_gaps(texts)]
    if not problems:
        lower, upper, problems = _range(texts)
        problems = problems or stop_problems(
            Direction(texts["direction"].upper()), lower, upper, *map(_optional(texts), _STOPS)
        )
    if problems:
        raise Declined(*problems)
    return _typed(texts, lower, upper)


_STOPS = ("stop_loss", "stop_loss_high", "take_profit")


def _settle(given: Mapping[str, str]) -> dict[str, str]:
    """Defaults filled in; what one choice says about another is settled."""
    texts = dict(given)
    if "levels" in texts:
        texts.setdefault("spacing", "custom")
    if texts.get("step", "").endswith("%"):
        texts.setdefault("spacing", "geometric")
    if not texts.get("per_order", "u").endswith("u"):
        texts.setdefault("sizing", "equal_quantity")
    for p in PARAMETERS.values():
        if p.default:
            texts.setdefault(p.name, p.default)
    return texts


def _conflicts(texts: Mapping[str, str]) -> Iterator[Refusal]:
    custom = texts["spacing"] == "custom"
    pairs = [("step", "grids"), ("per_order", "investment")]
    pairs += [(name, "levels") for name in ("grids", "step") if custom]
    for name, other in pairs:
        if name in texts and other in texts:
            yield Refusal("not_together", {"name": name, "other": other})
    if texts["density"] != "1" and (custom or "step" in texts):
        yield Refusal("not_together", {"name": "density", "other": "levels" if custom else "step"})
    if custom and "levels" in texts:
        given = texts["levels"].split(",")
        for name, bound in (("lower", given[0]), ("upper", given[-1])):
            if texts.get(name, bound) != bound:
                yield Refusal("not_together", {"name": name, "other": "levels"})
    elif "levels" in texts:
        yield Refusal("only_with", {"name": "levels", "other": "spacing=custom"})
    wanted = "geometric" if texts.get("step", "").endswith("%") else "arithmetic"
    if "step" in texts and not custom and texts["spacing"] != wanted:
        yield Refusal("step_wants_spacing", {"step": texts["step"], "spacing": wanted})
    if texts["direction"] != "neutral" and "stop_loss_high" in texts:
        yield Refusal("only_with", {"name": "stop_loss_high", "other": "direction=neutral"})


def _gaps(texts: Mapping[str, str]) -> Iterator[Refusal]:
    wanted = ["symbol"]
    wanted += ["levels"] if texts["spacing"] == "custom" else ["lower", "upper"]
    if texts["spacing"] != "custom" and "step" not in texts:
        wanted.append("grids")
    if "per_order" not in texts:
        wanted.append("investment")
    return (Refusal("missing", {"name": name}) for name in wanted if name not in texts)


def _range(texts: Mapping[str, str]) -> tuple[Decimal, Decimal, list[Refusal]]:
    if texts["spacing"] == "custom":
        levels = texts["levels"].split(",")
        most = PARAMETERS["grids"].most or D(0)
        problems = [Refusal("too_few_levels", {"count": str(len(levels))})] if len(levels) < 3 else []
        if len(levels) - 1 > most:
            problems = [Refusal("too_long", {"name": "levels", "most": str(most + 1)})]
        return D(levels[0]), D(levels[-1]), problems
    lower, upper = D(texts["lower"]), D(texts["upper"])
    if upper > lower:
        return lower, upper, []
    return lower, upper, [Refusal("upper_not_above_lower", {"lower": texts["lower"], "upper": texts["upper"]})]


def stop_problems(
    direction: Direction,
    lower: Decimal,
    upper: Decimal,
    stop: Decimal | None,
    stop_high: Decimal | None,
    target: Decimal | None,
) -> list[Refusal]:
    """What is wrong with where stops and target stand: beyond the range, each on its own side of it."""
    low, high, gain, problems = f"{lower:f}", f"{upper:f}", f"{target or 0:f}", []
    if direction is Direction.NEUTRAL:
        if stop is not None and stop_high is None and lower <= stop <= upper:
            problems = [Refusal("stop_inside_range", {"stop": f"{stop:f}", "lower": low, "upper": high})]
        stop, stop_high = sides(stop, stop_high, upper)
        if target is not None:
            problems.append(Refusal("no_target_for_neutral", {"target": gain}))
    elif direction is Direction.SHORT:
        stop, stop_high = None, stop
    if not problems and stop is not None and stop >= lower:
        problems.append(Refusal("stop_not_below", {"stop": f"{stop:f}", "lower": low}))
    if not problems and stop_high is not None and stop_high <= upper:
        problems.append(Refusal("stop_not_above", {"stop": f"{stop_high:f}", "upper": high}))
    if direction is Direction.LONG and target is not None and target <= upper:
        problems.append(Refusal("target_not_above", {"target": gain, "upper": high}))
    if direction is Direction.SHORT and target is not None and target >= lower:
        problems.append(Refusal("target_not_below", {"target": gain, "lower": low}))
    return problems


def sides(stop: Decimal | None, stop_high: Decimal | None, upper: Decimal) -> tuple[Decimal | None, Decimal | None]:
    """The lower and the upper stop of a neutral grid, for whom one stop may be either."""
    if stop is not None and stop_high is None and stop > upper:
        return None, stop
    return stop, stop_high


class _optional:
    """Reads optional decimals out of canonical texts."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts = texts

    def __call__(self, name: str) -> Decimal | None:
        return D(self.texts[name]) if name in self.texts else None


def _typed(texts: Mapping[str, str], lower: Decimal, upper: Decimal) -> GridParameters:
    optional = _optional(texts)
    direction = Direction(texts["direction"].upper())
    stop, stop_high = optional("stop_loss"), optional("stop_loss_high")
    if direction is Direction.NEUTRAL:
        stop, stop_high = sides(stop, stop_high, upper)
    step, each = texts.get("step"), texts.get("per_order")
    return GridParameters(
        symbol=texts["symbol"],
        direction=direction,
        spacing=Spacing(texts["spacing"].upper()),
        leverage=int(texts["leverage"]),
        margin_mode=MarginMode(texts["margin_mode"].upper()),
        sizing=Sizing(texts["sizing"].upper()),
        density=D(texts["density"]),
        post_only=texts["post_only"] == "on",
        initial=texts["initial"] == "on",
        close_on_stop=texts["close_on_stop"] == "on",
        reverse_distance=int(texts["reverse_distance"]),
        reserve=D(texts["reserve"].rstrip("%")) / 100,
        lower=lower,
        upper=upper,
        grids=int(texts["grids"]) if "grids" in texts else None,
        step=Step(D(step.rstrip("%")) / (100 if step.endswith("%") else 1), step.endswith("%")) if step else None,
        levels=tuple(map(D, texts["levels"].split(","))) if texts["spacing"] == "custom" else (),
        investment=optional("investment"),
        per_order=PerOrder(D(each.rstrip("u")), each.endswith("u")) if each else None,
        max_position=optional("max_position"),
        max_open_orders=int(texts["max_open_orders"]) if "max_open_orders" in texts else None,
        trigger=optional("trigger"),
        stop_loss=stop,
        stop_loss_high=stop_high,
        take_profit=optional("take_profit"),
        note=texts.get("note", ""),
    )
