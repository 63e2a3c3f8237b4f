"""The commands of run.py, and the service with token and keys against a sandbox and a chat of their own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.driver import ROOT, Chat, ask, clean_environment, run, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
TOKEN = "1234567890:AAtestTokenOfTheAcceptanceTests_0123456"


def refused(ended: subprocess.CompletedProcess[str]) -> str:
    """The one line on stderr of a command that failed."""
    assert ended.returncode != 0 and ended.stdout == "", ended
    assert ended.stderr.count("\n") == 1 and "Traceback" not in ended.stderr, ended.stderr
    return ended.stderr


@contextmanager
def running(*arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process of run.py and its first line on stdout."""
    process = subprocess.Popen(
        [sys.executable, "run.py", *arguments],
        cwd=ROOT,
        env=clean_environment(**environment),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=15)


# --------------------------------------------------------------------------- mistakes


def test_without_a_token_the_service_says_what_to_set_and_that_the_demo_needs_nothing(tmp_path: Path) -> None:
    said = refused(run("--data", str(tmp_path)))
    assert "TRELLIS_TELEGRAM_TOKEN" in said and "TRELLIS_OWNER_ID" in said and "run.py demo" in said


def test_a_token_without_an_owner_shows_a_code_to_claim_the_bot_with(tmp_path: Path) -> None:
    environment = clean_environment(TRELLIS_TELEGRAM_TOKEN=TOKEN, TRELLIS_TELEGRAM__API="http://127.0.0.1:9")
    process = subprocess.Popen(
        [sys.executable, "run.py", "--data", str(tmp_path)],
        cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        said = ""
        while "users add" not in said:
            line = process.stderr.readline()
            assert line, said
            said += line
        assert "/claim " in said and "TRELLIS_OWNER_ID" in said
        code = said.partition("/claim ")[2][:9]
        logs = "".join(file.read_text() for file in (tmp_path / "log").iterdir())
        assert code not in logs and code.replace("-", "") not in logs
        process.terminate()
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.communicate(timeout=10)


def test_half_of_the_keys_is_refused(tmp_path: Path) -> None:
    environment = {"TRELLIS_TELEGRAM_TOKEN": TOKEN, "TRELLIS_OWNER_ID": "7", "TRELLIS_BINANCE_KEY": "k"}
    assert "TRELLIS_BINANCE_SECRET is not set" in refused(run("--data", str(tmp_path), **environment))


@pytest.mark.parametrize("command", [(), ("demo", "--no-browser"), ("users", "list"), ("check",)])
def test_a_corrupt_settings_file_is_refused_by_every_command(tmp_path: Path, command: tuple[str, ...]) -> None:
    file = tmp_path / "settings.toml"
    file.write_bytes(b"[schedule\naudit_seconds = \x00\n")
    assert "settings.toml" in refused(run(*command, "--settings", str(file), TRELLIS_HOME=str(tmp_path / "home")))


def test_a_database_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "trellis.db").write_bytes(b"no database at all, but long enough to look like a file" * 50)
    assert "database" in refused(run("users", "list", "--data", str(tmp_path)))


def test_a_state_folder_that_cannot_be_written_is_refused() -> None:
    assert "/dev/null" in refused(run("users", "list", "--data", "/dev/null/trellis"))


def test_a_vault_key_that_is_too_short_is_refused_without_being_shown(tmp_path: Path) -> None:
    said = refused(run("keys", "add", "main", "--data", str(tmp_path), stdin="k\ns\n", TRELLIS_VAULT_KEY="short1",
                       TRELLIS_OWNER_ID="7"))  # fmt: skip
    assert "vault" in said and "short1" not in said


# --------------------------------------------------------------------------- people and keys


def test_people_are_added_listed_and_removed(tmp_path: Path) -> None:
    home = ("--data", str(tmp_path))
    assert run("users", "add", "42", "--role", "viewer", *home).returncode == 0
    assert run("users", "add", "43", "--role", "admin", *home).returncode == 0
    listed = run("users", "list", *home).stdout
    assert "42" in listed and "viewer" in listed and "admin" in listed
    assert run("users", "remove", "42", *home).returncode == 0
    assert "42" not in run("users", "list", *home).stdout
    assert "Nobody with the id 42" in refused(run("users", "remove", "42", *home))


def test_keys_are_sealed_listed_without_being_shown_and_forgotten(tmp_path: Path) -> None:
    home = ("--data", str(tmp_path))
    key, secret = "K" * 40 + "visible1", "S" * 40 + "visible2"
    said = refused(run("keys", "add", "main", *home, stdin=f"{key}\n{secret}\n"))
    assert "--owner" in said
    run("users", "add", "7", "--role", "admin", *home)
    assert "two lines" in refused(run("keys", "add", "main", *home, stdin="only-one\n"))
    added = run("keys", "add", "main", *home, stdin=f"{key}\n{secret}\n")
    assert added.returncode == 0, added.stderr
    listed = run("keys", "list", *home)
    assert "main" in listed.stdout and "TESTNET" in listed.stdout
    everything = added.stdout + added.stderr + listed.stdout
    everything += "".join(path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file())
    assert key not in everything and secret not in everything
    assert "exists already" in refused(run("keys", "add", "main", *home, stdin=f"{key}\n{secret}\n"))
    assert run("keys", "remove", "1", *home).returncode == 0
    assert "no account 1" in refused(run("keys", "remove", "1", *home))


# --------------------------------------------------------------------------- check


def test_check_says_line_by_line_what_to_mend(tmp_path: Path) -> None:
    ended = run("check", "--data", str(tmp_path), TRELLIS_TELEGRAM_TOKN="x")
    assert ended.returncode == 1
    lines = dict(line.split(": ", 1) for line in ended.stdout.splitlines())
    assert "did you mean TRELLIS_TELEGRAM_TOKEN" in lines["MEND  settings"]
    assert "vault.key" in lines["ok    vault"]
    assert "trellis.db" in lines["ok    database"]
    assert "users add" in lines["MEND  people"]
    assert "TRELLIS_BINANCE_KEY" in lines["MEND  exchange"]
    assert "TRELLIS_TELEGRAM_TOKEN" in lines["MEND  telegram"]
    assert run("check", "--alive", "--data", str(tmp_path)).returncode == 1


# --------------------------------------------------------------------------- the sandbox and the real service


def test_the_sandbox_tells_its_address_takes_accounts_and_ends_in_order(tmp_path: Path) -> None:
    options = ("--account", "one:secret1:500", "--account", "two:secret2:7", "--seed", "3", "--limits", "off")
    with running("sandbox", *options, "--state", str(tmp_path / "state.json")) as (process, address):
        assert ask(f"{address}/fapi/v1/ping") == {}
        books = ask(f"{address}/sandbox/books?account=two")
        assert [row["balance"].rstrip("0") for row in books["balances"] if row["asset"] == "USDT"] == ["7."]
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert (tmp_path / "state.json").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--account", "nonsense"), "KEY:SECRET:USDT"),
        (("--limits", "maybe"), "real or off"),
        (("--replay", "none.csv"), "no file"),
    ],
)
def test_a_sandbox_with_wrong_options_is_refused(options: tuple[str, ...], says: str) -> None:
    assert says in refused(run("sandbox", *options))


@contextmanager
def world(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A sandbox and a chat, and the environment of a service between them."""
    with (
        running("sandbox") as (_, exchange),
        running("chat", TRELLIS_PROCESS_TOKEN=TOKEN) as (_, page),
    ):
        yield {
            "TRELLIS_HOME": str(tmp_path),
            "TRELLIS_TELEGRAM_TOKEN": TOKEN,
            "TRELLIS_OWNER_ID": "1001",
            "TRELLIS_BINANCE_KEY": "sandboxkey",
            "TRELLIS_BINANCE_SECRET": "sandboxsecret",
            "TRELLIS_EXCHANGE__URL": exchange,
            "TRELLIS_TELEGRAM__API": page.rstrip("/"),
        }


def test_the_service_trades_with_token_and_keys_and_ends_in_order_as_in_a_container(tmp_path: Path) -> None:
    with world(tmp_path) as environment:
        checked = run("check", **environment)
        assert checked.returncode == 0, checked.stdout
        assert "10000 USDT" in checked.stdout and "@trellis_demo_bot" in checked.stdout
        service = subprocess.Popen(
            ["sh", "scripts/entry.sh"], cwd=ROOT, env=clean_environment(PYTHON=sys.executable, **environment)
        )
        try:
            until(lambda: run("check", "--alive", **environment).returncode == 0, "the health check")
            chat = Chat(environment["TRELLIS_TELEGRAM__API"] + "/")
            made = chat.asked("/new ETHUSDT neutral 2900-3500 20 2000u 3x", "create and start")
            chat.press(made["id"], "create and start")
            chat.seen("started", "20 orders placed")
            service.send_signal(signal.SIGTERM)
            began = time.monotonic()
            assert service.wait(15) == 0 and time.monotonic() - began < 10
            orders = ask(f"{environment['TRELLIS_EXCHANGE__URL']}/sandbox/books?account=sandboxkey")["orders"]
            assert sum(order["status"] == "NEW" for order in orders) >= 15, "orders stay on the exchange"
            assert run("check", "--alive", **environment).returncode == 1
        finally:
            if service.poll() is None:
                service.kill()
                service.wait()


def test_wrong_keys_are_named_by_check_and_by_the_chat(tmp_path: Path) -> None:
    with world(tmp_path) as environment:
        environment["TRELLIS_BINANCE_KEY"] = "wrongkey"
        checked = run("check", **environment)
        assert checked.returncode == 1
        line = next(line for line in checked.stdout.splitlines() if "DEMO" in line)
        assert line.startswith("MEND") and ("-2015" in line or "-2014" in line)
        service = subprocess.Popen([sys.executable, "run.py"], cwd=ROOT, env=clean_environment(**environment))
        try:
            chat = Chat(environment["TRELLIS_TELEGRAM__API"] + "/")
            until(lambda: run("check", "--alive", **environment).returncode == 0, "the service")
            answer = chat.asked("/new ETHUSDT neutral 2900-3500 20 2000u 3x", "sandbox")
            assert not [text for row in answer["buttons"] for text in row if "create" in text.lower()]
        finally:
            service.terminate()
            assert service.wait(15) == 0


def test_the_entry_point_says_when_its_volume_cannot_be_written() -> None:
    ended = subprocess.run(
        ["sh", "scripts/entry.sh"],
        cwd=ROOT,
        env=clean_environment(PYTHON=sys.executable, TRELLIS_HOME="/dev/null/data"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1 and "cannot be written" in ended.stderr


def test_every_command_has_help() -> None:
    for command in ((), ("demo",), ("sandbox",), ("check",), ("keys", "add"), ("users", "add"), ("users", "list")):
        ended = run(*command, "--help")
        assert ended.returncode == 0 and "--debug" in ended.stdout, command
