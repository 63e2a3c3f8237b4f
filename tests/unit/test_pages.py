"""The docs' pages do what they say: sessions run as printed, tables are complete, pictures are there."""

from __future__ import annotations

import doctest
import re
import shlex
from pathlib import Path

import pytest
import typer.main

from docs import pictures
from run import app
from trading import backtest
from trading.messages import Reason
from trading.parameters import clean, parse_line
from trading.tape import symbol_of

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = sorted(DOCS.glob("*.md"))
SESSION = re.compile(r"^```python\n(>>> .*?)^```$", re.DOTALL | re.MULTILINE)
WITH_SESSIONS = [page for page in PAGES if SESSION.search(page.read_text("utf-8"))]
PICTURE = re.compile(r"!\[([^\]]*)\]\((pictures/[^)]+)\)")


@pytest.mark.parametrize("page", WITH_SESSIONS, ids=lambda p: p.name)
def test_the_sessions_of_a_page_run_as_printed(page: Path) -> None:
    text = page.read_text("utf-8")
    names: dict[str, object] = {}
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    said: list[str] = []
    for found in SESSION.finditer(text):
        line = text[: found.start(1)].count("\n")
        test = doctest.DocTestParser().get_doctest(found[1], names, page.name, str(page), line)
        runner.run(test, out=said.append, clear_globs=False)
        names.update(test.globs)
    assert not runner.failures, "".join(said)
    assert runner.tries > 5


def test_the_table_of_reasons_names_each_once() -> None:
    table = (DOCS / "grid.md").read_text("utf-8").partition("<!-- reasons -->")[2].partition("<!-- /reasons -->")[0]
    named = re.findall(r"^\| `(\w+)` \| \S", table, re.MULTILINE)
    assert sorted(named) == sorted(reason.value for reason in Reason)


def test_every_picture_is_shown_and_every_shown_one_is_drawn(tmp_path: Path) -> None:
    pictures.draw(tmp_path)
    drawn = {path.name: path for path in tmp_path.iterdir()}
    shown = {Path(target).name: words for page in PAGES for words, target in PICTURE.findall(page.read_text("utf-8"))}
    assert drawn.keys() == shown.keys() == {path.name for path in (DOCS / "pictures").iterdir()}
    assert all(words for words in shown.values()), "a picture says in words what it shows"
    for name, path in drawn.items():
        assert path.read_bytes().startswith(b"\x89PNG"), name
        assert (DOCS / "pictures" / name).stat().st_size < 150_000, name


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


# --------------------------------------------------------------------------- the page of backtests

BACKTEST = (DOCS / "backtest.md").read_text("utf-8")
COMMANDS = re.findall(r"^python run\.py backtest (.*)$", BACKTEST, re.MULTILINE)
COMMAND = typer.main.get_command(app).commands["backtest"]  # type: ignore[attr-defined]


def named(heading: str) -> list[str]:
    """What the first column of the table under `heading` names."""
    table = BACKTEST.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return [name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`([^`]+)`", row)]


@pytest.mark.parametrize("line", COMMANDS)
def test_a_backtest_of_the_page_can_be_asked_for_as_it_stands(line: str) -> None:
    asked = COMMAND.make_context("backtest", shlex.split(line)).params
    assert asked["files"] and asked["grid"]
    for grid in asked["grid"]:
        found = parse_line(grid)
        found.setdefault("symbol", symbol_of(asked["files"][0]) or "")
        clean(found)


def test_the_page_names_every_option() -> None:
    options = {name for param in COMMAND.params for name in param.opts if name.startswith("--")}
    assert COMMANDS
    assert set(named("Options")) == options - {"--help"}


def test_the_page_names_every_field() -> None:
    assert named("The numbers") == [*backtest.FIELDS, "seconds", "margin_refusals", "liquidated"]
