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
# # A strategy
#
# A strategy is a function from bars to decisions. It is given closed bars and says, for each of them, whether it would
# enter or leave. It does not place orders, hold money or remember anything: that is why the same function serves a
# backtest, a sweep and, later, a live account.

# %%
from typing import Annotated

import tradelab as tl
from tradelab import indicators as ta


# %% [markdown]
# ## Write one
#
# Parameters are ordinary arguments with a default; `Annotated[int, tl.Range(2, 200)]` says which values make sense, which
# is checked on every call and gives forms and sweeps their bounds. The **warm-up** is how many bars it needs before a
# decision can be trusted. `requires` is a rule several parameters must keep together.


# %%
@tl.strategy(warmup=lambda window, **_: 20 * window, requires="low < high")
def pullback(
    bars,
    window: Annotated[int, tl.Range(2, 100)] = 7,
    low: Annotated[float, tl.Range(1, 60)] = 25.0,
    high: Annotated[float, tl.Range(40, 99)] = 60.0,
):
    """Buy weakness inside an up-trend, sell into strength."""
    rsi = ta.rsi(bars.close, window)
    rising = bars.close > ta.sma(bars.close, 10 * window)
    return tl.Signals(long_entry=rising & (rsi < low), long_exit=rsi > high)


pullback

# %% [markdown]
# `tl.indicators` takes a Series or an array and gives back the same kind; `tl.indicators.<Tab>` lists them. NaN means
# *not known yet* and never counts as a yes.

# %%
bars = tl.samples.load("AAPL-1d")
result = tl.backtest(bars, pullback, window=5, fees=1e-4)
result.summary

# %% [markdown]
# ## Wrong parameters
#
# are refused before anything runs, with the name, the value and what is allowed.

# %%
for wrong in ({"windw": 5}, {"window": 500}, {"low": 70.0}, {"low": 55.0, "high": 45.0}, {"fee": 1e-4}):
    try:
        tl.backtest(bars, pullback, **wrong)
    except tl.TradelabError as error:
        print(error)

# %% [markdown]
# ## Does it see the future?
#
# It is easy to write a strategy that does, and its backtest looks splendid. This one buys when *tomorrow's* close is
# higher.


# %%
@tl.strategy(warmup=2)
def prophet(bars):
    """Know tomorrow's close."""
    return tl.Signals(long_entry=bars.close.shift(-1) > bars.close, long_exit=bars.close.shift(-1) < bars.close)


splendid = tl.backtest(bars, prophet)
f"total return {splendid.summary.total_return:,.0%}"

# %%
tl.check(prophet, bars)

# %% [markdown]
# `tl.check` takes history away and asks again. The verdict names the first bar on which the answer changed. It also keeps
# only the declared warm-up and asks again, for that is all the strategy will be given when it trades live.

# %%
tl.check(pullback, bars, window=5)

# %% [markdown]
# ## Signals of your own
#
# Whatever makes your booleans, pandas or a model, can be tested without a strategy. The price for it: nobody can check
# them for you.

# %%
quiet = bars.close.pct_change().rolling(20).std() < 0.015
tl.backtest(bars, entries=quiet & ~quiet.shift(1, fill_value=False), exits=~quiet).plot()

# %% [markdown]
# Next: **30_backtest_and_report**, what every fill means, and how a report is made on schedule.
