"""Who may import whom (architecture.md §2), read off the source."""

from __future__ import annotations

import ast
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("trading", "alerts", "storage", "bot", "service")
TOP = ("run", "service")
"""Those that know everyone."""

READS_FILES = {"backtest", "columns", "tape"}
"""Modules directly in trading/ that are not pure."""
WIRE = ("trading.gateways.binance.wire", "trading.gateways.binance.answers", "trading.gateways.binance.frames")
PURE = (
    *(
        f"trading.{path.stem}"
        for path in (ROOT / "trading").glob("*.py")
        if path.stem not in {"__init__", *READS_FILES}
    ),
    "trading.core",
    "trading.parameters",
    "trading.plan",
    "trading.strategies",
    *WIRE,
)
IMPURE_LIBRARY = {
    *("asyncio", "concurrent", "logging", "multiprocessing", "os", "pathlib", "random", "secrets", "selectors"),
    *("socket", "sqlite3", "ssl", "subprocess", "tempfile", "threading", "time", "urllib", "uuid", "warnings"),
}
CLOCKS = {"now", "utcnow", "today"}

FORBIDDEN = {
    # a place: what it must not import
    "trading": ("bot", "alerts", "storage"),
    "alerts": ("bot", "storage"),
    "storage": ("bot", "alerts", "trading.live", "trading.sandbox", "trading.gateways"),
    "trading.strategies": ("trading.core", "trading.gateways", "trading.live", "trading.sandbox"),
    "trading.core": ("trading.gateways", "trading.live", "trading.sandbox"),
    "trading.gateways": ("trading.live", "trading.sandbox"),
    "trading.sandbox": ("trading.live", "trading.gateways.catalog", "trading.gateways.binance.gateway"),
    "trading.live": ("trading.sandbox",),
    "bot": ("trading.sandbox", "trading.gateways"),
    "bot.localchat": ("trading", "storage", "alerts"),
}
ONLY_IN_ITS_HOUSE = {
    # a library: the only places that may import it
    "telegram": ("bot",),
    "typer": TOP,
    "apscheduler": ("alerts.schedule",),
    "ccxt": ("trading.gateways.ccxt_gateway",),
    "cryptography": ("storage.vault", "trading.gateways.binance.signing", "trading.sandbox.auth"),
    "sqlalchemy": ("storage",),
    "sqlmodel": ("storage",),
    "pydantic_settings": ("service.settings",),
}


def modules() -> dict[str, ast.Module]:
    """Every module of the project by its dotted name."""
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")] + list(ROOT.glob("*.py"))
    found = {}
    for path in files:
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        found[name] = ast.parse(path.read_text("utf-8"), str(path))
    return found


MODULES = modules()


def imports(name: str, at_the_head_only: bool = False) -> set[str]:
    """The dotted names that module `name` imports; of our own packages down to the module."""
    found: set[str] = set()
    tree = MODULES[name]
    for node in tree.body if at_the_head_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: imports are absolute"
            base = node.module or ""
            inner = {f"{base}.{alias.name}" for alias in node.names if f"{base}.{alias.name}" in MODULES}
            found |= inner or {base}
    return found


def is_in(name: str, places: tuple[str, ...] | str) -> bool:
    """Whether module `name` is one of `places` or inside one."""
    places = (places,) if isinstance(places, str) else places
    return any(name == place or name.startswith(place + ".") for place in places)


@pytest.mark.parametrize("place", FORBIDDEN)
def test_a_place_imports_nothing_that_it_must_not_know(place: str) -> None:
    wrong = [
        f"{name} imports {other}"
        for name in MODULES
        if is_in(name, place)
        for other in imports(name)
        if is_in(other, FORBIDDEN[place]) and not is_in(other, WIRE)
    ]
    assert not wrong


def test_nobody_imports_run_and_the_service_but_they_themselves() -> None:
    wrong = [
        f"{name} imports {other}"
        for name in MODULES
        if not is_in(name, TOP)
        for other in imports(name)
        if is_in(other, TOP)
    ]
    assert not wrong


def test_pure_modules_import_only_the_standard_library_msgspec_and_each_other() -> None:
    wrong = []
    for name in (name for name in MODULES if is_in(name, PURE)):
        for other in imports(name):
            top = other.partition(".")[0]
            allowed = top == "msgspec" or is_in(other, PURE) or top in sys.stdlib_module_names - IMPURE_LIBRARY
            if not allowed:
                wrong.append(f"{name} imports {other}")
    assert not wrong


def test_pure_modules_ask_no_clock() -> None:
    wrong = [
        f"{name}:{node.lineno} calls {node.func.attr}()"
        for name in MODULES
        if is_in(name, PURE)
        for node in ast.walk(MODULES[name])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CLOCKS
    ]
    assert not wrong


def test_only_the_catalog_names_the_venues() -> None:
    wrong = [
        f"{name} imports {other}"
        for name in MODULES
        if not is_in(name, ("trading.gateways", "trading.sandbox"))
        for other in imports(name)
        if is_in(other, "trading.gateways") and other not in ("trading.gateways", "trading.gateways.catalog")
    ]
    assert not wrong


@pytest.mark.parametrize("library", ONLY_IN_ITS_HOUSE)
def test_a_library_is_imported_only_in_its_house(library: str) -> None:
    wrong = [
        f"{name} imports {other}"
        for name in MODULES
        if not is_in(name, ONLY_IN_ITS_HOUSE[library])
        for other in imports(name)
        if is_in(other, library)
    ]
    assert not wrong


def test_no_two_modules_import_each_other_even_by_way_of_others() -> None:
    graph = {name: {other for other in imports(name, at_the_head_only=True) if other in MODULES} for name in MODULES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {error.args[1]}")


def test_the_rules_see_a_wrong_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODULES, "trading.core.engine", ast.parse("import time\nfrom storage import tables\n"))
    with pytest.raises(AssertionError):
        test_pure_modules_import_only_the_standard_library_msgspec_and_each_other()
    with pytest.raises(AssertionError):
        test_a_place_imports_nothing_that_it_must_not_know("trading")
