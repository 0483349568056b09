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
# # Start here
#
# tradelab takes one strategy from a cell like these to a parameter sweep, to a scheduled report, to paper and to live
# trading, and it means the same thing everywhere. This page is the whole road in five minutes; the next notebooks
# walk it slowly. Everything here runs offline, on real bars that come with the package.

# %%
import tradelab as tl

bars = tl.samples.load("EURUSD-1h")
bars.tail(3)

# %% [markdown]
# One row an hour of 2017, stamped with the time the hour *began*, in UTC. `tl.samples.names()` lists the other series.
#
# ## A backtest in one line
#
# Buy above the highest high of the last 40 hours, leave below the lowest low of the last 10, and the mirror image for
# shorts: Donchian's breakout. Costs are part of the question, so they are part of the call.

# %%
result = tl.backtest(bars, "donchian_breakout", window=40, exit_window=10, fees=2e-5, slippage=3e-5)
result

# %% [markdown]
# A decision is made when an hour has closed and is filled at the *next* hour's open: nothing here could not have been
# done at the time. The figures say how a year was counted, for a Sharpe ratio means little without it.

# %%
result.plot()

# %%
result.trades.tail()

# %% [markdown]
# ## Is it luck?
#
# Two questions before any hope. First: does the strategy see the future? Take history away and look whether decisions
# change. Second: does the result hang on one lucky choice of numbers? Try the numbers around it.

# %%
tl.check("donchian_breakout", bars, window=40, exit_window=10)

# %%
sweep = tl.sweep(bars, "donchian_breakout", window=range(20, 101, 20), exit_window=[5, 10, 20, 40], fees=2e-5)
sweep.heatmap("sharpe")

# %% [markdown]
# A broad bright plateau would be encouraging; single bright cells are what chance looks like.
#
# ## Hand it on
#
# A result writes itself into one HTML file that opens anywhere, with the network off.

# %%
import tempfile
from pathlib import Path

report = result.to_html(Path(tempfile.mkdtemp()) / "eurusd.html")
f"{report.name}: {report.stat().st_size / 1e6:.1f} MB"

# %% [markdown]
# ## Where to go
#
# * **10_bars**: your own data, downloaded or imported, checked and kept.
# * **20_a_strategy**: write one, with typed parameters and an honest warm-up.
# * **30_backtest_and_report**: what every fill means, and a report produced by a scheduled run.
# * **40_is_it_a_lie**: hold the best of a sweep against luck, overfitting, costs and delay.
# * **45_sweeps**: grids and draws, many symbols, killed and continued, a search that learns, many machines.
# * **50_paper_trading**: an engine of its own, an order gate by gate, refusals, the brake, and a kill in the middle of it.
# * **60_going_live**: what a careful person looks at before the money is real.
#
# All of this page as a panel with sliders: `from tradelab_widgets import BacktestLab`, then
# `BacktestLab(bars, "sma_cross")`.
