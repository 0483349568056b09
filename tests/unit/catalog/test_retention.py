"""Bars go by the policy that says the most, first on paper, then in one transaction a series; readers are unharmed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pandas as pd
import pytest

from tradelab.catalog import samples, usage
from tradelab.catalog.bars import BarRow, Catalog
from tradelab.catalog.database import Database
from tradelab.catalog.retention import RetentionPolicy
from tradelab.model.errors import CorruptFileError, ParameterError, StorageError, UnknownNameError
from tradelab.model.units import NS_PER_HOUR, Timeframe

KEY = ("fx", "EURUSD", "1h")
NOW = pd.Timestamp("2018-01-01", tz="UTC")  # the sample's 6,225 hours lie in 2017


@pytest.fixture
def year() -> pd.DataFrame:
    return samples.load("EURUSD-1h")


@pytest.fixture
def catalog(tmp_path: Path, year: pd.DataFrame) -> Catalog:
    made = Catalog(tmp_path)
    made.write(*KEY, year)
    return made


def marks(root: Path) -> list[Path]:
    return [path for path in (root / "used").rglob("*") if path.is_file()]


def age(catalog: Catalog, days: float, now: pd.Timestamp = NOW) -> None:
    for mark in marks(catalog.root):
        then = now.timestamp() - days * 86_400
        os.utime(mark, (then, then))


def keep(catalog: Catalog, days: float | None = None, unused: float | None = None, **globs: str) -> None:
    catalog.add_retention_policy(RetentionPolicy(keep_days=days, unused_days=unused, **globs))


def test_without_a_policy_everything_is_kept(catalog: Catalog) -> None:
    plan = catalog.retain(NOW)
    assert (plan.bars, plan.removals, str(plan)) == (0, (), "no policy; everything is kept")


def test_a_plan_shows_what_would_go_and_changes_nothing(catalog: Catalog, year: pd.DataFrame) -> None:
    keep(catalog, days=100)
    plan = catalog.plan_retention(NOW)
    old = year.loc[:"2017-09-22 23:59"]  # 100 days before 1 January is 23 September 00:00
    head, line = str(plan).splitlines()
    assert head == f"{len(old):,} bars of 1 series would go"
    assert line == (
        f"  fx EURUSD 1h: {len(old):,} bars, 2017-01-01 22:00 to 2017-09-22 20:00 (older than 100 days); "
        f"{6225 - len(old):,} left"
    )
    assert "<li>fx EURUSD 1h: " in plan._repr_html_()
    pd.testing.assert_frame_equal(catalog.read(*KEY), year)


def test_what_was_planned_is_what_goes(catalog: Catalog, year: pd.DataFrame) -> None:
    keep(catalog, days=100)
    plan = catalog.plan_retention(NOW)
    done = catalog.retain(NOW)
    assert (done.removals, done.done, plan.done) == (plan.removals, True, False)
    pd.testing.assert_frame_equal(catalog.read(*KEY), year.loc["2017-09-23":], check_exact=True)
    assert "removed" in str(done)
    assert str(catalog.retain(NOW)) == "nothing to remove"


def test_an_unused_series_goes_altogether_and_its_name_with_it(catalog: Catalog) -> None:
    keep(catalog, unused=30)
    age(catalog, days=29.9)
    assert catalog.plan_retention(NOW).removals == ()
    age(catalog, days=30)
    (removal,) = catalog.retain(NOW).removals
    assert (removal.bars, removal.left, removal.why) == (6225, 0, "not used for 30 days")
    assert catalog.list().empty
    assert not marks(catalog.root)
    with pytest.raises(UnknownNameError, match="no series named 'fx EURUSD 1h'"):
        catalog.read(*KEY)


def test_a_series_of_which_no_use_was_noted_is_counted_from_the_first_time(catalog: Catalog) -> None:
    marks(catalog.root)[0].unlink()
    keep(catalog, unused=30)
    later = pd.Timestamp.now("UTC") + pd.Timedelta(days=31)
    assert catalog.plan_retention(later).removals == ()
    assert usage.last_use(catalog.root, ("fx", "EURUSD", Timeframe.H1)) is None, "a plan writes nothing down"
    assert catalog.retain().removals == ()
    assert len(catalog.plan_retention(later).removals) == 1


def test_a_series_that_a_feed_writes_is_in_use_though_nobody_reads_it(catalog: Catalog) -> None:
    keep(catalog, unused=30)
    age(catalog, days=400, now=pd.Timestamp.now("UTC"))
    catalog.append([BarRow("fx", "EURUSD", Timeframe.H1, NOW.value, 1.0, 1.0, 1.0, 1.0)])
    assert catalog.plan_retention().removals == ()


def test_the_forming_bar_stays_however_old(catalog: Catalog) -> None:
    rows = [BarRow("fx", "X", Timeframe.H1, h * NS_PER_HOUR, 1.0, 1.0, 1.0, 1.0, closed=h < 2) for h in range(3)]
    catalog.append(rows)
    keep(catalog, days=1, symbol="X")
    assert [r.bars for r in catalog.retain(NOW).removals] == [2]
    left = catalog.read("fx", "X", "1h", include_open=True)
    assert left.index.tolist() == [pd.Timestamp("1970-01-01 02:00", tz="UTC")]


def test_the_policy_that_says_the_most_stands(catalog: Catalog, year: pd.DataFrame) -> None:
    catalog.write("binance", "BTC/USDT", "1h", year)
    catalog.write("binance", "ETH/USDT", "1h", year)
    keep(catalog, days=10)
    keep(catalog, days=100, source="binance")
    keep(catalog, source="binance", symbol="BTC/*")  # no term: for good
    assert [" ".join(p.globs) for p in catalog.retention_policies()] == ["binance BTC/* *", "binance * *", "* * *"]
    gone = {r.symbol: r.policy.keep_days for r in catalog.plan_retention(NOW).removals}
    assert gone == {"EURUSD": 10, "ETH/USDT": 100}


def test_a_month_and_a_minute_are_told_apart(catalog: Catalog) -> None:
    policy = RetentionPolicy(timeframe="1M", keep_days=1)
    assert policy.covers(("a", "b", Timeframe.MN))
    assert not policy.covers(("a", "b", Timeframe.M1))
    assert RetentionPolicy(timeframe="H1").timeframe == "1h"
    assert RetentionPolicy(timeframe="[15]m").covers(("a", "b", Timeframe.M5))


def test_a_policy_is_replaced_by_one_of_the_same_globs_and_can_be_forgotten(catalog: Catalog) -> None:
    keep(catalog, days=10, source="fx")
    keep(catalog, days=20, unused=5, source="fx")
    assert [str(p) for p in catalog.retention_policies()] == [
        "fx * *: bars are kept for 20 days and the series goes after 5 days without use"
    ]
    with pytest.raises(UnknownNameError, match=r"no policy named 'fz \* \*'; did you mean 'fx \* \*'\?"):
        catalog.remove_retention_policy(source="fz")
    catalog.remove_retention_policy(source="fx")
    assert catalog.retention_policies() == ()


@pytest.mark.parametrize(("name", "value"), [("keep_days", 0), ("keep_days", -1), ("unused_days", float("nan"))])
def test_days_that_are_none_are_refused(name: str, value: float) -> None:
    with pytest.raises(ParameterError, match=f"{name}={value} must be a number of days above zero"):
        RetentionPolicy(**{name: value})  # type: ignore[arg-type]


def test_a_glob_that_is_none_is_refused() -> None:
    with pytest.raises(ParameterError, match="symbol='' must be a name or a glob"):
        RetentionPolicy(symbol="", keep_days=1)
    with pytest.raises(ParameterError, match="timeframe '7m' is not known"):
        RetentionPolicy(timeframe="7m", keep_days=1)


def test_a_reader_in_the_middle_of_a_read_is_unharmed(
    catalog: Catalog, year: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(catalog, days=100)
    real, removed = Path.read_bytes, []

    def remove_first(self: Path) -> bytes:
        if not removed:
            removed.append(True)
            with Catalog(catalog.root) as other:
                other.retain(NOW)
        return real(self)

    monkeypatch.setattr(Path, "read_bytes", remove_first)
    pd.testing.assert_frame_equal(catalog.read(*KEY), year, check_exact=True)  # the state it began with
    monkeypatch.setattr(Path, "read_bytes", real)
    assert catalog.read(*KEY).index[0] == pd.Timestamp("2017-09-24 21:00", tz="UTC")
    assert catalog.vacuum(grace_s=0) == 1


def test_a_series_whose_removal_fails_keeps_all_it_had(
    catalog: Catalog, year: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(catalog, days=100)
    before = sorted(catalog.root.rglob("*.parquet"))
    monkeypatch.setattr("tradelab.catalog.tail.clear_closed", lambda *_: (_ for _ in ()).throw(OSError(28, "No space")))
    with pytest.raises(StorageError, match="cannot remove bars of EURUSD"):
        catalog.retain(NOW)
    monkeypatch.undo()
    pd.testing.assert_frame_equal(catalog.read(*KEY), year, check_exact=True)
    assert sorted(catalog.root.rglob("*.parquet")) == before


def test_a_damaged_file_across_the_line_is_said_and_not_thrown_away(catalog: Catalog) -> None:
    keep(catalog, days=100)
    file = next(catalog.root.rglob("*.parquet"))
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(CorruptFileError, match="damaged"):
        catalog.retain(NOW)
    assert len(catalog.list()) == 1


def test_a_number_given_again_to_another_series_is_no_mix_up(catalog: Catalog, year: pd.DataFrame) -> None:
    keep(catalog, unused=1, source="fx")
    age(catalog, days=2)
    catalog.retain(NOW)
    catalog.write("binance", "BTC/USDT", "1h", year)  # SQLite gives the number of the removed series again
    assert catalog.list()["symbol"].tolist() == ["BTC/USDT"]
    assert catalog.plan_retention(NOW).removals == ()
    pd.testing.assert_frame_equal(catalog.read("binance", "BTC/USDT", "1h"), year)


def test_a_writer_that_works_is_waited_for_and_then_named(catalog: Catalog) -> None:
    keep(catalog, days=100)
    impatient = Catalog(catalog.root, wait_s=0.01)
    with (
        Database(catalog.root / "catalog.sqlite", wait_s=0.01).writing("hold"),
        pytest.raises(StorageError, match="another process is writing"),
    ):
        impatient.retain(NOW)
    assert impatient.plan_retention(NOW).bars > 0


def test_the_time_is_now_when_none_is_said(catalog: Catalog) -> None:
    keep(catalog, days=1)
    plan = catalog.plan_retention()
    assert abs(plan.at.timestamp() - time.time()) < 60
    assert plan.bars == 6225
