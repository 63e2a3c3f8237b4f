"""`run.py backtest` as a person calls it: files in, numbers, JSON and a picture out, one clear line for mistakes."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from decimal import Decimal as D
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from run import app

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("TRELLIS_DATA") or ROOT.parent / "shared" / "data")
pytestmark = pytest.mark.timeout(120)
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"no recorded data in {DATA}")

HEADER = "open_time,open,high,low,close,volume\n"
GRID = "BTCUSDT neutral 60000-70000 10 per_order=0.010"
FIELDS = [
    "candles", "first", "last", "levels", "quantities", "fills", "pairs", "matched", "unmatched", "fees", "funding",
    "total", "position", "avg_entry", "max_position", "max_drawdown", "grid_apr", "total_apr", "seconds",
]  # fmt: skip


def called(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["backtest", *map(str, arguments)])


def numbers(*arguments: object) -> dict[str, object]:
    ended = called(*arguments, "--json")
    assert ended.exit_code == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert isinstance(found, dict)
    return found


def refused(*arguments: object) -> str:
    ended = called(*arguments)
    assert ended.exit_code != 0 and ended.stdout == "", ended
    assert ended.stderr.count("\n") == 1 and "Traceback" not in ended.stderr, ended.stderr
    return ended.stderr


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    """Two days of hours that swing between 63,900 and 66,100."""
    rows = "".join(f"{hour * 3_600_000},65000,66100,63900,65000,1\n" for hour in range(48))
    file = tmp_path / "tape.csv"
    file.write_text(HEADER + rows)
    return file


def test_as_a_process_it_prints_one_document(tape: Path) -> None:
    command = [sys.executable, "run.py", "backtest", str(tape), "--grid", GRID, "--json"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=True)
    assert json.loads(ended.stdout)["candles"] == 48 and ended.stdout.count("\n") == 1 and ended.stderr == ""


def test_the_json_has_the_fields_of_the_specification_and_nothing_else_is_on_stdout(tape: Path) -> None:
    found = numbers(tape, "--grid", GRID)
    assert list(found) == FIELDS
    assert (found["candles"], found["first"], found["last"], found["fills"]) == (48, "65000", "65000", 192)
    assert found["levels"] == [str(price) for price in range(60000, 71000, 1000)]
    assert found["quantities"] == ["0.01"] * 10
    money = {name: D(str(found[name])) for name in ("matched", "unmatched", "funding", "total", "fees")}
    assert money["total"] == money["matched"] + money["unmatched"] + money["funding"]
    assert D(str(found["grid_apr"])) > 0 and isinstance(found["seconds"], float)


def test_fees_rules_and_matching_follow_the_options(tape: Path) -> None:
    free = numbers(tape, "--grid", GRID, "--fee-maker", "0", "--fee-taker", "0")
    assert free["fees"] == "0"
    strict = numbers(tape, "--grid", GRID.replace("10 ", "100 "), "--fill", "through")
    loose = numbers(tape, "--grid", GRID.replace("10 ", "100 "))
    assert int(str(strict["fills"])) < int(str(loose["fills"]))
    assert (
        numbers(tape, "--grid", "BTCUSDT neutral 60000-70000 10 1000u", "--lot", "0.0001", "--reserve", "0")[
            "quantities"
        ]
        != numbers(tape, "--grid", "BTCUSDT neutral 60000-70000 10 1000u", "--lot", "0.0001")["quantities"]
    )
    weighted = numbers(tape, "--grid", "BTCUSDT long 60000-70000 10 1000u 5x", "--sizing", "weighted")
    assert len(set(weighted["quantities"])) > 2  # type: ignore[arg-type]


def test_files_are_joined_and_the_symbol_may_come_from_their_name(tape: Path, tmp_path: Path) -> None:
    lines = tape.read_text().splitlines(keepends=True)
    first, second = tmp_path / "BTCUSDT-1h-1.csv", tmp_path / "BTCUSDT-1h-2.csv.gz"
    first.write_text("".join(lines[:30]))
    second.write_bytes(gzip.compress("".join(lines[20:]).encode()))
    grid = GRID.removeprefix("BTCUSDT ")
    joined, whole = numbers(second, first, "--grid", grid), numbers(tape, "--grid", GRID)
    assert {**joined, "seconds": 0} == {**whole, "seconds": 0}


def test_a_file_named_after_no_symbol_is_joined_too_and_a_missing_one_is_told(tape: Path, tmp_path: Path) -> None:
    lines = tape.read_text().splitlines(keepends=True)
    first, second = tmp_path / "BTCUSDT-1h.csv", tmp_path / "more.csv"
    first.write_text("".join(lines[:30]))
    second.write_text("".join([lines[0], *lines[30:]]))
    assert numbers(first, second, "--grid", GRID)["candles"] == 48
    assert "none.csv" in refused(first, tmp_path / "none.csv", "--grid", GRID)


@pytest.mark.parametrize("symbol", ["btc", "BTC/USDT", "BTC/USDT:USDT", "binance:BTC-USDT-PERP"])
def test_the_symbol_may_be_typed_as_people_do(tape: Path, tmp_path: Path, symbol: str) -> None:
    own, other = tape.rename(tmp_path / "BTCUSDT.csv"), tmp_path / "ETHUSDT.csv"
    other.write_text(HEADER + "0,3000,3000,3000,3000,1\n")
    ended = called(other, own, "--grid", GRID.replace("BTCUSDT", symbol), "--json")
    assert json.loads(ended.stdout)["candles"] == 48 and ended.stderr == ""


def test_funding_that_two_files_tell_is_paid_once(tape: Path, tmp_path: Path) -> None:
    rates, again = tmp_path / "a.csv", tmp_path / "b.csv"
    rates.write_text("funding_time,funding_rate\n36000000,0.001\n")
    again.write_text("funding_time,funding_rate\n36000000,0.001\n72000000,0.001\n")
    whole = numbers(tape, "--grid", GRID.replace("neutral", "long"), "--funding", again)
    both = numbers(tape, "--grid", GRID.replace("neutral", "long"), "--funding", rates, "--funding", again)
    assert both["funding"] == whole["funding"] != "0"


def test_several_grids_run_side_by_side_each_over_its_own_files(tape: Path, tmp_path: Path) -> None:
    other = tmp_path / "ETHUSDT.csv"
    other.write_text(tape.read_text().replace("65000,66100,63900,65000", "3000,3200,2800,3000"))
    own = tape.rename(tmp_path / "BTCUSDT.csv")
    ended = called(own, other, "--grid", GRID, "--grid", "ETHUSDT neutral 2500-3500 10 1000u", "--json")
    found = json.loads(ended.stdout)
    assert [row["grid"] for row in found] == [GRID, "ETHUSDT neutral 2500-3500 10 1000u"]
    assert [row["last"] for row in found] == ["65000", "3000"]
    alone = numbers(own, "--grid", GRID)
    assert {**found[0], "seconds": 0} == {"grid": GRID, **alone, "seconds": 0}


def test_without_json_the_numbers_come_as_a_table_and_ends_are_told(tape: Path) -> None:
    ended = called(tape, "--grid", GRID + " sl=59000 sl=71000")
    assert ended.exit_code == 0 and "max drawdown" in ended.stdout and ended.stderr == ""
    never = called(tape, "--grid", GRID + " trigger=61000", "--json")
    assert "trigger" in never.stderr and json.loads(never.stdout)["fills"] == 0


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_the_picture_is_drawn(tape: Path, tmp_path: Path, ending: str) -> None:
    picture = tmp_path / f"out.{ending}"
    assert called(tape, "--grid", GRID, "--plot", picture).exit_code == 0
    assert picture.stat().st_size > 10_000
    assert picture.read_bytes()[:4] in (b"\x89PNG", b"<?xm")


def test_brackets_bring_margin_and_liquidation(tape: Path, tmp_path: Path) -> None:
    rows = [{"bracket": 1, "initialLeverage": 125, "notionalCap": 1e9, "notionalFloor": 0}]
    rows[0] |= {"maintMarginRatio": 0.004, "cum": 0.0}
    brackets = tmp_path / "brackets.json"
    brackets.write_text(json.dumps([{"symbol": "BTCUSDT", "brackets": rows}]))
    with tape.open("a") as more:
        more.write(f"{48 * 3_600_000},65000,65000,40000,40000,1\n")
    grid = "BTCUSDT long 60000-70000 10 3000u 4x"
    found = numbers(tape, "--grid", grid, "--brackets", brackets)
    assert list(found) == [*FIELDS, "margin_refusals", "liquidated"]
    assert found["liquidated"] is True and found["position"] == "0"
    assert numbers(tape, "--grid", grid)["position"] != "0"
    assert "liquidat" in refused(tape, "--grid", grid.replace("4x", "50x"), "--brackets", brackets).lower()
    assert "ETHUSDT" in refused(tape, "--grid", "ETHUSDT neutral 60000-70000 10 3000u", "--brackets", brackets)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("none.csv", "--grid", GRID), "none.csv"),
        (("{tape}", "--grid", "BTCUSDT neutral 60000-70000 10"), "nvestment"),
        (("{tape}", "--grid", "BTCUSDT neutral 60000-70000 10 20u"), "too small"),
        (("{tape}", "--grid", GRID, "--fill", "never"), "--fill"),
        (("{tape}", "--grid", GRID, "--tick", "-1"), "--tick"),
        (("{tape}", "--grid", GRID, "--funding", "none.csv"), "none.csv"),
        (("{tape}", "--grid", GRID, "--rules", "{tape}"), "JSON"),
        (("{tape}", "--grid", GRID, "--plot", "/nowhere/out.png"), "/nowhere"),
        (("{tape}", "--grid", GRID, "--plot", "out.foo"), ".png"),
        (("{tape}", "--grid", GRID, "--funding", "{tape}"), "funding_rate"),
        (("{tape}", "--grid", "BTCUSDT neutral"), "Grids is missing. Investment is missing."),
        (("{tape}", "--grid", "BTCUSDT long 60000-70000 10 5000u sl=59999.96"), "60,000"),
        (("{tape}", "--grid", GRID, "--leverage", "3"), "No such option: --leverage"),
        (("{tape}",), "Missing option '--grid'. See"),
        (("--grid", GRID), "Missing argument"),
        (("{tape}", "--grid"), "requires an argument"),
    ],
)
def test_a_mistake_is_one_clear_line(tape: Path, arguments: tuple[str, ...], word: str) -> None:
    assert word in refused(*(each.format(tape=tape) for each in arguments))


@pytest.mark.parametrize(
    ("option", "text", "least", "most"),
    [
        ("--tick", "1e-400", "0.0000000001", "1,000,000"),
        ("--tick", "1e400", "0.0000000001", "1,000,000"),
        ("--tick", "1e999999999999999999%", "0.0000000001", "1,000,000"),
        ("--lot", "1e-400", "0.0000000001", "1,000,000"),
        ("--lot", "1e400", "0.0000000001", "1,000,000"),
        ("--min-notional", "1e400", "0", "1,000,000"),
        ("--min-notional", "-1", "0", "1,000,000"),
        ("--fee-maker", "0.99", "-0.1", "0.1"),
        ("--fee-taker", "nan", "-0.1", "0.1"),
        ("--fee-taker", "-11%", "-0.1", "0.1"),
    ],
)
def test_an_absurd_number_is_refused_with_its_bounds(tape: Path, option: str, text: str, least: str, most: str) -> None:
    said = refused(tape, "--grid", GRID, option, text)
    assert said == f"{option}: {text} will not do, give a number from {least} to {most}.\n"


@pytest.mark.parametrize("text", ["1e-400", "1e400", "51%", "-1"])
def test_an_absurd_reserve_is_refused(tape: Path, text: str) -> None:
    assert refused(tape, "--grid", GRID, "--reserve", text).startswith("Reserve: ")


@pytest.mark.parametrize(
    ("option", "text"), [("--tick", "0.0000000001"), ("--lot", "0.0000000001"), ("--fee-maker", "1e-400")]
)
def test_numbers_at_their_bounds_run(tape: Path, option: str, text: str) -> None:
    assert numbers(tape, "--grid", GRID, option, text)["fills"]


def test_times_in_seconds_are_refused_and_not_taken_for_milliseconds(tape: Path) -> None:
    whole = tape.read_text()
    tape.write_text(HEADER + "".join(f"{1_700_000_000 + 60 * n},65000,66100,63900,65000,1\n" for n in range(9)))
    said = refused(tape, "--grid", GRID)
    assert "tape.csv" in said and "seconds" in said and "milliseconds" in said
    rates = tape.with_name("rates.csv")
    rates.write_text("funding_time,funding_rate\n1700000000,0.0001\n")
    tape.write_text(whole)
    assert "rates.csv" in refused(tape, "--grid", GRID, "--funding", rates)


def test_parquet_without_its_package_says_what_to_install(tape: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    told = refused(tape.rename(tape.with_suffix(".parquet")), "--grid", GRID)
    assert "pip install pyarrow" in told and "tape.parquet" in told


@needs_data
@pytest.mark.real_data
def test_recorded_trades_with_the_rules_of_the_exchange() -> None:
    found = numbers(
        *(DATA / "ticks").glob("*APEUSDT_aggTrades*"),
        "--grid",
        "APEUSDT neutral 0.705-0.74 20 1000u 5x",
        "--rules",
        *(DATA / "exchange_json").glob("binance_fapi_exchangeInfo_mainnet_2025*"),
    )
    assert (found["candles"], found["first"], found["grid_apr"]) == (45342, "0.7097", None)
    assert int(str(found["fills"])) > 100


@needs_data
@pytest.mark.real_data
def test_recorded_funding_is_paid() -> None:
    file = DATA / "klines" / "binance-um_BTCUSDT_1m_2025-05-04_2025-06-24.csv.gz"
    rates = DATA / "funding" / "binance-um_BTCUSDT_funding_to_2025-06.csv.gz"
    grid = ("--grid", "BTCUSDT long 95000-112000 60 10000u 5x geo")
    paid, free = numbers(file, *grid, "--funding", rates), numbers(file, *grid)
    assert D(str(paid["funding"])) < -50
    assert D(str(paid["total"])) == D(str(free["total"])) + D(str(paid["funding"]))
    assert paid["fills"] == free["fills"]
