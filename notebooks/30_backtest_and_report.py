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
# # Backtest and report
#
# What happens to a decision on its way to a fill, what the figures mean, how to see what hangs on the choices, and how
# the whole becomes a report that is made while you sleep.

# %%
import tempfile

import tradelab as tl

bars = tl.samples.load("GOOG-1d")
costs = {"fees": 5e-4, "slippage": 2e-4}
result = tl.backtest(bars, "sma_cross", fast=10, slow=30, sl_stop=0.08, direction="long", **costs)
result

# %% [markdown]
# ## What a fill means
#
# Decided at a close, filled at the next open. Inside a bar the stop comes before the target, because nobody knows which
# was touched first and the worse one is assumed; a gap fills at the open, not at the price you wished for. Every rule
# has its line, and its test, in `docs/semantics.md`. The orders say where in the bar they happened:

# %%
result.orders.head(6)

# %% [markdown]
# `fill="close"` acts on the very close that was decided on, which nobody can do. It is there to see how much of a result
# is owed to that wish; `fill="vectorbt"` reproduces vectorbt's numbers exactly.

# %%
for fill in ("next_open", "close", "vectorbt"):
    other = tl.backtest(bars, "sma_cross", fast=10, slow=30, sl_stop=0.08, direction="long", fill=fill, **costs)
    print(f"{fill:>10}: {other.summary.total_return:8.1%}   Sharpe {other.summary.sharpe:5.2f}")

# %% [markdown]
# ## Trades
#
# One row a trade. `r` is the profit measured in what the first stop risked; `mfe` and `mae` are how far it ran for and
# against you.

# %%
result.trades[["entry_time", "exit_time", "return", "r", "mfe", "mae", "exit_reason"]].tail()

# %%
figures = result.figures()
list(figures)

# %%
result.plot()

# %% [markdown]
# ## Several instruments, one account
#
# Give a mapping of symbol to bars. They share the cash; at each open, exits come first, then entries.

# %%
shares = {name: tl.samples.load(f"{name}-1d") for name in ("AAPL", "IBM", "MSFT")}
tl.backtest(shares, "sma_cross", fast=20, slow=100, direction="long", size=0.33, size_type="percent", **costs)

# %% [markdown]
# ## How much hangs on the parameters

# %%
sweep = tl.sweep(bars, "sma_cross", fast=range(5, 30, 5), slow=range(30, 121, 30), direction="long", **costs)
sweep.heatmap("sharpe")

# %% [markdown]
# ## A report on schedule
#
# `notebooks/production/backtest_report.ipynb` is a notebook with parameters. On the command line, or from a scheduler:
#
#     tradelab run notebooks/production/backtest_report.ipynb -p symbol GOOG -p timeframe 1d -p strategy sma_cross
#
# Each run gets a folder of its own with the parameters, the executed notebook, its log, what it ran on, the hash of its
# data, and `report.html`. A wrong parameter is refused before a kernel starts; a failed run keeps the failing cell.

# %%
run = tl.run_notebook(
    "production/backtest_report.ipynb",
    {"symbol": "GOOG", "timeframe": "1d", "strategy": "sma_cross", "strategy_parameters": "fast=10 slow=30"},
    runs_dir=tempfile.mkdtemp(),
)
run.state, dict(run.results)

# %%
try:
    tl.run_notebook("production/backtest_report.ipynb", {"symbl": "GOOG"})
except tl.TradelabError as error:
    print(error)

# %% [markdown]
# `tl.runs()` lists what ran, `tradelab runs compare A B` says what changed between two, and `runs/index.html` shows them
# all.
#
# Next: **40_is_it_a_lie**, whether to believe any of it.
