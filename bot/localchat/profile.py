"""The bot's own page: commands by scope and language, menu button, name and descriptions."""

from __future__ import annotations

import re
from typing import Any

from bot.localchat.call import Call
from bot.localchat.errors import BadRequest
from bot.localchat.people import Person
from bot.localchat.store import Store

SCOPES = (
    "default",
    "all_private_chats",
    "all_group_chats",
    "all_chat_administrators",
    "chat",
    "chat_administrators",
    "chat_member",
)
MAX_COMMANDS = 100


def place(scope: str, chat: int | str = "", user: int | str = "", language: str = "") -> str:
    """Where a list of commands is kept."""
    return f"{scope}/{chat}/{user}/{language}"


class Profile:
    """Methods about the bot itself."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def get_me(self, call: Call) -> dict[str, Any]:
        return self.store.state.bot.user() | {
            "can_join_groups": False,
            "can_read_all_group_messages": False,
            "supports_inline_queries": False,
            "can_connect_to_business": False,
            "has_main_web_app": False,
        }

    # -- commands ----------------------------------------------------------
    def scope(self, call: Call) -> str:
        given = call.nested("scope", "BotCommandScope") or {"type": "default"}
        kind = given.get("type") if isinstance(given, dict) else None
        if kind not in SCOPES:
            raise BadRequest("can't parse BotCommandScope: Unsupported type specified")
        chat = user = ""
        if kind.startswith("chat"):
            chat = str(given.get("chat_id", ""))
            if not chat:
                raise BadRequest("can't parse BotCommandScope: Can't find field \"chat_id\"")
            if chat.lstrip("-").isdigit() and int(chat) not in self.store.state.people:
                raise BadRequest("chat not found")
        if kind == "chat_member":
            user = str(given.get("user_id", ""))
        language = call.text("language_code")
        if language and not re.fullmatch(r"[a-z]{2}", language):
            raise BadRequest("invalid language code specified")
        return place(kind, chat, user, language)

    def set_commands(self, call: Call) -> bool:
        given = call.nested("commands", "commands")
        if not isinstance(given, list):
            raise BadRequest("expected an Array of BotCommand")
        if len(given) > MAX_COMMANDS:
            raise BadRequest("BOT_COMMANDS_TOO_MUCH")
        where, kept = self.scope(call), [command(item) for item in given]
        self.store.state.commands[where] = kept
        self.store.tell({"type": "commands"})
        return True

    def get_commands(self, call: Call) -> list[dict[str, str]]:
        return self.store.state.commands.get(self.scope(call), [])

    def delete_commands(self, call: Call) -> bool:
        self.store.state.commands.pop(self.scope(call), None)
        self.store.tell({"type": "commands"})
        return True

    def menu(self, person: Person) -> list[dict[str, str]]:
        """The commands a person is offered: the narrowest scope wins, in it the person's language."""
        commands = self.store.state.commands
        for scope, chat in (("chat", person.id), ("all_private_chats", ""), ("default", "")):
            for language in (person.language_code[:2], ""):
                if found := commands.get(place(scope, chat, "", language)):
                    return found
        return []

    # -- menu button, name, descriptions ------------------------------------
    def set_menu_button(self, call: Call) -> bool:
        button = call.nested("menu_button", "MenuButton") or {"type": "default"}
        if not isinstance(button, dict) or button.get("type") not in ("default", "commands", "web_app"):
            raise BadRequest("can't parse MenuButton: Unsupported type specified")
        if button["type"] == "web_app" and not str(button.get("web_app", {}).get("url", "")).startswith("https://"):
            raise BadRequest("menu button Web App URL is invalid: Only HTTPS links are allowed")
        self.store.state.menu[self.menu_place(call)] = button
        self.store.tell({"type": "commands"})
        return True

    def get_menu_button(self, call: Call) -> dict[str, Any]:
        menu = self.store.state.menu
        return menu.get(self.menu_place(call)) or menu.get("") or {"type": "commands"}

    def menu_place(self, call: Call) -> str:
        chat = call.text("chat_id")
        if chat and call.integer("chat_id") not in self.store.state.people:
            raise BadRequest("chat not found")
        return chat

    def setter(self, field: str, names: dict[str, str], limit: int, error: str) -> Any:
        def set_text(call: Call) -> bool:
            value = call.text(field).strip()
            if len(value) > limit:
                raise BadRequest(error)
            names[call.text("language_code")] = value
            self.store.tell({"type": "state"})
            return True

        return set_text

    def getter(self, field: str, names: dict[str, str], default: str = "") -> Any:
        return lambda call: {field: names.get(call.text("language_code")) or names.get("") or default}

    def methods(self) -> dict[str, Any]:
        bot = self.store.state.bot
        return {
            "getme": self.get_me,
            "setmycommands": self.set_commands,
            "getmycommands": self.get_commands,
            "deletemycommands": self.delete_commands,
            "setchatmenubutton": self.set_menu_button,
            "getchatmenubutton": self.get_menu_button,
            "setmyname": self.setter("name", bot.names, 64, "BOT_TITLE_INVALID"),
            "getmyname": self.getter("name", bot.names, bot.first_name),
            "setmydescription": self.setter("description", bot.descriptions, 512, "BOT_DESCRIPTION_INVALID"),
            "getmydescription": self.getter("description", bot.descriptions),
            "setmyshortdescription": self.setter(
                "short_description", bot.short_descriptions, 120, "BOT_SHORT_DESCRIPTION_INVALID"
            ),
            "getmyshortdescription": self.getter("short_description", bot.short_descriptions),
        }


def command(item: Any) -> dict[str, str]:
    """One checked command."""
    if not isinstance(item, dict) or "command" not in item or "description" not in item:
        raise BadRequest("can't parse BotCommand: expected an Object with command and description")
    name, description = str(item["command"]).removeprefix("/"), str(item["description"]).strip()
    if not re.fullmatch(r"[a-z0-9_]{1,32}", name):
        raise BadRequest("BOT_COMMAND_INVALID")
    if not 1 <= len(description) <= 256:
        raise BadRequest("BOT_COMMAND_DESCRIPTION_INVALID")
    return {"command": name, "description": description}
