"""What Binance's numbers mean for us: a Reason for an order, a TradingError for a read (binance-usdm.md §4.3, §14).

Pure. `CODES` is the whole of §14, one row per code; what the gateway itself does about a code is its Reaction.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum

from msgspec import Struct

from trading.messages import Reason
from trading.ports import Broken, Disconnected, RateLimited, Rejected, TradingError, Uncertain


class Reaction(Enum):
    """What the gateway does itself, besides telling."""

    NONE = "none"
    RESYNC = "resync"
    """Set the clock by the venue's: the request was not executed."""
    WAIT = "wait"
    """Send nothing until the venue allows it."""
    WAIT_ORDERS = "wait_orders"
    """Place nothing until the venue's order window is over; cancels and reads go on."""
    SLOW = "slow"
    """Place more slowly; closing orders and cancels are exempt."""
    RETRY = "retry"
    """Failed for certain: reads and settings are repeated here, orders by the engine."""
    RENEW = "renew"
    """The listenKey is gone: take another, reconnect, reconcile."""


class Meaning(Struct, frozen=True):
    """What one code says of an order, and what we do."""

    reason: Reason | None
    """None = nobody knows whether it was executed: ask."""
    reaction: Reaction = Reaction.NONE
    is_done: bool = False
    """What was asked for is so already."""


def _rows(meaning: Meaning, *codes: int | range) -> Iterable[tuple[int, Meaning]]:
    for code in codes:
        for each in [code] if isinstance(code, int) else code:
            yield each, meaning


def _span(first: int, last: int) -> range:
    """From `first` down to `last`, both included."""
    return range(first, last - 1, -1)


_THROTTLED = Reason.THROTTLED
CODES: dict[int, Meaning] = dict(
    [
        # nobody knows
        *_rows(Meaning(None), -1000, -1006, -1007, -2012, -4000, -4083, -4117),
        # certainly not executed, may be sent again
        *_rows(Meaning(_THROTTLED, Reaction.RETRY), -1001, -1016, -5024, -5043),
        *_rows(Meaning(_THROTTLED, Reaction.WAIT), -1003),
        *_rows(Meaning(_THROTTLED, Reaction.WAIT_ORDERS), -1015),
        *_rows(Meaning(_THROTTLED, Reaction.SLOW), -1008),
        *_rows(Meaning(_THROTTLED, Reaction.RESYNC), -1021, -5028),
        # keys, permissions, the state of account and symbol: a person must act
        *_rows(Meaning(Reason.NOT_ALLOWED), -1002, -1022, -1109, -1110, -1121, -2014, -2015, -2017, -2023),
        *_rows(Meaning(Reason.NOT_ALLOWED), -4060, -4061, -4087, -4088, _span(-4105, -4107), -4109, -4140, -4141),
        *_rows(Meaning(Reason.NOT_ALLOWED), -4189, -4192, _span(-4202, -4209), _span(-4400, -4403)),
        # margin and count
        *_rows(Meaning(Reason.MARGIN), -2018, -2019, -2027, -2028, -4050, -4051),
        *_rows(Meaning(Reason.TOO_MANY_ORDERS), -2025, -4045),
        *_rows(Meaning(Reason.REDUCE_ONLY), -2022, -2024, -4118),
        # prices and quantities
        *_rows(Meaning(Reason.WOULD_CROSS), -5022),
        *_rows(Meaning(Reason.EXPIRED), -5021),
        *_rows(Meaning(Reason.PRICE_BAND), -1112, -2020, -4016, -4024, -4131, -5041),
        *_rows(Meaning(Reason.FILTER), -1013, -1111, _span(-4001, -4014), -4023, -4164, -5029),
        *_rows(Meaning(Reason.DUPLICATE), -4116),
        # as asked already
        *_rows(Meaning(Reason.REFUSED, is_done=True), -4046, -4059, -5027),
        # no such order, no such key
        *_rows(Meaning(Reason.REFUSED), -2011, -2013),
        *_rows(Meaning(Reason.REFUSED, Reaction.RENEW), -1125),
        # requests that we should not have made, or a person should make otherwise
        *_rows(Meaning(Reason.REFUSED), -1010, -1014, -1020, _span(-1100, -1106), -1108, _span(-1114, -1120)),
        *_rows(Meaning(Reason.REFUSED), -1127, -1128, -1130, -2010, -2021, -2026, -4015, -4021, -4028, -4047, -4048),
        *_rows(Meaning(Reason.REFUSED), -4062, -4067, -4068, -4082, -4120, -4137, -4138, -4142, -4161),
        *_rows(Meaning(Reason.REFUSED), _span(-4167, -4172), -4183, -4184, -4531, -5000, -5025, -5026),
        *_rows(Meaning(Reason.REFUSED), _span(-5037, -5040), -5047),
    ]
)
UNKNOWN_ORDER = frozenset({-2011, -2013})
BAD_SYMBOL = -1121
MENDABLE = {
    -2014: "key_refused",
    -2015: "key_refused",
    -4028: "leverage_not_allowed",
    -4047: "margin_mode_orders",
    -4048: "margin_mode_position",
    -4161: "leverage_position",
    -4167: "multi_assets_mode",
    -4168: "multi_assets_mode",
    **dict.fromkeys(_span(-4202, -4209), "leverage_not_allowed"),
}
"""What a person can mend about a refused setting: `Rejected.reason`, for the words."""
NOT_IN_TIME = frozenset(code for code, found in CODES.items() if found.reaction is Reaction.RESYNC)
_UNKNOWN = "Unknown error"
_FAILED_FOR_CERTAIN = ("Service Unavailable", "Internal error; unable to process", "Request throttled by system-level")
_BANNED = re.compile(r"until (\d{13})")
_RETRY = Meaning(_THROTTLED, Reaction.RETRY)
FIREWALL = 300_000
"""How long to stay away after a 403 of the venue's firewall, ms."""


def meaning(status: int, code: int, text: str) -> Meaning:
    """What an answer that is no success means; the code speaks before the HTTP status."""
    known = CODES.get(code)
    if status in (418, 429) and code != -1015:
        return CODES[-1003]
    # "Unknown error" and "Internal error" come with various codes; with 503 the text decides
    if status == 503 and _UNKNOWN in text:
        return CODES[-1007]
    if status == 503 and any(certain in text for certain in _FAILED_FOR_CERTAIN):
        return known if known is not None and known.reaction is Reaction.SLOW else _RETRY
    if known is not None:
        return known
    if status == 403:
        return CODES[-1003]
    if status in (401, 451):
        return CODES[-2015]
    if status < 400 or status == 408 or status >= 500:
        return CODES[-1007]
    return CODES[-2010]


def refusal(status: int, code: int, text: str) -> Reason | None:
    """Why an order was refused; None when nobody knows whether it was executed."""
    return meaning(status, code, text).reason


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def wait_until(status: int, text: str, retry_after: str, now: int) -> int:
    """Until when (ms) nothing should be sent after a 418, 429 or 403. `retry_after`: seconds, or a time in ms."""
    banned = _BANNED.search(text)
    if banned:
        return int(banned.group(1))
    if _is_number(retry_after):
        told = int(retry_after)
        return told if told > 10**12 else now + told * 1000
    if status == 403:
        return now + FIREWALL
    return now + (120_000 if status == 418 else 60_000 - now % 60_000)


def window_end(text: str, retry_after: str, now: int) -> int:
    """Until when (ms) nothing should be placed after -1015: the end of the window that its text names."""
    if _is_number(retry_after):
        return wait_until(429, "", retry_after, now)
    span = 10_000 if "TEN_SECONDS" in text or "10 SECOND" in text else 60_000
    return now - now % span + span


def failure(status: int, code: int, text: str, retry_after: str, now: int, is_read: bool) -> TradingError:
    """What a refused REST call raises."""
    found = meaning(status, code, text)
    if found.reaction is Reaction.WAIT:
        return RateLimited(wait_until(status, text, retry_after, now), f"{status} {code}: {text}")
    if found.reaction is Reaction.WAIT_ORDERS:
        return RateLimited(window_end(text, retry_after, now), f"{status} {code}: {text}")
    if code == -5000:
        return Broken(f"{code}: {text}")
    if found.reason is None and not is_read:
        return Uncertain(f"{status} {code}: {text}")
    if found.reason is None or found.reason is _THROTTLED:
        return Disconnected(f"{status} {code}: {text}")
    return Rejected(code, text, MENDABLE.get(code, ""))
