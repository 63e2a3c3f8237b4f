"""Buttons as the Bot API checks them."""

from __future__ import annotations

import re
from typing import Any

from bot.localchat.call import Call
from bot.localchat.errors import BadRequest

ACTIONS = (
    "callback_data",
    "url",
    "web_app",
    "login_url",
    "switch_inline_query",
    "switch_inline_query_current_chat",
    "switch_inline_query_chosen_chat",
    "copy_text",
    "callback_game",
    "pay",
)
STYLES = ("danger", "success", "primary")
MAX_DATA = 64
MAX_BUTTONS, MAX_ROW = 100, 8


def markup(call: Call) -> dict[str, Any] | None:
    """The checked `reply_markup` of a request: inline, reply keyboard, its removal or a forced reply."""
    given = call.nested("reply_markup", "reply keyboard markup")
    if given is None:
        return None
    if not isinstance(given, dict):
        raise BadRequest("object expected as reply markup")
    if "inline_keyboard" in given:
        return {"inline_keyboard": inline(given["inline_keyboard"])}
    if "keyboard" in given:
        return {**given, "keyboard": replies(given["keyboard"])}
    return given if given.get("remove_keyboard") or given.get("force_reply") else None


def inline_only(call: Call) -> dict[str, Any] | None:
    """The markup of an edit, which can only be inline; no buttons at all is none."""
    found = markup(call)
    if found is not None and "inline_keyboard" not in found:
        raise BadRequest("inline keyboard expected")
    return found if found and found["inline_keyboard"] else None


def inline(rows: Any) -> list[list[dict[str, Any]]]:
    if not isinstance(rows, list):
        raise BadRequest('field "inline_keyboard" must be of type Array')
    kept = []
    for row in rows:
        if not isinstance(row, list):
            raise BadRequest('field "inline_keyboard" must be an Array of Arrays')
        if row:
            kept.append([button(item) for item in row])
    if sum(map(len, kept)) > MAX_BUTTONS or any(len(row) > MAX_ROW for row in kept):
        raise BadRequest("reply markup is too long")
    return kept


def button(item: Any) -> dict[str, Any]:
    """One inline button; raises BadRequest where Telegram would."""
    wrong = "can't parse inline keyboard button: "
    if not isinstance(item, dict):
        raise BadRequest("can't parse inline keyboard button: InlineKeyboardButton must be an Object")
    if "text" not in item:
        raise BadRequest(wrong + 'Can\'t find field "text"')
    if not isinstance(item["text"], str):
        raise BadRequest(wrong + 'Field "text" must be of type String')
    if not item["text"].strip():
        raise BadRequest("inline keyboard button text is empty")
    action = next((name for name in ACTIONS if item.get(name) is not None), None)
    if action is None:
        raise BadRequest(wrong + "Text buttons are unallowed in the inline keyboard")
    if action == "callback_data":
        data = item["callback_data"]
        if not isinstance(data, str) or not 1 <= len(data.encode()) <= MAX_DATA:
            raise BadRequest("BUTTON_DATA_INVALID")
    if action == "url" and not re.match(r"(https?|tg|ton)://\S+|[\w-]+(\.[\w-]+)+\S*", str(item["url"])):
        raise BadRequest("BUTTON_URL_INVALID")
    if action == "web_app" and not str(item["web_app"].get("url", "")).startswith("https://"):
        raise BadRequest(
            f"inline keyboard button Web App URL '{item['web_app'].get('url', '')}' is invalid: "
            "Only HTTPS links are allowed"
        )
    if item.get("style") is not None and item["style"] not in STYLES:
        raise BadRequest("BUTTON_STYLE_INVALID")
    kept = {"text": item["text"], action: item[action]}
    return kept | {name: item[name] for name in ("style", "icon_custom_emoji_id") if item.get(name)}


def replies(rows: Any) -> list[list[dict[str, Any]]]:
    """Rows of a reply keyboard; plain texts are buttons too."""
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise BadRequest('field "keyboard" must be an Array of Arrays')
    return [[{"text": item} if isinstance(item, str) else dict(item) for item in row] for row in rows if row]
