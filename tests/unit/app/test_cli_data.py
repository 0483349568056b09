"""A stranger at the terminal gets bars in, sees them, checks them and gets them out."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tradelab.app.cli import main
from tradelab.catalog.bars import Catalog

DUKASCOPY = (
    "Gmt time,Open,High,Low,Close,Volume\n02.01.2015 01:00:00.000 GMT+0100,1.1,1.3,1.0,1.2,100\n"
    "02.01.2015 02:00:00.000 GMT+0100,1.2,1.4,1.1,1.3,90.5\n"
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRADELAB_HOME", str(tmp_path / "home"))
    return tmp_path


def run(*words: str, answer: str = "") -> Result:
    return CliRunner().invoke(main, ["data", *words], input=answer)


def test_help_names_every_command_and_an_example() -> None:
    said = run("--help").output
    for word in ("download", "import", "list", "coverage", "verify", "export", "samples", "--since 2022"):
        assert word in said


def test_an_empty_catalog_says_how_to_fill_it() -> None:
    said = run("list")
    assert said.exit_code == 0
    assert "0 series" in said.output
    assert "tradelab data download" in said.output


def test_an_import_shows_its_guess_and_stores_only_after_a_yes(home: Path) -> None:
    file = home / "eurusd-2015.csv"
    file.write_text(DUKASCOPY)
    refused = run("import", str(file), answer="n\n")
    assert "DD.MM.YYYY" in refused.output
    assert refused.exit_code == 2
    assert "nothing was stored. Add --yes" in refused.output
    assert "0 series" in run("list").output
    assert "stored 2 bars" in run("import", str(file), answer="\n").output
    assert "the same times are replaced" in run("import", str(file), answer="\n").output
    assert "EURUSD" in run("list").output
    assert len(Catalog().read("file", "EURUSD", "1h")) == 2


def test_a_metatrader_name_gives_its_symbol_and_a_folder_is_no_file(home: Path) -> None:
    file = home / "EURUSD60.csv"
    file.write_text("2015.01.02,10:00,1.1,1.2,1.0,1.1,5\n2015.01.02,11:00,1.1,1.2,1.0,1.1,5\n")
    assert "read('file', 'EURUSD', '1h')" in run("import", str(file), "--yes", "--tz", "UTC").output
    assert "is a folder. Name a file" in run("import", str(home)).output


def test_a_refusal_is_words_and_not_a_traceback(home: Path) -> None:
    said = run("coverage", "binance", "BTC/USDT", "1h")
    assert said.exit_code == 2
    assert "UnknownNameError: no series named 'binance BTC/USDT 1h'" in said.output


def test_a_sample_is_stored_covered_verified_and_exported(home: Path) -> None:
    assert "MIT" in run("samples", "EURUSD-1h", "--store").output
    assert "15 missing" in run("coverage", "sample", "EURUSD", "1h").output
    verified = run("verify")
    assert verified.exit_code == 0
    assert "sound" in verified.output
    target = home / "out.csv"
    assert (
        "wrote 24 bars"
        in run("export", "sample", "EURUSD", "1h", str(target), "--start", "2017-06-01", "--end", "2017-06-02").output
    )
    assert target.read_text().splitlines()[0] == "time,open,high,low,close,volume"
    assert target.read_text().splitlines()[1].startswith("2017-06-01T00:00:00Z,")


def test_verify_fails_on_impossible_bars_and_on_damage(home: Path) -> None:
    file = home / "bad.csv"
    file.write_text("date,open,high,low,close\n2024-01-02,1,0.5,1,2\n2024-01-03,1,2,1,2\n")
    refused = run("import", str(file), "--yes", "--timeframe", "1d")
    assert refused.exit_code == 2
    assert "impossible bars; nothing was stored" in refused.output
    run("import", str(file), "--yes", "--timeframe", "1d", "--unsound")
    said = run("verify", "file", "BAD", "1d")
    assert said.exit_code == 1
    assert "FAIL high below low: 1" in said.output
    with Catalog() as catalog:
        name = catalog.snapshot("file", "BAD", "1d").segments[0]
        (catalog.root / name).write_bytes(b"damaged")
    assert f"DAMAGED {name}" in run("verify").output
    assert "forgotten" in run("verify", "--discard-damaged").output
    assert run("verify").exit_code == 0


def test_samples_are_listed_with_their_packages() -> None:
    said = run("samples").output
    assert "EURUSD-1h" in said
    assert "gym-anytrading" in said


def test_storing_needs_a_sample_s_name() -> None:
    assert "--store needs the name" in run("samples", "--store").output


def test_half_a_series_is_refused() -> None:
    assert "name a whole series or none" in run("verify", "binance").output
