"""One Bot API request: its fields however they were sent, as query, form, JSON or multipart."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web
from msgspec import Struct

from bot.localchat.errors import ApiError, BadRequest


class Upload(Struct):
    """A file that came with a request."""

    name: str
    mime: str
    content: bytes


class Call:
    """The fields of a request."""

    def __init__(self, fields: dict[str, Any], uploads: dict[str, Upload]) -> None:
        self.fields = fields
        self.uploads = uploads

    def text(self, name: str, default: str = "") -> str:
        value = self.fields.get(name)
        if value is None:
            return default
        return value if isinstance(value, str) else json.dumps(value)

    def integer(self, name: str, default: int = 0) -> int:
        try:
            return int(self.text(name).strip() or default)
        except ValueError:
            return default

    def flag(self, name: str) -> bool:
        value = self.fields.get(name)
        return value is True or str(value).strip().lower() in ("true", "1", "yes")

    def nested(self, name: str, what: str) -> Any:
        """A JSON field, already decoded or as text; None where it is missing or empty."""
        value = self.fields.get(name)
        if not isinstance(value, str):
            return value
        if not value.strip():
            return None
        try:
            return json.loads(value)
        except ValueError:
            raise BadRequest(f"can't parse {what} JSON object") from None


async def read(request: web.Request) -> Call:
    """The call of a request; raises ApiError on a body that cannot be read."""
    fields: dict[str, Any] = dict(request.query)
    uploads: dict[str, Upload] = {}
    if request.can_read_body:  # some clients send a body with GET too
        try:
            await read_body(request, fields, uploads)
        except web.HTTPRequestEntityTooLarge:
            raise ApiError(413, "Request Entity Too Large") from None
        except (ValueError, LookupError, AssertionError):
            raise BadRequest("can't parse request body") from None
    for value in fields.values():
        check_text(value)
    return Call({k: v for k, v in fields.items() if v is not None}, uploads)


async def read_body(request: web.Request, fields: dict[str, Any], uploads: dict[str, Upload]) -> None:
    kind = request.content_type
    if kind == "application/json":
        raw = await request.read()
        decoded = json.loads(raw) if raw else {}
        if not isinstance(decoded, dict):
            raise BadRequest("can't parse JSON object")
        fields.update(decoded)
    elif kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
        form = request if request.method == "POST" else request.clone(method="POST")
        for name, value in (await form.post()).items():
            if isinstance(value, web.FileField):
                uploads[name] = Upload(value.filename or name, value.content_type, value.file.read())
            else:
                fields[name] = value.decode() if isinstance(value, bytes | bytearray) else value


def check_text(value: Any) -> None:
    """Refuse half surrogate pairs, which JSON can smuggle in."""
    try:
        (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)).encode()
    except UnicodeEncodeError:
        raise BadRequest("strings must be encoded in UTF-8") from None
