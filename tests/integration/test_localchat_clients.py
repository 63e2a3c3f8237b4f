"""Other people's Telegram clients take the local chat for Telegram, and aiogram's models find no field invented."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest
from PIL import Image

from bot.localchat import LocalChat

aiogram = pytest.importorskip("aiogram", reason="aiogram is not installed")
telebot = pytest.importorskip("telebot", reason="pyTelegramBotAPI is not installed")

from aiogram import Bot, Dispatcher, F, methods, types  # noqa: E402
from aiogram.client.session.aiohttp import AiohttpSession  # noqa: E402
from aiogram.client.telegram import TelegramAPIServer  # noqa: E402
from aiogram.exceptions import TelegramBadRequest, TelegramRetryAfter  # noqa: E402
from pydantic import BaseModel, TypeAdapter  # noqa: E402
from telebot import asyncio_helper  # noqa: E402
from telebot.async_telebot import AsyncTeleBot  # noqa: E402

pytestmark = pytest.mark.timeout(60)

TOKEN = "4242:AAE-local_test_token_of_thirty_five_"
ANNA = 1001


@pytest.fixture
async def chat() -> AsyncIterator[tuple[LocalChat, str]]:
    chat = LocalChat(TOKEN, "trellis_demo_bot", [(ANNA, "Anna", "anna")])
    port = await chat.start("127.0.0.1", 0)
    yield chat, f"http://127.0.0.1:{port}"
    await chat.close()


def picture(colour: str = "navy") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 40), colour).save(out, "PNG")
    return out.getvalue()


async def post(url: str, **wish: Any) -> Any:
    async with aiohttp.ClientSession() as session, session.post(url, json=wish) as answer:
        return await answer.json()


def invented(value: Any, path: str = "") -> Iterator[str]:
    """Fields that Telegram's schema does not have."""
    if isinstance(value, BaseModel):
        for name in value.model_extra or {}:
            yield f"{path}.{name}"
        for name in value.model_fields_set:
            yield from invented(getattr(value, name, None), f"{path}.{name}")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from invented(item, f"{path}[{number}]")


MARKUP = {
    "inline_keyboard": [
        [
            {"text": "Stop", "callback_data": "g1:stop", "style": "danger"},
            {"text": "Site", "url": "https://example.org"},
            {"text": "Copy", "copy_text": {"text": "x"}},
        ]
    ]
}
HTML = (
    "<b>b</b> <i>i</i> <code>c</code> <pre><code class='language-py'>x</code></pre> <a href='https://a.org'>l</a> "
    "<tg-spoiler>s</tg-spoiler> <blockquote expandable>q</blockquote> /new #tag $BTC a@b.org https://c.org @somebody "
    "<a href='tg://user?id=1001'>m</a> <tg-time unix='1700000000' format='t'>t</tg-time> "
    "<tg-emoji emoji-id='5'>👍</tg-emoji>"
)
CALLS: list[tuple[str, dict[str, Any]]] = [
    ("GetMe", {}),
    ("SendMessage", {"chat_id": ANNA, "text": HTML, "parse_mode": "HTML", "reply_markup": MARKUP,
                     "link_preview_options": {"is_disabled": True}, "disable_notification": True}),
    ("SendMessage", {"chat_id": ANNA, "text": "re", "reply_parameters": {"message_id": 1}, "protect_content": True}),
    ("EditMessageText", {"chat_id": ANNA, "message_id": 1, "text": "edited", "reply_markup": MARKUP}),
    ("EditMessageReplyMarkup", {"chat_id": ANNA, "message_id": 1}),
    ("PinChatMessage", {"chat_id": ANNA, "message_id": 1}),
    ("GetChat", {"chat_id": ANNA}),
    ("UnpinChatMessage", {"chat_id": ANNA, "message_id": 1}),
    ("DeleteMessage", {"chat_id": ANNA, "message_id": 2}),
    ("SendChatAction", {"chat_id": ANNA, "action": "typing"}),
    ("SetMyCommands", {"commands": [{"command": "help", "description": "Help"}], "language_code": "de"}),
    ("GetMyCommands", {"scope": {"type": "default"}, "language_code": "de"}),
    ("DeleteMyCommands", {"language_code": "de"}),
    ("SetChatMenuButton", {"chat_id": ANNA, "menu_button": {"type": "commands"}}),
    ("GetChatMenuButton", {"chat_id": ANNA}),
    ("SetMyName", {"name": "Trellis"}),
    ("GetMyName", {}),
    ("SetMyDescription", {"description": "Grids"}),
    ("GetMyDescription", {}),
    ("SetMyShortDescription", {"short_description": "Grids"}),
    ("GetMyShortDescription", {}),
    ("GetWebhookInfo", {}),
    ("DeleteWebhook", {"drop_pending_updates": True}),
]  # fmt: skip


async def test_requests_and_answers_fit_aiograms_models_without_an_invented_field(chat: tuple[LocalChat, str]) -> None:
    _, root = chat
    for name, fields in CALLS:
        model = getattr(methods, name)
        assert list(invented(model.model_validate(fields), name)) == []
        body = await post(f"{root}/bot{TOKEN}/{model.__api_method__}", **fields)
        assert body["ok"], (name, body)
        result = TypeAdapter(model.__returning__).validate_python(body["result"])
        assert list(invented(result, name)) == [], json.dumps(body["result"])


async def test_updates_fit_aiograms_models_without_an_invented_field(chat: tuple[LocalChat, str]) -> None:
    _, root = chat
    await post(f"{root}/bot{TOKEN}/sendMessage", chat_id=ANNA, text="card", reply_markup=MARKUP)
    await post(f"{root}/chat/{ANNA}/send", text="/start now", reply_to=1)
    await post(f"{root}/chat/{ANNA}/press", message=1, button=0, wait=0)
    await post(f"{root}/chat/{ANNA}/block", blocked=True)
    await post(f"{root}/chat/{ANNA}/block", blocked=False)
    updates = (await post(f"{root}/bot{TOKEN}/getUpdates"))["result"]
    kinds = [next(k for k in u if k != "update_id") for u in updates]
    assert kinds == ["message", "callback_query", "my_chat_member", "my_chat_member"]
    for update in updates:
        assert list(invented(types.Update.model_validate(update))) == [], json.dumps(update)


async def test_an_aiogram_bot_talks_to_the_local_chat(chat: tuple[LocalChat, str]) -> None:
    local, root = chat
    bot = Bot(TOKEN, session=AiohttpSession(api=TelegramAPIServer.from_base(root)))
    dispatcher = Dispatcher()

    @dispatcher.message(F.text == "/start")
    async def start(message: types.Message) -> None:
        await message.reply("<b>hi</b>", parse_mode="HTML", reply_markup=types.InlineKeyboardMarkup(**MARKUP))

    @dispatcher.callback_query()
    async def press(query: types.CallbackQuery) -> None:
        await query.answer("done")
        await query.message.edit_text("pressed")

    polling = asyncio.create_task(dispatcher.start_polling(bot, handle_signals=False, close_bot_session=False))
    try:
        await post(f"{root}/chat/{ANNA}/send", text="/start")
        async with asyncio.timeout(10):
            while len(local.store.chat(ANNA).posts) < 2:
                await asyncio.sleep(0.02)
        answer = await post(f"{root}/chat/{ANNA}/press", message=2, button=0, wait=5)
        assert answer["answer"]["text"] == "done"
        async with asyncio.timeout(5):
            while local.store.chat(ANNA).posts[2].body["text"] != "pressed":
                await asyncio.sleep(0.02)
        sent = await bot.send_photo(ANNA, types.BufferedInputFile(picture(), "x.png"), caption="map")
        media = types.InputMediaPhoto(media=types.BufferedInputFile(picture("green"), "y.png"), caption="new")
        edited = await bot.edit_message_media(media, chat_id=ANNA, message_id=sent.message_id)
        assert edited.caption == "new"
        file = await bot.download(edited.photo[-1].file_id)
        assert file is not None and file.read() == picture("green")
        with pytest.raises(TelegramBadRequest, match="message is not modified"):
            await bot.edit_message_caption(chat_id=ANNA, message_id=sent.message_id, caption="new")
        await post(f"{root}/chat/flood", seconds=5)
        with pytest.raises(TelegramRetryAfter):
            await bot.send_message(ANNA, "x")
    finally:
        await dispatcher.stop_polling()
        await polling
        await bot.session.close()


async def test_a_pytelegrambotapi_bot_talks_to_the_local_chat(
    chat: tuple[LocalChat, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, root = chat
    monkeypatch.setattr(asyncio_helper, "API_URL", root + "/bot{0}/{1}")
    monkeypatch.setattr(asyncio_helper, "FILE_URL", root + "/file/bot{0}/{1}")
    bot = AsyncTeleBot(TOKEN)
    assert (await bot.get_me()).username == "trellis_demo_bot"
    sent = await bot.send_message(ANNA, "<b>x</b>", parse_mode="HTML")
    assert sent.entities[0].type == "bold"
    assert (await bot.edit_message_text("y", ANNA, sent.message_id)).text == "y"
    await post(f"{root}/chat/{ANNA}/send", text="hello")
    updates = await bot.get_updates(timeout=5)
    assert updates[0].message.text == "hello" and updates[0].message.from_user.id == ANNA
    pictured = await bot.send_photo(ANNA, picture(), caption="map")
    file = await bot.get_file(pictured.photo[-1].file_id)
    assert await bot.download_file(file.file_path) == picture()
    with pytest.raises(telebot.asyncio_helper.ApiTelegramException, match="message to edit not found"):
        await bot.edit_message_text("y", ANNA, 99)
    await bot.close_session()
