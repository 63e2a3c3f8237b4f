"""Reading recorded candles: every form the files come in, joined, and refused with the place of the fault."""

from __future__ import annotations

import gzip
import os
import zipfile
from decimal import Decimal
from pathlib import Path

import pytest

from trading.model import Candle
from trading.tape import TapeError, read_candles, read_funding, symbol_of

D = Decimal
HEADER = "open_time,open,high,low,close,volume\n"
LONG = "1685577600000,4.689,4.692,4.686,4.6860,30174.6,1685577659999,141518.2995,298,8203.1,38477.1027,0\n"
LONG_HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,"
    "count,taker_buy_volume,taker_buy_quote_volume,ignore\n"
)
FIRST = Candle(1685577600000, D("4.689"), D("4.692"), D("4.686"), D("4.6860"), D("30174.6"))
DATA = Path(os.environ.get("TRELLIS_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))


def written(path: Path, text: str) -> Path:
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(path.stem + ".csv", text)
    else:
        path.write_text(text)
    return path


def minutes(*numbers: int, close: str = "1") -> str:
    return "".join(f"{number * 60_000},1,2,0.5,{close},10\n" for number in numbers)


class TestForms:
    @pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.zip"])
    @pytest.mark.parametrize("header", ["", LONG_HEADER])
    def test_binances_twelve_columns_in_every_wrapping(self, tmp_path: Path, name: str, header: str) -> None:
        assert list(read_candles([written(tmp_path / name, header + LONG)])) == [FIRST]

    def test_microseconds_are_told_by_their_size(self, tmp_path: Path) -> None:
        text = LONG.replace("1685577600000", "1685577600000123")
        assert list(read_candles([written(tmp_path / "a.csv", text)])) == [FIRST]

    def test_the_header_names_the_columns_in_any_order(self, tmp_path: Path) -> None:
        text = "Volume,Close,Low,High,Open,Open_Time\n30174.6,4.6860,4.686,4.692,4.689,1685577600000\n"
        assert list(read_candles([written(tmp_path / "a.csv", text)])) == [FIRST]

    def test_prices_are_exact_and_volume_may_be_missing(self, tmp_path: Path) -> None:
        text = "open_time,open,high,low,close\n0,0.1,0.30,0.1,0.2\n"
        (candle,) = read_candles([written(tmp_path / "a.csv", text)])
        assert (candle.open, str(candle.high), candle.volume) == (D("0.1"), "0.30", 0)


class TestJoining:
    def test_files_are_joined_in_time_order_and_overlaps_count_once(self, tmp_path: Path) -> None:
        late = written(tmp_path / "late.csv", HEADER + minutes(2, 3, 4, close="2"))
        early = written(tmp_path / "early.csv.gz", minutes(0, 1, 2))
        candles = list(read_candles([early, late]))
        assert [(candle.time // 60_000, candle.close) for candle in candles] == [
            (0, 1), (1, 1), (2, 1), (3, 2), (4, 2),
        ]  # fmt: skip
        assert [candle.time for candle in read_candles([late, early])] == [candle.time for candle in candles]

    def test_a_candle_written_twice_counts_once(self, tmp_path: Path) -> None:
        assert len(list(read_candles([written(tmp_path / "a.csv", minutes(0, 1, 1, 2))]))) == 3


class TestFaults:
    @pytest.mark.parametrize(
        ("name", "text", "code", "line"),
        [
            ("a.csv", "", "empty", 0),
            ("a.csv", HEADER, "empty", 0),
            ("a.csv", "a,b,c\n1,2,3\n", "columns", 1),
            ("a.csv", "1,2,3\n", "columns", 1),
            ("a.csv", minutes(0) + "60000,1,x,1,1,1\n", "number", 2),
            ("a.csv", minutes(0) + "60000,1,2\n", "number", 2),
            ("a.csv", HEADER + minutes(1, 0), "order", 3),
            ("a.csv", "0,1,2,1.5,1,10\n", "prices", 1),
            ("a.csv", "0,0,2,0,1,10\n", "prices", 1),
            ("a.csv", "0,1,Infinity,1,1,10\n", "prices", 1),
            ("a.txt", minutes(0), "format", 0),
        ],
    )
    def test_a_bad_file_is_named_with_its_line(
        self, tmp_path: Path, name: str, text: str, code: str, line: int
    ) -> None:
        with pytest.raises(TapeError) as caught:
            list(read_candles([written(tmp_path / name, text)]))
        assert (caught.value.code, caught.value.line) == (code, line)
        assert caught.value.file.endswith(name)

    @pytest.mark.parametrize("name", ["a.csv.gz", "a.zip"])
    def test_a_damaged_or_missing_archive_is_told(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(TapeError, match="missing"):
            list(read_candles([tmp_path / name]))
        (tmp_path / name).write_bytes(b"not what it says")
        with pytest.raises(TapeError, match="format"):
            list(read_candles([tmp_path / name]))

    def test_a_gzip_that_stops_short_is_told(self, tmp_path: Path) -> None:
        whole = gzip.compress((HEADER + minutes(*range(5000))).encode())
        (tmp_path / "a.csv.gz").write_bytes(whole[: len(whole) // 2])
        with pytest.raises(TapeError, match="format"):
            list(read_candles([tmp_path / "a.csv.gz"]))


def test_funding_is_read_with_and_without_a_header(tmp_path: Path) -> None:
    for text in ("funding_time,funding_rate\n2,-0.0001\n1,0.0002\n", "2,-0.0001\n1,0.0002\n"):
        assert read_funding(written(tmp_path / "f.csv", text)) == [(1, D("0.0002")), (2, D("-0.0001"))]
    official = "calc_time,funding_interval_hours,last_funding_rate\n1704067200000,8,0.00037409\n"
    for text in (official, official.split("\n", 1)[1]):
        assert read_funding(written(tmp_path / "g.csv", text)) == [(1704067200000, D("0.00037409"))]


def test_a_funding_file_without_rates_or_their_columns_is_told(tmp_path: Path) -> None:
    for text, code in (
        ("funding_time,funding_rate\n", "no_rates"),
        ("time,open\n1,2\n", "rate_columns"),
        ("1700000000,0.0001\n", "seconds"),
    ):
        with pytest.raises(TapeError, match=code):
            read_funding(written(tmp_path / "f.csv", text))


def test_the_symbol_is_found_in_the_files_name() -> None:
    for name, symbol in {
        "binance-um_BTCUSDT_1m_2025-05-04_2025-06-24.csv.gz": "BTCUSDT",
        "/x/1000PEPEUSDT-1m-2024-07.zip": "1000PEPEUSDT",
        "candles.csv": None,
    }.items():
        assert symbol_of(name) == symbol


@pytest.mark.real_data
class TestRealFiles:
    @pytest.fixture(autouse=True)
    def _data(self) -> None:
        if not DATA.is_dir():
            pytest.skip(f"no recorded market data in {DATA}")

    @pytest.mark.parametrize(
        ("name", "rows", "first", "last"),
        [
            ("binance-um_BTCUSDT_1m_2025-05-04_2025-06-24.csv.gz", 73139, 1746372780000, 1750761060000),
            ("binance-um_FILUSDT_1m_2023-06_full.csv.gz", 43200, 1685577600000, 1688169540000),
            ("binance-spot_BTCUSDT_1m_outage_2020-02-18_20.csv.gz", 3966, 1581984000000, 1582243140000),
            ("binance-spot_BTCUSDT_1m_crash_2020-03-10_15.csv.gz", 8640, 1583798400000, 1584316740000),
        ],
    )
    def test_a_recorded_file_gives_every_row_of_its_manifest(self, name: str, rows: int, first: int, last: int) -> None:
        candles = list(read_candles([DATA / "klines" / name]))
        assert (len(candles), candles[0].time, candles[-1].time) == (rows, first, last)

    def test_recorded_funding_is_read(self) -> None:
        rows = read_funding(DATA / "funding" / "binance-um_BTCUSDT_funding_to_2025-06.csv.gz")
        assert (len(rows), rows[0]) == (6362, (1568102400000, D("0.0001")))
