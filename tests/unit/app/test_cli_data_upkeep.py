"""A stranger at the terminal sees what is stored, what may go, and loses nothing without having said so."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from tradelab.app.cli import main
from tradelab.app.cli_data import export
from tradelab.catalog.bars import Catalog
from tradelab.catalog.exporting import FORMATS


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRADELAB_HOME", str(tmp_path / "home"))
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["data", *words])


def test_help_shows_how_each_is_used() -> None:
    assert "tradelab data retain add '*' '*' 1m --keep-days 365" in run("retain", "--help").output
    assert "in quotes" in run("retain", "add", "--help").output
    assert "last use" in run("stats", "--help").output
    assert "America/New_York+7" in run("export", "--help").output
    assert "XNYS" in run("coverage", "--help").output
    assert {"retain", "stats"} <= set(run("--help").output.split())


def test_statistics_of_a_stored_sample_are_told() -> None:
    assert "0 series, 0 bars, " in run("stats").output
    run("samples", "EURUSD-1h", "--store")
    said = run("stats").output
    assert "1 series, 6,225 bars, " in said
    assert "last use" in said


def test_policies_are_added_shown_applied_and_forgotten() -> None:
    run("samples", "EURUSD-1h", "--store")
    run("samples", "AAPL-1d", "--store")
    assert "no policy; everything is kept." in run("retain").output
    assert "* * 1h: bars are kept for 100 days" in run("retain", "add", "*", "*", "1h", "--keep-days", "100").output
    shown = run("retain")
    assert shown.exit_code == 0
    assert "6,225 bars of 1 series would go" in shown.output
    assert "sample EURUSD 1h: 6,225 bars" in shown.output
    assert "nothing was removed" in shown.output
    assert len(Catalog().list()) == 2
    assert "6,225 bars of 1 series removed" in run("retain", "--apply").output
    assert Catalog().list()["symbol"].tolist() == ["AAPL"]
    assert "forgotten." in run("retain", "remove", "*", "*", "1h").output
    assert Catalog().retention_policies() == ()


def test_a_policy_without_days_exempts_from_a_wider_one() -> None:
    run("samples", "EURUSD-1h", "--store")
    run("retain", "add", "*", "*", "*", "--keep-days", "1")
    run("retain", "add", "sample", "EUR*", "*")
    assert "nothing to remove" in run("retain", "--apply").output
    assert len(Catalog().list()) == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["add", "*", "*", "7m", "--keep-days", "1"], "timeframe '7m' is not known"),
        (["add", "*", "*", "1m", "--keep-days", "-1"], "keep_days=-1.0 must be a number of days above zero"),
        (["remove", "binance", "*", "*"], "no policy named 'binance * *'. `tradelab data retain` lists them."),
        (["--apply", "add", "*", "*", "1m"], "--apply stands alone"),
    ],
)
def test_what_is_wrong_is_said_with_the_next_step(words: list[str], says: str) -> None:
    said = run("retain", *words)
    assert said.exit_code == 2
    assert says in said.output


def test_coverage_and_verification_go_by_a_calendar_that_is_named() -> None:
    run("samples", "EURUSD-1h", "--store")
    covered = run("coverage", "sample", "EURUSD", "1h", "--calendar", "fx").output
    assert "0 missing in 0 gap(s) by the fx calendar (100.00% there); 9 at times when the market is closed" in covered
    assert "should have come since" in covered
    verified = run("verify", "sample", "EURUSD", "1h", "--calendar", "fx")
    assert verified.exit_code == 0
    assert "note outside hours: 9 (the market is closed then by the fx calendar)" in verified.output
    assert "note stale tail: " in verified.output
    wrong = run("coverage", "sample", "EURUSD", "1h", "--calendar", "XNYX")
    assert (wrong.exit_code, "did you mean 'XNYS'?" in wrong.output) == (2, True)


def test_bars_go_to_metatrader_and_come_back(home: Path) -> None:
    run("samples", "EURUSD-1h", "--store")
    series = ["sample", "EURUSD", "1h"]
    zone = ["--tz", "America/New_York+7"]
    assert "wrote 6,225 bars" in run("export", *series, str(home / "EURUSD60.hst"), *zone).output
    assert "wrote 6,225 bars" in run("export", *series, str(home / "mt5.csv"), "--format", "mt5", *zone).output
    asked = run("export", *series, str(home / "mt4.csv"), "--format", "mt4")
    assert (asked.exit_code, "Give the clock of the broker's server" in asked.output) == (2, True)
    back = run("import", str(home / "EURUSD60.hst"), "--yes", *zone).output
    assert "read('file', 'EURUSD', '1h')" in back
    theirs, ours = Catalog().read("file", "EURUSD", "1h"), Catalog().read(*series)
    assert theirs["close"].equals(ours["close"])


def test_the_formats_offered_are_those_there_are() -> None:
    offered = next(o.type.choices for o in export.params if isinstance(o.type, click.Choice))
    assert tuple(offered) == FORMATS
