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
# # Paper trading
#
# An engine trades in a process of its own; this page only looks at it and tells it what to do. Whatever becomes of the page changes
# nothing over there, and killing the engine itself changes nothing either, which we try below. The market is a rehearsal venue on this
# machine, ten times as fast as the clock, and the money is paper. Everything lies in a folder of its own: an engine of yours that runs
# is not touched.

# %%
import atexit
import base64
import os
import signal
import sys
import tempfile
from pathlib import Path

folder = tempfile.TemporaryDirectory()
home = Path(folder.name)
os.environ["TRADELAB_HOME"] = str(home)
os.environ["TRADELAB_KEY"] = base64.b64encode(os.urandom(32)).decode()  # seals credentials; yours is in the keyring
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # where `tradelab` is
atexit.register(os.system, "tradelab down course --kill >/dev/null 2>&1")  # should a cell fail, nothing runs on

import pandas as pd

import tradelab as tl

market = tl.rehearse("binance", speed=10)
market.connect("practice")
market

# %% [markdown]
# ## What runs is a file
#
# Two bots on one paper account: `hand` takes its signals from you, `cross` has a strategy and does not start by itself. The preset says how
# large a trade is (0.2 % of the account is lost at the stop), how it is left, and where it ends.

# %%
file = home / "course.toml"
file.write_text("""
name = "course"

[modules]
data_provider = true
market_data = true
risk_management = true
execution = true
position_monitoring = true

[accounts.pocket]
kind = "paper"
balances = { USDT = 10_000 }
settings = { mode = "netting", taker_fee_bps = 10 }

[presets.small]
sizing = { by = "risk", value = 0.002 }
exits = { stop = "2 %", targets = [["1 r", 0.5, "break_even"], "2 r"] }
limits = { max_positions = 2, max_symbol_notional = 3_000, max_daily_loss = 0.02, max_quote_age_s = 600 }

[bots.hand]
symbols = ["BTC/USDT"]
timeframe = "1m"
source = "practice"
execution = "pocket"
preset = "small"

[bots.cross]
strategy = "sma_cross"
parameters = { fast = 5, slow = 20 }
symbols = ["BTC/USDT"]
timeframe = "1m"
source = "practice"
execution = "pocket"
preset = "small"
starts = false
""")
# !tradelab up {file} --detach

# %%
live = tl.connect("course")
live

# %% [markdown]
# ## An order, gate by gate
#
# A person's order passes the same gates as a strategy's signal. Each message says because of which other one it was said (`cause`): the wish
# leads to a verdict of risk management with a size, that to an order that is *written down before it is sent*, that to a fill, and the
# fill to a stop and targets.

# %%
STEPS = ["SignalRaised", "RiskCalculated", "OrderIntended", "TradeExecuted", "PositionModified", "ProtectionChanged"]
before = live.snapshot()["seq"]
live.order("BTC/USDT", "buy", bot="hand")
live.history(before, until="PositionModified", kinds=STEPS)

# %%
live.snapshot()

# %% [markdown]
# ## A refusal, and its reasons
#
# Once more the same. What is refused has a code for programs, a sentence for people, and all that the decision was made on.

# %%
before = live.snapshot()["seq"]
live.order("BTC/USDT", "buy", bot="hand")
(refused,) = live.history(before, until="SignalDropped").of("SignalDropped")
print(f"{refused.body['code']}: {refused.body['says']}")
pd.Series(dict(refused.body["inputs"]))[["bid", "ask", "quote_age_s", "equity"]].to_frame("decided on")

# %% [markdown]
# ## Pause a bot, halt the engine
#
# A paused bot looks for nothing. A halted engine sends nothing that takes on risk; stops and targets stay where they are. Only a word from a
# person lets it go on.

# %%
live.pause_bot("hand", says="lunch")
before = live.snapshot()["seq"]
live.order("BTC/USDT", "buy", bot="hand")
print(live.history(before, until="SignalDropped").of("SignalDropped")[0].body["code"])
live.resume_bot("hand")

# %%
# !tradelab halt --why "before the news"
# !tradelab status
# !tradelab resume --why "the news was harmless"

# %% [markdown]
# ## Killed in the middle of it
#
# The position is open, its stop and both targets rest. `SIGKILL` is what a crash or a power cut is: the engine has no chance to say goodbye.
# The next start reads the journal, waits until the dead engine's lease is over (fifteen seconds, for a request of it may be under way),
# compares with its venue, and stands where it stood.


# %%
def standing(now):
    held = [(p["bot"], p["symbol"], p["qty"], p["entry_price"]) for p in now["positions"]]
    return held, sorted((o["client_order_id"], o["leg"], o["qty"], o["phase"]) for o in now["orders"])


was = standing(live.snapshot())
os.kill(live.health()["pid"], signal.SIGKILL)
# !tradelab up {file} --detach
assert standing(live.snapshot()) == was
pd.DataFrame(was[1], columns=["order", "leg", "qty", "phase"])

# %% [markdown]
# ## What paper trades is what the backtest traded
#
# `replay_bot` leads a bot of the file over history through the same modules: signals, risk, orders, fills, stops and targets. Beside it the
# backtest of the same bars: every order is there, at the same price.

# %%
from tradelab.app.replaying import replay_bot
from tradelab.modules.backtesting.rules import terms_of
from tradelab.app.daemon_table import read_live

config, bars = read_live(file).node, {"BTC/USDT": tl.samples.synthetic("1m", 600, seed=7, price=40_000.0)}
replayed = replay_bot(config, "cross", bars)
terms = {"init_cash": 10_000, "fees": 10 / 1e4, "leverage": 1.0}
tested = tl.backtest(bars, "sma_cross", fast=5, slow=20, **terms, **terms_of(config.presets["small"]))
both = replayed.orders.merge(tested.orders, on=["time", "side"], how="outer", suffixes=("", "_backtest"))
print(f"{len(replayed.orders)} orders replayed, {len(tested.orders)} in the backtest")
print("at the same prices, to the last bit:", (both["price"] == both["price_backtest"]).all())
both[["time", "side", "size", "size_backtest", "price", "price_backtest", "reason"]].tail(4)

# %% [markdown]
# ## The day's figures
#
# Close everything, then count: per bot, symbol, connection or day, from the journal alone. Then the engine ends, and the journal shows that
# nobody has changed a word of it.
#
# Next: **60_going_live**, what a careful person looks at before the money is real.

# %%
print(live.flatten(says="end of the lesson").says)
live.analytics(by="day").T.dropna()  # what cannot be told yet is left out

# %%
# !tradelab down
# !tradelab audit verify course
market.stop()
folder.cleanup()
