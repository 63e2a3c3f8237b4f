"""Reading in columns: the same rows as line by line, from every form, and the same faults."""

from __future__ import annotations

import gzip
import os
import pickle
import sys
import time
import zipfile
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.columns import PIECE, read
from trading.core.stretch import Stretch, stretches
from trading.model import Candle
from trading.tape import TapeError, read_candles

D = Decimal
DATA = Path(os.environ.get("TRELLIS_DATA") or Path(__file__).parents[2].parent / "shared" / "data")
HEADER = "open_time,open,high,low,close,volume\n"
AGG_HEADER = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n"
DAY = 1_700_000_000_000


def written(path: Path, text: str) -> Path:
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(path.stem + ".csv", text)
    else:
        path.write_text(text)
    return path


def paths(tape: Sequence[Stretch]) -> list[tuple[int, tuple[Decimal, ...]]]:
    return [(int(stretch.times[i]), stretch.path(i)) for stretch in tape for i in range(len(stretch))]


def expected(files: Sequence[Path]) -> list[tuple[int, tuple[Decimal, ...]]]:
    return [(candle.time, candle.path()) for candle in read_candles(files)]


def line(minute: int, prices: str = "1,2,0.5,1.5", more: str = ",10") -> str:
    return f"{DAY + minute * 60_000},{prices}{more}\n"


class TestCandles:
    @pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.zip"])
    @pytest.mark.parametrize("header", ["", HEADER])
    @pytest.mark.parametrize("end", ["\n", "\r\n"])
    def test_regular_text_in_every_wrapping(self, tmp_path: Path, name: str, header: str, end: str) -> None:
        text = (header + line(0) + line(1, "1.5,1.5,1,1.1")).replace("\n", end)
        file = written(tmp_path / name, text)
        assert paths(list(read([file]))) == expected([file])

    @pytest.mark.parametrize(
        "text",
        [
            HEADER + line(0) + "\n" + line(1),
            HEADER + line(0).replace("1,2", '"1",2') + line(1),
            HEADER + line(0, ".5,2,.5,1.") + line(1),
            HEADER + line(0) + line(0) + line(1),
            HEADER + line(0) + line(1, more=",10,77"),
            "Close,Low,High,Open,Open_time\n" + f"1.5,0.5,2,1,{DAY}\n",
            HEADER + line(0) + line(1).rstrip("\n"),
            "\ufeff" + HEADER + line(0),
        ],
        ids=["blank", "quoted", "bare dots", "twice", "wider", "other order", "no last break", "mark"],
    )
    def test_irregular_text_gives_the_same_rows(self, tmp_path: Path, text: str) -> None:
        file = written(tmp_path / "a.csv", text)
        assert paths(list(read([file]))) == expected([file])

    def test_it_stays_regular_over_many_pieces_and_turns_irregular_late(self, tmp_path: Path) -> None:
        rows = [line(minute, f"{minute + 1},{minute + 3},{minute + 0.5},{minute + 2}") for minute in range(9000)]
        assert len("".join(rows)) > 2 * PIECE
        rows[8000] = rows[8000].replace(",10", ',"10"')
        file = written(tmp_path / "a.csv", HEADER + "".join(rows))
        assert paths(list(read([file]))) == expected([file])

    def test_microseconds_become_milliseconds(self, tmp_path: Path) -> None:
        file = written(tmp_path / "a.csv", f"{DAY * 1000 + 999},1,2,0.5,1.5,10\n")
        assert next(read([file])).times == [DAY]

    @pytest.mark.parametrize(
        ("text", "code", "where"),
        [
            ("", "empty", 0),
            (HEADER, "empty", 0),
            ("time,open,high,low\n1,1,1,1\n", "columns", 1),
            (HEADER + line(0) + line(1, "1,x,1,1"), "number", 3),
            (HEADER + line(1) + line(0), "order", 3),
            (HEADER + line(0, "1,2,1.2,1.5"), "prices", 2),
            (HEADER + line(0, "1,2,0,1.5"), "prices", 2),
            (HEADER + line(0, "3,2,1,1.5"), "prices", 2),
            (HEADER + line(0) + f"{DAY + 60_000},1\n", "number", 3),
        ],
    )
    def test_a_fault_is_named_with_its_line(self, tmp_path: Path, text: str, code: str, where: int) -> None:
        with pytest.raises(TapeError) as caught:
            list(read([written(tmp_path / "a.csv", text)]))
        assert (caught.value.code, caught.value.line) == (code, where)
        again = pickle.loads(pickle.dumps(caught.value))
        assert (again.file, again.code, again.line) == (caught.value.file, code, where)

    @pytest.mark.parametrize("name", ["none.csv", "a.txt"])
    def test_files_that_are_none(self, tmp_path: Path, name: str) -> None:
        (tmp_path / "a.txt").write_text("x")
        with pytest.raises(TapeError):
            list(read([tmp_path / name]))

    def test_a_torn_archive_is_no_file(self, tmp_path: Path) -> None:
        file = written(tmp_path / "a.csv.gz", HEADER + "".join(map(line, range(5000))))
        file.write_bytes(file.read_bytes()[:-2000])
        with pytest.raises(TapeError, match="format"):
            list(read([file]))

    @given(st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=20), min_size=1, max_size=4))
    @settings(max_examples=60, deadline=None)
    def test_files_are_joined_as_line_by_line(self, tmp_path_factory: pytest.TempPathFactory, minutes: list) -> None:
        folder = tmp_path_factory.mktemp("tapes")
        files = [
            written(folder / f"{i}.csv", HEADER + "".join(line(m, f"1,2,0.5,1.{i}") for m in sorted(set(each))))
            for i, each in enumerate(minutes)
        ]
        assert paths(list(read(files))) == expected(files)

    def test_candles_at_hand_come_in_the_same_columns(self) -> None:
        rows = [Candle(i, D(i + 2), D(i + 4), D(i + 1), D(i + 3)) for i in range(10)]
        assert paths(list(stretches(rows, 3))) == [(row.time, row.path()) for row in rows]

    @pytest.mark.real_data
    @pytest.mark.skipif(not DATA.is_dir(), reason=f"no recorded data in {DATA}")
    @pytest.mark.parametrize("pattern", ["*FIL*", "*crash_2020*", "*outage*"])
    def test_recorded_files_read_the_same(self, pattern: str) -> None:
        (file,) = (DATA / "klines").glob(pattern)
        assert paths(list(read([file]))) == expected([file])


class TestTrades:
    ROWS = f"7,1.5,3,1,2,{DAY},true\n8,1.6,3,3,4,{DAY},false\n9,1.4,3,5,6,{DAY + 5},true\n"

    @pytest.mark.parametrize("header", ["", AGG_HEADER])
    @pytest.mark.parametrize("tail", ["", ",true"])
    def test_agg_trades_are_points_of_the_path(self, tmp_path: Path, header: str, tail: str) -> None:
        rows = self.ROWS.replace("\n", f"{tail}\n").replace("true", "True")
        head = header.replace("\n", ",best\n") if header and tail else header
        (tape,) = read([written(tmp_path / "a.csv", head + rows)])
        assert tape.ids == [7, 8, 9]
        assert paths([tape]) == [(DAY, (D("1.5"),)), (DAY, (D("1.6"),)), (DAY + 5, (D("1.4"),))]

    def test_files_overlap_by_id(self, tmp_path: Path) -> None:
        first = written(tmp_path / "1.csv", self.ROWS)
        rest = self.ROWS.split("\n", 1)[1] + f"10,1.3,1,7,7,{DAY + 5},true\n"
        second = written(tmp_path / "2.csv", AGG_HEADER + rest)
        assert [key for stretch in read([second, first]) for key in stretch.keys] == [7, 8, 9, 10]

    def test_line_by_line_they_are_the_same(self, tmp_path: Path) -> None:
        plain = written(tmp_path / "1.csv", AGG_HEADER + self.ROWS)
        quoted = written(tmp_path / "2.csv", AGG_HEADER + self.ROWS.replace("1.6", '"1.6"') + self.ROWS.split("\n")[2])
        assert paths(list(read([quoted]))) == paths(list(read([plain])))

    def test_candles_and_trades_do_not_mix(self, tmp_path: Path) -> None:
        files = [written(tmp_path / "1.csv", self.ROWS), written(tmp_path / "2.csv", line(0))]
        with pytest.raises(TapeError, match="mixed"):
            list(read(files))

    @pytest.mark.parametrize("row", [f"x,1,1,1,1,{DAY},true\n", f"9,0,1,1,1,{DAY},true\n", f"6,1,1,1,1,{DAY},true\n"])
    def test_a_fault_is_named_with_its_line(self, tmp_path: Path, row: str) -> None:
        with pytest.raises(TapeError) as caught:
            list(read([written(tmp_path / "a.csv", AGG_HEADER + f"8,1,1,1,1,{DAY},true\n" + row)]))
        assert caught.value.line == 3


@pytest.mark.parametrize("text", ["{},1,2,0.5,1,10\n", 'open_time,open,high,low,close\n"{}",1,2,0.5,1\n'])
def test_times_in_seconds_are_told_by_the_first_one(tmp_path: Path, text: str) -> None:
    with pytest.raises(TapeError) as caught:
        list(read([written(tmp_path / "a.csv", text.format(1_700_000_000))]))
    assert caught.value.code == "seconds"


def test_a_tape_that_begins_at_zero_is_in_milliseconds_however_long(tmp_path: Path) -> None:
    rows = "".join(f"{day * 86_400_000},1,2,0.5,1,10\n" for day in range(40))
    assert len([time for stretch in read([written(tmp_path / "a.csv", rows)]) for time in stretch.times]) == 40


def test_parquet_without_its_package_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(TapeError) as caught:
        list(read([tmp_path / "a.parquet"]))
    assert caught.value.code == "no_pyarrow"


def test_an_instant_of_parquet_that_names_no_zone_is_utc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is an extra")
    from pyarrow import parquet

    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    noon = datetime(2024, 3, 10, 12)  # noqa: DTZ001 - as pandas writes it
    prices = {name: ["1", "1"] for name in ("open", "high", "low", "close", "volume")}
    table = pyarrow.table({"open_time": [noon, noon + timedelta(minutes=1)], **prices})
    parquet.write_table(table, tmp_path / "a.parquet")
    try:
        (stretch,) = read([tmp_path / "a.parquet"])
    finally:
        monkeypatch.undo()
        time.tzset()
    assert list(stretch.times) == [1710072000000, 1710072060000]


def test_parquet_reads_like_text(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is an extra")
    from pyarrow import parquet

    columns = {"open_time": [DAY, DAY + 60_000], "open": [1.1, 1.2], "high": [2.0, 2.5], "low": [0.5, 0.7]}
    table = pyarrow.table(columns | {"close": [1.5, 1.0], "volume": [1.0, 2.0]})
    parquet.write_table(table, tmp_path / "a.parquet")
    assert paths(list(read([tmp_path / "a.parquet"]))) == [
        (DAY, (D("1.1"), D("0.5"), D("2.0"), D("1.5"))),
        (DAY + 60_000, (D("1.2"), D("2.5"), D("0.7"), D("1.0"))),
    ]
