"""A folder of files is a data provider: what is in it is told as it is, and what cannot be is named."""

from __future__ import annotations

import asyncio
import gzip
import os
from pathlib import Path

import pandas as pd
import pytest

from tradelab.adapters import registry
from tradelab.adapters.files import FilesProvider
from tradelab.model.clock import ManualClock
from tradelab.model.errors import ConnectivityError, CorruptFileError, ParameterError, RequestError, UnknownNameError
from tradelab.model.market import Candle
from tradelab.model.units import NS_PER_HOUR, Timeframe

START = 1_704_067_200_000_000_000  # 2024-01-01
H1 = Timeframe.H1


def frame(bars: int) -> pd.DataFrame:
    index = pd.date_range("2024-01-01", periods=bars, freq="h", tz="UTC", name="time")
    price = pd.Series(range(100, 100 + bars), index, dtype=float)
    return pd.DataFrame({"open": price, "high": price + 2, "low": price - 1, "close": price + 1, "volume": 7.5}, index)


def candle(k: int, closed: bool = True) -> Candle:
    return Candle(START + k * NS_PER_HOUR, 100.0 + k, 102.0 + k, 99.0 + k, 101.0 + k, 7.5, closed)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    bars = frame(10)
    (tmp_path / "EURUSD-1h.csv").write_text(bars.to_csv(date_format="%Y-%m-%dT%H:%M:%SZ"))
    bars.reset_index().to_parquet(tmp_path / "BTC-USDT_H1.parquet")
    (tmp_path / "GOLD.60min.json").write_text(bars.reset_index().to_json(orient="records", date_format="iso"))
    (tmp_path / "OIL-1h.csv.gz").write_bytes(gzip.compress((tmp_path / "EURUSD-1h.csv").read_bytes()))
    (tmp_path / "README.md").write_text("not bars")
    return tmp_path


def opened(folder: Path, hours: float = 1000, **settings: object) -> FilesProvider:
    clock = ManualClock(START + int(hours * NS_PER_HOUR))
    provider = registry.data_provider("files", {"folder": str(folder), **settings}, clock=clock)
    asyncio.run(provider.connect())
    assert isinstance(provider, FilesProvider)
    return provider


@pytest.mark.parametrize("symbol", ["EURUSD", "BTC-USDT", "GOLD", "OIL"])
def test_csv_parquet_json_and_gzip_tell_the_same_bars(folder, symbol):
    provider = opened(folder)
    assert asyncio.run(provider.fetch_ohlcv(symbol, H1)) == [candle(k) for k in range(10)]


def test_the_folder_tells_its_symbols_and_timeframes(folder):
    provider = opened(folder)
    assert asyncio.run(provider.symbols()) == ["BTC-USDT", "EURUSD", "GOLD", "OIL"]
    assert provider.data_capabilities.timeframes == (H1,)
    assert asyncio.run(provider.test_connection()).passed


def test_a_page_begins_where_it_is_asked_to_or_ends_with_the_newest(folder):
    provider = opened(folder)
    since = START + 3 * NS_PER_HOUR
    assert asyncio.run(provider.fetch_ohlcv("OIL", H1, since_ns=since, limit=2)) == [candle(3), candle(4)]
    assert asyncio.run(provider.fetch_ohlcv("OIL", H1, since_ns=since + 1, limit=1)) == [candle(4)]
    assert asyncio.run(provider.fetch_ohlcv("OIL", H1, limit=2)) == [candle(8), candle(9)]
    assert asyncio.run(provider.fetch_ohlcv("OIL", H1, since_ns=START + 10 * NS_PER_HOUR)) == []


def test_the_last_bar_is_open_while_the_clock_says_that_it_forms(folder):
    assert asyncio.run(opened(folder, 9.5).fetch_ohlcv("OIL", H1, limit=2)) == [candle(8), candle(9, closed=False)]
    assert asyncio.run(opened(folder, 10).fetch_ohlcv("OIL", H1, limit=1)) == [candle(9)]


def test_a_file_that_has_changed_is_read_again(folder):
    provider, path = opened(folder), folder / "EURUSD-1h.csv"
    assert len(asyncio.run(provider.fetch_ohlcv("EURUSD", H1))) == 10
    path.write_text(frame(12).to_csv(date_format="%Y-%m-%dT%H:%M:%SZ"))
    os.utime(path, ns=(1, 1))
    assert len(asyncio.run(provider.fetch_ohlcv("EURUSD", H1))) == 12


def test_a_series_that_is_not_there_is_answered_with_the_nearest(folder):
    with pytest.raises(UnknownNameError, match="no series named 'EURUSE-1h'; did you mean 'EURUSD-1h'"):
        asyncio.run(opened(folder).fetch_ohlcv("EURUSE", H1))
    with pytest.raises(UnknownNameError, match="EURUSD-1m"):
        asyncio.run(opened(folder).fetch_ohlcv("EURUSD", Timeframe.M1))


def test_a_file_whose_name_tells_no_series_and_two_of_one_series_are_named(folder):
    (folder / "EURUSD_H1.parquet").write_bytes(b"")
    with pytest.raises(ParameterError, match=r"EURUSD-1h.csv and EURUSD_H1.parquet are both EURUSD of 1h"):
        opened(folder)
    (folder / "EURUSD_H1.parquet").rename(folder / "bars.parquet")
    with pytest.raises(ParameterError, match=r"bars.parquet does not tell"):
        opened(folder)


def test_a_broken_file_is_named_by_the_test_of_the_connection(folder):
    (folder / "OIL-1h.csv.gz").write_bytes(b"no gzip")
    provider = opened(folder)
    told = asyncio.run(provider.test_connection())
    assert not told.passed
    assert "OIL-1h.csv.gz" in told.says
    with pytest.raises(CorruptFileError):
        asyncio.run(provider.fetch_ohlcv("OIL", H1))


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ParameterError, match="is no folder"):
        opened(tmp_path / "nowhere")
    with pytest.raises(ParameterError, match="folder"):
        registry.data_provider("files")


def test_what_files_do_not_have_is_refused(folder):
    provider = opened(folder)
    for asked in (provider.fetch_ticks("OIL"), provider.account_info()):
        with pytest.raises(RequestError):
            asyncio.run(asked)
    with pytest.raises(RequestError):
        provider.watch_candles("OIL", H1)
    assert asyncio.run(provider.instruments()) == []
    asyncio.run(provider.disconnect())
    with pytest.raises(ConnectivityError):
        asyncio.run(provider.symbols())
