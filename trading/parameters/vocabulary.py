"""The vocabulary of a range grid: every parameter declared once, under all the names people know it by.

Pure. Names follow product.md §3.2; aliases are the REST fields of §7.2 and the configuration keys of other programs
(peers.md §1.1).
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from decimal import Decimal

from trading.parameters.declaration import Kind, Parameter, simple
from trading.views import Declined, Refusal

D = Decimal
_ON_OFF = dict.fromkeys(("yes", "true", "1", "y"), "on") | dict.fromkeys(("no", "false", "0", "n"), "off")


def _flag(name: str, default: str, help: str, *aliases: str) -> Parameter:
    return Parameter(name, Kind.FLAG, help, "", None, None, default, ("on", "off"), aliases, _ON_OFF)


_DECLARED: tuple[Parameter, ...] = (
    Parameter("symbol", Kind.SYMBOL, "What to trade, e.g. BTCUSDT.", aliases=("pair", "instrument", "market")),
    Parameter(
        "direction", Kind.CHOICE, "What the grid hopes for: long, neutral or short.", default="neutral",
        choices=("long", "neutral", "short"), aliases=("strategy_type", "side", "bias"),
        spellings={"bullish": "long", "bull": "long", "buy": "long", "bearish": "short", "bear": "short",
                   "sell": "short", "both": "neutral"},
    ),
    Parameter(
        "spacing", Kind.CHOICE, "How the levels are spread: equal steps, equal ratios, or given one by one.",
        default="arithmetic", choices=("arithmetic", "geometric", "custom"), aliases=("grid_type",),
        spellings={"arith": "arithmetic", "linear": "arithmetic", "geo": "geometric"},
    ),
    Parameter("lower", Kind.PRICE, "The lowest level.", "quote",
              aliases=("lower_price", "price_range_lower", "low", "min_price")),
    Parameter("upper", Kind.PRICE, "The highest level.", "quote",
              aliases=("upper_price", "price_range_upper", "high", "max_price")),
    Parameter("grids", Kind.INTEGER, "How many grids lie between the bounds.", "grids", D(2), D(500),
              aliases=("grid_number", "grid_count", "grid_num", "count")),
    Parameter("step", Kind.STEP, "The distance of levels as a price or in %, in place of the count.", "quote",
              aliases=("grid_interval", "interval")),
    Parameter("levels", Kind.PRICES, "The levels of a custom grid, one by one.", "quote", aliases=("prices",)),
    Parameter("density", Kind.DECIMAL, "How many times as wide the last step is as the first; 1 = all alike.", "",
              D("0.01"), D(100), "1", aliases=("skew",)),
    Parameter("investment", Kind.MONEY, "The margin put into the grid.", "quote",
              aliases=("total_investment", "initial_margin", "invest", "amount")),
    Parameter("per_order", Kind.AMOUNT, "Each order as money (50u) or quantity (0.001), in place of the investment.",
              "quote", aliases=("order_amount", "amount_per_grid")),
    Parameter("leverage", Kind.INTEGER, "How many times the investment is traded with.", "x", D(1), D(1000), "1",
              aliases=("lev",)),
    Parameter("margin_mode", Kind.CHOICE, "Whether the grid risks its own margin only or the whole account's.",
              default="isolated", choices=("isolated", "cross"), aliases=("margin", "margin_type"),
              spellings={"crossed": "cross"}),
    Parameter("sizing", Kind.CHOICE, "How the money is shared among the grids.",
              choices=("equal_notional", "equal_quantity", "weighted"), aliases=("allocation",),
              default="equal_notional", spellings={"notional": "equal_notional", "quantity": "equal_quantity"}),
    Parameter("max_position", Kind.MONEY, "Entries that would make the position larger than this wait.", "quote"),
    Parameter("trigger", Kind.PRICE, "Nothing is placed until the price reaches this.", "quote",
              aliases=("trigger_price",)),
    Parameter("stop_loss", Kind.PRICE, "A price beyond the range at which the grid stops to limit its loss.", "quote",
              aliases=("sl", "stop_loss_price", "stop_lower_price")),
    Parameter("stop_loss_high", Kind.PRICE, "The stop-loss above the range of a neutral grid.", "quote",
              aliases=("sl_high", "stop_loss_upper", "stop_upper_price")),
    Parameter("take_profit", Kind.PRICE, "A price beyond the range at which the grid stops with its profit.", "quote",
              aliases=("tp", "take_profit_price")),
    _flag("close_on_stop", "on", "Whether a stop closes the position.", "close_position_on_stop"),
    _flag("post_only", "on", "Whether grid orders only rest in the book (maker fee) and never trade at once."),
    _flag("initial", "on", "Whether a long or short grid takes its position at the start.", "initial_position",
          "open_position"),
    Parameter("reverse_distance", Kind.INTEGER, "How many grids lie between entry and exit.", "grids", D(1), D(1),
              "1", aliases=("reverse_order_grid_distance",)),
    Parameter("max_open_orders", Kind.INTEGER, "How many orders may rest at once, nearest first.", "orders", D(1),
              D(1000), aliases=("max_orders",)),
    Parameter("reserve", Kind.PERCENT, "The part of the buying power kept back for fees and moves against the grid.",
              "%", D(0), D(50), "5%"),
    Parameter("note", Kind.TEXT, "Your own words.", aliases=("name", "comment")),
)  # fmt: skip
PARAMETERS: dict[str, Parameter] = {p.name: p for p in _DECLARED}
"""By declared name, in the order in which a form shows them."""
NAMES: dict[str, str] = {alias: p.name for p in _DECLARED for alias in (p.name, *p.aliases)}
"""Every name and alias to its declared name."""
_DIRECTIONS = {*PARAMETERS["direction"].choices, *PARAMETERS["direction"].spellings}


def resolve(name: str, text: str = "") -> str:
    """The declared name behind `name` or one of its aliases; raises Declined(unknown_parameter)."""
    plain = simple(name).casefold().replace(" ", "_").replace("-", "_").rpartition(".")[2]
    if plain == "grid_type" and simple(text).casefold() in _DIRECTIONS:
        return "direction"  # other programs' files say long or short there (peers.md §1.1)
    if plain in NAMES:
        return NAMES[plain]
    nearest = dict.fromkeys(NAMES[near] for near in difflib.get_close_matches(plain[:40], NAMES, 3, 0.6))
    raise Declined(Refusal("unknown_parameter", {"name": name[:40], "nearest": ", ".join(nearest)}))


def read(name: str, text: str) -> str:
    """The canonical text of one value, e.g. ("lower", "58,000") → "58000"; raises Declined."""
    return PARAMETERS[resolve(name, text)].read(text)


def canonical(given: Mapping[str, str]) -> dict[str, str]:
    """`given` under declared names with canonical values, empty ones left out; raises Declined with all problems."""
    found: dict[str, str] = {}
    problems: list[Refusal] = []
    for alias, text in given.items():
        if not text.strip():
            continue
        try:
            name = resolve(alias, text)
            value = PARAMETERS[name].read(text)
            if value and found.setdefault(name, value) != value:
                raise Declined(Refusal("given_twice", {"name": name}))
        except Declined as declined:
            problems += declined.refusals
    if problems:
        raise Declined(*problems)
    if "stop_loss" in found and "stop_loss_high" in found:
        found["stop_loss"], found["stop_loss_high"] = sorted((found["stop_loss"], found["stop_loss_high"]), key=D)
    return found
