"""Pictures and documents of a request: uploads, attachments and files sent before."""

from __future__ import annotations

import mimetypes
import struct
from typing import Any

from bot.localchat.call import Call, Upload
from bot.localchat.errors import ApiError, BadRequest
from bot.localchat.store import File, Store

MAX_PHOTO = 10 * 1024 * 1024
MAX_DOCUMENT = 50 * 1024 * 1024
MAX_DOWNLOAD = 20 * 1024 * 1024


def taken(store: Store, call: Call, kind: str, given: Any = None) -> dict[str, Any]:
    """The message fields of a picture or document (`kind`): from an upload, `attach://name` or a file id."""
    given = call.fields.get(kind, "") if given is None else given
    given = given if isinstance(given, str) else ""
    upload = call.uploads.get(given.removeprefix("attach://") if given else kind)
    if upload is None and not given:
        raise BadRequest(f"there is no {kind} in the request")
    if upload is not None:
        return described(uploaded(store, kind, upload), kind)
    if given.startswith("attach://"):
        raise BadRequest(f"there is no {kind} in the request")
    if given.startswith(("http://", "https://")):
        raise BadRequest("failed to get HTTP URL content")  # nothing is fetched from a local chat
    file = store.state.files.get(given)
    if file is None:
        raise BadRequest("wrong file identifier/HTTP URL specified")
    if (kind == "photo") != (file.width > 0):
        raise BadRequest(f"can't use file of type {'Document' if kind == 'photo' else 'Photo'} as {kind.capitalize()}")
    return described(file, kind)


def uploaded(store: Store, kind: str, upload: Upload) -> File:
    if not upload.content:
        raise BadRequest("file must be non-empty")
    if len(upload.content) > (MAX_PHOTO if kind == "photo" else MAX_DOCUMENT):
        raise ApiError(413, "Request Entity Too Large")
    if kind != "photo":
        mime = mimetypes.guess_type(upload.name)[0] or upload.mime or "application/octet-stream"
        return store.keep(kind, upload.name, mime, upload.content)
    mime, width, height = dimensions(upload.content)
    if not width or not height:
        raise BadRequest("IMAGE_PROCESS_FAILED")
    if width + height > 10_000 or max(width, height) > 20 * min(width, height):
        raise BadRequest("PHOTO_INVALID_DIMENSIONS")
    name = {"image/png": "photo.png", "image/jpeg": "photo.jpg", "image/webp": "photo.webp"}.get(mime, "photo.gif")
    return store.keep(kind, name, mime, upload.content, (width, height))


def described(file: File, kind: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"file_id": file.id, "file_unique_id": file.unique, "file_size": len(file.content)}
    if kind == "photo":
        return {"photo": [{**entry, "width": file.width, "height": file.height}]}
    return {"document": {**entry, "file_name": file.name, "mime_type": file.mime}}


def dimensions(content: bytes) -> tuple[str, int, int]:
    """Kind, width and height of a picture from its first bytes; zeros where it is none."""
    try:
        if content.startswith(b"\x89PNG\r\n\x1a\n"):
            return "image/png", *struct.unpack(">II", content[16:24])
        if content.startswith(b"GIF8"):
            return "image/gif", *struct.unpack("<HH", content[6:10])
        if content.startswith(b"\xff\xd8"):
            return jpeg(content)
        if content[:4] == b"RIFF" and content[8:16] == b"WEBPVP8X":
            wide, high = content[24:27], content[27:30]
            return "image/webp", int.from_bytes(wide, "little") + 1, int.from_bytes(high, "little") + 1
    except (struct.error, IndexError):
        return "", 0, 0
    return "", 0, 0


def jpeg(content: bytes) -> tuple[str, int, int]:
    at = 2
    while content[at] == 0xFF:
        marker, length = content[at + 1], struct.unpack(">H", content[at + 2 : at + 4])[0]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", content[at + 5 : at + 9])
            return "image/jpeg", width, height
        at += 2 + length
    return "", 0, 0
