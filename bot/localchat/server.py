"""The local chat as a server: Bot API for the bot, chat page and its routes for people, on one loopback port."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import inspect
import ipaddress
import logging
import os
import signal
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from aiohttp import web
from msgspec import Struct

from bot.localchat.call import read
from bot.localchat.errors import ApiError
from bot.localchat.flood import Flood
from bot.localchat.methods import Methods
from bot.localchat.people import Bot, Person, gathered
from bot.localchat.store import Store
from bot.localchat.updates import Updates
from bot.localchat.user import UserSide

PAGE = Path(__file__).parent / "page"
MAX_BODY = 60 * 1024 * 1024
SAFE = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
log = logging.getLogger(__name__)


class Options(Struct):
    """How `serve` runs; port 0 takes a free one, which `ready` is told."""

    token: str
    bot_username: str
    people: list[tuple[int, str, str]]
    state_path: Path | None = None
    host: str = "127.0.0.1"
    port: int = 0
    ready: Callable[[int], None] | None = None


class LocalChat:
    """A Telegram of one bot and a few people."""

    def __init__(
        self,
        token: str,
        bot_username: str,
        people: Iterable[Person | tuple[Any, ...]] = (),
        state_path: str | Path | None = None,
        *,
        bot_name: str = "",
        flood_limits: bool = True,
    ) -> None:
        number = token.partition(":")[0]
        bot = Bot(int(number) if number.isdigit() else 1, bot_username, bot_name or titled(bot_username))
        self.token = token
        self.store = Store(bot, gathered(people), Path(state_path) if state_path else None)
        self.updates = Updates(self.store)
        self.methods = Methods(self.store, self.updates, Flood(flood_limits))
        self.users = UserSide(self.store, self.methods, self.updates)
        self.runner: web.AppRunner | None = None
        self.delivery: asyncio.Task[None] | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Open the door; the port it stands on. Raises OSError where the port is taken."""
        app = web.Application(client_max_size=MAX_BODY, middlewares=[self.users.guard])
        app.add_routes([web.get("/", self.page), web.get(r"/page/{name:[\w.-]+}", self.page)])
        app.router.add_get("/identity", self.identity)
        app.add_routes(self.users.routes())
        app.router.add_route("*", "/bot{token:[^/]*}/{method:.*}", self.call)
        app.add_routes([web.get("/file/bot{token:[^/]*}/{path:.+}", self.download)])
        self.users.is_loopback = is_loopback(host)
        self.runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=1.0, handler_cancellation=True
        )  # access lines would hold the token
        await self.runner.setup()
        await web.TCPSite(self.runner, host, port).start()
        self.delivery = asyncio.create_task(self.updates.deliver(), name="localchat-webhook")
        bound: int = self.runner.addresses[0][1]
        return bound

    async def close(self) -> None:
        """Shut the door and save."""
        self.updates.end()
        self.users.outage_over.set()
        for listener in self.store.listeners:
            listener.put_nowait(None)
        if self.delivery is not None:
            self.delivery.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self.delivery
        if self.runner is not None:
            await self.runner.cleanup()
        self.runner = self.delivery = None
        self.store.save()

    # -- the bot's side --------------------------------------------------------
    def is_ours(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self.token.encode())

    async def identity(self, request: web.Request) -> web.Response:
        """Tells who bears the token which process it talks to: how the demo finds its chat again (decision 0004)."""
        if not self.is_ours(request.headers.get("X-Token", "")):
            raise web.HTTPNotFound
        return web.json_response({"kind": "chat", "pid": os.getpid()})

    async def call(self, request: web.Request) -> web.StreamResponse:
        """One Bot API request."""
        if (failed := await self.fail(request)) is not None:
            return failed
        try:
            result = await self.result(request)
        except ApiError as refused:
            headers = {"Retry-After": str(refused.retry_after)} if refused.retry_after is not None else {}
            return web.json_response(refused.body(), status=refused.code, headers=headers)
        if (failed := await self.fail(request)) is not None:
            return failed  # the outage began while a reader waited
        return web.json_response({"ok": True, "result": result})

    async def result(self, request: web.Request) -> Any:
        if not self.is_ours(request.match_info["token"]):
            raise ApiError(401, "Unauthorized")
        if request.method not in ("GET", "POST"):
            raise ApiError(405, "Method Not Allowed: the request's method is not allowed")
        method = self.methods.table.get(request.match_info["method"].lower())
        if method is None:
            raise ApiError(404, "Not Found: method not found")
        result = method(await read(request))
        return await result if inspect.isawaitable(result) else result

    async def fail(self, request: web.Request) -> web.StreamResponse | None:
        """Play an outage, where the switch says so."""
        mode = self.users.outage
        if mode == "hang":
            await self.users.outage_over.wait()
        if mode == "error":
            return web.Response(status=502, text="<html><h1>502 Bad Gateway</h1></html>", content_type="text/html")
        if mode == "drop" and request.transport is not None:
            request.transport.abort()
            return web.Response(status=502)
        return None

    async def download(self, request: web.Request) -> web.StreamResponse:
        if (failed := await self.fail(request)) is not None:
            return failed
        if not self.is_ours(request.match_info["token"]):
            return web.json_response(ApiError(401, "Unauthorized").body(), status=401)
        for file in self.store.state.files.values():
            if file.path == request.match_info["path"] and file.content:
                return web.Response(body=file.content, content_type="application/octet-stream")
        return web.json_response(ApiError(404, "Not Found").body(), status=404)

    # -- the page ----------------------------------------------------------------
    async def page(self, request: web.Request) -> web.Response:
        """The chat page's three files."""
        kinds = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
        path = PAGE / request.match_info.get("name", "index.html")
        if path.suffix not in kinds or not path.is_file():
            raise web.HTTPNotFound
        return web.Response(
            body=path.read_bytes(),
            content_type=kinds[path.suffix],
            charset="utf-8",
            headers=SAFE,  # small files
        )


async def serve(options: Options) -> None:
    """Run a local chat until cancelled or told by SIGTERM or SIGINT; its state is saved on the way out."""
    chat = LocalChat(options.token, options.bot_username, options.people, options.state_path)
    port = await chat.start(options.host, options.port)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, stop.set)
        except (NotImplementedError, RuntimeError):  # Windows, or not the main thread
            with contextlib.suppress(ValueError):
                signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    log.info("local chat on port %d", port)
    if options.ready is not None:
        options.ready(port)
    try:
        await stop.wait()
    finally:
        await chat.close()


def titled(username: str) -> str:
    """A name to show: trellis_demo_bot -> Trellis Demo."""
    return " ".join(w.capitalize() for w in username.replace("-", "_").split("_") if w and w.lower() != "bot") or "Bot"


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
