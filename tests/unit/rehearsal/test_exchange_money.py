"""Hold the ledgers to the last decimal: what is booked can be written down, a stop never spends what is not there."""

from __future__ import annotations

import random
from collections import defaultdict
from decimal import Decimal

import pandas as pd
import pytest

from tradelab.model.clock import ManualClock
from tradelab.model.instrument import Instrument, InstrumentKind
from tradelab.model.orders import OrderStatus, OrderType, Side, TimeInForce
from tradelab.rehearsal.clock import VenueClock
from tradelab.rehearsal.exchange import Exchange
from tradelab.rehearsal.ledger_perp import PerpLedger
from tradelab.rehearsal.ledger_spot import SpotLedger
from tradelab.rehearsal.settings import AccountSetup, Ledger, VenueSetup
from tradelab.rehearsal.tape import Print, Tape

D = Decimal
START = 1_700_000_000_000_000_000 // 60_000_000_000 * 60_000_000_000
PENNY = D("0.00000001")


def a_venue(ledger: Ledger, money: dict[str, Decimal]) -> Exchange:
    """A market at 43 217.31 whose prices, quantities and rates have every decimal a venue allows."""
    times = pd.date_range("2024-01-01", periods=5, freq="1min", tz="UTC")
    bars = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), 43217.31) | {"volume": 13.0}, index=times)
    market = Instrument(
        symbol="X", venue="test", base="BTC", quote="USDT", settle="USDT", tick_size=D("0.01"), qty_step=D("0.00001"),
        kind=InstrumentKind.SPOT,
    )  # fmt: skip
    setup = VenueSetup(
        ledger=ledger, accounts=(AccountSetup(key="k", secret="s", balances=money),), leverage=D(7),
        maker_bps=D("7.5"), taker_bps=D("9.999"), level_qty=D("0.01234"),
    )  # fmt: skip
    return Exchange([Tape(market, bars, start_ns=START, start_bar=2)], VenueClock(ManualClock(START)), setup)


def play(venue: Exchange, seed: int, actions: int = 400) -> None:
    """Trade at random: markets, limits, cancels, and a market that wanders."""
    chance, price = random.Random(seed), D("43217.31")
    for _ in range(actions):
        side, qty = chance.choice(list(Side)), D(chance.randint(1, 4000)) / 100_000
        limit = price + D(chance.randint(-3000, 3000)) / 100
        what = chance.random()
        if what < 0.3:
            venue.place(venue.draft("k", "X", side, OrderType.MARKET, qty))
        elif what < 0.7:
            tif = chance.choice([TimeInForce.GTC, TimeInForce.IOC, TimeInForce.PO])
            venue.place(venue.draft("k", "X", side, OrderType.LIMIT, qty, price=limit, time_in_force=tif))
        elif what < 0.8 and venue.open:
            venue.cancel(chance.choice(list(venue.open.values())))
        else:
            price += D(chance.randint(-2000, 2000)) / 100
            venue.trade(Print(venue.now_ns, "X", price, D("0.01111")))


@pytest.mark.parametrize("seed", range(5))
def test_spot_balances_equal_the_fold_of_the_fills_to_the_last_decimal(seed: int) -> None:
    venue = a_venue(Ledger.SPOT, {"USDT": D(20_000), "BTC": D("0.5")})
    play(venue, seed)
    for order in list(venue.open.values()):
        venue.cancel(order)
    expected: dict[str, Decimal] = defaultdict(Decimal, {"USDT": D(20_000), "BTC": D("0.5")})
    for fill in venue.fills:
        expected["BTC"] += fill.qty * fill.side.sign
        expected["USDT"] -= fill.qty * fill.price * fill.side.sign
        expected[fill.fee_currency] -= fill.fee
    ledger = venue.ledgers["k"]
    assert isinstance(ledger, SpotLedger)
    assert len(venue.fills) > 50
    assert ledger.free == dict(expected)
    assert set(ledger.held.values()) == {D(0)}
    assert all(v >= 0 and v == v.quantize(PENNY) for v in ledger.free.values())


@pytest.mark.parametrize("seed", range(5))
def test_a_perpetual_wallet_equals_the_fold_of_profits_and_fees_to_the_last_decimal(seed: int) -> None:
    venue = a_venue(Ledger.PERPETUAL, {"USDT": D(20_000)})
    play(venue, seed)
    for order in list(venue.open.values()):
        venue.cancel(order)
    ledger = venue.ledgers["k"]
    assert isinstance(ledger, PerpLedger)
    assert len(venue.fills) > 50
    assert ledger.wallet == D(20_000) + sum((f.realized_pnl - f.fee for f in venue.fills), D(0))
    assert ledger.wallet == ledger.wallet.quantize(PENNY)
    assert ledger.order_margin == 0
    assert ledger.position("X").qty == sum((f.qty * f.side.sign for f in venue.fills), D(0))


def test_a_spot_stop_that_cannot_be_paid_when_the_market_jumps_over_it_ends_instead_of_spending_more() -> None:
    venue = a_venue(Ledger.SPOT, {"USDT": D(440)})
    order = venue.draft(
        "k", "X", Side.BUY, OrderType.STOP, D("0.01"), stop_price=D("43500"), trigger_rises=True
    )  # held: 435
    assert venue.place(order) is None
    venue.trade(Print(venue.now_ns, "X", D("45000"), D(1)))  # now it costs 450
    ledger = venue.ledgers["k"]
    assert isinstance(ledger, SpotLedger)
    assert (order.status, order.filled_qty) == (OrderStatus.EXPIRED, D(0))
    assert (ledger.free["USDT"], ledger.held["USDT"]) == (D(440), D(0))


def test_a_spot_stop_that_can_be_paid_is_paid_at_the_market() -> None:
    venue = a_venue(Ledger.SPOT, {"USDT": D(500)})
    order = venue.draft("k", "X", Side.BUY, OrderType.STOP, D("0.01"), stop_price=D("43500"), trigger_rises=True)
    assert venue.place(order) is None
    venue.trade(Print(venue.now_ns, "X", D("45000"), D(1)))
    ledger = venue.ledgers["k"]
    assert isinstance(ledger, SpotLedger)
    assert order.status is OrderStatus.FILLED
    assert ledger.free["USDT"] == D(500) - D("0.01") * D("45000.01")  # best ask: one tick above the last price
    assert ledger.held["USDT"] == D(0)
