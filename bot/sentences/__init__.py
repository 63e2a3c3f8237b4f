"""The English sentences, by code: the source of the message catalogue. Plain text, `{blanks}` for values.

Only `bot/words.py` reads these tables, and passes each sentence through gettext.
"""

from __future__ import annotations

from bot.sentences.buttons import BUTTONS
from bot.sentences.codes import COUNTS, HEALTH, PARAMETERS, REASONS, STATUSES, VALUES
from bot.sentences.notices import MESSAGES, NOTICES
from bot.sentences.pages import PAGES
from bot.sentences.questions import QUESTIONS
from bot.sentences.refusals import FRACTIONS, REFUSALS, SAID_BY
from bot.sentences.wizard import WIZARD

__all__ = [
    "COUNTS",
    "FRACTIONS",
    "HEALTH",
    "NOTICES",
    "PARAMETERS",
    "REASONS",
    "REFUSALS",
    "SAID_BY",
    "SENTENCES",
    "STATUSES",
    "VALUES",
]

PARTS = (BUTTONS, PAGES, QUESTIONS, WIZARD, MESSAGES)
SENTENCES: dict[str, str] = {key: text for part in PARTS for key, text in part.items()}
