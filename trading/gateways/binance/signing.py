"""Signed requests as Binance reads them: one HMAC-SHA256 over exactly the bytes that are sent (binance-usdm.md §3).

Pure. The secret never leaves a Signer: neither repr nor any exception shows it.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from urllib.parse import urlencode

from trading.gateways.binance.wire import encode
from trading.messages import Place
from trading.model import ClientOrderId, OrderType, plain
from trading.ports import Credentials

Parameter = str | int


class Signer:
    """Signs the requests of one API key; what is the same in every order is prepared once."""

    def __init__(self, credentials: Credentials, recv_window: int = 5000) -> None:
        self.key = credentials.key
        self._window = recv_window
        self._mac = hmac.new(credentials.secret.encode(), digestmod="sha256")
        self._head = f"apiKey={credentials.key}&"
        self._orders = self._mac.copy()
        self._orders.update(self._head.encode())
        params = encode({"apiKey": credentials.key})[:-1].decode()
        self._place = f'","method":"order.place","params":{params},"newClientOrderId":"'
        self._cancel = f'","method":"order.cancel","params":{params},"origClientOrderId":"'

    def __repr__(self) -> str:
        return "Signer(***)"

    def signature(self, text: str) -> str:
        """Lower-case hex over `text`."""
        mac = self._mac.copy()
        mac.update(text.encode())
        return mac.hexdigest()

    def query(self, params: Mapping[str, Parameter], now: int) -> str:
        """The query string of a signed REST request; values are encoded before signing."""
        text = urlencode({**params, "recvWindow": self._window, "timestamp": now})
        return f"{text}&signature={self.signature(text)}"

    def request(self, number: int, method: str, params: Mapping[str, Parameter], now: int) -> bytes:
        """Any signed request of the WebSocket API: parameters sorted by name, joined raw."""
        full: dict[str, Parameter] = {**params, "apiKey": self.key, "recvWindow": self._window, "timestamp": now}
        text = "&".join(f"{name}={full[name]}" for name in sorted(full))
        return encode({"id": f"{number}", "method": method, "params": {**full, "signature": self.signature(text)}})

    def _signed_order(self, text: str) -> str:
        mac = self._orders.copy()
        mac.update(text.encode())
        return mac.hexdigest()

    def place(self, number: int, order: Place, now: int) -> bytes:
        """`order.place`, built by hand: this is the hot path. Every value is plain ASCII by construction."""
        name, qty, window = str(order.cid), plain(order.qty), self._window
        reduce_text = "reduceOnly=true&" if order.reduce_only else ""
        reduce_json = '"reduceOnly":"true",' if order.reduce_only else ""
        side, symbol = order.side.value, order.symbol
        if order.type is OrderType.LIMIT:
            price, tif = plain(order.price), order.tif.value
            text = (
                f"newClientOrderId={name}&price={price}&quantity={qty}&recvWindow={window}&{reduce_text}side={side}"
                f"&symbol={symbol}&timeInForce={tif}&timestamp={now}&type=LIMIT"
            )
            rest = f'"price":"{price}","timeInForce":"{tif}","type":"LIMIT"'
        else:
            text = (
                f"newClientOrderId={name}&quantity={qty}&recvWindow={window}&{reduce_text}side={side}"
                f"&symbol={symbol}&timestamp={now}&type=MARKET"
            )
            rest = '"type":"MARKET"'
        return (
            f'{{"id":"{number}{self._place}{name}","quantity":"{qty}","recvWindow":{window},{reduce_json}'
            f'"side":"{side}","symbol":"{symbol}","timestamp":{now},{rest},"signature":"{self._signed_order(text)}"}}}}'
        ).encode()

    def cancel(self, number: int, symbol: str, cid: ClientOrderId, now: int) -> bytes:
        """`order.cancel` by client order id."""
        text = f"origClientOrderId={cid}&recvWindow={self._window}&symbol={symbol}&timestamp={now}"
        return (
            f'{{"id":"{number}{self._cancel}{cid}","recvWindow":{self._window},"symbol":"{symbol}",'
            f'"timestamp":{now},"signature":"{self._signed_order(text)}"}}}}'
        ).encode()
