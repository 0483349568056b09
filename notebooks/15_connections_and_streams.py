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
# # Connections and streams
#
# A connection to an exchange, tested before it is used; candles that stream into the catalog; orders placed, changed and cancelled
# by hand; and what happens when the wire breaks. The exchange runs on this machine: a *rehearsal venue* that replays bars and speaks
# Binance's own protocol, so the client below is the real one (`ccxt`), and nothing here costs money or needs the network.

# %%
import base64
import os
import tempfile
from decimal import Decimal

os.environ["TRADELAB_HOME"] = tempfile.mkdtemp()  # a place of its own: your records and bars stay as they are
os.environ["TRADELAB_KEY"] = base64.b64encode(
    os.urandom(32)
).decode()  # seals the credentials; yours is in your keyring

import tradelab as tl

venue_process = tl.rehearse("binance", speed=60, balance="USDT=50000")  # a minute of the market in each second
venue_process

# %% [markdown]
# ## A connection
#
# `connect` adds a connection, tests it and activates it. For a real exchange you do the three steps yourself, on the command line, where
# secrets are typed unseen: `tradelab connections add main binance`, then `test`, then `activate`. Credentials are sealed before they reach
# the disk and shown nowhere. A connection that has not passed a test cannot be activated, and new credentials make it inactive again.

# %%
venue_process.connect("practice")
print(tl.connections.test("practice"))
tl.connections

# %%
venue = tl.connections.open("practice", purpose="execution")
await venue.connect()
(btc,) = await venue.instruments()
quote = await venue.quote(btc.symbol)
btc, quote

# %% [markdown]
# ## Candles into the catalog
#
# A feed first fetches what is missing, then follows the stream. Each bar is stored before anybody is told of it, once, in order; the bar
# that still forms is never acted on. Here we wait for three bars to close, break the connection in between, and see no hole.

# %%
from tradelab.feeds.hub import Feeds

catalog = tl.Catalog()
alarms = []
feeds = Feeds(catalog, venue, on_alarm=alarms.append, clock=venue.clock)
async with feeds.bars(venue.name, btc.symbol, "1m") as bars:
    for number in range(3):
        closed = await anext(bars)
        print(f"{closed.candle.close:,.2f}", end="  ")
        if number == 0:
            venue_process.direct("disconnect")

# %%
print(*alarms or ["no alarm: the stream was back before its data was old"], sep="\n")
print(catalog.coverage(venue.name, btc.symbol, "1m"))
catalog.read(venue.name, btc.symbol, "1m").tail(3)

# %% [markdown]
# ## Orders by hand
#
# A venue takes only an *approved* order. `approve` fits it to the instrument: the quantity down to the step, a limit to the side where it
# trades no worse. What cannot be fitted is refused with a code before anything is sent. Every order has a name of ours that is made from
# what it is for, so the same wish has the same name after any restart.

# %%
from tradelab.model.approval import approve
from tradelab.model.identity import client_order_id
from tradelab.model.orders import OrderIntent, OrderRef, OrderType, Side


def by_hand(what, side, type, qty, **prices):
    name = client_order_id("practice", "by hand", "notebook 15", what)
    intent = OrderIntent(client_order_id=name, symbol=btc.symbol, side=side, type=type, qty=Decimal(qty), **prices)
    return approve(intent, btc, reference_price=quote.mid, by=("person",), at_ns=venue.clock.now_ns())


print(by_hand("too small", Side.BUY, OrderType.MARKET, "0.00001"))
await venue.submit(by_hand("first", Side.BUY, OrderType.MARKET, "0.123456789"))

# %%
below = btc.floor_price(quote.bid * Decimal("0.97"))
resting = by_hand("rest", Side.BUY, OrderType.LIMIT, "0.05", price=below)
stop = by_hand("stop", Side.SELL, OrderType.STOP, "0.1", stop_price=below)
await venue.submit(resting), await venue.submit(stop)
[(o.client_order_id, o.type.value, o.status.value, o.price or o.stop_price) for o in await venue.open_orders()]

# %%
await venue.cancel(OrderRef(symbol=btc.symbol, client_order_id=stop.intent.client_order_id))

# %% [markdown]
# ## When the answer never comes
#
# The venue takes the next order, and its answer is lost. The outcome is neither accepted nor refused but *unknown*: nothing is sent
# again; the venue is asked by our own name for the order.

# %%
venue_process.direct("fault", fault="reset", on="submit")
lost = by_hand("lost", Side.BUY, OrderType.LIMIT, "0.05", price=below)
outcome = await venue.submit(lost)
outcome

# %%
(await venue.order(OrderRef(symbol=btc.symbol, client_order_id=lost.intent.client_order_id))).status

# %%
print([type(answer).__name__ for ref, answer in await venue.cancel_all()])
await venue.balances()

# %%
await venue.disconnect()
catalog.close()
tl.connections.deactivate("practice")
tl.connections.remove("practice")
venue_process.stop()
