"""The demo's Telegram: a Bot API server on loopback with a chat page."""

from bot.localchat.people import Person
from bot.localchat.server import LocalChat, Options, serve

__all__ = ["LocalChat", "Options", "Person", "serve"]
