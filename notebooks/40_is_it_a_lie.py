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
# # Is it a lie?
#
# Try enough combinations on anything and the best of them looks like a strategy. This page searches through bars that are
# real and bars that are pure noise, and asks each time whether the best result is a lie. What each figure means, and where
# its threshold is from, is in `docs/scrutiny.md`.

# %%
import numpy as np

import tradelab as tl

grid = {"fast": range(4, 25, 4), "slow": range(30, 111, 20), "fees": 5e-4, "slippage": 2e-4, "progress": False}
bars = tl.samples.load("GOOG-1d")
found = tl.sweep(bars, "sma_cross", **grid)
found.best().summary.sharpe, found.best().summary.total_return

# %% [markdown]
# That looks good. Is it?

# %%
verdict = tl.scrutinise(found)
verdict

# %% [markdown]
# The words come first, then what they rest on: each finding with its figure and what it means (its threshold and where
# that is from are in `verdict.table` and in the report). Here is what the search itself would have shown, had none of the combinations any skill, beside what it did show:

# %%
figures = verdict.figures()
figures["search"]

# %% [markdown]
# Choose the best combination on one half of the history, in all 12 870 ways to halve sixteen blocks, and look it up on the
# other half. A point below zero is a choice that lost money where it had not been made.

# %%
figures["degradation"]

# %% [markdown]
# ## Pure noise
#
# A random walk has nothing to find. The search finds something all the same; the verdict does not fall for it.

# %%
noise = bars.copy()
steps = np.random.default_rng(8).permutation(np.log(bars.close).diff().dropna())
walk = np.exp(np.concatenate([[0.0], np.cumsum(steps - steps.mean())])) * bars.close.iloc[0]
noise[["open", "high", "low", "close"]] = bars[["open", "high", "low", "close"]].mul(walk / bars.close, axis=0)
searched = tl.sweep(noise, "sma_cross", **grid)
print(tl.scrutinise(searched).says)

# %% [markdown]
# ## One account, never shown its future
#
# `tl.walk_forward` chooses on a training window and trades what comes next, again and again, as one account. Its
# *efficiency* is how much of the growth in training was left: 1 is all, 0 is nothing.

# %%
walked = tl.walk_forward(bars, "sma_cross", train=500, test=125, fast=[4, 8, 12, 16], slow=[30, 50, 70], fees=5e-4)
walked

# %%
walked.plot()

# %% [markdown]
# ## Other luck
#
# The same trades in other orders, other stretches of the same returns, noise on every price, stretches of the market
# joined anew, and no strategy at all: as many trades, held as long, at random times.

# %%
best = found.best()
luck = tl.monte_carlo(best, "random_entries")
luck

# %%
tl.monte_carlo(best, "shuffle_trades").plot()

# %% [markdown]
# ## What it hangs on
#
# Costs until nothing is left, orders sent later, and the neighbours of the best combination.

# %%
tl.cost_sensitivity(best), tl.delay_sensitivity(best), tl.stability(found)

# %%
verdict["Costs"].says, verdict["Parameter stability"].says

# %% [markdown]
# `verdict.to_html("is-it-a-lie.html")` writes all of it to one file that opens offline; `verdict.section()` is the same
# as a piece of a page of your own.
#
# Next: **45_sweeps**, how many combinations are searched, and where.
