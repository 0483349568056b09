"""Carry the bundled sample bars over from two permissively licensed wheels; run it again to get the same bytes.

    pip download --no-deps -d wheels gym-anytrading==2.0.0 bokeh_sampledata==2026.1
    python tools/make_samples.py wheels

It reads the wheels as zip files and never imports them. What it changes is written into ``manifest.json``: stock prices
are divided by the splits that followed (volume multiplied), dates become 00:00 UTC stamps. No other value is touched,
and a bar that fails the hard checks would stop it (none does).
"""

from __future__ import annotations

import gzip
import io
import json
import sys
import zipfile
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tradelab.catalog.frame import COLUMNS, as_bars, content_hash
from tradelab.model.errors import ParameterError, QualityError

TARGET = Path(__file__).parents[1] / "tradelab" / "catalog" / "samples" / "data"
GYM = {"package": "gym-anytrading", "version": "2.0.0", "licence": "MIT, (c) 2019 Mohammad Amin Haghpanah"}
BOKEH = {
    "package": "bokeh_sampledata",
    "version": "2026.1",
    "licence": "public domain (Quandl WIKI Prices); carried by bokeh_sampledata, BSD-3-Clause, (c) Bokeh Contributors",
}
# The source's adjusted close tells the splits: its ratio to the close jumps by exactly the split that day.
SPLITS = {"AAPL": {"2000-06-21": 2, "2005-02-28": 2}, "MSFT": {"2003-02-18": 2}}


def main(wheels: Path) -> None:
    manifest = {}
    frame, facts = eurusd(wheels)
    manifest["EURUSD-1h"] = save("EURUSD-1h", frame, facts)
    for symbol, (frame, facts) in stocks(wheels).items():
        manifest[f"{symbol}-1d"] = save(f"{symbol}-1d", frame, facts)
    (TARGET / "manifest.json").write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def eurusd(wheels: Path) -> tuple[pd.DataFrame, dict[str, str]]:
    raw = pd.read_csv(member(wheels, GYM, "FOREX_EURUSD_1H_ASK.csv"))
    raw.index = pd.to_datetime(raw.pop("Time"), format="%d.%m.%Y %H:%M:%S.%f").dt.tz_localize("UTC")
    note = (
        "Ask prices of 2017. The package states no time zone; UTC is assumed, and the bars agree: weeks open at 22:00 "
        "and, under New York's summer time, at 21:00. Christmas is closed."
    )
    return raw, GYM | {"source": "file FOREX_EURUSD_1H_ASK.csv; the package names no provider", "note": note}


def stocks(wheels: Path) -> dict[str, tuple[pd.DataFrame, dict[str, str]]]:
    table = pd.read_csv(io.BytesIO(gzip.decompress(member(wheels, BOKEH, "stocks.csv.gz").read())))
    found = {}
    for symbol, raw in table.groupby("Ticker"):
        raw = raw.set_index(pd.to_datetime(raw["Date"]).dt.tz_localize("UTC"))
        note = "Stamped 00:00 UTC of the session's date. As traded: no dividend is taken out."
        for day, ratio in SPLITS.get(str(symbol), {}).items():
            before = raw.index < pd.Timestamp(day, tz="UTC")
            prices = ["Open", "High", "Low", "Close"]
            raw.loc[before, prices] = (raw.loc[before, prices] / ratio).round(6)
            raw.loc[before, "Volume"] *= ratio
            note += f" Adjusted for the {ratio}:1 split of {day}."
        found[str(symbol)] = (
            raw,
            BOKEH | {"source": "Quandl WIKI Prices to 2013-03-01, file stocks.csv.gz", "note": note},
        )
    return found


def member(wheels: Path, package: dict[str, str], ending: str) -> io.BytesIO:
    stem = f"{package['package'].replace('-', '_')}-{package['version']}-"
    wheel = next(wheels.glob(f"{stem}*.whl"), None)
    if wheel is None:
        raise ParameterError(
            f"no wheel {stem}*.whl in {wheels}.", fix="Fetch it with the command at the top of this file."
        )
    with zipfile.ZipFile(wheel) as archive:
        return io.BytesIO(archive.read(next(n for n in archive.namelist() if n.endswith(ending))))


def save(name: str, raw: pd.DataFrame, facts: dict[str, str]) -> dict[str, object]:
    bars = as_bars(raw, name=name)
    impossible = (
        (bars["high"] < bars[["open", "close", "low"]].max(axis=1))
        | (bars["low"] > bars[["open", "close"]].min(axis=1))
        | ~(bars["low"] > 0)
    )
    if impossible.any():
        raise QualityError(f"{name}: {int(impossible.sum())} impossible bars; decide on a fix and record it here.")
    columns = {"time": pa.array(bars.index)} | {c: pa.array(bars[c].to_numpy()) for c in COLUMNS}
    pq.write_table(pa.table(columns), TARGET / f"{name}.parquet", compression="zstd", compression_level=19)
    first, last = bars.index[0], bars.index[-1]
    return facts | {
        "rows": len(bars),
        "start": str(first),
        "end": str(last),
        "sha256": content_hash(bars),
        "repairs": 0,
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
