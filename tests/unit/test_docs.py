"""Every one-line grid that a reader is shown can be typed as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot import sentences
from docs import diagrams
from trading.parameters import clean
from trading.parameters.line import parse_line
from trading.views import Declined

ROOT = Path(__file__).resolve().parents[2]
LINE = re.compile(r"(?:/new )?([A-Z]{3,10}USDT(?: (?:long|neutral|short))? \d[\d,.]*-\d[\d,.]* [^\n`\"<]*)")


def texts() -> dict[str, str]:
    """What readers see, by where it stands."""
    files = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "settings.toml", *(ROOT / "docs").rglob("*.md")]
    files += [path for path in (ROOT / "examples").rglob("*") if path.is_file()]
    found = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in files}
    found["the bot's sentences"] = "\n".join(sentences.SENTENCES.values())
    return found


EXAMPLES = [
    pytest.param(line.strip().rstrip(".,:)"), id=f"{place}: {line}")
    for place, text in texts().items()
    for line in LINE.findall(text)
]


@pytest.mark.parametrize("line", EXAMPLES)
def test_an_example_line_is_a_grid_that_may_be_created(line: str) -> None:
    assert clean(parse_line(line)).symbol


def test_the_readme_and_the_help_each_show_an_example() -> None:
    places = {str(each.id).partition(":")[0] for each in EXAMPLES}
    assert {"README.md", "the bot's sentences"} <= places


def test_a_wrong_example_would_be_seen() -> None:
    with pytest.raises(Declined):
        clean(parse_line("BTCUSDT long 58000-72000 40 5000u 5x sl=60000"))


def test_the_links_of_the_readme_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", (ROOT / "README.md").read_text("utf-8")):
        assert (ROOT / target).exists(), target


def test_no_project_file_names_an_address_of_this_machine_or_a_registry() -> None:
    for place in ("requirements.lock", "requirements-dev.lock", "pyproject.toml", "Dockerfile", "scripts/setup.sh"):
        text = (ROOT / place).read_text("utf-8")
        assert "://" not in text.replace("://…", ""), place


def test_the_diagrams_are_those_of_the_tables() -> None:
    assert (ROOT / "docs" / "lifecycle.md").read_text("utf-8") == diagrams.page(), "run: python -m docs.diagrams"
