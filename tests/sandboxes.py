"""A sandbox over real sockets and a raw client that knows nothing of our own gateway."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import aiohttp

from trading.sandbox.server import Options, Sandbox

KEY, SECRET = "sandboxkey", "sandboxsecret"


def sign(payload: str, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


def now() -> int:
    return time.time_ns() // 1_000_000


class Client:
    """A bare client: signs what it sends and returns (status, headers, JSON)."""

    def __init__(self, http: aiohttp.ClientSession, port: int, key: str = KEY, secret: str = SECRET) -> None:
        self.http = http
        self.base = f"http://127.0.0.1:{port}"
        self.ws = f"ws://127.0.0.1:{port}"
        self.key, self.secret = key, secret

    async def raw(
        self, method: str, path: str, query: str = "", body: str = "", key: bool = True
    ) -> tuple[int, Any, Any]:
        headers = {"X-MBX-APIKEY": self.key} if key else {}
        if body:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        url = aiohttp.client.URL(f"{self.base}{path}" + (f"?{query}" if query else ""), encoded=True)
        async with self.http.request(method, url, data=body.encode() or None, headers=headers) as response:
            return response.status, response.headers, await response.json()

    async def signed(self, method: str, path: str, **params: object) -> Any:
        status, _, answer = await self.full(method, path, **params)
        assert status == 200, answer
        return answer

    async def full(self, method: str, path: str, **params: object) -> tuple[int, Any, Any]:
        text = urlencode({**params, "timestamp": now()})
        return await self.raw(method, path, f"{text}&signature={sign(text, self.secret)}")

    async def refused(self, method: str, path: str, **params: object) -> int:
        status, _, answer = await self.full(method, path, **params)
        assert status >= 400, answer
        return int(answer["code"])

    async def get(self, path: str, **params: object) -> Any:
        status, _, answer = await self.raw("GET", path, urlencode(params), key=False)
        assert status == 200, answer
        return answer

    async def limit(self, side: str, price: object, qty: object = "0.010", **more: object) -> Any:
        order = {
            "symbol": "BTCUSDT",
            "side": side,
            "type": "LIMIT",
            "quantity": qty,
            "price": price,
            "timeInForce": "GTX",
        }
        return await self.signed("POST", "/fapi/v1/order", **(order | more))

    async def market(self, side: str, qty: object = "0.010", **more: object) -> Any:
        return await self.signed(
            "POST", "/fapi/v1/order", symbol="BTCUSDT", side=side, type="MARKET", quantity=qty, **more
        )

    async def books(self) -> Any:
        return await self.get("/sandbox/books", account=self.key)

    async def reach(self, price: object, symbol: str = "BTCUSDT") -> Any:
        return await self.post("/sandbox/market", reach={"symbol": symbol, "price": str(price)})

    async def post(self, path: str, **body: Any) -> Any:
        async with self.http.post(self.base + path, json=body) as response:
            answer = await response.json()
            assert response.status == 200, answer
            return answer

    @asynccontextmanager
    async def user(self, suffix: str = "") -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        await asyncio.sleep(0.01)  # what happened before has been told
        _, _, answer = await self.raw("POST", "/fapi/v1/listenKey")
        async with self.http.ws_connect(f"{self.ws}/private/ws?listenKey={answer['listenKey']}{suffix}") as socket:
            await asyncio.sleep(0.02)
            yield socket


@asynccontextmanager
async def running(**options: Any) -> AsyncIterator[tuple[Sandbox, Client]]:
    sandbox = Sandbox(Options(**options))
    port = await sandbox.start()
    try:
        async with aiohttp.ClientSession() as http:
            yield sandbox, Client(http, port)
    finally:
        await sandbox.close()


async def read(socket: aiohttp.ClientWebSocketResponse, count: int, wait: float = 3) -> list[Any]:
    found = []
    async with asyncio.timeout(wait):
        while len(found) < count:
            found.append(json.loads(await socket.receive_str()))
    return found


async def until(socket: aiohttp.ClientWebSocketResponse, wanted: str, wait: float = 5) -> Any:
    async with asyncio.timeout(wait):
        while True:
            event = json.loads(await socket.receive_str())
            event = event.get("data", event)
            if event.get("e") == wanted:
                return event
