"""Backup and restore of the SQLite database, by the commands that a person has."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.acceptance.driver import demo, run, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def people(database: Path) -> list[int]:
    with closing(sqlite3.connect(database)) as opened:
        return [row[0] for row in opened.execute("SELECT id FROM users ORDER BY id")]


def test_a_copy_is_made_put_back_and_the_database_of_before_is_kept(tmp_path: Path) -> None:
    state = ("--data", str(tmp_path))
    assert run("users", "add", "41", *state).returncode == 0
    made = run("backup", *state)
    assert made.returncode == 0, made.stderr
    copy = Path(made.stdout.strip())
    assert copy.parent == tmp_path / "backups"
    assert run("users", "add", "42", *state).returncode == 0
    assert people(tmp_path / "trellis.db") == [41, 42]
    assert run("backup", str(copy), *state).returncode == 1  # never over another copy
    back = run("restore", str(copy), *state)
    assert back.returncode == 0, back.stderr
    assert people(tmp_path / "trellis.db") == [41]
    assert people(tmp_path / "trellis.db.before-1") == [41, 42]


def test_what_is_no_database_and_what_is_not_there_get_one_sentence(tmp_path: Path) -> None:
    state = ("--data", str(tmp_path))
    (tmp_path / "notes.txt").write_text("not a database")
    for arguments in (("restore", str(tmp_path / "notes.txt")), ("restore", str(tmp_path / "none")), ("backup",)):
        ended = run(*arguments, *state)
        assert ended.returncode == 1 and ended.stderr.count("\n") == 1 and "Traceback" not in ended.stderr, ended.stderr
    ended = run("backup", *state, TRELLIS_DATABASE_URL="postgresql://a:b@127.0.0.1:9/c")
    assert ended.returncode == 1 and "pg_dump" in ended.stderr


def test_a_grid_goes_on_from_a_restored_copy_with_what_traded_since(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    with demo(folder, "--seed", "3") as service:
        preview = service.chat.asked("/new BTCUSDT neutral 64000-66000 60 5000u 3x", "Create and start")
        service.chat.press(preview["id"], "create and start")
        service.chat.seen("started", after=preview["id"])
        copy = tmp_path / "copy.db"
        assert run("backup", str(copy), "--data", str(folder)).returncode == 0
        told = run("restore", str(copy), "--data", str(folder))
        assert told.returncode == 1 and "stop it first" in told.stderr
        until(lambda: len(service.books()["fills"]) > 2, "some fills", 60)
        service.kill()
        back = run("restore", str(copy), "--data", str(folder))
        assert back.returncode == 0, back.stderr
        service.start()

        def agrees() -> bool:
            theirs = {fill["id"] for fill in service.books()["fills"]}
            with closing(sqlite3.connect(f"file:{folder / 'trellis.db'}?mode=ro", uri=True)) as opened:
                ours = {row[0] for row in opened.execute("SELECT trade FROM fills")}
            return len(theirs) > 2 and ours == theirs

        until(agrees, "every fill since the copy", 60)
        assert service.end() == 0
