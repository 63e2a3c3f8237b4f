"""How the Bot API says no: a code and Telegram's exact sentence."""

from __future__ import annotations


class ApiError(Exception):
    """An answer with ok=false; `retry_after` in seconds goes with 429."""

    def __init__(self, code: int, description: str, retry_after: int | None = None) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.retry_after = retry_after

    def body(self) -> dict[str, object]:
        answer: dict[str, object] = {"ok": False, "error_code": self.code, "description": self.description}
        if self.retry_after is not None:
            answer["parameters"] = {"retry_after": self.retry_after}
        return answer


class BadRequest(ApiError):
    """400: the request cannot be granted as it is."""

    def __init__(self, words: str) -> None:
        super().__init__(400, f"Bad Request: {words}")


class Forbidden(ApiError):
    """403: the person does not want to hear from the bot."""

    def __init__(self, words: str) -> None:
        super().__init__(403, f"Forbidden: {words}")


class Conflict(ApiError):
    """409: two readers of one bot's updates."""

    def __init__(self, words: str) -> None:
        super().__init__(409, f"Conflict: {words}")


class TooMany(ApiError):
    """429: faster than the flood limits allow."""

    def __init__(self, seconds: int) -> None:
        super().__init__(429, f"Too Many Requests: retry after {seconds}", seconds)


NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same as a current "
    "content and reply markup of the message"
)
TOO_OLD = "query is too old and response timeout expired or query ID is invalid"
OTHER_READER = "terminated by other getUpdates request; make sure that only one bot instance is running"
WEBHOOK_ACTIVE = "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
