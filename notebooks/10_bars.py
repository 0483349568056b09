# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Bars
#
# A backtest is as good as its bars. Here: what a bar is to us, how to get your own in, how to see whether they can be
# trusted, and where they are kept.

# %%
import tempfile
from pathlib import Path

import tradelab as tl
from tradelab.catalog.importing import read_file
from tradelab.catalog.quality import inspect
from tradelab.catalog.resample import resample

print(tl.samples.about("EURUSD-1h"))

# %% [markdown]
# ## One shape
#
# Open, high, low, close, volume; a time stamp in UTC that says when the bar *opened*; no time twice, none out of order.
# Whatever you have is brought into that shape, or refused with the reason:

# %%
bars = tl.samples.load("EURUSD-1h")
try:
    tl.backtest(bars.tz_localize(None), "sma_cross")
except tl.TradelabError as error:
    print(f"{type(error).__name__}: {error}")

# %% [markdown]
# ## Can they be trusted?
#
# `inspect` counts what is impossible (a high below its low) and what is merely odd (gaps, spikes, repeats), and says
# where. Impossible bars stop a backtest; odd ones are yours to judge.

# %%
inspect(bars)

# %%
broken = bars.copy()
broken.iloc[100, broken.columns.get_loc("high")] = 0.5
inspect(broken)

# %% [markdown]
# ## Your own file
#
# CSV, Parquet or JSON. Column names and the form of the dates are guessed, and the guess is shown, so that nothing is
# assumed behind your back. On the command line: `tradelab data import FILE`.

# %%
folder = Path(tempfile.mkdtemp())
mine = bars.head(200).reset_index().rename(columns={"time": "Date", "open": "Open", "close": "Close"})
mine.to_csv(folder / "mine.csv", index=False)
print((folder / "mine.csv").read_text()[:150])

# %%
imported, guess = read_file(folder / "mine.csv")
print(guess)

# %% [markdown]
# ## The catalog
#
# Bars are kept in a folder: months as Parquet files that are never rewritten, the newest bars in a small SQLite tail,
# and a catalogue that says what is where. A program that dies in the middle of writing leaves the old state or the new
# one, and readers in other processes never see half a bar. Yours lies in your user folder; this one is thrown away.

# %%
catalog = tl.Catalog(folder / "bars")
catalog.write("demo", "EURUSD", "1h", bars)
catalog

# %%
june = catalog.read("demo", "EURUSD", "1h", "2017-06-01", "2017-07-01")
june.attrs["snapshot"], len(june)

# %% [markdown]
# The snapshot id names exactly these bars: a report cites it, and the same id means the same bars to the last bit.
#
# ## Other timeframes
#
# Coarser bars are made of finer ones, and only of complete ones. The other way round is refused: nobody knows what
# happened inside.

# %%
resample(june, "4h").head(3)

# %%
catalog.coverage("demo", "EURUSD", "1h")

# %% [markdown]
# From an exchange: `tradelab data download binance BTC/USDT 1h --since 2022` pages through its public history, shows how
# far it is, and goes on where it stopped. `tradelab data list` shows what you have.
#
# Next: **20_a_strategy**, one of your own.
