"""The catalog gives back what it was given, whatever way the bars went in."""

from __future__ import annotations

import dataclasses
import threading
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tradelab.catalog import samples
from tradelab.catalog.bars import AppendCount, BarRow, Catalog, WriteCount
from tradelab.catalog.frame import content_hash
from tradelab.model.errors import ParameterError, UnknownNameError
from tradelab.model.instrument import Calendar, Instrument, InstrumentKind
from tradelab.model.units import NS_PER_HOUR, Timeframe

KEY = ("sample", "EURUSD", "1h")
T0 = pd.Timestamp("2024-01-01", tz="UTC").value


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog(tmp_path)


@pytest.fixture(scope="module")
def year() -> pd.DataFrame:
    return samples.load("EURUSD-1h")


def row(hour: int, price: float, *, closed: bool = True, symbol: str = "X") -> BarRow:
    return BarRow("live", symbol, Timeframe.H1, T0 + hour * NS_PER_HOUR, price, price, price, price, 1.0, closed)


def closes(catalog: Catalog, *, include_open: bool = False) -> list[float]:
    return catalog.read("live", "X", "1h", include_open=include_open)["close"].tolist()


def test_what_is_written_is_read_to_the_last_bit(catalog: Catalog, year: pd.DataFrame) -> None:
    assert catalog.write(*KEY, year) == WriteCount(bars=6225, segments=1, revised=0)
    back = catalog.read(*KEY)
    pd.testing.assert_frame_equal(back, year, check_exact=True)
    assert content_hash(back) == content_hash(year)


def test_values_on_no_decimal_grid_and_nan_survive_too(catalog: Catalog) -> None:
    made = samples.synthetic("1m", 3000, seed=5).copy()
    made["close"] = made["close"] * np.pi
    made.loc[made.index[5], "volume"] = np.nan
    catalog.write("s", "odd", "1m", made)
    pd.testing.assert_frame_equal(catalog.read("s", "odd", "1m"), made, check_exact=True)


def test_a_range_includes_its_start_and_excludes_its_end(catalog: Catalog, year: pd.DataFrame) -> None:
    catalog.write(*KEY, year)
    day = catalog.read(*KEY, "2017-06-01", "2017-06-02")
    assert (day.index[0], day.index[-1]) == (
        pd.Timestamp("2017-06-01 00:00", tz="UTC"),
        pd.Timestamp("2017-06-01 23:00", tz="UTC"),
    )


def test_a_range_without_bars_is_an_empty_frame_of_the_same_shape(catalog: Catalog, year: pd.DataFrame) -> None:
    catalog.write(*KEY, year)
    nothing = catalog.read(*KEY, "2030-01-01")
    assert len(nothing) == 0
    assert nothing.dtypes.equals(year.dtypes)
    assert nothing.index.dtype == year.index.dtype


def test_a_range_read_opens_only_the_segments_it_overlaps(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog.write("s", "M", "1m", samples.synthetic("1m", 120_000))  # 84 days: January, February, March
    assert len(catalog.snapshot("s", "M", "1m").segments) == 3
    opened: list[str] = []
    whole = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda self: (opened.append(self.name), whole(self))[1])
    catalog.read("s", "M", "1m", "2024-02-10", "2024-02-11")
    assert [name[:7] for name in opened] == ["2024-02"]


def test_a_second_write_wins_and_its_changes_are_counted(catalog: Catalog, year: pd.DataFrame) -> None:
    catalog.write(*KEY, year.iloc[:100])
    changed = year.iloc[90:110].copy()
    changed.iloc[0, 4] = 7.0
    assert catalog.write(*KEY, changed).revised == 1
    back = catalog.read(*KEY)
    assert len(back) == 110
    assert back["volume"].iloc[90] == 7.0
    assert catalog.list()["revised"].tolist() == [1]


def test_writing_the_same_again_makes_no_new_segment(catalog: Catalog, year: pd.DataFrame) -> None:
    catalog.write(*KEY, year)
    assert catalog.write(*KEY, year) == WriteCount(bars=6225, segments=0, revised=0)


def test_a_forming_bar_is_updated_then_closed_and_stays_closed(catalog: Catalog) -> None:
    assert catalog.append([row(0, 1.0, closed=False)]) == AppendCount(added=1)
    assert catalog.append([row(0, 2.0, closed=False)]) == AppendCount(updated=1)
    assert closes(catalog) == []
    assert closes(catalog, include_open=True) == [2.0]
    assert catalog.append([row(0, 3.0)]) == AppendCount(updated=1)
    assert catalog.append([row(0, 9.0, closed=False)]) == AppendCount(ignored=1)
    assert closes(catalog, include_open=True) == [3.0]


def test_a_closed_bar_sent_again_stands_and_is_counted(catalog: Catalog) -> None:
    catalog.append([row(0, 1.0)])
    assert catalog.append([row(0, 1.0)]) == AppendCount(unchanged=1)
    assert catalog.append([row(0, 2.0)]) == AppendCount(revised=1)
    assert closes(catalog) == [2.0]
    assert catalog.list()["revised"].tolist() == [1]


def test_a_forming_bar_never_hides_a_compacted_one(catalog: Catalog) -> None:
    catalog.append([row(0, 1.0)])
    catalog.compact()
    catalog.append([row(0, 9.0, closed=False)])
    assert closes(catalog) == closes(catalog, include_open=True) == [1.0]


def test_compaction_changes_no_bar_and_empties_the_tail(catalog: Catalog) -> None:
    catalog.append([row(h, 1.0 + h) for h in range(10)] + [row(10, 5.0, closed=False)])
    before = catalog.read("live", "X", "1h", include_open=True)
    assert catalog.compact() == 1
    after = catalog.read("live", "X", "1h", include_open=True)
    pd.testing.assert_frame_equal(before, after)
    assert catalog.list()["tail"].tolist() == [0]
    assert catalog.compact() == 0


def test_a_bulk_write_overrules_the_tail_under_it(catalog: Catalog) -> None:
    catalog.append([row(0, 1.0), row(1, 1.0), row(2, 1.0, closed=False)])
    bars = catalog.read("live", "X", "1h", include_open=True).assign(open=2.0, high=2.0, low=2.0, close=2.0)
    assert catalog.write("live", "X", "1h", bars).revised == 2
    assert closes(catalog) == [2.0, 2.0, 2.0]
    assert catalog.list()["tail"].tolist() == [0]


def test_one_append_serves_many_series_or_none(catalog: Catalog) -> None:
    broken = row(0, 1.0, symbol="B")._replace(open="not a number")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        catalog.append([row(0, 1.0, symbol="A"), broken])
    assert catalog.list().empty
    catalog.append([row(0, 1.0, symbol=s) for s in "AB"])
    assert catalog.list()["symbol"].tolist() == ["A", "B"]


def test_snapshot_is_the_same_for_the_same_bars_and_another_for_others(catalog: Catalog, year: pd.DataFrame) -> None:
    catalog.write(*KEY, year)
    first = catalog.snapshot(*KEY)
    assert catalog.read(*KEY).attrs["snapshot"] == first.id == catalog.snapshot(*KEY).id
    assert catalog.snapshot(*KEY, "2017-03-01").id != first.id
    catalog.write(*KEY, year.iloc[:1] * 1.5)
    assert catalog.snapshot(*KEY).id != first.id
    catalog.write(*KEY, year)
    assert catalog.snapshot(*KEY).id == first.id, "the old content is back under its old name"


def test_replaced_files_stay_for_their_grace_then_go(catalog: Catalog, tmp_path: Path, year: pd.DataFrame) -> None:
    catalog.write(*KEY, year)
    catalog.write(*KEY, year.iloc[:1] * 1.5)
    files = list((tmp_path / "segments").rglob("*.parquet"))
    assert len(files) == 2
    assert catalog.vacuum() == 0
    assert catalog.vacuum(grace_s=0) == 1
    assert len(catalog.read(*KEY)) == 6225


def test_vacuum_takes_what_a_killed_writer_left(catalog: Catalog, tmp_path: Path, year: pd.DataFrame) -> None:
    catalog.write(*KEY, year)
    folder = next((tmp_path / "segments").rglob("*.parquet")).parent
    (folder / "2018-000000000000.parquet").write_bytes(b"never named")
    (folder / "2018-000000000001.part").write_bytes(b"half")
    assert catalog.vacuum() == 2
    assert len(catalog.read(*KEY)) == 6225


def test_a_reader_whose_file_was_vacuumed_asks_the_catalogue_again(
    catalog: Catalog, tmp_path: Path, year: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog.write(*KEY, year)
    real, swapped = Path.read_bytes, []

    def swap_first(self: Path) -> bytes:
        if not swapped:
            swapped.append(True)
            with Catalog(tmp_path) as other:
                other.write(*KEY, year * 2)
                other.vacuum(grace_s=0)
        return real(self)

    monkeypatch.setattr(Path, "read_bytes", swap_first)
    pd.testing.assert_frame_equal(catalog.read(*KEY), year * 2)


@pytest.mark.parametrize("symbol", ["BTC/USDT:USDT", "..", "a b%c", "ÄÖ\\x", "con"])
def test_any_symbol_is_a_safe_folder_inside_the_root(
    catalog: Catalog, tmp_path: Path, symbol: str, year: pd.DataFrame
) -> None:
    catalog.write("src", symbol, "1h", year.iloc[:5])
    assert len(catalog.read("src", symbol, "1h")) == 5
    file = tmp_path / catalog.snapshot("src", symbol, "1h").segments[0]
    assert file.resolve().is_relative_to((tmp_path / "segments").resolve())
    assert len(file.relative_to(tmp_path).parts) == 5


def test_minute_and_month_are_two_series(catalog: Catalog) -> None:
    catalog.write("s", "X", "1M", samples.load("EURUSD-1d").iloc[[0, 40]])
    with pytest.raises(UnknownNameError):
        catalog.read("s", "X", "1m")


def test_an_empty_name_is_refused(catalog: Catalog) -> None:
    with pytest.raises(UnknownNameError, match="symbol=''"):
        catalog.read("s", "", "1h")


def test_an_unknown_timeframe_is_refused(catalog: Catalog) -> None:
    with pytest.raises(ParameterError, match="'7m'"):
        catalog.read("s", "X", "7m")


def test_last_closed_looks_at_segments_and_tail_but_not_at_forming_bars(catalog: Catalog) -> None:
    assert catalog.last_closed("live", "X", "1h") is None
    catalog.append([row(0, 1.0), row(1, 1.0)])
    catalog.compact()
    catalog.append([row(2, 1.0), row(3, 1.0, closed=False)])
    assert catalog.last_closed("live", "X", "1h") == pd.Timestamp("2024-01-01 02:00", tz="UTC")


def test_instruments_come_back_to_the_last_zero(catalog: Catalog) -> None:
    given = Instrument(
        symbol="BTC/USDT", venue="binance", quote="USDT", tick_size=Decimal("0.010"), qty_step=Decimal("1E-8"),
        min_qty=Decimal("0.00001000"), min_notional=Decimal(5), calendar=Calendar.ALWAYS, session="fx", base="BTC",
        settle="USDC", kind=InstrumentKind.PERPETUAL, min_price=Decimal("0.10"), max_price=Decimal(1000000),
        min_market_qty=Decimal("0.00010"), max_market_qty=Decimal("120.0"), market_qty_step=Decimal("0.0001"),
        max_notional=Decimal("9E+6"), price_band_up=Decimal("1.20"), price_band_down=Decimal("0.80"), max_orders=200,
        max_trigger_orders=10,
    )  # fmt: skip
    catalog.save_instrument(given)
    back = catalog.instrument("binance", "BTC/USDT")
    assert back == given
    assert back is not None
    assert [str(back.tick_size), str(back.qty_step), str(back.min_qty)] == ["0.010", "1E-8", "0.00001000"]
    assert [str(back.max_notional), str(back.price_band_down), str(back.max_market_qty)] == ["9E+6", "0.80", "120.0"]
    assert all(getattr(back, f.name) is not None for f in dataclasses.fields(back) if f.name != "max_qty")
    assert catalog.instrument("binance", "ETH/USDT") is None


def test_threads_may_share_a_catalog(catalog: Catalog, year: pd.DataFrame) -> None:
    catalog.write(*KEY, year)
    lengths: list[int] = []
    threads = [threading.Thread(target=lambda: lengths.append(len(catalog.read(*KEY)))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lengths == [6225] * 8


def test_list_and_notebook_view_tell_what_is_stored(catalog: Catalog, year: pd.DataFrame) -> None:
    assert "0 series" in catalog._repr_html_()
    catalog.write(*KEY, year)
    only = catalog.list().iloc[0]
    assert (only["source"], only["symbol"], only["timeframe"], only["bars"]) == ("sample", "EURUSD", "1h", 6225)
    assert only["first"] == year.index[0]
    assert "EURUSD" in catalog._repr_html_()


def test_coverage_uses_the_instrument_s_calendar(catalog: Catalog, year: pd.DataFrame) -> None:
    catalog.write(*KEY, year)
    catalog.save_instrument(samples.about("EURUSD-1h").instrument)
    found = catalog.coverage(*KEY)
    assert found.calendar is Calendar.WEEKDAYS
    assert found.missing == 15  # Christmas: 24 December 22:00 and 25 December 08:00 to 21:00
    assert catalog.coverage(*KEY, calendar="24/7").missing > 2000


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".parquet", ".json"])
def test_an_export_is_imported_unchanged(catalog: Catalog, tmp_path: Path, year: pd.DataFrame, ending: str) -> None:
    from tradelab.catalog.importing import read_file

    catalog.write(*KEY, year)
    assert catalog.export(tmp_path / f"out{ending}", *KEY) == 6225
    back, _ = read_file(tmp_path / f"out{ending}")
    pd.testing.assert_frame_equal(back, year, check_exact=ending != ".json")


def test_an_export_to_an_unknown_format_is_refused(catalog: Catalog, tmp_path: Path, year: pd.DataFrame) -> None:
    catalog.write(*KEY, year)
    with pytest.raises(UnknownNameError, match=r"'\.xlsx'"):
        catalog.export(tmp_path / "out.xlsx", *KEY)
    assert not list(tmp_path.glob("*out*"))


def test_a_closed_catalog_opens_again_when_used(catalog: Catalog, year: pd.DataFrame) -> None:
    catalog.write(*KEY, year)
    catalog.close()
    assert len(catalog.read(*KEY)) == 6225


def test_coverage_goes_by_the_session_that_an_instrument_names(catalog: Catalog) -> None:
    catalog.write("yahoo", "AAPL", "1d", samples.load("AAPL-1d"))
    assert catalog.coverage("yahoo", "AAPL", "1d").missing > 100, "the coarse calendar knows no holidays"
    apple = Instrument(symbol="AAPL", venue="yahoo", quote="USD", tick_size=Decimal("0.01"), qty_step=Decimal(1),
                       calendar=Calendar.SESSIONS, session="XNAS")  # fmt: skip
    catalog.save_instrument(apple)
    found = catalog.coverage("yahoo", "AAPL", "1d", now="2013-03-04 21:05")
    assert (found.calendar, found.missing, found.outside, found.behind) == ("XNAS", 0, 0, 1)
    assert catalog.coverage("yahoo", "AAPL", "1d", calendar="sessions").missing > 100
    assert catalog.inspect("yahoo", "AAPL", "1d").calendar == "XNAS"


def test_an_inspection_of_a_stored_series_is_that_of_its_bars(catalog: Catalog, year: pd.DataFrame) -> None:
    from tradelab.catalog import quality

    catalog.write(*KEY, year)
    assert catalog.inspect(*KEY, calendar="24/5") == quality.inspect(year, "1h", calendar="24/5")
