"""Who is in the local chat: people, and the bot as they see it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct


class Person(Struct):
    """Someone who can write to the bot; private chats bear their id."""

    id: int
    first_name: str
    username: str = ""
    language_code: str = "en"
    blocked: bool = False
    """The person blocked the bot."""
    read: int = 0
    """The newest message of the bot they have seen."""

    def user(self) -> dict[str, Any]:
        """The `User` object of the Bot API."""
        user: dict[str, Any] = {"id": self.id, "is_bot": False, "first_name": self.first_name}
        if self.username:
            user["username"] = self.username
        user["language_code"] = self.language_code
        return user

    def chat(self) -> dict[str, Any]:
        """The `Chat` object of the private chat."""
        chat: dict[str, Any] = {"id": self.id, "first_name": self.first_name}
        if self.username:
            chat["username"] = self.username
        chat["type"] = "private"
        return chat


class Bot(Struct):
    """The bot's profile; names and descriptions by language, "" = any."""

    id: int
    username: str
    first_name: str
    names: dict[str, str] = {}
    descriptions: dict[str, str] = {}
    short_descriptions: dict[str, str] = {}

    def user(self) -> dict[str, Any]:
        name = self.names.get("") or self.first_name
        return {"id": self.id, "is_bot": True, "first_name": name, "username": self.username}


def gathered(people: Iterable[Person | tuple[Any, ...]]) -> dict[int, Person]:
    """People by id, from tuples (id, first name, username[, language])."""
    seen = [p if isinstance(p, Person) else Person(*p) for p in people]
    return {person.id: person for person in seen}
