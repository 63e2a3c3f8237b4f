"""The first owner: whoever sends the bot the code that the console shows owns it.

Asked before anything else runs, so there is nothing yet to be protected but the claim itself: the code works once,
for a while, and guessing it is slow, for one person as for many.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import secrets
from collections.abc import Callable
from enum import Enum

import structlog
from msgspec import Struct
from telegram import Bot, Message, Update, User
from telegram.error import InvalidToken, RetryAfter, TelegramError
from telegram.request import HTTPXRequest

from bot.panel import seconds_of
from bot.words import say
from storage import audit, users
from storage.database import Database
from storage.users import Role

log = structlog.get_logger("bot.claim")
LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""Without those that are mistaken for each other."""
LIFE = 15 * 60_000
"""ms that a code lives."""
TRIES = 5
"""Wrong codes that one person may send while one code lives."""
ALL_TRIES = 40
"""Wrong codes of everybody together, after which the code is replaced."""
SILENCE = 60_000
"""ms between two answers to the same person."""
REMEMBERED = 1_000
POLL = 20
RETRY = 3.0


class Verdict(Enum):
    """What became of a try."""

    GOOD = "good"
    WRONG = "wrong"
    HUSH = "hush"
    """Too many: not even looked at."""


class Code(Struct):
    """A claim code and how often it was guessed at."""

    text: str
    until: int
    tries: dict[int, int] = {}

    def judge(self, person: int, given: str) -> Verdict:
        """Counts the try."""
        used = self.tries.get(person, 0)
        if used >= TRIES or self.is_worn:
            return Verdict.HUSH
        if hmac.compare_digest(plain(given).encode(), plain(self.text).encode()):
            return Verdict.GOOD
        self.tries[person] = used + 1
        return Verdict.WRONG

    @property
    def is_worn(self) -> bool:
        return sum(self.tries.values()) >= ALL_TRIES


def telegram_bot(token: str, api: str = "") -> Bot:
    """A bare bot; a given address is a local chat: no proxy of the environment stands between."""
    logging.getLogger("httpx").setLevel(logging.WARNING)  # its INFO lines carry the token
    plainly = {"httpx_kwargs": {"trust_env": False}} if api else {}
    where = {"base_url": f"{api.rstrip('/')}/bot", "base_file_url": f"{api.rstrip('/')}/file/bot"} if api else {}
    request = HTTPXRequest(read_timeout=15.0, **plainly)  # type: ignore[arg-type]
    return Bot(token, request=request, get_updates_request=HTTPXRequest(**plainly), **where)  # type: ignore[arg-type]


def drawn(now: int) -> Code:
    """A new code: 40 bits, in two groups that can be typed."""
    letters = "".join(secrets.choice(LETTERS) for _ in range(8))
    return Code(f"{letters[:4]}-{letters[4:]}", now + LIFE)


def plain(text: str) -> str:
    """A code as it is compared: however it was typed."""
    return "".join(letter for letter in text.upper() if letter.isalnum())


class WrongToken(Exception):
    """Telegram knows no such bot."""


async def first_owner(
    token: str,
    api: str,
    database: Database,
    clock: Callable[[], int],
    stop: asyncio.Event,
    show: Callable[[str, str], None],
) -> int:
    """Who claims the bot; `show` gets each code with the bot's user name. 0 where `stop` came first.

    Raises WrongToken.
    """
    bot = telegram_bot(token, api)
    try:
        async with asyncio.TaskGroup() as parts:
            claim = parts.create_task(Claim(bot, database, clock, show).run(), name="claim")
            stopping = parts.create_task(stop.wait(), name="stop")
            await asyncio.wait({claim, stopping}, return_when=asyncio.FIRST_COMPLETED)
            claim.cancel()
            stopping.cancel()
        return 0 if claim.cancelled() else claim.result()
    except* InvalidToken:
        raise WrongToken from None
    finally:
        with contextlib.suppress(TelegramError):
            await bot.shutdown()


class Claim:
    """Reads the bot's messages until somebody has the code."""

    def __init__(
        self, bot: Bot, database: Database, clock: Callable[[], int], show: Callable[[str, str], None]
    ) -> None:
        """`show` gets the code and the bot's user name."""
        self._bot = bot
        self._database = database
        self._clock = clock
        self._show = show
        self._code = drawn(clock())
        self._told: dict[int, int] = {}

    async def run(self) -> int:
        """The id of the new owner. Raises InvalidToken."""
        offset = 0
        name = await self._name()
        while True:
            try:
                updates = await self._bot.get_updates(offset, timeout=POLL, allowed_updates=["message"])
            except InvalidToken:
                raise
            except TelegramError as error:
                await self._pause(error)
                continue
            for update in updates:
                offset = update.update_id + 1
                self._renew(name)
                if (owner := await self._heard(update)) is not None:
                    await self._confirm(offset)
                    return owner
            self._renew(name)

    async def _name(self) -> str:
        """The bot's user name; the code is shown before where Telegram does not answer at once."""
        is_shown = False
        while True:
            try:
                await self._bot.initialize()
            except InvalidToken:
                raise
            except TelegramError as error:
                if not is_shown:
                    self._show(self._code.text, "")
                is_shown = True
                await self._pause(error)
            else:
                if not is_shown:
                    self._show(self._code.text, self._bot.username)
                return self._bot.username

    async def _pause(self, error: TelegramError) -> None:
        log.warning("telegram cannot be reached, trying again", error=type(error).__name__)
        await asyncio.sleep(seconds_of(error) if isinstance(error, RetryAfter) else RETRY)

    async def _confirm(self, offset: int) -> None:
        """The claim is not to be read a second time."""
        try:
            await self._bot.get_updates(offset, timeout=0)
        except TelegramError as error:
            log.info("claim not confirmed", error=type(error).__name__)

    def _renew(self, name: str) -> None:
        if self._clock() >= self._code.until or self._code.is_worn:
            self._code = drawn(self._clock())
            self._show(self._code.text, name)

    async def _heard(self, update: Update) -> int | None:
        message = update.message
        person = message.from_user if message is not None else None
        if message is None or person is None or person.is_bot or message.chat.type != message.chat.PRIVATE:
            return None
        given = _given(message.text or "")
        if not given:
            await self._explain(message, person)
            return None
        verdict = self._code.judge(person.id, given)
        if verdict is Verdict.GOOD:
            await self._made(message, person)
            return person.id
        log.warning("wrong claim", user=person.id, verdict=verdict.value)
        if verdict is Verdict.WRONG:
            await audit.add(self._database, audit.Entry(self._clock(), person.id, "claim", "", "wrong"))
            is_last = self._code.tries[person.id] >= TRIES
            await self._say(message, "claim_enough" if is_last else "claim_wrong")
        return None

    async def _made(self, message: Message, person: User) -> None:
        now = self._clock()
        await users.add(self._database, person.id, Role.ADMIN, now)
        await audit.add(self._database, audit.Entry(now, person.id, "claim", "", "owner"))
        log.info("claimed", user=person.id)
        await self._say(message, "claim_done")

    async def _explain(self, message: Message, person: User) -> None:
        """How to claim, to one person once a minute."""
        now = self._clock()
        if now - self._told.get(person.id, now - SILENCE) < SILENCE:
            return
        if len(self._told) >= REMEMBERED:
            self._told.pop(next(iter(self._told)))
        self._told[person.id] = now
        await self._say(message, "claim_how")

    async def _say(self, message: Message, key: str) -> None:
        try:
            await self._bot.send_message(message.chat_id, say(key))
        except TelegramError as error:
            log.info("claimant not answered", error=type(error).__name__)


def _given(text: str) -> str:
    """The code in `/claim CODE`, in `/start CODE` (a link) or by itself."""
    words = text.split()
    if words and words[0].lower().partition("@")[0] in ("/claim", "/start"):
        words = words[1:]
    given = " ".join(words)
    return given if len(plain(given)) == 8 and len(given) < 20 else ""
