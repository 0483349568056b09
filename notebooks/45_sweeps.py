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
# # Sweeps
#
# Many combinations of parameters, and one row of figures for each. What to try, where to run it, and how to go on after
# the machine was switched off are three arguments of one call.

# %%
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import tradelab as tl

bars = tl.samples.load("GOOG-1d")
costs = {"fees": 5e-4, "slippage": 2e-4, "direction": "long"}

# %% [markdown]
# ## A grid
#
# Whatever is given as several values is swept. Combinations against the strategy's own rule (`fast < slow`) are left out
# and counted.

# %%
grid = tl.sweep(bars, "sma_cross", fast=range(5, 45, 5), slow=range(20, 121, 20), **costs)
grid

# %%
grid.heatmap("sharpe")

# %% [markdown]
# The table is made when you look at it. `top` makes only the rows it shows, and any row can be run again whole.

# %%
grid.top(3, "calmar")[["fast", "slow", "calmar", "max_drawdown", "trades"]]

# %% [markdown]
# ## Drawn instead of listed
#
# A `tl.Range` is every number between its ends; `log=True` draws as many between 1 % and 2 % as between 5 % and 10 %.
# With three parameters a hundred draws say more than a grid of a hundred, which has five values of each. `search="sobol"`
# spreads them more evenly still.

# %%
space = {"fast": tl.Range(2, 60), "slow": tl.Range(20, 200), "sl_stop": tl.Range(0.01, 0.2, log=True)}
drawn = tl.sweep(bars, "sma_cross", search="random", samples=120, seed=1, **space, **costs)
drawn.top(3)[["fast", "slow", "sl_stop", "sharpe", "trades"]]

# %% [markdown]
# ## Several symbols, several timeframes
#
# A mapping shares one account. `each=True` gives every symbol its own, and `timeframes` makes longer bars of the ones
# given, each known when its last part has closed.

# %%
shares = {name: tl.samples.load(f"{name}-1d") for name in ("AAPL", "IBM", "MSFT")}
wide = tl.sweep(shares, "sma_cross", fast=[5, 10], slow=[20, 30], each=True, timeframes=["1d", "1w"], **costs)
wide.table.pivot_table(index=["fast", "slow"], columns=["symbol", "timeframe"], values="sharpe").round(2)

# %% [markdown]
# ## Killed, and continued
#
# With `path=` finished rows go to a folder. Here another process starts the sweep and is killed; the same call then
# computes what is missing and nothing else. Other bars, another strategy or other terms are refused.

# %%
folder = Path(tempfile.mkdtemp()) / "my_sweep"
hours = tl.samples.load("EURUSD-1h")
call = f'bars, "sma_cross", fast=range(2, 200), slow=range(50, 400), path={str(folder)!r}, threads=1, progress=False'
program = f'import tradelab as tl; bars = tl.samples.load("EURUSD-1h"); tl.sweep({call})'
other = subprocess.Popen([sys.executable, "-c", program])
while other.poll() is None and not any(folder.glob("parts/*.parquet")):
    time.sleep(0.02)
other.kill(), other.wait()
half = tl.load_sweep(folder)
print(half)

# %%
whole = tl.sweep(hours, "sma_cross", fast=range(2, 200), slow=range(50, 400), path=folder)
print(f"{len(half):,} rows were there, {len(whole):,} are now")

# %%
try:
    tl.sweep(hours.iloc[:-1], "sma_cross", fast=range(2, 200), slow=range(50, 400), path=folder)
except tl.TradelabError as error:
    print(error)

# %% [markdown]
# ## A search that learns
#
# `search="optuna"` asks for a round of combinations, looks at what they came to, and asks again (needs the `search`
# extra). It finds the top of a hill with fewer tries, and it finds the top of noise just as gladly: see *Is it a lie?*

# %%
if find_spec("optuna"):
    learnt = tl.sweep(bars, "sma_cross", search="optuna", samples=120, seed=1, by="sharpe", **space, **costs)
    print(f"best of 120 drawn {drawn.table['sharpe'].max():.2f}, of 120 asked for {learnt.table['sharpe'].max():.2f}")

# %% [markdown]
# ## More machines
#
# `executor=client` sends the batches to a Dask cluster (needs the `cluster` extra): this one is two processes on this
# machine, yours may be a hundred elsewhere. The rows are the same, and a worker that dies takes none with it.

# %%
if find_spec("distributed"):
    from distributed import Client, LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster, Client(cluster) as client:
        far = tl.sweep(bars, "sma_cross", fast=range(5, 45, 5), slow=range(20, 121, 20), executor=client, **costs)
    print("the same rows:", far.table.equals(grid.table))

# %% [markdown]
# `notebooks/production/` holds what runs on schedule: `tradelab run notebooks/production/…`.
#
# Next: **50_paper_trading**, an engine that trades what was researched.
