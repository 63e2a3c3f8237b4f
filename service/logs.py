"""Logs: one JSON object a line, rotated, with everything that looks like a secret masked."""

from __future__ import annotations

import logging
import logging.handlers
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

MASK = "***"
QUIET = ("httpx", "httpcore", "apscheduler", "aiohttp.access", "aiosqlite", "alembic", "telegram", "websockets")
"""Libraries whose INFO says nothing of use; httpx would write the bot's token with every URL."""

_NAMES = re.compile(r"(?i)secret|token|password|passphrase|signature|api_?key|vault_?key|listen_?key|authorization")
_SHAPES = re.compile(
    r"(?<!\d)\d{6,}:[A-Za-z0-9_-]{20,}"  # a Telegram bot token
    r"|(?<=signature=)[0-9a-fA-F]+"
    r"|(?<=listenKey=)[A-Za-z0-9]+"
    r"|(?<=//)[^\s/@:]*:[^\s/@]+(?=@)"  # user:password@ in a URL
    r"|\b[A-Za-z0-9]{64}\b"  # Binance keys, secrets, listenKeys and signatures
)


class Masking:
    """A structlog processor that hides given secrets and what looks like one, at any depth."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self.secrets = sorted({s for s in secrets if len(s) >= 4}, key=len, reverse=True)

    def add(self, secret: str) -> None:
        """Hide one more secret from now on."""
        if len(secret) >= 4 and secret not in self.secrets:
            self.secrets.append(secret)

    def __call__(self, _: WrappedLogger, __: str, event: EventDict) -> EventDict:
        return {name: MASK if _NAMES.search(name) and value else self.hide(value) for name, value in event.items()}

    def hide(self, value: Any) -> Any:
        """`value` with nothing secret left in it; what is not plain becomes its masked repr."""
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, dict):
            return {
                str(name): MASK if isinstance(name, str) and _NAMES.search(name) and inner else self.hide(inner)
                for name, inner in value.items()
            }
        if isinstance(value, list | tuple | set | frozenset):
            return [self.hide(inner) for inner in value]
        text = value if isinstance(value, str) else str(value)
        for secret in self.secrets:
            text = text.replace(secret, MASK)
        return _SHAPES.sub(MASK, text)


def set_up(
    file: Path | None, level: str = "info", megabytes: int = 10, files: int = 5, masking: Masking | None = None
) -> Masking:
    """Send every log record to `file`, or to stderr without one; the Masking in force is returned for later secrets."""
    masking = masking or Masking()
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *[p for p in shared if not isinstance(p, structlog.stdlib.ExtraAdder)],
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            masking,
            structlog.processors.JSONRenderer(),
        ],
    )
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
        old.close()
    handler = _handler(file, megabytes, files)
    handler.setFormatter(formatter)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(True)
    return masking


def _handler(file: Path | None, megabytes: int, files: int) -> logging.Handler:
    if file is None:
        return logging.StreamHandler(sys.stderr)
    file.parent.mkdir(parents=True, exist_ok=True)
    return logging.handlers.RotatingFileHandler(
        file, maxBytes=megabytes * 1_000_000, backupCount=files, encoding="utf-8", delay=True
    )
