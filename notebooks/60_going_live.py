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
# # Going live
#
# What a careful person looks at before the money is real, each item a cell that checks it. The dress rehearsal is complete: the real client,
# a real socket, an account that is *called* live and has to be armed like one; but the exchange behind it runs on this machine, and its
# coins are made up. The road for your own account stands at the end. No secret ever stands in a notebook: `tradelab connections add` asks
# for them unseen.

# %%
import atexit
import base64
import os
import signal
import subprocess
import sys
import tempfile
from itertools import islice
from pathlib import Path

folder = tempfile.TemporaryDirectory()
home = Path(folder.name)
os.environ["TRADELAB_HOME"] = str(home)
os.environ["TRADELAB_KEY"] = base64.b64encode(os.urandom(32)).decode()  # seals credentials; yours is in the keyring
os.environ["NO_PROXY"] = "127.0.0.1"  # this machine is reached through no proxy
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # where `tradelab` is
atexit.register(os.system, "tradelab down dress --kill >/dev/null 2>&1")  # should a cell fail, nothing runs on

import pandas as pd
from IPython.display import display

import tradelab as tl

market = tl.rehearse("binance", speed=60)
assert market.url.startswith("http://127.0.0.1:"), "this page is a rehearsal: it trades nowhere else"
market.connect("main", account_kind="live")
STRATEGY, PARAMETERS, COSTS = "sma_cross", {"fast": 2, "slow": 4}, {"fees": 1e-3, "slippage": 1e-4}
checked = {}
market

# %% [markdown]
# ## 1. Is it a lie?
#
# Does the strategy see the future? Is its best result better than luck? This market is a random walk, so the honest answer is *no*, and with
# your own money the list would end here. As nothing can be lost, we read on.

# %%
history = tl.samples.synthetic("1h", 9_000, seed=7, price=40_000.0)
sees = tl.check(STRATEGY, history.iloc[:2_000], fast=10, slow=50)
grid = {"fast": [5, 10, 20, 40], "slow": [50, 75, 100, 150, 200], "direction": "long", "progress": False}
found = tl.sweep(history, STRATEGY, **grid, **COSTS)
verdict = tl.scrutinise(found)
checked["1 no look-ahead"], checked["1 not a lie"] = sees.ok, not (verdict.table["state"] == "fail").any()
verdict.table[["state", "figure"]]

# %% [markdown]
# ## 2. What it may do, and how much on the first day
#
# The whole of it is a file: small, every limit set. A limit that is missing is a decision too, so the table says which. Beside it what each
# size would have cost on the worst day of history; the first day is traded at the smallest that the venue takes.

# %%
file = home / "dress.toml"
file.write_text("""
name = "dress"

[modules]
data_provider = true
market_data = true
risk_management = true
execution = { account_s = 60 }
position_monitoring = { fresh_s = 300 }

[accounts.main]
stop_policy = "keep"

[presets.first_day]
sizing = { by = "risk", value = 0.001 }
exits = { stop = "2 %" }

[presets.first_day.limits]
max_order_notional = 1_000
max_symbol_notional = 1_000
max_account_notional = 1_000
max_positions = 1
max_daily_loss = 0.01
max_weekly_loss = 0.02
max_drawdown = 0.05
max_spread_bps = 20
max_deviation_bps = 100
max_orders_per_minute = 20
max_quote_age_s = 3600            # this market is sixty times as fast as the clock; 10 for yours

[bots.cross]
strategy = "sma_cross"
parameters = { fast = 2, slow = 4 }
symbols = ["BTC/USDT"]
timeframe = "1m"
source = "main"
execution = "main"
preset = "first_day"
mode = "live"
signal_ttl_s = 600

[daemon.notify]
to = ["phone"]
about = ["fills", "guards", "errors", "states"]
""")
from tradelab.app.daemon_table import read_live

limits = read_live(file).node.presets["first_day"].limits.model_dump()
needed = ("max_order_notional", "max_account_notional", "max_daily_loss", "max_drawdown", "max_orders_per_minute")
checked["2 limits set"] = all(limits[name] for name in needed)
sizes = {}
for risk in (0.001, 0.005, 0.02):
    terms = {"direction": "long", "sl_stop": 0.02, "size": risk, "size_type": "risk", "init_cash": 10_000}
    tested = tl.backtest(history, STRATEGY, fast=10, slow=50, **terms, **COSTS)
    daily = tested.equity.resample("1D").last().pct_change().min()
    sizes[f"{risk:.1%} at risk"] = {"worst day": f"{daily:.2%}", "deepest fall": f"{tested.summary.max_drawdown:.1%}"}
display(pd.DataFrame(sizes).T)
pd.Series(limits).map(lambda value: "not limited" if value is None else f"{value:g}").to_frame("limit")

# %% [markdown]
# ## 3. The machine, the key, the clock, and who is told
#
# Notifications go where you say (here to a little server in this kernel). `tradelab doctor` looks for what would hurt: can the key withdraw, is
# the clock right, is the disk full, does anybody hear of it.

# %%
import http.server
import threading

heard = []


class Phone(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        heard.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(200), self.end_headers()

    def log_message(self, *_): ...


phone = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Phone)
threading.Thread(target=phone.serve_forever, daemon=True).start()
os.environ["PHONE"] = f"json://127.0.0.1:{phone.server_port}"
# !tradelab notify add phone --from-env address=PHONE
# !tradelab notify test phone
# !tradelab connections arm main --agree main
examined = subprocess.run(["tradelab", "doctor", str(file)], capture_output=True, text=True)
print(examined.stdout)
checked["3 doctor finds nothing wrong"], checked["3 somebody is told"] = examined.returncode == 0, bool(heard)

# %% [markdown]
# ## 4. Paper equals backtest
#
# The same bot of the same file, led over history by the live modules, on a paper account: every order is the backtest's.

# %%
from tradelab.app.replaying import replay_bot
from tradelab.modules.backtesting.rules import terms_of

purse = '[accounts.main]\nkind = "paper"\nbalances = { USDT = 10_000 }\nsettings = { taker_fee_bps = 10 }'
text = file.read_text().replace("[accounts.main]", purse).replace('mode = "live"', 'mode = "paper"')
(home / "paper.toml").write_text(text)
config = read_live(home / "paper.toml").node
minutes = {"BTC/USDT": tl.samples.synthetic("1m", 400, seed=7, price=40_000.0)}
replayed = replay_bot(config, "cross", minutes)
terms = {"direction": "long", "init_cash": 10_000, "fees": COSTS["fees"], **terms_of(config.presets["first_day"])}
tested = tl.backtest(minutes, STRATEGY, **PARAMETERS, **terms)
columns = ["time", "side", "price"]
ours, theirs = (list(table[columns].itertuples(index=False)) for table in (replayed.orders, tested.orders))
checked["4 paper equals backtest"] = ours == theirs
print(f"{len(ours)} orders replayed, {len(theirs)} in the backtest: {'the same' if ours == theirs else 'NOT the same'}")

# %% [markdown]
# ## 5. The dress rehearsal
#
# The account was armed above, by its name typed once more; without that the engine would not start. The engine that runs has to be armed,
# too: until then the strategy's signals pass every gate but that one. Look at them first.

# %%
# !tradelab up {file} --detach
live = tl.connect("dress")
dry = live.history(until="SignalDropped", kinds=["SignalRaised", "SignalDropped"], timeout_s=60)
checked["5 nothing is sent unarmed"] = {event.body["code"] for event in dry.of("SignalDropped")} == {"not_armed"}
# !tradelab arm main --agree main --why "the list is done up to here"
closed = list(islice(live.events(0, kinds=["PositionClosed"]), 2))  # waits for two round trips
traded = live.history()
traded.of("SignalRaised", "OrderIntended", "TradeExecuted", "ProtectionChanged", "PositionClosed")[-12:]

# %% [markdown]
# Costs seen, beside costs assumed, in hundredths of a percent. Slippage is measured against the price that the order was weighed by. (At
# sixty times the clock a second on the way is a minute of the market: yours will be steadier.)

# %%
meant = {(event.body["signal_id"], event.body["leg"]): event.body for event in traded.of("OrderIntended")}
rows = []
for event in traded.of("TradeExecuted"):
    fill, order = event.body["fill"], meant[event.body["signal_id"], event.body["leg"]]
    price, qty, fee = (float(fill[name]) for name in ("price", "qty", "fee"))
    worse = (price / float(order["reference_price"]) - 1) * (1 if fill["side"] == "buy" else -1)
    paid = fee / qty if fill["fee_currency"] == "BTC" else fee / qty / price
    rows.append({"leg": order["leg"], "slippage bp": worse * 1e4, "fee bp": paid * 1e4})
costs = pd.DataFrame(rows).groupby("leg").mean()
costs.loc["assumed"] = [COSTS["slippage"] * 1e4, COSTS["fees"] * 1e4]
checked["5 fees as assumed"] = bool((costs["fee bp"] < 1.05 * costs.loc["assumed", "fee bp"]).all())
costs.round(2)

# %% [markdown]
# ## 6. The brake
#
# Three ways, and all of them must work: from a notebook (`live.halt`), from a terminal (`tradelab halt`), and from a terminal *while the
# engine hangs*. It is stopped in its tracks here; the halt is written past it into the records, which it reads before it sends anything.
# First a position is opened, so that there is something to be afraid for.

# %%
for _ in range(5):  # the strategy itself may be leaving just now: then once more
    live.resume_bot("cross")
    before = live.snapshot()["seq"]
    live.order("BTC/USDT", "buy", bot="cross", ttl_s=600)
    live.pause_bot("cross", says="the drill")
    live.history(before, until="ProtectionChanged", timeout_s=10)
    if any(order["leg"] == "stop" for order in live.snapshot()["orders"]):
        break
pid = live.health()["pid"]
os.kill(pid, signal.SIGSTOP)
# !tradelab halt --why "it hangs"
os.kill(pid, signal.SIGCONT)
checked["6 halted past a hanging engine"] = live.snapshot()["state"] == "halted"
live.snapshot()

# %% [markdown]
# ## 7. The end of the day
#
# A stop policy says what a `down` leaves: `keep` all that is protected, `cancel_entries`, or `flatten`. Here it is `keep`: the engine is gone, and
# its stop rests at the *venue*, which watches over the position until the engine is back. Last, the journal of the day is verified, row by
# row, and the list is read once more.

# %%
# !tradelab resume --why "the drill is over"
# !tradelab down
verified = subprocess.run(["tradelab", "audit", "verify"], capture_output=True, text=True)
print(verified.stdout)
checked["7 the journal is as it was written"] = verified.returncode == 0
resting = [order for order in market.told("orders") if order["status"] in ("new", "untriggered")]
checked["7 the stop rests at the venue"] = [order["type"] for order in resting] == ["stop"]
market.stop(), phone.shutdown(), folder.cleanup()
pd.Series({item: "yes" if is_so else "NO" for item, is_so in checked.items()}).to_frame("fulfilled")

# %% [markdown]
# One *no* is enough to stay at home, and there is one: the strategy is a lie. For your own account the road is the same:
# `tradelab connections add main EXCHANGE --for data --for execution --account live` (a key that cannot withdraw, bound to this machine's
# address), `test`, `activate`, `tradelab doctor FILE`, `tradelab connections arm main`, `tradelab up FILE`, a day of looking at what it *would* do, and
# only then `tradelab arm main`. `configs/live.example.toml` is a file to begin with; what the engine guarantees, and by which test,
# stands in `docs/live.md` and `docs/reliability.md`.
