"""A segment is one exact, self-describing Parquet file that other tools read as decimals."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tradelab.catalog import samples, segments
from tradelab.catalog.block import Block, of_frame
from tradelab.model.errors import CorruptFileError
from tradelab.model.units import Timeframe

KEY = ("sample", "BTC/USDT", Timeframe.M1)


@pytest.fixture
def block() -> Block:
    return of_frame(samples.synthetic("1m", 2_000, seed=9, start="2024-01-31 12:00"))


@pytest.mark.parametrize(
    ("timeframe", "labels"),
    [
        ("1m", ["2023-12", "2024-01"]),
        ("30m", ["2023-12", "2024-01"]),
        ("1h", ["2023", "2024"]),
        ("12h", ["2023", "2024"]),
    ],
)
def test_a_series_is_cut_at_the_borders_of_its_periods(timeframe: str, labels: list[str]) -> None:
    length = Timeframe.of(timeframe)
    border = pd.Timestamp("2024-01-01", tz="UTC").value
    block = Block(border + np.arange(-3, 4) * length.ns, np.ones((5, 7)))
    parts = list(segments.split(block, length))
    assert [segments.label(p, length) for p, _ in parts] == labels
    assert [len(part) for _, part in parts] == [3, 4]
    assert parts[1][1].time[0] == border


def test_days_lie_ten_years_to_a_file_before_1970_too() -> None:
    stamps = pd.to_datetime(["1969-12-31", "1970-01-01", "1979-12-31", "1980-01-01"]).as_unit("ns").asi8
    parts = list(segments.split(Block(np.asarray(stamps), np.ones((5, 4))), Timeframe.D1))
    assert [(segments.label(p, Timeframe.D1), len(b)) for p, b in parts] == [("1960s", 1), ("1970s", 2), ("1980s", 1)]


def test_the_name_is_the_content_s_hash(tmp_path: Path, block: Block) -> None:
    _, part = next(segments.split(block, Timeframe.M1))
    segment, is_new = segments.store(tmp_path, KEY, 648, part)
    digest = hashlib.sha256((tmp_path / segment.name).read_bytes()).hexdigest()
    assert is_new
    assert segment.sha256 == digest
    assert segment.name == f"segments/sample/BTC%2FUSDT/M1/2024-01-{digest[:12]}.parquet"
    assert segments.store(tmp_path, KEY, 648, part) == (segment, False)
    assert [p.suffix for p in tmp_path.rglob("*") if p.is_file()] == [".parquet"]


def test_any_parquet_reader_sees_true_decimals_times_and_the_series(tmp_path: Path, block: Block) -> None:
    segment, _ = segments.store(tmp_path, KEY, 648, block)
    table = pq.read_table(tmp_path / segment.name)
    assert table["close"][0].as_py() == Decimal(repr(float(block.values[3, 0])))
    assert str(table.schema.field("close").type) == "decimal128(18, 2)"
    assert table["time"][0].as_py() == pd.Timestamp("2024-01-31 12:00", tz="UTC")
    said = pq.read_metadata(tmp_path / segment.name).metadata
    assert said == {b"source": b"sample", b"symbol": b"BTC/USDT", b"timeframe": b"M1"}


def test_a_column_off_the_grid_stays_float_and_exact(block: Block) -> None:
    block.values[3] *= np.pi
    block.values[4, 7] = np.nan
    back = segments.decode(segments.encode(block, {}))
    assert np.array_equal(back.values, block.values, equal_nan=True)


def test_prices_on_a_grid_take_few_bytes(block: Block) -> None:
    assert len(segments.encode(block, {})) < 15 * len(block)  # as floats: 48


def test_one_flipped_bit_anywhere_is_noticed(tmp_path: Path, block: Block) -> None:
    segment, _ = segments.store(tmp_path, KEY, 648, block)
    whole = (tmp_path / segment.name).read_bytes()
    for at in np.linspace(0, len(whole) - 1, 50, dtype=int):
        (tmp_path / segment.name).write_bytes(whole[:at] + bytes([whole[at] ^ 16]) + whole[at + 1 :])
        assert not segments.intact(tmp_path, segment)
        with pytest.raises(CorruptFileError, match="is damaged"):
            segments.load(tmp_path, [segment])


def test_a_damaged_file_under_the_right_name_is_written_anew(tmp_path: Path, block: Block) -> None:
    segment, _ = segments.store(tmp_path, KEY, 648, block)
    (tmp_path / segment.name).write_bytes(b"")
    assert segments.store(tmp_path, KEY, 648, block) == (segment, True)
    assert segments.intact(tmp_path, segment)
