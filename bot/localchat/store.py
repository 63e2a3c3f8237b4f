"""Everything the local chat remembers: people, messages, updates not yet read, files, the bot's profile.

In memory while it runs; one JSON document when it closes.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import secrets
import time
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from bot.localchat.people import Bot, Person

log = logging.getLogger(__name__)
FILES_KEPT = 64 * 1024 * 1024
"""Bytes of pictures and documents kept; the oldest give way."""
POSTS_KEPT = 5_000
"""Messages kept per chat."""


class Post(Struct):
    """One message: its Bot API form and what only the page needs."""

    body: dict[str, Any]
    revision: int
    silent: bool = False
    outgoing: bool = False
    """From the bot."""


class Chat(Struct):
    """One private chat; message ids count from 1."""

    id: int
    instance: str
    last: int = 0
    posts: dict[int, Post] = {}
    pinned: list[int] = []
    keyboard: dict[str, Any] | None = None
    """The reply keyboard under the text box."""


class File(Struct):
    """An uploaded file."""

    id: str
    unique: str
    path: str
    name: str
    mime: str
    content: bytes
    width: int = 0
    height: int = 0


class Query(Struct):
    """A press that waits for its answer."""

    id: str
    chat: int
    message: int
    asked: float


class Webhook(Struct):
    url: str = ""
    secret: str = ""
    max_connections: int = 40
    failed_at: int = 0
    failure: str = ""


class State(Struct):
    """What survives a restart."""

    bot: Bot
    people: dict[int, Person]
    chats: dict[int, Chat] = {}
    files: dict[str, File] = {}
    queries: dict[str, Query] = {}
    updates: list[dict[str, Any]] = []
    next_update: int = field(default_factory=lambda: 100_000_000 + secrets.randbelow(800_000_000))
    allowed: list[str] | None = None
    webhook: Webhook = field(default_factory=Webhook)
    commands: dict[str, list[dict[str, str]]] = {}
    """By scope and language, see `profile.place`."""
    menu: dict[str, dict[str, Any]] = {}
    revision: int = 0


class Store:
    """The state, and who listens to its changes."""

    def __init__(self, bot: Bot, people: dict[int, Person], path: Path | None) -> None:
        self.path = path
        self.state = self.restored(bot, people)
        self.listeners: set[asyncio.Queue[dict[str, Any] | None]] = set()
        self.arrived = asyncio.Event()
        """Set whenever an update was added."""

    def restored(self, bot: Bot, people: dict[int, Person]) -> State:
        if self.path is None or not self.path.exists():
            return State(bot, people)
        try:
            state = msgspec.json.decode(self.path.read_bytes(), type=State)
        except msgspec.DecodeError as error:
            aside = self.path.with_name(self.path.name + ".broken")
            self.path.replace(aside)
            log.warning("the chat's memory cannot be read (%s); it is set aside as %s", error, aside.name)
            return State(bot, people)
        state.bot.id, state.bot.username, state.bot.first_name = bot.id, bot.username, bot.first_name
        for person in people.values():
            state.people.setdefault(person.id, person)
        return state

    def save(self) -> None:
        """Write the state file whole or not at all; readable by its owner only."""
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        scratch = self.path.with_name(self.path.name + ".part")
        with open(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            out.write(msgspec.json.encode(self.state))
            out.flush()
            os.fsync(out.fileno())
        scratch.replace(self.path)

    # -- messages ----------------------------------------------------------
    def chat(self, person: int) -> Chat:
        if person not in self.state.chats:
            self.state.chats[person] = Chat(person, str(secrets.randbits(63)))
        return self.state.chats[person]

    def add(self, person: Person, body: dict[str, Any], *, outgoing: bool, silent: bool = False) -> Post:
        """A new message in a chat; it gets its id and date here."""
        chat = self.chat(person.id)
        chat.last += 1
        sender = self.state.bot.user() if outgoing else person.user()
        head = {"message_id": chat.last, "from": sender, "chat": person.chat(), "date": int(time.time())}
        post = Post({**head, **body}, self.step(), silent, outgoing)
        chat.posts[chat.last] = post
        while len(chat.posts) > POSTS_KEPT:
            self.remove(person.id, next(iter(chat.posts)))
        self.tell({"type": "message", "person": person.id, "message": self.shown(post)})
        return post

    def change(self, person: int, post: Post, body: dict[str, Any]) -> None:
        """Put another content in a message's place."""
        post.body = body
        post.revision = self.step()
        self.tell({"type": "edit", "person": person, "message": self.shown(post)})

    def remove(self, person: int, message: int) -> None:
        chat = self.chat(person)
        del chat.posts[message]
        chat.pinned = [m for m in chat.pinned if m != message]
        self.step()
        self.tell({"type": "delete", "person": person, "message_id": message})

    def shown(self, post: Post) -> dict[str, Any]:
        """A message as the page gets it."""
        return {**post.body, "revision": post.revision, "silent": post.silent, "outgoing": post.outgoing}

    def step(self) -> int:
        self.state.revision += 1
        return self.state.revision

    # -- files -------------------------------------------------------------
    def keep(self, kind: str, name: str, mime: str, content: bytes, size: tuple[int, int] = (0, 0)) -> File:
        token = base64.urlsafe_b64encode(secrets.token_bytes(24)).decode().rstrip("=")
        number = len(self.state.files)
        suffix = Path(name).suffix or ".bin"
        file = File(f"{kind[:1].upper()}gAC{token}", token[:15], f"{kind}s/file_{number}{suffix}", name, mime, content)
        file.width, file.height = size
        self.state.files[file.id] = file
        total = sum(len(f.content) for f in self.state.files.values())
        for old in list(self.state.files.values()):
            if total <= FILES_KEPT:
                break
            total -= len(old.content)
            old.content = b""
        return file

    # -- updates and live changes -----------------------------------------
    def push(self, kind: str, content: dict[str, Any]) -> None:
        """An update for the bot, unless it asked not to get this kind."""
        if self.state.allowed and kind not in self.state.allowed:
            return
        self.state.updates.append({"update_id": self.state.next_update, kind: content})
        self.state.next_update += 1
        self.arrived.set()

    def tell(self, event: dict[str, Any]) -> None:
        for listener in self.listeners:
            listener.put_nowait(event)

    def listen(self) -> asyncio.Queue[dict[str, Any] | None]:
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.listeners.add(queue)
        return queue
