"""What a person does in the chat: type, press, look, switch; used by the page and by tests (`/chat/...`)."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from bot.localchat.errors import BadRequest
from bot.localchat.methods import MAX_TEXT, Methods
from bot.localchat.people import Person
from bot.localchat.store import Query, Store
from bot.localchat.text import formatted
from bot.localchat.updates import Updates

LOOPBACK = ("127.0.0.1", "localhost", "::1")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
OUTAGES = ("off", "drop", "error", "hang")
HEARTBEAT = 2.0


class UserSide:
    """Routes of the people's side."""

    def __init__(self, store: Store, methods: Methods, updates: Updates) -> None:
        self.store = store
        self.methods = methods
        self.updates = updates
        self.outage = "off"
        self.outage_over = asyncio.Event()
        self.is_loopback = True
        self.waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        """Presses whose answer somebody waits for."""

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/chat/state", self.get_state),
            web.get("/chat/events", self.events),
            web.get("/chat/file/{file}", self.file),
            web.post("/chat/outage", self.set_outage),
            web.post("/chat/flood", self.set_flood),
            web.post("/chat/people", self.add_person),
            web.get(r"/chat/{person:\d+}/messages", self.messages),
            web.get(r"/chat/{person:\d+}/screen", self.screen),
            web.get(r"/chat/{person:\d+}/commands", self.commands),
            web.post(r"/chat/{person:\d+}/send", self.send),
            web.post(r"/chat/{person:\d+}/press", self.press),
            web.post(r"/chat/{person:\d+}/read", self.read),
            web.post(r"/chat/{person:\d+}/block", self.block),
        ]

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Other web pages in the same browser must not reach the people's side (CSRF, DNS rebinding)."""
        if not request.path.startswith("/chat"):
            return await handler(request)
        host = (urlsplit(f"//{request.host}").hostname or "") if request.host else ""
        origin = request.headers.get("Origin")
        if self.is_loopback and host not in LOOPBACK:
            raise web.HTTPForbidden(text="this chat answers on loopback only")
        if origin is not None and urlsplit(origin).netloc != request.host:
            raise web.HTTPForbidden(text="another site may not use this chat")
        if request.method == "POST" and request.content_type != "application/json":
            raise web.HTTPUnsupportedMediaType(text="application/json expected")
        try:
            return await handler(request)
        except BadRequest as refused:
            return web.json_response({"error": refused.description}, status=400)

    def person(self, request: web.Request) -> Person:
        person = self.store.state.people.get(int(request.match_info["person"]))
        if person is None:
            raise web.HTTPNotFound(text="nobody has this id")
        return person

    # -- look ----------------------------------------------------------------
    def standing(self) -> dict[str, Any]:
        """Everything of the page's frame."""
        state = self.store.state
        people = [
            {
                "id": p.id,
                "first_name": p.first_name,
                "username": p.username,
                "language_code": p.language_code,
                "blocked": p.blocked,
                "unread": self.unread(p),
            }
            for p in state.people.values()
        ]
        bot = state.bot.user() | {
            "description": state.bot.descriptions.get("", ""),
            "short_description": state.bot.short_descriptions.get("", ""),
        }
        online = self.updates.is_online and self.outage == "off"
        return {"bot": bot, "online": online, "people": people, "outage": self.outage, "revision": state.revision}

    def unread(self, person: Person) -> int:
        posts = self.store.chat(person.id).posts
        return sum(1 for number, post in posts.items() if post.outgoing and number > person.read)

    async def get_state(self, request: web.Request) -> web.Response:
        return web.json_response(self.standing())

    async def messages(self, request: web.Request) -> web.Response:
        """Messages of a chat after `since` (a message id) or changed after `revision`; newest `limit`."""
        chat = self.store.chat(self.person(request).id)
        since, revision = int(request.query.get("since", 0)), int(request.query.get("revision", -1))
        limit = int(request.query.get("limit", 500))
        wanted = [p for number, p in chat.posts.items() if number > since and p.revision > revision][-limit:]
        return web.json_response(
            {
                "revision": self.store.state.revision,
                "messages": [self.store.shown(post) for post in wanted],
                "pinned": chat.pinned,
                "read": self.person(request).read,
                "keyboard": chat.keyboard,
            }
        )

    async def screen(self, request: web.Request) -> web.Response:
        """What is on screen in words: texts and button captions of the newest messages."""
        posts = list(self.store.chat(self.person(request).id).posts.values())[-int(request.query.get("limit", 20)) :]
        return web.json_response(
            [
                {
                    "id": p.body["message_id"],
                    "from": "bot" if p.outgoing else "me",
                    "text": p.body.get("text", p.body.get("caption", "")),
                    "picture": "photo" in p.body,
                    "buttons": [[b["text"] for b in row] for row in rows(p.body)],
                }
                for p in posts
            ]
        )

    async def commands(self, request: web.Request) -> web.Response:
        person = self.person(request)
        menu = self.store.state.menu
        button = menu.get(str(person.id)) or menu.get("") or {"type": "commands"}
        return web.json_response({"commands": self.methods.profile.menu(person), "menu_button": button})

    async def file(self, request: web.Request) -> web.Response:
        file = self.store.state.files.get(request.match_info["file"])
        if file is None or not file.content:
            raise web.HTTPNotFound
        headers = {"Cache-Control": "private, max-age=86400", "X-Content-Type-Options": "nosniff"}
        if not file.width:
            name = json.dumps(file.name.encode("ascii", "replace").decode())
            headers["Content-Disposition"] = f"attachment; filename={name}"
        return web.Response(body=file.content, content_type=file.mime, headers=headers)

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events: everything that changes, for all people; a page picks its own."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
        queue = self.store.listen()  # before the page learns that it may load: nothing slips in between
        last: dict[str, Any] = {}
        try:
            await response.prepare(request)
            while True:
                standing = self.standing()
                if standing != last:
                    last = standing
                    await sent(response, {"type": "state", **standing})
                try:
                    event = await asyncio.wait_for(queue.get(), HEARTBEAT)
                except TimeoutError:
                    await response.write(b":\n\n")
                    continue
                if event is None:
                    break
                await sent(response, event)
        except (ConnectionResetError, ConnectionError):
            pass  # the page went away
        finally:
            self.store.listeners.discard(queue)
        return response

    # -- do ------------------------------------------------------------------
    async def send(self, request: web.Request) -> web.Response:
        """Type a text: {"text", "reply_to"?}."""
        person, wish = self.person(request), await request.json()
        text, entities = formatted(str(wish.get("text", "")), None)
        if not text:
            raise BadRequest("message text is empty")
        parts = [text] if len(text) <= MAX_TEXT else [text[i : i + MAX_TEXT] for i in range(0, len(text), MAX_TEXT)]
        sent_posts = []
        for part in parts:  # as Telegram's own apps split a long text
            entities = formatted(part, None)[1]
            body: dict[str, Any] = {"text": part} | ({"entities": entities} if entities else {})
            replied = self.store.chat(person.id).posts.get(int(wish.get("reply_to") or 0))
            if replied is not None:
                body["reply_to_message"] = {k: v for k, v in replied.body.items() if k != "reply_to_message"}
            post = self.store.add(person, body, outgoing=False)
            if person.blocked:
                await self.unblock(person)
            self.store.push("message", post.body)
            sent_posts.append(self.store.shown(post))
        return web.json_response({"message": sent_posts[0], "messages": sent_posts})

    async def press(self, request: web.Request) -> web.Response:
        """Press a button: {"message", "button": k (or "text" or "data"), "wait": seconds}; its answer, if in time."""
        person, wish = self.person(request), await request.json()
        post = self.store.chat(person.id).posts.get(int(wish.get("message") or 0))
        if post is None:
            raise BadRequest("no such message")
        button = chosen(post.body, wish)
        if "callback_data" not in button:
            return web.json_response({"query": None, "answer": None, "button": button})
        query = Query(str(secrets.randbits(62)), person.id, post.body["message_id"], time.time())
        self.store.state.queries = {
            k: q for k, q in self.store.state.queries.items() if query.asked - q.asked < 3600
        } | {query.id: query}
        content = {
            "id": query.id,
            "from": person.user(),
            "message": post.body,
            "chat_instance": self.store.chat(person.id).instance,
            "data": button["callback_data"],
        }
        answer = await self.awaited(query.id, content, min(float(wish.get("wait", 15)), 60))
        return web.json_response({"query": query.id, "answer": answer, "button": button})

    async def awaited(self, query: str, content: dict[str, Any], seconds: float) -> dict[str, Any] | None:
        """Send the press and wait for its answer, as the spinner on the button does."""
        queue = self.store.listen()
        try:
            self.store.push("callback_query", content)
            async with asyncio.timeout(seconds):
                while (event := await queue.get()) is not None:
                    if event["type"] == "answer" and event["query"] == query:
                        return {name: event[name] for name in ("text", "show_alert", "url")}
        except TimeoutError:
            return None
        finally:
            self.store.listeners.discard(queue)
        return None

    async def read(self, request: web.Request) -> web.Response:
        person = self.person(request)
        person.read = max(person.read, self.store.chat(person.id).last)
        return web.json_response({"unread": 0})

    async def block(self, request: web.Request) -> web.Response:
        """Block or unblock the bot: {"blocked": bool}."""
        person, wish = self.person(request), await request.json()
        if bool(wish.get("blocked")) == person.blocked:
            return web.json_response({"blocked": person.blocked})
        if person.blocked:
            await self.unblock(person)
        else:
            person.blocked = True
            self.membership(person, "member", "kicked")
        return web.json_response({"blocked": person.blocked})

    async def unblock(self, person: Person) -> None:
        person.blocked = False
        self.membership(person, "kicked", "member")

    def membership(self, person: Person, old: str, new: str) -> None:
        bot = self.store.state.bot.user()

        def member(status: str) -> dict[str, Any]:
            return {"status": status, "user": bot} | ({"until_date": 0} if status == "kicked" else {})

        self.store.tell({"type": "state"})
        self.store.push(
            "my_chat_member",
            {
                "chat": person.chat(),
                "from": person.user(),
                "date": int(time.time()),
                "old_chat_member": member(old),
                "new_chat_member": member(new),
            },
        )

    # -- switches --------------------------------------------------------------
    async def set_outage(self, request: web.Request) -> web.Response:
        """How the Bot API fails: {"mode": "off" | "drop" | "error" | "hang"}."""
        mode = str((await request.json()).get("mode"))
        if mode not in OUTAGES:
            raise BadRequest(f"mode must be one of {', '.join(OUTAGES)}")
        self.outage = mode
        if mode == "off":
            self.outage_over.set()
        else:
            self.outage_over.clear()
            self.updates.end()
        self.store.tell({"type": "state"})
        return web.json_response({"outage": mode})

    async def set_flood(self, request: web.Request) -> web.Response:
        """Answer every message with 429 for a while: {"seconds": n}."""
        seconds = float((await request.json()).get("seconds", 0))
        self.methods.flood.force(seconds)
        return web.json_response({"seconds": seconds})

    async def add_person(self, request: web.Request) -> web.Response:
        """One more person: {"id", "first_name", "username"?, "language_code"?}."""
        wish = await request.json()
        person = Person(
            int(wish["id"]),
            str(wish.get("first_name") or "Someone"),
            str(wish.get("username") or ""),
            str(wish.get("language_code") or "en"),
        )
        self.store.state.people.setdefault(person.id, person)
        self.store.tell({"type": "state"})
        return web.json_response(self.standing())


async def sent(response: web.StreamResponse, event: dict[str, Any]) -> None:
    await response.write(f"data: {json.dumps(event, ensure_ascii=False)}\n\n".encode())


def rows(body: dict[str, Any]) -> list[list[dict[str, Any]]]:
    found: list[list[dict[str, Any]]] = body.get("reply_markup", {}).get("inline_keyboard", [])
    return found


def chosen(body: dict[str, Any], wish: dict[str, Any]) -> dict[str, Any]:
    """The button a press means: by its number, its caption or its data."""
    flat: list[dict[str, Any]] = [button for row in rows(body) for button in row]
    if isinstance(wish.get("button"), int) and 0 <= wish["button"] < len(flat):
        return flat[int(wish["button"])]
    for button in flat:
        if wish.get("text") == button["text"] or (wish.get("data") and wish["data"] == button.get("callback_data")):
            return button
    raise BadRequest("no such button")
