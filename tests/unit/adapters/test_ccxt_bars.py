"""The real ccxt client, pointed at a local server that speaks Binance's protocol, and what can go wrong on the way."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from tradelab.adapters import ccxt_bars
from tradelab.catalog.bars import Catalog
from tradelab.model.errors import ConnectivityError, RequestError, TimestampError, UnknownNameError
from tradelab.model.instrument import Calendar

KEY = ("binance", "BTC/USDT", "1h")


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog(tmp_path)


@pytest.fixture
def waits() -> list[float]:
    return []


def fetch(catalog: Catalog, binance: SimpleNamespace, waits: list[float], **options: object) -> ccxt_bars.Download:
    given = {"since": "2024"} | options
    return ccxt_bars.download(catalog, *KEY, base_url=binance.url, sleep=waits.append, **given)  # type: ignore[arg-type]


def test_every_closed_bar_is_fetched_in_pages_and_the_forming_one_is_not(
    catalog: Catalog, binance: SimpleNamespace, waits: list[float]
) -> None:
    seen: list[ccxt_bars.Progress] = []
    done = fetch(catalog, binance, waits, on_page=seen.append)
    assert (done.bars, done.pages) == (2499, 3)
    bars = catalog.read(*KEY)
    assert bars.index[0] == pd.Timestamp("2024-01-01", tz="UTC")
    assert bars.index[-1] == pd.Timestamp(binance.kline(2498)[0], unit="ms", tz="UTC")
    assert bars.iloc[7].tolist() == [40007.1, 40016.5, 39998.25, 40007.7, 7.12345]
    assert [p.fraction for p in seen] == pytest.approx([1000 / 2499, 2000 / 2499, 1.0])
    assert waits == []


def test_the_instrument_is_kept_with_exact_steps(
    catalog: Catalog, binance: SimpleNamespace, waits: list[float]
) -> None:
    fetch(catalog, binance, waits, until="2024-01-02")
    found = catalog.instrument("binance", "BTC/USDT")
    assert found is not None
    assert (found.tick_size, found.qty_step, found.min_qty) == (Decimal("0.01"), Decimal("0.00001"), Decimal("0.00001"))
    assert (found.quote, found.min_notional, found.calendar) == ("USDT", Decimal(5), Calendar.ALWAYS)


def test_a_second_download_asks_only_for_what_is_new(
    catalog: Catalog, binance: SimpleNamespace, waits: list[float]
) -> None:
    fetch(catalog, binance, waits, until="2024-02-01")
    binance.exchange.asked.clear()
    done = fetch(catalog, binance, waits, since=None)
    assert int(binance.exchange.asked[0]["startTime"]) == pd.Timestamp("2024-02-01", tz="UTC").value // 10**6
    assert done.bars == 2499 - 31 * 24
    assert len(catalog.read(*KEY)) == 2499
    binance.exchange.asked.clear()
    assert fetch(catalog, binance, waits).bars == 0
    assert binance.exchange.asked == []


def test_an_earlier_since_fills_the_front(catalog: Catalog, binance: SimpleNamespace, waits: list[float]) -> None:
    fetch(catalog, binance, waits, since="2024-03-01")
    done = fetch(catalog, binance, waits, since="2024-02-01")
    assert done.bars == 29 * 24
    assert catalog.coverage(*KEY).missing == 0


def test_bars_that_the_exchange_lacks_are_left_out_and_passed(
    catalog: Catalog, binance: SimpleNamespace, waits: list[float]
) -> None:
    binance.exchange.missing = set(range(500, 600))
    assert fetch(catalog, binance, waits).bars == 2399
    assert catalog.coverage(*KEY).missing == 100
    binance.exchange.asked.clear()
    assert fetch(catalog, binance, waits).bars == 0
    assert len(binance.exchange.asked) == 1, "the hole is asked for once more, the rest is not"
    binance.exchange.missing = set()
    assert fetch(catalog, binance, waits).bars == 100


def test_too_many_requests_waits_as_long_as_the_exchange_says(
    catalog: Catalog, binance: SimpleNamespace, waits: list[float]
) -> None:
    binance.exchange.faults = ["", "429"]
    assert fetch(catalog, binance, waits).bars == 2499
    assert waits == [7.0]


def test_a_cut_connection_and_a_busy_server_are_asked_again(
    catalog: Catalog, binance: SimpleNamespace, waits: list[float]
) -> None:
    binance.exchange.faults = ["cut", "503", "", "cut"]
    assert fetch(catalog, binance, waits).bars == 2499
    assert waits == [1.0, 2.0, 1.0]
    assert catalog.coverage(*KEY).missing == 0


def test_an_interrupted_download_keeps_its_pages_and_says_how_to_go_on(
    catalog: Catalog, binance: SimpleNamespace, waits: list[float]
) -> None:
    binance.exchange.faults = [""] + ["cut"] * 6
    with pytest.raises(
        ConnectivityError, match=r"6 attempts.*1,000 bar\(s\) were stored, up to 2024-02-11 15:00.*same command"
    ):
        fetch(catalog, binance, waits)
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0]
    assert len(catalog.read(*KEY)) == 1000
    assert fetch(catalog, binance, waits).bars == 1499
    assert catalog.coverage(*KEY).missing == 0


def test_a_refusal_by_the_exchange_is_not_tried_again(
    catalog: Catalog, binance: SimpleNamespace, waits: list[float]
) -> None:
    binance.exchange.faults = ["refuse"]
    with pytest.raises(RequestError, match="Illegal characters"):
        fetch(catalog, binance, waits)
    assert waits == []


def test_a_clock_that_is_wrong_here_does_not_close_the_forming_bar(
    catalog: Catalog, binance: SimpleNamespace, waits: list[float]
) -> None:
    """The exchange's clock stands in April 2024; this machine's is years ahead of it."""
    fetch(catalog, binance, waits)
    newest = catalog.last_closed(*KEY)
    assert newest is not None
    assert newest.value // 10**6 + 3_600_000 <= binance.exchange.now_ms


def test_unknown_exchange_symbol_and_timeframe_name_the_nearest(
    catalog: Catalog, binance: SimpleNamespace, waits: list[float]
) -> None:
    def ask(*key: str) -> None:
        ccxt_bars.download(catalog, *key, since="2024", base_url=binance.url)

    with pytest.raises(UnknownNameError, match="did you mean 'binance'"):
        ask("binanc", "BTC/USDT", "1h")
    with pytest.raises(UnknownNameError, match="did you mean 'BTC/USDT'"):
        ask("binance", "BTC/USD", "1h")
    with pytest.raises(UnknownNameError, match="no timeframe at kraken named '3m'"):
        ask("kraken", "BTC/USD", "3m")
    assert catalog.list().empty


def test_nothing_stored_and_no_since_is_refused(catalog: Catalog, binance: SimpleNamespace, waits: list[float]) -> None:
    with pytest.raises(TimestampError, match="--since 2022-01-01"):
        fetch(catalog, binance, waits, since=None)


def test_an_end_before_the_start_is_refused(catalog: Catalog, binance: SimpleNamespace, waits: list[float]) -> None:
    with pytest.raises(TimestampError, match="since=2024-02 is not before until=2024-01"):
        fetch(catalog, binance, waits, since="2024-02", until="2024-01")
