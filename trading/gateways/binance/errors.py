"""What Binance's numbers mean for us: a Reason for an order, a TradingError for a read (binance-usdm.md §4.3, §14).

Pure.
"""

from __future__ import annotations

import re

from trading.messages import Reason
from trading.ports import Broken, Disconnected, RateLimited, Rejected, TradingError, Uncertain

UNKNOWN_ORDER = frozenset({-2011, -2013})
NOT_IN_TIME = frozenset({-1021, -5028})
_UNCERTAIN = frozenset({-1000, -1006, -1007, -4117})
_NOT_NOW = frozenset({-1001, -1003, -1008, -1015, -1016, -1021, -5028, -5043})
_REASONS: dict[int, Reason] = {
    -5022: Reason.WOULD_CROSS,
    -5021: Reason.EXPIRED,
    -2025: Reason.TOO_MANY_ORDERS,
    -4116: Reason.DUPLICATE,
    **dict.fromkeys((-2018, -2019, -2027, -2028, -4050, -4051), Reason.MARGIN),
    **dict.fromkeys((-1013, -1111, -4164), Reason.FILTER),
    **dict.fromkeys(range(-4014, -4000), Reason.FILTER),
    -4023: Reason.FILTER,
    **dict.fromkeys((-1112, -4016, -4024, -4131, -5041), Reason.PRICE_BAND),
    **dict.fromkeys((-2022, -2024, -4118), Reason.REDUCE_ONLY),
    **dict.fromkeys(_NOT_NOW, Reason.THROTTLED),
    **dict.fromkeys((-1002, -1022, -2014, -2015, -2017, -2023, -4087, -4088, -4105, -4106, -4107), Reason.NOT_ALLOWED),
    **dict.fromkeys((-4109, -4140, -4141, -4189, -4192, -4400, -4401, -4402), Reason.NOT_ALLOWED),
}
_BANNED = re.compile(r"until (\d{13})")


def refusal(status: int, code: int, text: str) -> Reason | None:
    """Why an order was refused; None when nobody knows whether it was executed."""
    if code in _UNCERTAIN:
        return None
    if code in _REASONS:
        return _REASONS[code]
    if status in (418, 429):
        return Reason.THROTTLED
    if status in (401, 403):
        return Reason.NOT_ALLOWED
    if status == 503 and ("Service Unavailable" in text or "Internal error" in text):
        return Reason.THROTTLED
    if status == 408 or status >= 500:
        return None
    return Reason.REFUSED


def wait_until(status: int, text: str, retry_after: str, now: int) -> int:
    """Until when (ms) nothing should be sent after a 418 or 429."""
    banned = _BANNED.search(text)
    if banned:
        return int(banned.group(1))
    if retry_after.isdigit():
        return now + int(retry_after) * 1000
    return now + (120_000 if status == 418 else 60_000 - now % 60_000)


def failure(status: int, code: int, text: str, retry_after: str, now: int, is_read: bool) -> TradingError:
    """What a refused REST call raises."""
    if status in (418, 429) or code == -1003:
        return RateLimited(wait_until(status, text, retry_after, now), f"{code}: {text}")
    if status == 403:
        return RateLimited(now + 300_000, "blocked by the venue's firewall")
    if code == -5000:
        return Broken(f"{code}: {text}")
    if status < 500 and status != 408 and code not in _UNCERTAIN and code not in _NOT_NOW:
        return Rejected(code, text)
    if is_read or refusal(status, code, text) is not None:
        return Disconnected(f"{status} {code}: {text}")
    return Uncertain(f"{status} {code}: {text}")
