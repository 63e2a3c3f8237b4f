"""What a venue refuses without a look at the account: precision, filters, price bounds (binance-usdm.md §13)."""

from __future__ import annotations

import re
from decimal import ROUND_DOWN, ROUND_UP, Decimal

from trading.core.records import OrderRequest, VenueError
from trading.model import ZERO, Instrument, OrderType, Side, TimeInForce, plain

_LIMIT = OrderType.LIMIT
_GTD = TimeInForce.GTD
_BUY = Side.BUY
_SELL = Side.SELL
# reading a member off its Enum is slow, and these are asked for at every order

_CLIENT_ID = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")
_GTD_LEAST = 600_000
_GTD_MOST = 253402300799000


def check_request(request: OrderRequest, instrument: Instrument, mark: Decimal, now: int) -> None:
    """Everything that the request and the symbol's rules decide alone, in the venue's order."""
    is_limit = request.type is _LIMIT
    check_precision(instrument, request.price if is_limit else None, request.qty)
    if request.client_id and not _CLIENT_ID.fullmatch(request.client_id):
        fault = "length should not be more than 36 chars" if len(request.client_id) > 36 else "is not valid."
        raise VenueError(-4015, f"Client order id {fault}")
    if request.tif is _GTD and not now + _GTD_LEAST < request.good_till < _GTD_MOST:
        bounds = f"greater than the current time plus 600 seconds and smaller than {_GTD_MOST}"
        raise VenueError(-5040, f"The goodTillDate timestamp must be {bounds}")
    if is_limit:
        check_price(instrument, request.price)
    check_qty(instrument, request.qty, instrument.max_qty if is_limit else instrument.market_max_qty)
    if not request.reduce_only:
        check_notional(instrument, request.price if is_limit else mark, request.qty)
    if instrument.status != "TRADING":
        raise VenueError(-4140, "Invalid symbol status for opening position.")


def check_precision(instrument: Instrument, price: Decimal | None, qty: Decimal) -> None:
    """-1111 for more decimals than the symbol knows; trailing zeros are no decimals."""
    if not qty.is_finite() or not (price is None or price.is_finite()):
        raise VenueError(-1102, "A mandatory parameter was not sent, was empty/null, or malformed.")
    # What stands on the grid cannot be too fine; counting decimals is the slow part.
    if qty % instrument.lot_size and _decimals(qty) > instrument.qty_precision:
        raise VenueError(-1111, "Precision is over the maximum defined for this asset.")
    if price is not None and price % instrument.tick_size and _decimals(price) > instrument.price_precision:
        raise VenueError(-1111, "Precision is over the maximum defined for this asset.")


def check_price(instrument: Instrument, price: Decimal) -> None:
    if price <= ZERO:
        raise VenueError(-4001, "Price less than 0.")
    if instrument.max_price and price > instrument.max_price:
        raise VenueError(-4002, "Price greater than max price.")
    if price < instrument.min_price:
        raise VenueError(-4013, "Price less than min price.")
    if price % instrument.tick_size:
        raise VenueError(-4014, "Price not increased by tick size.")


def check_qty(instrument: Instrument, qty: Decimal, most: Decimal) -> None:
    if qty <= ZERO:
        raise VenueError(-4003, "Quantity less than or equal to zero.")
    if qty < instrument.min_qty:
        raise VenueError(-4004, "Quantity less than min quantity.")
    if most and qty > most:
        raise VenueError(-4005, "Quantity greater than max quantity.")
    if qty % instrument.lot_size:
        raise VenueError(-4023, "Quantity not increased by step size.")


def check_notional(instrument: Instrument, price: Decimal, qty: Decimal, code: int = -4164) -> None:
    if price * qty < instrument.min_notional:
        least = plain(instrument.min_notional)
        raise VenueError(code, f"Order's notional must be no smaller than {least} (unless you choose reduce only).")


def check_percent_price(instrument: Instrument, side: Side, price: Decimal, mark: Decimal) -> None:
    """One-sided: only a price that is too good for the other side is refused."""
    if not mark:
        return
    if side is _BUY and instrument.multiplier_up and price > mark * instrument.multiplier_up:
        most = _shown(instrument, mark * instrument.multiplier_up, ROUND_DOWN)
        raise VenueError(-4016, f"Limit price can't be higher than {most}.")
    if side is _SELL and instrument.multiplier_down and price < mark * instrument.multiplier_down:
        least = _shown(instrument, mark * instrument.multiplier_down, ROUND_UP)
        raise VenueError(-4024, f"Limit price can't be lower than {least}.")


def check_counter_price(instrument: Instrument, side: Side, best: Decimal, mark: Decimal) -> None:
    """A MARKET order needs somebody on the other side, at a price inside PERCENT_PRICE."""
    try:
        if best:
            check_percent_price(instrument, side, best, mark)
            return
    except VenueError:
        pass
    raise VenueError(-4131, "The counterparty's best price does not meet the PERCENT_PRICE filter limit.")


def _shown(instrument: Instrument, price: Decimal, rounding: str) -> str:
    return plain(price.quantize(Decimal(1).scaleb(-instrument.price_precision), rounding=rounding))


def _decimals(value: Decimal) -> int:
    return max(0, -int(value.normalize().as_tuple().exponent))
