"""Secrets in a text: what looks like an exchange's key, a bot's token or a private key, which no chat should hold.

Pure, and rather too careful: a wrong alarm costs a sentence, a missed key an account.
"""

from __future__ import annotations

import re

_PEM = re.compile(r"-----\s*BEGIN\b", re.IGNORECASE)
_BOT_TOKEN = re.compile(r"(?<!\w)\d{6,12}:[A-Za-z0-9_-]{30,}")
_UUID = re.compile(r"(?<![\w-])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![\w-])", re.IGNORECASE)
_RUN = re.compile(r"[A-Za-z0-9]{32,}")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{40,}={0,2}")
_NAMED = re.compile(
    r"(?:api|secret|private|access|passphrase|password|token)[\w -]{0,16}[:=]\s*[\"']?([A-Za-z0-9+/_-]{16,})",
    re.IGNORECASE,
)
_DISTINCT = 10
"""Different characters that a random run of this length has at the very least."""


def has_secret(text: str) -> bool:
    """Whether `text` holds something that opens an account."""
    if _PEM.search(text) or _BOT_TOKEN.search(text) or _UUID.search(text):
        return True
    if any(_is_random(found) for found in _RUN.findall(text)):
        return True
    if any(_is_random(found) and _has_both_cases(found) for found in _BASE64.findall(text)):
        return True
    return any(_has_digit(found) and _has_letter(found) for found in _NAMED.findall(text))


def _is_random(run: str) -> bool:
    return _has_digit(run) and _has_letter(run) and len(set(run)) >= _DISTINCT


def _has_digit(run: str) -> bool:
    return any(letter.isdigit() for letter in run)


def _has_letter(run: str) -> bool:
    return any(letter.isalpha() for letter in run)


def _has_both_cases(run: str) -> bool:
    return run != run.lower() and run != run.upper()
