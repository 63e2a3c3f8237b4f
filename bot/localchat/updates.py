"""How the bot gets its updates: long polling with confirmation by offset, or a webhook."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

import aiohttp

from bot.localchat.call import Call
from bot.localchat.errors import OTHER_READER, WEBHOOK_ACTIVE, BadRequest, Conflict
from bot.localchat.store import Store, Webhook

MAX_WAIT = 50
PAUSE_AFTER_FAILURE = 1.0


class Updates:
    """The one reader of a bot's updates."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.reader: asyncio.Future[None] | None = None
        self.read_at = -10.0

    @property
    def is_online(self) -> bool:
        """Whether somebody reads the updates, or did a moment ago."""
        return self.reader is not None or time.monotonic() - self.read_at < 3.0 or bool(self.store.state.webhook.url)

    async def get(self, call: Call) -> list[dict[str, Any]]:
        """getUpdates: forget those before the offset, answer with the rest, or wait for one."""
        if self.store.state.webhook.url:
            raise Conflict(WEBHOOK_ACTIVE)
        self.allow(call)
        if self.reader is not None and not self.reader.done():
            self.reader.set_exception(Conflict(OTHER_READER))
        self.confirm(call.integer("offset"))
        limit = min(max(call.integer("limit", 100), 1), 100)
        timeout = min(max(call.integer("timeout"), 0), MAX_WAIT)
        if not self.store.state.updates and timeout:
            await self.wait(timeout)
        self.read_at = time.monotonic()
        return self.store.state.updates[:limit]

    async def wait(self, seconds: float) -> None:
        """Until an update arrives, the time is over, or another reader comes (Conflict)."""
        self.reader = mine = asyncio.get_running_loop().create_future()
        self.store.arrived.clear()
        arrived = asyncio.ensure_future(self.store.arrived.wait())
        try:
            await asyncio.wait({mine, arrived}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if mine.done():
                mine.result()
        finally:
            arrived.cancel()
            if self.reader is mine:
                self.reader = None

    def end(self) -> None:
        """Let a waiting reader go, with what there is."""
        if self.reader is not None and not self.reader.done():
            self.reader.set_result(None)

    def allow(self, call: Call) -> None:
        kinds = call.nested("allowed_updates", "allowed_updates")
        if isinstance(kinds, list):
            self.store.state.allowed = [str(kind) for kind in kinds] or None

    def confirm(self, offset: int) -> None:
        updates = self.store.state.updates
        if offset < 0:
            self.store.state.updates = updates[offset:]
        elif offset > 0:
            self.store.state.updates = [u for u in updates if u["update_id"] >= offset]

    # -- webhook -----------------------------------------------------------
    def set_webhook(self, call: Call) -> bool:
        url, secret = call.text("url"), call.text("secret_token")
        if secret and not re.fullmatch(r"[A-Za-z0-9_-]{1,256}", secret):
            raise BadRequest("secret token contains unallowed characters")
        if url and not re.match(r"https?://[^\s/]+", url):
            raise BadRequest("bad webhook: invalid URL")
        if call.flag("drop_pending_updates"):
            self.store.state.updates = []
        self.allow(call)
        if url and self.reader is not None and not self.reader.done():
            self.reader.set_exception(Conflict("terminated by setWebhook request"))
        connections = min(max(call.integer("max_connections", 40), 1), 100)
        self.store.state.webhook = Webhook(url, secret, connections)
        self.store.arrived.set()
        return True

    def delete_webhook(self, call: Call) -> bool:
        if call.flag("drop_pending_updates"):
            self.store.state.updates = []
        self.store.state.webhook = Webhook()
        return True

    def webhook_status(self, call: Call) -> dict[str, Any]:
        hook, state = self.store.state.webhook, self.store.state
        status: dict[str, Any] = {
            "url": hook.url,
            "has_custom_certificate": False,
            "pending_update_count": len(state.updates),
        }
        if hook.failed_at:
            status |= {"last_error_date": hook.failed_at, "last_error_message": hook.failure}
        if hook.url:
            status["max_connections"] = hook.max_connections
        if state.allowed:
            status["allowed_updates"] = state.allowed
        return status

    async def deliver(self) -> None:
        """Push updates to the webhook, in order and until it says 2xx; runs as long as the chat does."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
            while True:
                await self.store.arrived.wait()
                self.store.arrived.clear()
                while self.store.state.webhook.url and self.store.state.updates:
                    if not await self.post(session, self.store.state.updates[0]):
                        await asyncio.sleep(PAUSE_AFTER_FAILURE)

    async def post(self, session: aiohttp.ClientSession, update: dict[str, Any]) -> bool:
        hook = self.store.state.webhook
        headers = {"X-Telegram-Bot-Api-Secret-Token": hook.secret} if hook.secret else {}
        try:
            async with session.post(hook.url, json=update, headers=headers) as answer:
                failure = (
                    "" if answer.status < 300 else f"Wrong response from the webhook: {answer.status} {answer.reason}"
                )
        except (aiohttp.ClientError, TimeoutError):
            failure = "Connection refused"
        if failure:
            hook.failed_at, hook.failure = int(time.time()), failure
            return False
        self.store.state.updates = [u for u in self.store.state.updates if u is not update]
        return True
