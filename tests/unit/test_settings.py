"""Settings and logs: what is accepted, what is refused with which sentence, and what is never shown."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import structlog

from service import logs, settings


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("TRELLIS_"):
            monkeypatch.delenv(name)


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "settings.toml"
    file.write_text(text)
    return file


def test_the_file_of_the_project_is_accepted_and_names_every_setting_with_its_default() -> None:
    found = settings.load()
    assert found == settings.Settings()
    text = settings.FILE.read_text()
    for section in settings.FROM_FILE:
        for name in type(getattr(found, section)).model_fields:
            assert f"\n{name} = " in text, f"settings.toml should show {section}.{name}"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[schedule]\naudit_second = 5\n", "did you mean 'audit_seconds'?"),
        ("[shedule]\naudit_seconds = 60\n", "did you mean [schedule]?"),
        ("[schedule]\naudit_seconds = 1\n", "greater than or equal to 5"),
        ("[schedule]\naudit_seconds = 'often'\n", "valid integer"),
        ("schedule = 3\n", "schedule is not usable"),
        ("[log]\nlevel = 'loud'\n", "log.level is not usable"),
        ("[telegram]\napi = 'telegram'\n", "telegram.api is not usable"),
        ("telegram_token = '1:A'\n", "set TRELLIS_TELEGRAM_TOKEN in the environment"),
        ("[schedule\n", "is not valid TOML"),
    ],
)
def test_a_wrong_file_is_refused_with_one_sentence(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(settings.BadSettings) as refusal:
        settings.load(written(tmp_path, text))
    assert says in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_file_of_random_bytes_is_refused_with_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_bytes(bytes(range(128, 256)))
    with pytest.raises(settings.BadSettings, match="not a text file"):
        settings.load(file)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(settings.BadSettings, match="is missing"):
        settings.load(tmp_path / "none.toml")


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path, "[schedule]\naudit_seconds = 30\nrules_hours = 12\n")
    monkeypatch.setenv("TRELLIS_SCHEDULE__AUDIT_SECONDS", "45")
    found = settings.load(file)
    assert (found.schedule.audit_seconds, found.schedule.rules_hours) == (45, 12)


def test_the_environment_chooses_testnet_or_mainnet_and_testnet_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.load().environment == "testnet"
    monkeypatch.setenv("TRELLIS_BINANCE_ENVIRONMENT", "mainnet")
    assert settings.load().environment == "mainnet"
    monkeypatch.setenv("TRELLIS_BINANCE_ENVIRONMENT", "moon")
    with pytest.raises(settings.BadSettings, match="TRELLIS_BINANCE_ENVIRONMENT is not usable"):
        settings.load()


def test_the_state_folder_moves_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRELLIS_HOME", str(tmp_path))
    assert settings.load().database == f"sqlite+aiosqlite:///{tmp_path / 'trellis.db'}"


def test_a_secret_is_in_no_repr_and_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRELLIS_TELEGRAM_TOKEN", "123456:hush-hush")
    monkeypatch.setenv("TRELLIS_BINANCE_SECRET", "hush-hush")
    assert "hush" not in repr(settings.load())
    monkeypatch.setenv("TRELLIS_OWNER_ID", "hush-hush")
    with pytest.raises(settings.BadSettings) as refusal:
        settings.load()
    assert "hush" not in str(refusal.value)


def test_a_misspelt_variable_is_named_with_its_neighbour_and_the_tests_own_is_not() -> None:
    found = settings.strays({"TRELLIS_TELEGRAM_TOKN": "x", "TRELLIS_DATA": "y", "TRELLIS_OWNER_ID": "1", "HOME": "z"})
    assert found == ["TRELLIS_TELEGRAM_TOKN is not read by anything; did you mean TRELLIS_TELEGRAM_TOKEN?"]


def test_no_setting_bears_the_name_of_the_tests_variable() -> None:
    assert "data" not in settings.Settings.model_fields


# --------------------------------------------------------------------------- logs


@pytest.fixture
def log_file(tmp_path: Path):
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    masking = logs.set_up(tmp_path / "log" / "trellis.log", "debug", masking=logs.Masking(["sandboxsecret"]))
    masking.add("later-secret")
    yield tmp_path / "log" / "trellis.log"
    for handler in root.handlers:
        handler.close()
    root.handlers = handlers
    root.setLevel(level)


def lines(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_every_line_is_one_json_object_with_time_level_and_logger(log_file: Path) -> None:
    structlog.get_logger("one").info("hello", bot=7)
    logging.getLogger("two").warning("number %d", 3, extra={"account": "a"})
    first, second = lines(log_file)
    assert first["event"] == "hello" and first["bot"] == 7 and first["logger"] == "one" and first["level"] == "info"
    assert second["event"] == "number 3" and second["account"] == "a" and "timestamp" in second


def test_secrets_are_masked_in_messages_fields_urls_and_tracebacks(log_file: Path) -> None:
    token = "1234567890:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc"
    key = "a" * 60 + "B1c2"
    out = logging.getLogger("x")
    out.info("sandboxsecret and later-secret")
    out.info("POST https://host/bot%s/getMe?listenKey=abc&signature=00ff", token)
    out.info("signed", extra={"api_secret": "short", "deep": {"token": "short", "list": [key]}})
    out.info("postgresql://trellis:pa55word@db/trellis")
    try:
        raise RuntimeError(f"refused for {key}")
    except RuntimeError:
        out.exception("failed")
    text = log_file.read_text()
    for secret in ("sandboxsecret", "later-secret", token, "short", key, "pa55word", "00ff", "=abc"):
        assert secret not in text
    assert "RuntimeError" in text


def test_httpx_does_not_log_the_urls_it_calls(log_file: Path) -> None:
    logging.getLogger("httpx").info("HTTP Request: POST https://host/bot1:x/getUpdates")
    assert not log_file.exists() or not log_file.read_text()


def test_a_full_log_is_rotated(tmp_path: Path) -> None:
    handler = logs._handler(tmp_path / "trellis.log", 1, 2)
    for _ in range(11):
        handler.emit(logging.makeLogRecord({"msg": "x" * 100_000}))
    handler.close()
    assert (tmp_path / "trellis.log.1").exists()
