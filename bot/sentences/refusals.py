"""Why something cannot be done and what would do instead, by refusal code."""

from __future__ import annotations

REFUSALS: dict[str, tuple[str, ...]] = {
    # sentences; one is left out where one of its values is empty
    # typed values
    "bad_number": ("{name}: “{text}” is not a number.",),
    "not_whole": ("{name}: “{text}” is not a whole number.",),
    "not_positive": ("{name} must be above zero.",),
    "out_of_bounds": ("{name}: {text} is out of bounds.", "The least is {least}.", "The most is {most}."),
    "bad_choice": ("{name}: “{text}” is none of {choices}.",),
    "bad_symbol": ("“{text}” is not a symbol. Try for example btc or ETHUSDT.",),
    "price_wanted": ("{name} must be a price, not a percentage: {text}.",),
    "too_long": ("{name} is too long; the most is {most}.",),
    "unknown_parameter": ("I do not know the setting “{name}”.", "Did you mean {nearest}?"),
    "given_twice": ("{name} is given twice.",),
    "unexpected": ("I do not know what “{text}” means here.",),
    "missing": ("{name} is missing.",),
    "not_together": ("{name} and {other} cannot be given together.",),
    "only_with": ("{name} goes only with {other}.",),
    "range_wanted": ("“{text}” is not a range. Please type two prices, for example 58000-72000.",),
    "upper_not_above_lower": ("The upper price {upper} must be above the lower price {lower}.",),
    "step_wants_spacing": ("A step of {step} goes with spacing={spacing}.",),
    "too_few_levels": ("{count} levels are too few for a grid: at least three are needed.",),
    "stop_not_below": ("The stop-loss {stop} must be below the range, which begins at {lower}.",),
    "stop_not_above": ("The stop-loss {stop} must be above the range, which ends at {upper}.",),
    "stop_inside_range": ("The stop-loss {stop} lies inside the range {lower} – {upper}.",),
    "target_not_above": ("The take-profit {target} must be above the range, which ends at {upper}.",),
    "target_not_below": ("The take-profit {target} must be below the range, which begins at {lower}.",),
    "no_target_for_neutral": ("A neutral grid has no take-profit price ({target}).",),
    "bad_file": ("The file cannot be read: {problem}",),
    "unknown_file_kind": ("I cannot read files of the kind “{kind}”.",),
    # the plan
    "equal_levels": (
        "{grids} grids are too many for this range: levels would fall on the same price.",
        "At most {most} fit.",
    ),
    "no_profit": (
        "Each pair would lose money: {profit} after fees.",
        "Make each step at least {least_step} (it is {step}): fewer grids or a wider range.",
    ),
    "below_minimum": (
        "With {grids} grids an order would be too small: the least is {min_notional} in value, {min_qty} in quantity.",
        "Invest at least {least}.",
        "Or use at most {most_grids} grids.",
    ),
    "order_above_maximum": ("An order of {qty} is over the exchange's maximum of {most}.",),
    "initial_above_maximum": ("The initial order of {qty} is over the exchange's maximum of {most}.",),
    "initial_above_max_position": ("The initial order of {initial} is over your largest position of {most}.",),
    "below_min_price": ("The price {price} is under the exchange's lowest, {least}.",),
    "above_max_price": ("The price {price} is over the exchange's highest, {most}.",),
    "not_trading": ("{symbol} is not traded now ({status}).",),
    "over_balance": (
        "An investment of {investment} is more than is free.",
        "At most {most} can be invested.",
    ),
    "outside_range": (
        "The price now is {price}, outside the range {lower} – {upper}.",
        "Choose a range around the price, or set a trigger price.",
    ),
    "already_beyond_stop": ("The price {price} is beyond the stop-loss {stop} already.",),
    "already_beyond_target": ("The price {price} is beyond the take-profit {target} already.",),
    "liquidation_inside": (
        "The position could be liquidated at {liquidation}, inside the range.",
        "{leverage}x is the highest leverage that is safe here.",
        "Or narrow the range: {narrower} in place of {bound}.",
        "Cross margin would do, too.{cross:.0}",
    ),
    "liquidation_before_stop": (
        "The position could be liquidated at {liquidation}, before the stop-loss {stop} acts.",
        "The stop-loss can be no further than {nearest}.",
    ),
    "leverage_for_notional": (
        "{leverage}x is not possible for a position of {notional}.",
        "At most {most}x is.",
    ),
    # warnings
    "bound_rounded": ("{name}: {asked} is rounded to {used}, the exchange's price step.",),
    "upper_lowered": ("The upper price comes down from {asked} to {used}: {grids} whole steps.",),
    "thin_step": ("The step of {step} is thin: under {least_step}, fees take a large part.",),
    "close_to_upper": ("The price {price} is only {distance} under the upper price {upper}: little room to rise.",),
    "close_to_lower": ("The price {price} is only {distance} over the lower price {lower}: little room to fall.",),
    "margin_short": ("From {price} onwards the grid's margin no longer suffices for every order: some would wait.",),
    "liquidation_after_return": (
        "Once the price has crossed the whole range and come back, every lot is held at its own level:"
        " the position could then be liquidated at {liquidation}, before {limit} is reached.",
    ),
    "more_grids_than_orders": ("Of {grids} grids at most {most} rest as orders at once, nearest first.",),
    "neutral_is_equal": ("A neutral grid always uses equal amounts.",),
    # the backtest
    "symbol_not_in_file": ("{symbol} is not in {file}.",),
    "off_tick": ("Prices of the tape ({price}) lie between ticks of {tick}: name the right one by --tick or --rules.",),
    "other_symbol": ("The grid is for {symbol}, the tape {file} is named after another symbol.",),
    # the desk
    "not_editable": ("{name} cannot be changed while the grid exists. Stop it and set up another.",),
    "account_in_use": ("{account} still has {bots}. Stop and delete what it has first.",),
    "account_of_environment": (
        "The keys of {account} stand in the environment of the service: take them out there.",
    ),
    "not_now": ("Grid #{bot} is being set up again at this moment. Please try again in a few seconds.",),
    "may_only_look": ("You may look, but not act.",),
    "unknown_symbol": ("I do not know “{symbol}”.", "Did you mean {nearest}?"),
    "no_such_account": ("There is no such account.",),
    "no_such_bot": ("There is no grid #{bot}.",),
    "venue_down": ("The exchange cannot be reached now ({account}). Orders that rest there go on resting.",),
    "illegal_move": ("This cannot be done now: the grid is {status}.",),
    "not_live": ("This grid is not running: it is {status}.",),
    "still_live": ("This grid is {status}. Stop it first.",),
    "instrument_taken": ("Grid #{bot} trades {symbol} on this account already. Stop it first, or use a sub-account.",),
    "foreign_position": (
        "There is a position of {qty} {symbol} on the account that is not this grid's.",
        "Close it, or use a sub-account.",
    ),
    "kept_position_changed": (
        "This grid kept a position of {kept} {symbol}, and the account holds {qty} now: somebody traded it.",
        "Its books cannot go on from there: make a new grid with the same settings, or bring the position back.",
    ),
    "hedge_mode": (
        "The account {account} is in hedge mode, which is not supported yet.",
        "Switch it to one-way mode in the exchange's preferences (Position Mode), with no position open.",
    ),
    "other_install": (
        "Orders of another Trellis ({install}) rest on {symbol}: two must not share one account.",
    ),
    "start_refused": ("The exchange refuses the start: {why}",),
    "key_refused": (
        "The exchange refuses the keys: {why}.",
        "Check that they exist, may trade futures, and are bound to the address of this machine.",
    ),
    "leverage_not_allowed": ("The exchange does not allow this leverage on {symbol}.", "Choose a lower one."),
    "leverage_position": (
        "The exchange does not lower the leverage while a position on {symbol} is open.",
        "Close the position first.",
    ),
    "margin_mode_orders": (
        "The exchange does not change the margin mode while other orders rest on {symbol}.",
        "Cancel those orders, or set up the grid with the margin mode that {symbol} has on the account now.",
    ),
    "margin_mode_position": (
        "The exchange does not change the margin mode while a position on {symbol} is open.",
        "Close it, or set up the grid with the margin mode that {symbol} has on the account now.",
    ),
    "multi_assets_mode": (
        "The account is in multi-assets mode, which knows no isolated margin.",
        "Switch it to single-asset mode on the exchange, or set up the grid with cross margin.",
    ),
    "confirm": ("Please confirm:",),
}

FRACTIONS: dict[str, frozenset[str]] = {
    "no_profit": frozenset({"profit", "step", "least_step"}),
    "thin_step": frozenset({"step", "least_step"}),
    "close_to_upper": frozenset({"distance"}),
    "close_to_lower": frozenset({"distance"}),
}
"""Values of refusals that are shares of one and are shown in per cent."""

SAID_BY: dict[str, frozenset[str]] = {
    "out_of_bounds": frozenset({"liquidation_inside"}),
    "leverage_for_notional": frozenset({"liquidation_inside", "out_of_bounds"}),
    "liquidation_before_stop": frozenset({"liquidation_inside"}),
}
"""Refusals that need no sentence of their own beside these, which name a lower leverage."""
