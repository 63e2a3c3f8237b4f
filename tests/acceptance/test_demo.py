"""The demo as a newcomer meets it: one command, one address, a grid by thumb, a clear sentence for mistakes."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from service.demo import Child, Record, free_port, second
from service.wiring import Held
from tests.acceptance.driver import Chat, Service, alive, ask, demo, run, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def living(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A demo that all tests of this file share."""
    with demo(tmp_path_factory.mktemp("living")) as service:
        yield service


def test_a_grid_is_made_by_pressing_buttons_and_its_pairs_are_told(living: Service) -> None:
    chat = living.chat
    wizard = chat.asked("/new", "What should be traded")["id"]
    steps = (
        ("BTCUSDT", "which way"),
        ("neutral", "between which prices"),
        ("±5%", "how many grids"),
        ("60 ·", "how much do you invest"),
        ("50%", "which leverage"),
        ("5x", "preview"),
    )
    for caption, question in steps:
        chat.press(wizard, caption)
        until(lambda asks=question: asks in chat.message(wizard)["text"].lower(), question)  # type: ignore[misc]
    preview = chat.message(wizard)["text"]
    for word in ("DEMO", "Net profit per grid", "Worst-case loss", "Grids  60 · step", "5,000.00 USDT"):
        assert word in preview
    assert living.books()["orders"] == [], "nothing is traded before it is confirmed"
    chat.press(wizard, "create and start")
    assert "started" in chat.seen("60 orders placed")["text"]
    assert sum(order["status"] == "NEW" for order in living.books()["orders"]) >= 50
    pair = chat.seen("pair", "pairs so far", seconds=150)
    assert "DEMO" in pair["text"] and len(living.books()["fills"]) >= 2
    card = chat.asked("/grid 1", "orders resting", "floating pnl")["text"]
    assert "Running" in card and "Grid profit" in card


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("BTCUSTD neutral 58000-72000 40 5000u", "Did you mean BTCUSDT"),
        ("BTCUSDT neutral 72000-58000 40 5000u", "must be above"),
        ("ETHUSDT neutral 9000-9900 10 2000u", "outside the range"),
        ("ETHUSDT neutral 2800-3600 1 500u", "least is 2"),
        ("ETHUSDT neutral 2800-3600 501 500u", "most is 500"),
        ("ETHUSDT neutral 2800-3600 20 500u 500x", "leverage"),
        ("ETHUSDT neutral 2800-3600 40 3u", "Invest at least"),
        ("ETHUSDT neutral 2800-3600 40 999999u", "more than is free"),
        ("x" * 4096, "too long"),
    ],
)
def test_a_bad_line_gets_one_clear_answer_and_creates_nothing(living: Service, line: str, answer: str) -> None:
    before = len(living.books()["orders"])
    living.chat.say("/cancel")
    said = living.chat.asked(f"/new {line}"[:4096], answer)
    assert not [text for row in said["buttons"] for text in row if "start" in text.lower()]
    assert abs(len(living.books()["orders"]) - before) < 20, "only the running grid may have traded"


def test_a_stranger_gets_one_sentence_and_nothing_else(living: Service) -> None:
    ask(f"{living.chat.page}chat/people", {"id": 2002, "first_name": "Mallory"})
    stranger = Chat(living.chat.page, 2002)
    first = stranger.asked("/start", "2002")
    assert not first["buttons"]
    for text in ("/grids", "/stop 1", "/balance"):
        stranger.say(text)
    time.sleep(2)
    assert len([m for m in stranger.screen() if m["from"] == "bot"]) == 1


def test_a_second_instance_is_refused_and_the_first_goes_on(living: Service) -> None:
    refused = run("demo", "--no-browser", "--data", str(living.folder))
    assert refused.returncode == 1 and refused.stdout == ""
    pid = living.process.pid if living.process is not None else 0
    assert f"already runs: {living.chat.page} (process {pid}" in refused.stderr and refused.stderr.count("\n") == 1
    assert living.chat.asked("/version", "Trellis")
    assert all(alive(living.record[kind]["pid"]) for kind in ("sandbox", "chat"))


def test_a_page_that_is_not_the_holders_or_does_not_answer_is_not_named(tmp_path: Path) -> None:
    held = Held("Trellis runs on this database already.", 4711)
    assert asyncio.run(second(tmp_path, held)) is held
    for service in (4711, 4712):
        record = Record(service, chat=Child(1, free_port(), "token"))
        (tmp_path / "demo.json").write_bytes(msgspec.json.encode(record))
        assert asyncio.run(second(tmp_path, held)) is held
    (tmp_path / "demo.json").write_text("damaged")
    assert asyncio.run(second(tmp_path, held)) is held


def test_the_record_and_the_vault_key_are_for_their_owner_only(living: Service) -> None:
    for name in ("demo.json", "vault.key"):
        assert stat.S_IMODE((living.folder / name).stat().st_mode) == 0o600


def test_no_secret_is_in_the_logs(living: Service) -> None:
    text = "".join(file.read_text() for file in (living.folder / "log").iterdir())
    record = living.record
    for secret in ("sandboxsecret", record["chat"]["token"], record["sandbox"]["token"]):
        assert secret not in text


# --------------------------------------------------------------------------- beginning and ending


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_demo_ends_all_three_within_ten_seconds_and_goes_on_from_there(tmp_path: Path, number: int) -> None:
    folder = tmp_path / "demo"
    with demo(folder) as service:
        service.chat.seen("New grid", after=service.chat.say("/start"))
        made = service.chat.asked("/new BTCUSDT neutral 58000-72000 40 5000u 5x", "create and start")
        service.chat.press(made["id"], "create and start")
        service.chat.seen("started", after=made["id"])
        page, pids = service.chat.page, [service.record[kind]["pid"] for kind in ("sandbox", "chat")]
        names = {order["clientOrderId"] for order in service.books()["orders"]}
        began = time.monotonic()
        assert service.end(number) == 0
        assert time.monotonic() - began < 10
        assert not any(alive(pid) for pid in pids)
    with demo(folder) as service:
        assert service.chat.page == page
        assert names <= {order["clientOrderId"] for order in service.books()["orders"]}
        assert service.chat.message(made["id"])
        assert service.chat.asked("/grids", "BTCUSDT")


def test_what_was_asked_of_a_dead_service_is_answered_once_it_knows_its_grids(tmp_path: Path) -> None:
    with demo(tmp_path / "demo") as service:
        preview = service.chat.asked("/new BTCUSDT neutral 58000-72000 40 5000u 5x", "Net profit per grid")
        service.chat.press(preview["id"], "Create and start")
        service.chat.seen("40 orders placed")
        service.kill()
        asked = service.chat.say("/grids")
        service.start()
        assert "BTCUSDT neutral #1" in service.chat.seen("My grids", after=asked)["text"]


def test_fresh_ends_a_living_demo_and_forgets_everything(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    with demo(folder) as first:
        first.chat.say("/start")
        old = [first.record[kind]["pid"] for kind in ("sandbox", "chat")]
        with demo(folder, "--fresh") as other:
            assert first.process is not None and first.process.wait(10) == 0
            assert not any(alive(pid) for pid in old)
            assert other.chat.screen() == []


def test_fresh_deletes_nothing_in_a_folder_that_is_no_demo(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    refused = run("demo", "--no-browser", "--fresh", "--data", str(tmp_path))
    assert refused.returncode == 1 and "nothing was deleted" in refused.stderr
    assert (tmp_path / "thesis.txt").exists()


def test_a_dead_chat_is_started_again_on_its_port_and_a_living_sandbox_is_joined(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    with demo(folder) as service:
        page, sandbox = service.chat.page, service.record["sandbox"]["pid"]
        service.kill()

        os.kill(service.record["chat"]["pid"], signal.SIGKILL)
        service.start()
        assert (service.chat.page, service.record["sandbox"]["pid"]) == (page, sandbox)
        assert service.chat.asked("/start", "New grid")
        other = Service(folder, "--seed", "99")
        service.kill()
        refused = run("demo", "--no-browser", "--data", str(folder), *other.options)
        assert refused.returncode == 1 and "--seed" in refused.stderr and "--fresh" in refused.stderr
        assert alive(sandbox), "a refusal ends nobody"
        service.start()


def test_a_given_port_that_is_taken_is_refused(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = run("demo", "--no-browser", "--data", str(tmp_path / "demo"), "--port", str(port))
    assert refused.returncode == 1 and refused.stdout == ""
    assert f"Port {port} is taken" in refused.stderr


def test_a_tape_that_is_not_there_is_refused(tmp_path: Path) -> None:
    refused = run("demo", "--no-browser", "--data", str(tmp_path / "demo"), "--replay", "BTCUSDT=none.csv")
    assert refused.returncode == 1 and "no file" in refused.stderr and refused.stderr.count("\n") == 1


def test_a_tape_that_is_no_tape_is_refused_with_the_sandboxs_own_words(tmp_path: Path) -> None:
    bad = tmp_path / "BTCUSDT.csv"
    bad.write_text("these,are,no,candles\nnot,at,all,1\n")
    refused = run("demo", "--no-browser", "--data", str(tmp_path / "demo"), "--replay", str(bad))
    assert refused.returncode == 1 and "BTCUSDT.csv" in refused.stderr and "Traceback" not in refused.stderr
