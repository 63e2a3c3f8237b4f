"""The Bot API's methods about messages: send, edit, delete, answer, pin, files."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from bot.localchat import keyboard, media
from bot.localchat.call import Call
from bot.localchat.errors import NOT_MODIFIED, TOO_OLD, BadRequest, Forbidden
from bot.localchat.flood import Flood
from bot.localchat.people import Person
from bot.localchat.profile import Profile
from bot.localchat.store import Post, Store
from bot.localchat.text import formatted
from bot.localchat.updates import Updates

MAX_TEXT, MAX_CAPTION, MAX_ANSWER = 4096, 1024, 200
QUERY_LIVES = 60.0
"""Seconds a press waits for its answer."""
DELETABLE = 48 * 3600
CHAT_ACTIONS = (
    "typing",
    "upload_photo",
    "record_video",
    "upload_video",
    "record_voice",
    "upload_voice",
    "upload_document",
    "choose_sticker",
    "find_location",
    "record_video_note",
    "upload_video_note",
)
ANYWAY = ("message_id", "from", "chat", "date", "reply_to_message")
"""Fields of a message that no edit changes."""


class Methods:
    """Every method by its lower-case name."""

    def __init__(self, store: Store, updates: Updates, flood: Flood) -> None:
        self.store = store
        self.flood = flood
        self.profile = Profile(store)
        self.table: dict[str, Callable[[Call], Any]] = {
            "getupdates": updates.get,
            "setwebhook": updates.set_webhook,
            "deletewebhook": updates.delete_webhook,
            "getwebhookinfo": updates.webhook_status,
            "sendmessage": self.send_message,
            "sendphoto": self.send_photo,
            "senddocument": self.send_document,
            "editmessagetext": self.edit_text,
            "editmessagecaption": self.edit_caption,
            "editmessagemedia": self.edit_media,
            "editmessagereplymarkup": self.edit_markup,
            "deletemessage": self.delete_message,
            "deletemessages": self.delete_messages,
            "answercallbackquery": self.answer,
            "sendchataction": self.chat_action,
            "getchat": self.get_chat,
            "getfile": self.get_file,
            "pinchatmessage": self.pin,
            "unpinchatmessage": self.unpin,
            "unpinallchatmessages": self.unpin_all,
            "logout": lambda call: True,
            "close": lambda call: True,
            **self.profile.methods(),
        }

    # -- whom and what -----------------------------------------------------
    def person(self, call: Call, *, to_send: bool = True) -> Person:
        """The person of `chat_id`; raises BadRequest or Forbidden."""
        given = call.text("chat_id").strip()
        if not given:
            raise BadRequest("chat_id is empty")
        for person in self.store.state.people.values():
            if given == str(person.id) or (given.startswith("@") and given[1:].lower() == person.username.lower()):
                if person.blocked and to_send:
                    raise Forbidden("bot was blocked by the user")
                return person
        raise BadRequest("chat not found")

    def post(self, call: Call, action: str) -> tuple[Person, Post]:
        """The message a request is about."""
        if not call.text("chat_id") or not call.text("message_id"):
            raise BadRequest("message identifier is not specified")
        person = self.person(call)
        post = self.store.chat(person.id).posts.get(call.integer("message_id"))
        if post is None:
            raise BadRequest(f"message to {action} not found")
        return person, post

    def text(self, call: Call, *, edit: bool = False) -> dict[str, Any]:
        if not call.text("text"):
            raise BadRequest("message text is empty")
        text, entities = formatted(call.text("text"), call.text("parse_mode"), call.nested("entities", "entities"))
        if not text:
            raise BadRequest("text must be non-empty")
        if len(text) > MAX_TEXT:
            raise BadRequest("MESSAGE_TOO_LONG" if edit else "message is too long")
        options = call.nested("link_preview_options", "LinkPreviewOptions")
        body: dict[str, Any] = {"text": text}
        if entities:
            body["entities"] = entities
        if isinstance(options, dict) and options:
            body["link_preview_options"] = options
        return body

    def caption(self, call: Call, *, edit: bool = False) -> dict[str, Any]:
        stated = call.nested("caption_entities", "caption_entities")
        caption, entities = formatted(call.text("caption"), call.text("parse_mode"), stated)
        if len(caption) > MAX_CAPTION:
            raise BadRequest("MEDIA_CAPTION_TOO_LONG" if edit else "message caption is too long")
        body: dict[str, Any] = {"caption": caption} if caption else {}
        if caption and entities:
            body["caption_entities"] = entities
        if call.flag("show_caption_above_media"):
            body["show_caption_above_media"] = True
        return body

    # -- send --------------------------------------------------------------
    def send(self, call: Call, content: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        person = self.person(call)
        body = content()
        marked = keyboard.markup(call)
        replied = self.replied(call, person)
        self.flood.take(person.id)
        if replied is not None:
            body = {"reply_to_message": replied, **body}
        if marked is not None:
            body |= self.under_box(person, marked)
        for flag in ("protect_content", "has_spoiler"):
            if call.flag(flag):
                body["has_protected_content" if flag == "protect_content" else "has_media_spoiler"] = True
        post = self.store.add(person, body, outgoing=True, silent=call.flag("disable_notification"))
        self.store.tell({"type": "action", "person": person.id, "action": ""})
        return post.body

    def under_box(self, person: Person, marked: dict[str, Any]) -> dict[str, Any]:
        """Inline buttons go with the message; a reply keyboard goes under the text box instead."""
        if "inline_keyboard" in marked:
            return {"reply_markup": marked} if marked["inline_keyboard"] else {}
        self.store.chat(person.id).keyboard = marked if "keyboard" in marked else None
        self.store.tell({"type": "keyboard", "person": person.id, "keyboard": self.store.chat(person.id).keyboard})
        return {}

    def replied(self, call: Call, person: Person) -> dict[str, Any] | None:
        parameters = call.nested("reply_parameters", "ReplyParameters") or {}
        wanted = int(parameters.get("message_id") or 0) or call.integer("reply_to_message_id")
        if not wanted:
            return None
        post = self.store.chat(person.id).posts.get(wanted)
        if post is not None:
            return {name: value for name, value in post.body.items() if name != "reply_to_message"}
        if parameters.get("allow_sending_without_reply") or call.flag("allow_sending_without_reply"):
            return None
        raise BadRequest("message to be replied not found")

    def send_message(self, call: Call) -> dict[str, Any]:
        return self.send(call, lambda: self.text(call))

    def send_photo(self, call: Call) -> dict[str, Any]:
        return self.send(call, lambda: self.caption(call) | media.taken(self.store, call, "photo"))

    def send_document(self, call: Call) -> dict[str, Any]:
        return self.send(call, lambda: self.caption(call) | media.taken(self.store, call, "document"))

    # -- edit --------------------------------------------------------------
    def edit(self, call: Call, post: Post, person: Person, content: dict[str, Any], *, dated: bool = True) -> Any:
        """Put new content in place; raises NOT_MODIFIED where nothing would change."""
        old = post.body
        kept = {name: old[name] for name in ANYWAY if name in old}
        marked = keyboard.inline_only(call)
        body = {**kept, **content, **({"reply_markup": marked} if marked else {})}
        if comparable(body) == comparable(old):
            raise BadRequest(NOT_MODIFIED)
        self.flood.take(person.id, edit=True)
        if dated:
            body["edit_date"] = int(time.time())
        elif "edit_date" in old:
            body["edit_date"] = old["edit_date"]
        self.store.change(person.id, post, body)
        return body

    def editable(self, call: Call) -> tuple[Person, Post]:
        person, post = self.post(call, "edit")
        if not post.outgoing:
            raise BadRequest("message can't be edited")
        return person, post

    def edit_text(self, call: Call) -> Any:
        content = self.text(call, edit=True)
        person, post = self.editable(call)
        if "text" not in post.body:
            raise BadRequest("there is no text in the message to edit")
        return self.edit(call, post, person, content)

    def edit_caption(self, call: Call) -> Any:
        person, post = self.editable(call)
        if "photo" not in post.body and "document" not in post.body:
            raise BadRequest("there is no caption in the message to edit")
        kept = {name: post.body[name] for name in ("photo", "document", "has_media_spoiler") if name in post.body}
        return self.edit(call, post, person, kept | self.caption(call, edit=True))

    def edit_media(self, call: Call) -> Any:
        person, post = self.editable(call)
        given = call.nested("media", "InputMedia")
        if not isinstance(given, dict):
            raise BadRequest(
                "input media is not specified" if given is None else "can't parse InputMedia: expected an Object"
            )
        if given.get("type") not in ("photo", "document"):
            raise BadRequest("can't parse InputMedia: Unsupported type specified")
        inner = Call({**given}, call.uploads)
        content = self.caption(inner, edit=True)
        taken = media.taken(self.store, inner, given["type"], given.get("media", ""))
        return self.edit(call, post, person, content | taken)

    def edit_markup(self, call: Call) -> Any:
        person, post = self.editable(call)
        kept = {name: value for name, value in post.body.items() if name not in ("reply_markup", "edit_date")}
        return self.edit(call, post, person, kept, dated=False)

    # -- delete, answer, pin -------------------------------------------------
    def delete_message(self, call: Call) -> bool:
        person, post = self.post(call, "delete")
        if time.time() - post.body["date"] > DELETABLE:
            raise BadRequest("message can't be deleted for everyone")
        self.store.remove(person.id, post.body["message_id"])
        return True

    def delete_messages(self, call: Call) -> bool:
        person = self.person(call)
        for message in call.nested("message_ids", "message_ids") or []:
            if message in self.store.chat(person.id).posts:
                self.store.remove(person.id, message)
        return True

    def answer(self, call: Call) -> bool:
        query = self.store.state.queries.get(call.text("callback_query_id"))
        if query is None or time.time() - query.asked > QUERY_LIVES:
            raise BadRequest(TOO_OLD)
        if len(call.text("text")) > MAX_ANSWER:
            raise BadRequest("MESSAGE_TOO_LONG")
        if call.text("url") and not call.text("url").startswith(("t.me/", "https://t.me/", "tg://")):
            raise BadRequest("URL_INVALID")
        del self.store.state.queries[query.id]
        given = {"text": call.text("text"), "show_alert": call.flag("show_alert"), "url": call.text("url")}
        self.store.tell({"type": "answer", "person": query.chat, "query": query.id, **given})
        return True

    def chat_action(self, call: Call) -> bool:
        person = self.person(call)
        if call.text("action") not in CHAT_ACTIONS:
            raise BadRequest("wrong parameter action in request")
        self.store.tell({"type": "action", "person": person.id, "action": call.text("action")})
        return True

    def pin(self, call: Call) -> bool:
        person, post = self.post(call, "pin")
        chat = self.store.chat(person.id)
        chat.pinned = [m for m in chat.pinned if m != post.body["message_id"]] + [post.body["message_id"]]
        self.store.tell({"type": "pinned", "person": person.id, "pinned": chat.pinned})
        return True

    def unpin(self, call: Call) -> bool:
        person = self.person(call)
        chat = self.store.chat(person.id)
        wanted = call.integer("message_id") or (chat.pinned[-1] if chat.pinned else 0)
        if wanted not in chat.pinned:
            raise BadRequest("message to unpin not found")
        chat.pinned = [m for m in chat.pinned if m != wanted]
        self.store.tell({"type": "pinned", "person": person.id, "pinned": chat.pinned})
        return True

    def unpin_all(self, call: Call) -> bool:
        person = self.person(call)
        self.store.chat(person.id).pinned = []
        self.store.tell({"type": "pinned", "person": person.id, "pinned": []})
        return True

    # -- look up -------------------------------------------------------------
    def get_chat(self, call: Call) -> dict[str, Any]:
        person = self.person(call, to_send=False)
        gifts = ("unlimited_gifts", "limited_gifts", "unique_gifts", "premium_subscription", "gifts_from_channels")
        full = person.chat() | {
            "accent_color_id": person.id % 7,
            "max_reaction_count": 11,
            "accepted_gift_types": dict.fromkeys(gifts, True),
        }
        chat = self.store.chat(person.id)
        if chat.pinned:
            full["pinned_message"] = chat.posts[chat.pinned[-1]].body
        return full

    def get_file(self, call: Call) -> dict[str, Any]:
        if not call.text("file_id"):
            raise BadRequest("file_id not specified")
        file = self.store.state.files.get(call.text("file_id"))
        if file is None:
            raise BadRequest("wrong file_id or the file is temporarily unavailable")
        if len(file.content) > media.MAX_DOWNLOAD:
            raise BadRequest("file is too big")
        return {
            "file_id": file.id,
            "file_unique_id": file.unique,
            "file_size": len(file.content),
            "file_path": file.path,
        }


def comparable(body: dict[str, Any]) -> dict[str, Any]:
    """What an edit is compared by; uploads of the same picture differ, as on Telegram."""
    return {name: value for name, value in body.items() if name not in ("edit_date", "link_preview_options")}
