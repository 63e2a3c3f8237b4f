"""The local chat is a Telegram to python-telegram-bot and to raw HTTP, down to error texts, and remembers."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from PIL import Image
from telegram import (
    BotCommand,
    BotCommandScopeChat,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputMediaPhoto,
    MenuButtonCommands,
    Update,
)
from telegram.error import BadRequest, Conflict, Forbidden, InvalidToken, NetworkError, RetryAfter
from telegram.ext import Application, CallbackQueryHandler, CommandHandler, ContextTypes

from bot.localchat import LocalChat
from bot.localchat.errors import NOT_MODIFIED, OTHER_READER, TOO_OLD, WEBHOOK_ACTIVE

pytestmark = pytest.mark.timeout(60)

TOKEN = "4242:local-test-token"
ROOT = Path(__file__).parents[2]
ANNA, BEN = 1001, 1002
PEOPLE = [(ANNA, "Anna", "anna"), (BEN, "Ben", "")]
NOT_MODIFIED_TEXT = (
    "Bad Request: message is not modified: specified new message content and reply markup are exactly the same "
    "as a current content and reply markup of the message"
)


def picture(colour: str = "navy") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 40), colour).save(out, "PNG")
    return out.getvalue()


class Phone:
    """Raw HTTP on both sides of the chat."""

    def __init__(self, chat: LocalChat, port: int, session: aiohttp.ClientSession) -> None:
        self.chat, self.root, self.session = chat, f"http://127.0.0.1:{port}", session

    async def api(self, method: str, **fields: Any) -> tuple[int, dict[str, Any]]:
        async with self.session.post(f"{self.root}/bot{TOKEN}/{method}", json=fields) as answer:
            return answer.status, await answer.json()

    async def ok(self, method: str, **fields: Any) -> Any:
        status, body = await self.api(method, **fields)
        assert (status, body["ok"]) == (200, True), body
        return body["result"]

    async def no(self, method: str, **fields: Any) -> str:
        status, body = await self.api(method, **fields)
        assert body["ok"] is False and body["error_code"] == status
        return str(body["description"])

    async def look(self, what: str) -> Any:
        async with self.session.get(f"{self.root}/chat/{what}") as answer:
            return await answer.json()

    async def do(self, what: str, **wish: Any) -> Any:
        async with self.session.post(f"{self.root}/chat/{what}", json=wish) as answer:
            return await answer.json()


@pytest.fixture
async def phone(tmp_path: Path) -> AsyncIterator[Phone]:
    chat = LocalChat(TOKEN, "trellis_demo_bot", PEOPLE, tmp_path / "chat.json")
    port = await chat.start("127.0.0.1", 0)
    async with aiohttp.ClientSession() as session:
        yield Phone(chat, port, session)
    await chat.close()


def application(phone: Phone) -> Any:
    return (
        Application.builder()
        .token(TOKEN)
        .base_url(f"{phone.root}/bot")
        .base_file_url(f"{phone.root}/file/bot")
        .job_queue(None)
        .build()
    )


async def until(check: Callable[[], Awaitable[Any]], seconds: float = 5.0) -> Any:
    async with asyncio.timeout(seconds):
        while not (found := await check()):
            await asyncio.sleep(0.02)
    return found


# -- python-telegram-bot, end to end -----------------------------------------------------------------------------


async def test_a_bot_made_with_python_telegram_bot_talks_edits_and_answers(phone: Phone) -> None:
    app, pressed = application(phone), []

    async def start(update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
        rows = [
            [InlineKeyboardButton("Start", callback_data="g1:start"), InlineKeyboardButton("Site", url="http://a.b")]
        ]
        await update.message.reply_text(
            f"Hello 🟢 <b>{update.effective_user.first_name}</b>",
            parse_mode="HTML",
            reply_markup=InlineKeyboardMarkup(rows),
            do_quote=True,
        )

    async def press(update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
        pressed.append(update.callback_query)
        await update.callback_query.answer("Started", show_alert=True)
        await update.callback_query.edit_message_text("Running")

    app.add_handler(CommandHandler("start", start))
    app.add_handler(CallbackQueryHandler(press))
    async with app:
        await app.updater.start_polling(timeout=10)
        await app.start()
        await phone.do(f"{ANNA}/send", text="/start now")
        hello = await until(lambda: newest(phone, 2))
        assert hello["text"] == "Hello 🟢 Anna"
        assert hello["entities"] == [{"type": "bold", "offset": 9, "length": 4}]
        assert hello["reply_to_message"]["text"] == "/start now"
        assert hello["from"]["username"] == "trellis_demo_bot"
        result = await phone.do(f"{ANNA}/press", message=2, button=0)
        assert result["answer"] == {"text": "Started", "show_alert": True, "url": ""}
        assert pressed[0].data == "g1:start" and pressed[0].from_user.id == ANNA and pressed[0].message.message_id == 2
        running = await until(lambda: newest(phone, 2, lambda m: m["text"] == "Running"))
        assert "reply_markup" not in running and running["edit_date"] >= running["date"]
        assert (await phone.look("state"))["online"] is True
        await app.updater.stop()
        await app.stop()
    await phone.do(f"{BEN}/send", text="still there?")
    assert [u["message"]["chat"]["id"] for u in await phone.ok("getUpdates")] == [BEN]


async def newest(phone: Phone, message: int, check: Callable[[Any], bool] = lambda m: True) -> Any:
    messages = (await phone.look(f"{ANNA}/messages"))["messages"]
    return next((m for m in messages if m["message_id"] == message and check(m)), None)


async def test_pictures_documents_and_files_travel_both_ways(phone: Phone) -> None:
    async with application(phone) as app:
        bot = app.bot
        sent = await bot.send_photo(ANNA, picture(), caption="<i>map</i>", parse_mode="HTML", has_spoiler=True)
        assert (sent.photo[-1].width, sent.photo[-1].height) == (64, 40)
        assert sent.caption == "map" and sent.caption_entities[0].type == "italic" and sent.has_media_spoiler
        file = await bot.get_file(sent.photo[-1].file_id)
        assert bytes(await file.download_as_bytearray()) == picture()
        again = await bot.send_photo(ANNA, sent.photo[-1].file_id)
        assert again.photo == sent.photo
        edited = await bot.edit_message_media(InputMediaPhoto(picture("green"), caption="new"), ANNA, sent.message_id)
        assert edited.photo != sent.photo and edited.caption == "new"
        captioned = await bot.edit_message_caption(ANNA, sent.message_id, caption="newer")
        assert captioned.caption == "newer" and captioned.photo == edited.photo
        document = await bot.send_document(ANNA, b"time,side\n1,BUY\n", filename="audit.csv")
        assert document.document.file_name == "audit.csv" and document.document.mime_type == "text/csv"
        async with phone.session.get(f"{phone.root}/chat/file/{edited.photo[-1].file_id}") as shown:
            assert shown.content_type == "image/png" and await shown.read() == picture("green")
        with pytest.raises(BadRequest, match="There is no text in the message to edit"):
            await bot.edit_message_text("x", ANNA, sent.message_id)
        with pytest.raises(BadRequest, match="Image_process_failed"):
            await bot.send_photo(ANNA, b"no picture")


async def test_commands_menu_button_and_profile_are_kept_by_scope_and_language(phone: Phone) -> None:
    async with application(phone) as app:
        bot = app.bot
        await bot.set_my_commands([BotCommand("help", "Help")])
        await bot.set_my_commands([BotCommand("help", "Hilfe")], language_code="de")
        await bot.set_my_commands([BotCommand("panic", "Stop all")], scope=BotCommandScopeChat(ANNA))
        assert [c.description for c in await bot.get_my_commands(language_code="de")] == ["Hilfe"]
        assert (await phone.look(f"{ANNA}/commands"))["commands"] == [{"command": "panic", "description": "Stop all"}]
        assert (await phone.look(f"{BEN}/commands"))["commands"] == [{"command": "help", "description": "Help"}]
        await bot.delete_my_commands(scope=BotCommandScopeChat(ANNA))
        assert (await phone.look(f"{ANNA}/commands"))["commands"][0]["command"] == "help"
        await bot.set_chat_menu_button(ANNA, MenuButtonCommands())
        assert (await bot.get_chat_menu_button(ANNA)).type == "commands"
        await bot.set_my_description("Grids", language_code="en")
        assert (await bot.get_my_description("en")).description == "Grids"
        await bot.set_my_short_description("short")
        await bot.set_my_name("Trellis")
        assert (await bot.get_my_name()).name == "Trellis"
        with pytest.raises(BadRequest, match="Bot_command_invalid"):
            await bot.set_my_commands([BotCommand("No-Good", "x")])


async def test_python_telegram_bot_sees_telegrams_errors_as_its_own_exceptions(phone: Phone) -> None:
    async with application(phone) as app:
        bot = app.bot
        sent = await bot.send_message(ANNA, "one")
        for call, words in (
            (lambda: bot.edit_message_text("one", ANNA, sent.message_id), "Message is not modified"),
            (lambda: bot.send_message(ANNA, "x" * 4097), "Message is too long"),
            (lambda: bot.send_message(ANNA, "<b>x", parse_mode="HTML"), "Can't parse entities: can't find end tag"),
            (lambda: bot.edit_message_text("two", ANNA, 999), "Message to edit not found"),
            (lambda: bot.delete_message(ANNA, 999), "Message to delete not found"),
            (lambda: bot.send_message(77, "x"), "Chat not found"),
            (lambda: bot.answer_callback_query("1"), "Query is too old"),
        ):
            with pytest.raises(BadRequest, match=words):
                await call()
        await phone.do(f"{ANNA}/block", blocked=True)
        with pytest.raises(Forbidden, match="bot was blocked by the user"):
            await bot.send_message(ANNA, "x")
        await phone.do("flood", seconds=3)
        with pytest.raises(RetryAfter):
            await bot.send_message(BEN, "x")
        await phone.do("outage", mode="error")
        with pytest.raises(NetworkError):
            await bot.get_me()
        await phone.do("outage", mode="drop")
        with pytest.raises(NetworkError):
            await bot.get_me()
        await phone.do("outage", mode="off")
        assert (await bot.get_chat(BEN)).first_name == "Ben"


async def test_a_wrong_token_is_no_bot(phone: Phone) -> None:
    stranger = Application.builder().token("1:x").base_url(f"{phone.root}/bot").build()
    with pytest.raises(InvalidToken):
        await stranger.initialize()
    async with phone.session.get(f"{phone.root}/file/bot1:x/photos/file_0.png") as answer:
        assert answer.status == 401


# -- updates -------------------------------------------------------------------------------------------------------


async def test_updates_wait_are_confirmed_by_offset_and_filtered_by_kind(phone: Phone) -> None:
    reading = asyncio.create_task(phone.ok("getUpdates", timeout=10))
    await asyncio.sleep(0.1)
    await phone.do(f"{ANNA}/send", text="a")
    (first,) = await reading
    await phone.do(f"{ANNA}/send", text="b")
    assert len(await phone.ok("getUpdates")) == 2
    assert [u["message"]["text"] for u in await phone.ok("getUpdates", offset=first["update_id"] + 1)] == ["b"]
    assert [u["message"]["text"] for u in await phone.ok("getUpdates", offset=-1)] == ["b"]
    second = (await phone.ok("getUpdates"))[0]["update_id"]
    assert await phone.ok("getUpdates", offset=second + 1, allowed_updates=["callback_query"]) == []
    await phone.do(f"{ANNA}/send", text="not wanted")
    assert await phone.ok("getUpdates") == []


async def test_the_first_of_two_readers_is_told_of_the_conflict(phone: Phone) -> None:
    reading = asyncio.create_task(phone.api("getUpdates", timeout=10))
    await asyncio.sleep(0.1)
    assert await phone.ok("getUpdates", timeout=0) == []
    status, body = await reading
    assert (status, body["description"]) == (409, f"Conflict: {OTHER_READER}")
    async with application(phone) as app:
        polled = asyncio.create_task(app.bot.get_updates(timeout=10))
        await asyncio.sleep(0.1)
        await phone.ok("getUpdates")
        with pytest.raises(Conflict, match="make sure that only one bot instance is running"):
            await polled


async def test_a_webhook_gets_every_update_in_order_with_its_secret(phone: Phone) -> None:
    got: list[Any] = []

    async def hook(request: web.Request) -> web.Response:
        got.append((request.headers.get("X-Telegram-Bot-Api-Secret-Token"), (await request.json())["message"]["text"]))
        return web.Response(status=500 if len(got) == 1 else 200)

    app = web.Application()
    app.router.add_post("/hook", hook)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    await phone.ok("setWebhook", url=url, secret_token="s3cret")
    assert await phone.no("getUpdates") == f"Conflict: {WEBHOOK_ACTIVE}"
    await phone.do(f"{ANNA}/send", text="a")
    await phone.do(f"{ANNA}/send", text="b")

    async def three() -> bool:
        return len(got) == 3

    await until(three)
    assert got == [("s3cret", "a"), ("s3cret", "a"), ("s3cret", "b")]
    assert (await phone.ok("getWebhookInfo"))["last_error_message"].startswith("Wrong response from the webhook: 500")
    await phone.ok("deleteWebhook")
    assert (await phone.ok("getWebhookInfo"))["url"] == ""
    await runner.cleanup()


# -- errors and limits in Telegram's words ---------------------------------------------------------------------------

BUTTON = {"inline_keyboard": [[{"text": "x", "callback_data": "y"}]]}
REFUSED = [
    ("sendMessage", {"chat_id": ANNA}, "Bad Request: message text is empty"),
    ("sendMessage", {"chat_id": ANNA, "text": " \n "}, "Bad Request: text must be non-empty"),
    ("sendMessage", {"text": "x"}, "Bad Request: chat_id is empty"),
    ("sendMessage", {"chat_id": 5, "text": "x"}, "Bad Request: chat not found"),
    ("sendMessage", {"chat_id": ANNA, "text": "x" * 4097}, "Bad Request: message is too long"),
    ("sendMessage", {"chat_id": ANNA, "text": "1.5", "parse_mode": "MarkdownV2"},
     "Bad Request: can't parse entities: Character '.' is reserved and must be escaped with the preceding '\\'"),
    ("sendMessage", {"chat_id": ANNA, "text": "é<br>", "parse_mode": "HTML"},
     'Bad Request: can\'t parse entities: Unsupported start tag "br" at byte offset 2'),
    ("sendMessage", {"chat_id": ANNA, "text": "x", "parse_mode": "BB"}, "Bad Request: unsupported parse_mode"),
    ("sendMessage", {"chat_id": ANNA, "text": "x", "reply_markup": "{"},
     "Bad Request: can't parse reply keyboard markup JSON object"),
    ("sendMessage", {"chat_id": ANNA, "text": "x", "reply_markup": "[]"},
     "Bad Request: object expected as reply markup"),
    ("sendMessage", {"chat_id": ANNA, "text": "x", "reply_markup": {"inline_keyboard": [[{"text": "x"}]]}},
     "Bad Request: can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard"),
    ("sendMessage", {"chat_id": ANNA, "text": "x", "reply_markup":
     {"inline_keyboard": [[{"text": "x", "callback_data": "é" * 33}]]}}, "Bad Request: BUTTON_DATA_INVALID"),
    ("sendMessage", {"chat_id": ANNA, "text": "x", "reply_parameters": {"message_id": 99}},
     "Bad Request: message to be replied not found"),
    ("sendPhoto", {"chat_id": ANNA}, "Bad Request: there is no photo in the request"),
    ("sendPhoto", {"chat_id": ANNA, "photo": "AgAC"}, "Bad Request: wrong file identifier/HTTP URL specified"),
    ("sendPhoto", {"chat_id": ANNA, "photo": "A", "caption": "x" * 1025}, "Bad Request: message caption is too long"),
    ("editMessageText", {"text": "x"}, "Bad Request: message identifier is not specified"),
    ("editMessageText", {"chat_id": ANNA, "message_id": 9, "text": "x"}, "Bad Request: message to edit not found"),
    ("editMessageText", {"chat_id": ANNA, "message_id": 1, "text": "mine"}, "Bad Request: message can't be edited"),
    ("editMessageText", {"chat_id": ANNA, "message_id": 2, "text": "hi", "reply_markup": BUTTON}, NOT_MODIFIED_TEXT),
    ("editMessageCaption", {"chat_id": ANNA, "message_id": 2, "caption": "x"},
     "Bad Request: there is no caption in the message to edit"),
    ("editMessageReplyMarkup", {"chat_id": ANNA, "message_id": 2, "reply_markup": BUTTON}, NOT_MODIFIED_TEXT),
    ("deleteMessage", {"chat_id": ANNA, "message_id": 9}, "Bad Request: message to delete not found"),
    ("pinChatMessage", {"chat_id": ANNA, "message_id": 9}, "Bad Request: message to pin not found"),
    ("answerCallbackQuery", {"callback_query_id": "1"}, f"Bad Request: {TOO_OLD}"),
    ("sendChatAction", {"chat_id": ANNA, "action": "dancing"}, "Bad Request: wrong parameter action in request"),
    ("getFile", {"file_id": "x"}, "Bad Request: wrong file_id or the file is temporarily unavailable"),
    ("flyToTheMoon", {}, "Not Found: method not found"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "fields", "words"), REFUSED)
async def test_bad_requests_get_telegrams_words(phone: Phone, method: str, fields: dict[str, Any], words: str) -> None:
    await phone.do(f"{ANNA}/send", text="mine")
    await phone.ok("sendMessage", chat_id=ANNA, text="hi", reply_markup=BUTTON)
    assert await phone.no(method, **fields) == words
    assert words == NOT_MODIFIED_TEXT or NOT_MODIFIED not in words


async def test_limits_hold_exactly_at_their_edge(phone: Phone) -> None:
    await phone.ok("sendMessage", chat_id=ANNA, text="🟢" * 4096)
    data = {"inline_keyboard": [[{"text": "x", "callback_data": "é" * 32, "style": "danger"}]]}
    sent = await phone.ok("sendMessage", chat_id=ANNA, text="x", reply_markup=json.dumps(data))
    assert sent["reply_markup"] == data
    pressing = asyncio.create_task(phone.do(f"{ANNA}/press", message=sent["message_id"], text="x", wait=5))
    (update,) = await phone.ok("getUpdates", timeout=5)
    query = update["callback_query"]
    assert query["data"] == "é" * 32 and query["chat_instance"] and query["message"] == sent
    assert (
        await phone.no("answerCallbackQuery", callback_query_id=query["id"], text="x" * 201)
        == "Bad Request: MESSAGE_TOO_LONG"
    )
    await phone.ok("answerCallbackQuery", callback_query_id=query["id"], text="x" * 200)
    assert (await pressing)["answer"]["text"] == "x" * 200
    assert await phone.no("answerCallbackQuery", callback_query_id=query["id"]) == f"Bad Request: {TOO_OLD}"


async def test_an_old_press_can_no_longer_be_answered(phone: Phone) -> None:
    await phone.ok("sendMessage", chat_id=ANNA, text="x", reply_markup=BUTTON)
    query = (await phone.do(f"{ANNA}/press", message=1, button=0, wait=0))["query"]
    phone.chat.store.state.queries[query].asked -= 3600
    assert await phone.no("answerCallbackQuery", callback_query_id=query) == f"Bad Request: {TOO_OLD}"


async def test_more_than_a_message_a_second_meets_the_flood_limit(phone: Phone) -> None:
    statuses = []
    for number in range(25):
        async with phone.session.post(
            f"{phone.root}/bot{TOKEN}/sendMessage", data={"chat_id": str(ANNA), "text": str(number)}
        ) as answer:
            statuses.append(answer.status)
            if answer.status == 429:
                body = await answer.json()
                assert body["description"] == f"Too Many Requests: retry after {body['parameters']['retry_after']}"
                assert answer.headers["Retry-After"] == str(body["parameters"]["retry_after"])
    assert statuses[:20] == [200] * 20 and 429 in statuses
    assert (await phone.api("sendMessage", chat_id=BEN, text="others are not held up"))[0] == 200


async def test_requests_may_be_forms_queries_or_json(phone: Phone) -> None:
    root = f"{phone.root}/bot{TOKEN}"
    async with phone.session.get(f"{root}/sendMessage", params={"chat_id": "@anna", "text": "q"}) as answer:
        assert (await answer.json())["result"]["text"] == "q"
    async with phone.session.post(f"{root}/SENDMESSAGE", data={"chat_id": ANNA, "text": "f"}) as answer:
        assert (await answer.json())["result"]["chat"] == {
            "id": ANNA, "first_name": "Anna", "username": "anna", "type": "private"}  # fmt: skip
    async with phone.session.post(
        f"{root}/sendMessage", data=b"{", headers={"Content-Type": "application/json"}
    ) as answer:
        assert answer.status == 400
    assert await phone.no("sendMessage", chat_id=ANNA, text="\ud800") == "Bad Request: strings must be encoded in UTF-8"


# -- people, page, memory --------------------------------------------------------------------------------------------


async def test_messages_are_pinned_deleted_and_looked_at(phone: Phone) -> None:
    await phone.ok("sendMessage", chat_id=ANNA, text="one", disable_notification=True)
    await phone.ok("sendMessage", chat_id=ANNA, text="two", reply_markup=BUTTON)
    await phone.ok("pinChatMessage", chat_id=ANNA, message_id=1)
    assert (await phone.ok("getChat", chat_id=ANNA))["pinned_message"]["text"] == "one"
    assert await phone.look(f"{ANNA}/screen") == [
        {"id": 1, "from": "bot", "text": "one", "picture": False, "buttons": []},
        {"id": 2, "from": "bot", "text": "two", "picture": False, "buttons": [["x"]]},
    ]
    seen = await phone.look(f"{ANNA}/messages")
    assert seen["pinned"] == [1] and seen["messages"][0]["silent"] is True
    await phone.ok("deleteMessage", chat_id=ANNA, message_id=1)
    assert [m["text"] for m in (await phone.look(f"{ANNA}/messages?since=0"))["messages"]] == ["two"]
    assert (await phone.look("state"))["people"][0]["unread"] == 1
    await phone.do(f"{ANNA}/read")
    assert (await phone.look("state"))["people"][0]["unread"] == 0


async def test_changes_arrive_as_server_sent_events(phone: Phone) -> None:
    async with phone.session.get(f"{phone.root}/chat/events") as stream:
        await phone.ok("sendChatAction", chat_id=ANNA, action="typing")
        await phone.ok("sendMessage", chat_id=ANNA, text="live")
        kinds = []
        async for line in stream.content:
            if line.startswith(b"data: "):
                event = json.loads(line[6:])
                kinds.append(event["type"])
                if event["type"] == "message":
                    assert event["person"] == ANNA and event["message"]["text"] == "live"
                    break
    assert kinds == ["state", "action", "message"] or kinds[:1] == ["state"]


async def test_blocking_is_an_update_and_writing_unblocks(phone: Phone) -> None:
    await phone.do(f"{BEN}/block", blocked=True)
    assert await phone.no("sendMessage", chat_id=BEN, text="x") == "Forbidden: bot was blocked by the user"
    await phone.do(f"{BEN}/send", text="back")
    kinds = [next(k for k in u if k != "update_id") for u in await phone.ok("getUpdates")]
    assert kinds == ["my_chat_member", "my_chat_member", "message"]
    await phone.ok("sendMessage", chat_id=BEN, text="x")


async def test_everything_is_there_again_after_a_restart(phone: Phone) -> None:
    await phone.do(f"{ANNA}/send", text="/start")
    await phone.ok("sendMessage", chat_id=ANNA, text="card", reply_markup=BUTTON)
    await phone.ok("setMyCommands", commands=[{"command": "help", "description": "Help"}])
    async with application(phone) as app:
        photo = (await app.bot.send_photo(ANNA, picture())).photo[-1].file_id
    before = await phone.ok("getUpdates")
    await phone.chat.close()
    path = phone.chat.store.path
    assert path is not None and path.stat().st_mode & 0o077 == 0
    again = LocalChat(TOKEN, "trellis_demo_bot", PEOPLE, path)
    phone.root = f"http://127.0.0.1:{await again.start('127.0.0.1', 0)}"
    try:
        assert [m["message_id"] for m in (await phone.look(f"{ANNA}/messages"))["messages"]] == [1, 2, 3]
        assert await phone.ok("getUpdates") == before
        assert (await phone.look(f"{ANNA}/commands"))["commands"][0]["command"] == "help"
        assert (await phone.ok("editMessageText", chat_id=ANNA, message_id=2, text="after"))["text"] == "after"
        assert (await phone.ok("sendMessage", chat_id=ANNA, text="next"))["message_id"] == 4
        assert (await phone.ok("getFile", file_id=photo))["file_path"].startswith("photos/")
    finally:
        await again.close()


SERVE = """
import asyncio, sys
from pathlib import Path
from bot.localchat import Options, serve
people = [(1001, "Anna", "anna")]
ready = lambda port: print(port, flush=True)
asyncio.run(serve(Options(sys.argv[1], "trellis_demo_bot", people, Path(sys.argv[2]), ready=ready)))
"""


async def test_a_served_chat_saves_on_sigterm_and_ends_cleanly(tmp_path: Path) -> None:
    async def served() -> tuple[asyncio.subprocess.Process, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", SERVE, TOKEN, str(tmp_path / "chat.json"), stdout=asyncio.subprocess.PIPE, cwd=ROOT
        )
        assert process.stdout is not None
        return process, f"http://127.0.0.1:{int(await process.stdout.readline())}"

    async with aiohttp.ClientSession() as session:
        process, root = await served()
        try:
            await session.post(f"{root}/chat/{ANNA}/send", json={"text": "remember me"})
            waiting = asyncio.create_task(session.get(f"{root}/bot{TOKEN}/getUpdates?timeout=50&offset=2000000000"))
            await asyncio.sleep(0.2)
            process.terminate()
            assert await asyncio.wait_for(process.wait(), 5) == 0
            await asyncio.wait({waiting})
            process, root = await served()
            async with session.get(f"{root}/chat/{ANNA}/messages") as answer:
                assert [m["text"] for m in (await answer.json())["messages"]] == ["remember me"]
        finally:
            process.kill()
            await process.wait()


async def test_a_broken_state_file_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "chat.json").write_text('{"bot": 1}')
    assert LocalChat(TOKEN, "x_bot", PEOPLE, tmp_path / "chat.json").store.state.people.keys() == {ANNA, BEN}
    assert (tmp_path / "chat.json.broken").exists()


async def test_the_page_is_served_whole_and_other_sites_are_kept_out(phone: Phone) -> None:
    for path, kind in (("/", "text/html"), ("/page/chat.css", "text/css"), ("/page/chat.js", "text/javascript")):
        async with phone.session.get(phone.root + path) as answer:
            text = await answer.text()
            assert answer.status == 200 and answer.content_type == kind
            assert "http://" not in text.replace("http://www.w3.org/", "") and "https://" not in text
            assert TOKEN not in text
    async with phone.session.post(
        f"{phone.root}/chat/{ANNA}/send", json={"text": "x"}, headers={"Origin": "http://evil.example"}
    ) as answer:
        assert answer.status == 403
    async with phone.session.get(f"{phone.root}/chat/state", headers={"Host": "evil.example"}) as answer:
        assert answer.status == 403
    async with phone.session.post(f"{phone.root}/chat/{ANNA}/send", data={"text": "x"}) as answer:
        assert answer.status == 415
