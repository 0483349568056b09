# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Backtest report
#
# One strategy on one series: is the data sound, is the strategy honest, what did it earn, on what trades, and how much
# of that hangs on the parameters. Run it by `tradelab run notebooks/production/backtest_report.ipynb -p symbol EURUSD`.

# %% tags=["parameters"]
symbol: str = "EURUSD"  # as it is called by its source
timeframe: str = "1h"  # 1m 5m 15m 30m 1h 4h 1d 1w
source: str = "sample"  # "sample", or a source of the catalog such as "binance"
start: str = ""  # first day, e.g. 2017-03-01; empty: from the beginning
end: str = ""  # the day before which to stop; empty: to the end
strategy: str = "donchian_breakout"  # name of a registered strategy
strategy_parameters: str = ""  # e.g. "window=20 exit_window=10"; empty: its defaults
direction: str = "both"  # both, long or short
fees_bps: float = 0.2  # of the notional, each order
slippage_bps: float = 0.3  # of the price, each market order
stop_pct: float = 0.0  # stop loss in percent of the entry price; 0: none
target_pct: float = 0.0  # take profit in percent of the entry price; 0: none
init_cash: float = 10000.0  # in the quote currency
grid: str = ""  # e.g. "window=10:60:10 exit_window=5,10,20"; empty: a small grid around the parameters

# %%
from IPython.display import Markdown, display

import tradelab as tl
from tradelab.catalog.quality import inspect
from tradelab.research.words import grid_around, read_grid, read_parameters

chosen = read_parameters(strategy, strategy_parameters)
terms = {
    "direction": direction,
    "fees": fees_bps / 1e4,
    "slippage": slippage_bps / 1e4,
    "init_cash": init_cash,
    "sl_stop": stop_pct / 100 or None,
    "tp_stop": target_pct / 100 or None,
}

# %% [markdown]
# ## The bars
#
# A backtest is as good as its bars. Impossible ones (high below low, a price of zero) stop the run; gaps and spikes are
# listed, for a market that was closed looks the same as a feed that was down.

# %%
bars = tl.bars(symbol, timeframe, source, start=start, end=end)
inspect(bars)

# %% [markdown]
# ## Is the strategy honest?
#
# History is cut off at many places and the strategy run again on what is left. A decision that changes has seen the
# future; one that changes when only the declared warm-up is left remembers more than it says. Either stops the run.

# %%
tl.check(strategy, bars, **chosen).require()

# %% [markdown]
# ## What it earned

# %%
result = tl.backtest(bars, strategy, **chosen, **terms)
result

# %%
for picture in ("overview", "monthly", "rolling", "trades", "distribution"):
    display(result.plot(picture))

# %% [markdown]
# ## The last trades

# %%
last = result.trades.tail(15)
shown = ["direction", "entry_time", "entry_price", "exit_time", "exit_price", "pnl", "return", "exit_reason"]
form = {"entry_price": "{:.5g}", "exit_price": "{:.5g}", "pnl": "{:,.2f}", "return": "{:.2%}"}
form |= dict.fromkeys(("entry_time", "exit_time"), "{:%Y-%m-%d %H:%M}")
last[shown].style.format(form).hide(axis="index").set_caption(f"{len(last)} of {len(result.trades)} trades, UTC")

# %% [markdown]
# ## How much hangs on the parameters
#
# The same backtest over a grid. A broad plateau is good news; a lonely peak is luck. The best of many tries is always
# too good: it was chosen *because* it fitted this history.

# %%
points = read_grid(strategy, grid) if grid else grid_around(strategy, chosen)
sweep = tl.sweep(bars, strategy, **{**chosen, **points}, **terms, progress=False) if points else None
display(sweep if sweep else Markdown(f"{strategy} has no parameters to sweep."))

# %%
if sweep and len(sweep.axes) > 1:
    display(sweep.heatmap("sharpe"))

# %%
s = result.summary
best = float(sweep.table["sharpe"].max()) if sweep else float("nan")
tl.record(
    {
        "total return": s.total_return,
        "Sharpe": s.sharpe,
        "max drawdown": s.max_drawdown,
        "trades": s.trades,
        "win rate": s.win_rate,
        "profit factor": s.profit_factor,
        "grade": s.grade,
        "best Sharpe of the grid": best,
    },
    data={f"{source} {symbol} {timeframe}": result.data_hash},
)
