"""Stops that the venue keeps: Binance's algo orders (binance-usdm.md §8)."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from trading.gateways.binance import wire
from trading.gateways.binance.errors import UNKNOWN_ORDER, Reaction
from trading.gateways.binance.rest import Reply, Rest, fault_of
from trading.gateways.binance.signing import Parameter
from trading.gateways.limiter import Limiter
from trading.model import ZERO, Side, StopOrder, StopStatus, plain
from trading.ports import Disconnected, Rejected, Uncertain

ALGO = "/fapi/v1/algoOrder"
LAGS = (0.3, 1.0, 1.5, 3.5)
"""When an unclear placement is asked about, s: for as long as its request may still be executed (`orders.VALID`)."""
_STATUSES = {
    "NEW": StopStatus.WAITING,
    "TRIGGERING": StopStatus.TRIGGERED,
    "TRIGGERED": StopStatus.TRIGGERED,
    "FINISHED": StopStatus.DONE,
    "CANCELED": StopStatus.CANCELLED,
    "EXPIRED": StopStatus.EXPIRED,
    "REJECTED": StopStatus.REFUSED,
}


def status_of(text: str) -> StopStatus:
    """An unknown state is not over: whoever waits goes on asking."""
    return _STATUSES.get(text, StopStatus.TRIGGERED)


def stop_of(answer: wire.AlgoAnswer) -> StopOrder:
    """A conditional order as the venue states it."""
    order = answer.actual_order_id if isinstance(answer.actual_order_id, str) else ""
    return StopOrder(
        answer.client_algo_id,
        answer.algo_id,
        answer.symbol,
        answer.side,
        answer.trigger_price,
        ZERO if answer.close_position else answer.quantity,
        status_of(answer.algo_status),
        int(order) if order.isdigit() else 0,
    )


def moved(fields: wire.AlgoFields) -> StopOrder:
    """A conditional order as ALGO_UPDATE tells it."""
    return StopOrder(
        fields.client_id,
        fields.algo_id,
        fields.symbol,
        fields.side,
        fields.trigger_price,
        ZERO if fields.close_position else fields.qty,
        status_of(fields.status),
        int(fields.order_id) if fields.order_id.isdigit() else 0,
        fields.reason if isinstance(fields.reason, str) else "",
    )


class Stops:
    """Places, cancels and lists stops; raises any TradingError."""

    def __init__(self, rest: Rest, limiter: Limiter) -> None:
        self._rest = rest
        self._limiter = limiter

    async def place(self, symbol: str, side: Side, trigger: Decimal, client_id: str, qty: Decimal) -> StopOrder:
        """A stop-market order on the mark price; `qty` 0 closes whatever the position is."""
        params: dict[str, Parameter] = {"algoType": "CONDITIONAL", "symbol": symbol, "side": side.value}
        params |= {"type": "STOP_MARKET", "triggerPrice": plain(trigger), "workingType": "MARK_PRICE"}
        params |= {"quantity": plain(qty), "reduceOnly": "true"} if qty else {"closePosition": "true"}
        if client_id:
            params["clientAlgoId"] = client_id
        await self._budget()
        try:
            reply = await self._once("POST", params, 0)
            return stop_of(wire.decode(reply.body, wire.AlgoAnswer))
        except (Uncertain, wire.Malformed):
            return await self._found(client_id)

    async def cancel(self, client_id: str) -> bool:
        """False = there was none (any more)."""
        await self._rest.leave(lambda now: self._limiter.weight_wait(now, 1, is_urgent=True))
        try:
            await self._once("DELETE", {"clientAlgoId": client_id}, 1)
        except Rejected as error:
            if error.code in UNKNOWN_ORDER:
                return False
            raise
        return True

    async def waiting(self, symbol: str | None) -> list[StopOrder]:
        query: dict[str, Parameter] = {"symbol": symbol} if symbol else {}
        body = await self._rest.read("/fapi/v1/openAlgoOrders", query, weight=1 if symbol else 40)
        return [stop_of(row) for row in wire.decode(body, list[wire.AlgoAnswer])]

    async def _budget(self) -> None:
        """Wait for a place in the order budgets, as for any order."""
        await self._rest.leave(lambda now: self._limiter.order_wait(now, is_exempt=True))
        self._limiter.take_order(self._rest.clock.now())

    async def _once(self, method: str, params: dict[str, Parameter], weight: int) -> Reply:
        """Send; after -1021 once more with the right time, since that was certainly not executed."""
        for is_last in (False, True):
            reply = await self._rest.attempt(method, ALGO, params, weight)
            if reply.status == 200:
                return reply
            if self._rest.heed(reply.status, fault_of(reply), reply.retry_after) is not Reaction.RESYNC or is_last:
                break
            await self._rest.sync()
        raise self._rest.failure(reply, is_read=False)

    async def _found(self, client_id: str) -> StopOrder:
        """What became of a placement without a clear answer; Disconnected = it certainly did not arrive."""
        if not client_id:
            raise Uncertain("a stop without a name got no clear answer")
        for lag in LAGS:
            await asyncio.sleep(lag)
            try:
                body = await self._rest.read(ALGO, {"clientAlgoId": client_id}, weight=1)
            except Rejected as error:
                if error.code not in UNKNOWN_ORDER:
                    raise
                continue
            return stop_of(wire.decode(body, wire.AlgoAnswer))
        raise Disconnected("the stop did not arrive")
