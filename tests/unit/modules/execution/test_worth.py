"""What a spot account is worth, by hand."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from tests.unit.modules.execution.venue import SPOT, D, instrument
from tests.unit.modules.execution.world import ACCOUNT, World
from tradelab.model import messages as said
from tradelab.model.account import Balance
from tradelab.model.instrument import InstrumentKind
from tradelab.model.market import Quote
from tradelab.model.states import Severity
from tradelab.modules.execution.worth import markets_of, quote_currency, worth
from tradelab.spine.view import SeenQuote

BTC = instrument("BTC", InstrumentKind.SPOT)
ETH = instrument("ETH", InstrumentKind.SPOT)
ETHBTC = instrument("ETH", InstrumentKind.SPOT, symbol="ETH/BTC", quote="BTC")


def quote(bid: str, ask: str) -> Quote:
    return Quote(symbol="x", bid=D(bid), ask=D(ask), ts_ns=0)


def held(**money: str) -> list[Balance]:
    return [Balance(currency, D(qty), D(0)) for currency, qty in money.items()]


def test_what_is_held_counts_at_the_bid_and_what_is_owed_at_the_ask() -> None:
    found = worth(held(USDT="100", BTC="2", ETH="-3"), {"BTC": quote("10", "11"), "ETH": quote("4", "5")}, "USDT")
    assert found.equity == D(100) + 2 * D(10) - 3 * D(5)


def test_what_is_promised_to_an_order_counts_too() -> None:
    assert worth([Balance("USDT", D(60), D(40))], {}, "USDT").equity == D(100)


def test_one_currency_without_a_price_makes_the_whole_unknown_and_is_named() -> None:
    found = worth(held(USDT="100", XRP="1", ADA="1", BTC="0"), {}, "USDT")
    assert (found.equity, found.unknown) == (None, ("ADA", "XRP"))


def test_each_currency_is_priced_by_its_market_against_the_accounts_currency() -> None:
    listed = {each.symbol: each for each in (BTC, ETH, ETHBTC)}
    assert markets_of(held(USDT="1", ETH="1", XRP="1", BTC="0"), listed, "USDT") == {"ETH": "ETH/USDT"}


def test_a_currency_common_to_all_that_is_traded_is_the_accounts() -> None:
    assert quote_currency([BTC, ETH]) == "USDT"
    assert quote_currency([BTC, ETHBTC]) is None
    assert quote_currency([]) is None


def test_the_venues_account_is_told_with_its_worth_and_a_fresh_quote_is_not_asked_for() -> None:
    async def run() -> None:
        world = World(BTC, **SPOT)
        world.venue.money.update(USDT=D(1000), BTC=D(2))
        world.node.market.quotes[ACCOUNT, "BTC/USDT"] = SeenQuote(quote("70", "71"), world.clock.now_ns())
        await world.start()
        info = world.said(said.AccountReported)[-1].info
        assert (info.equity, info.currency, world.venue.calls.count("quote")) == (D(1140), "USDT", 0)
        await world.advance(1010, 100)  # the quote has grown old: the venue is asked, whose bid is 99.9
        info = world.said(said.AccountReported)[-1].info
        assert info.equity == D(1000) + 2 * D("99.9")
        await world.kill()

    asyncio.run(run())


def test_an_equity_that_becomes_unknown_raises_one_alarm_and_another_when_it_is_known_again() -> None:
    async def run() -> None:
        world = await World(BTC, settings={"account_s": 10.0}, **SPOT).start()
        world.venue.money["XRP"] = D(5)
        await world.advance(35)
        assert world.said(said.AccountReported)[-1].info.equity is None
        world.venue.money["XRP"] = D(0)
        await world.advance(15)
        assert world.said(said.AccountReported)[-1].info.equity == D(100_000)
        alarms = [(a.severity, a.says) for a in world.said(said.AlarmRaised) if a.kind == "equity"]
        assert [severity for severity, _ in alarms] == [Severity.WARNING, Severity.INFO]
        assert "XRP" in alarms[0][1]
        await world.kill()

    asyncio.run(run())


def test_a_margin_accounts_own_word_is_passed_on() -> None:
    async def run() -> None:
        world = await World().start()
        assert world.said(said.AccountReported)[-1].info.equity == Decimal(100_000)
        assert "quote" not in world.venue.calls
        await world.kill()

    asyncio.run(run())
