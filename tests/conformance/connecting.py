"""Cards about the connection: coming and going, the time, what can be traded, what it costs, what must not be told."""

from __future__ import annotations

from tests.conformance.cards import card
from tests.conformance.stage import Stage
from tradelab.model.account import PositionMode
from tradelab.model.units import NS_PER_S


class Connecting:
    """Before any order."""

    @card(
        prerequisite="A connected venue.",
        action="Connect again; disconnect twice; connect once more.",
        expects="No error; `is_connected` is true, false, true.",
        passes="It answers a quote afterwards.",
    )
    async def test_connecting_and_disconnecting_twice_does_no_harm(self, on: Stage) -> None:
        await on.venue.connect()
        assert on.venue.is_connected
        await on.venue.disconnect()
        await on.venue.disconnect()
        assert not on.venue.is_connected
        await on.venue.connect()
        assert on.venue.is_connected
        assert (await on.venue.quote(on.symbol)).bid > 0

    @card(
        prerequisite="A connected venue.",
        action="Test the connection.",
        expects="Passed, with a latency.",
        passes="The latency is zero or more milliseconds, and nothing has been traded.",
    )
    async def test_a_connection_test_passes_and_tells_its_latency(self, on: Stage) -> None:
        told = await on.venue.test_connection()
        assert told.passed, told.says
        assert told.latency_ms is not None
        assert told.latency_ms >= 0
        assert await on.held() == 0
        assert await on.venue.open_orders() == []

    @card(
        prerequisite="A connected venue.",
        action="Ask for the time; let a minute pass on the venue's clock; ask again.",
        expects="Two times in UTC nanoseconds.",
        passes="They are a minute apart, give or take ten seconds.",
    )
    async def test_the_venue_tells_its_own_time(self, on: Stage) -> None:
        before = await on.venue.now_ns()
        await on.advance(60)
        passed_s = (await on.venue.now_ns() - before) / NS_PER_S
        assert 50 <= passed_s <= 70

    @card(
        prerequisite="A connected venue.",
        action="Ask for its instruments.",
        expects="A list without repetitions, ours in it.",
        passes="Ours is the very instrument of the stage; every one has its venue's name and a quote currency.",
    )
    async def test_instruments_are_sane(self, on: Stage) -> None:
        listed = await on.venue.instruments()
        assert len({market.symbol for market in listed}) == len(listed)
        assert on.instrument in listed
        assert {market.venue for market in listed} == {on.instrument.venue}
        assert all(market.quote for market in listed)

    @card(
        prerequisite="A connected venue; the market stands still.",
        action="Ask for the quote; move the market by 2 %; ask again.",
        expects="Bid below ask, the market's price between them or on one of them.",
        passes="Both quotes are on the tick and within half a percent of the price.",
    )
    async def test_the_quote_is_not_crossed_and_stands_where_the_market_is(self, on: Stage) -> None:
        for percent in (0, 2):
            price = on.away(percent)
            await on.quote_moves(percent)
            quote = await on.venue.quote(on.symbol)
            assert 0 < quote.bid < quote.ask
            assert quote.bid <= price <= quote.ask
            assert quote.spread < price / 200
            assert quote.bid % on.instrument.tick_size == quote.ask % on.instrument.tick_size == 0

    @card(
        prerequisite="A connected venue with the stage's funds.",
        action="Ask for the account, its balances and its positions.",
        expects="The funds, free, in the currency that pays; no position, no zero balance.",
        passes="`account_info`, `balances` and `capabilities` say the same.",
    )
    async def test_the_account_is_told_the_same_way_twice(self, on: Stage) -> None:
        account = await on.venue.account_info()
        assert account.balance(on.money).free == on.funds
        assert sorted(account.balances, key=str) == sorted(await on.venue.balances(), key=str)
        assert all(balance.total != 0 for balance in account.balances)
        assert await on.venue.positions() == []
        mode = on.venue.capabilities.position_mode
        assert account.position_mode is mode
        assert mode is PositionMode.NONE or account.equity == on.funds

    @card(
        prerequisite="A venue that was given secrets (the stage names them).",
        action="Print the venue, its capabilities, a connection test, an error and a refusal.",
        expects="Text.",
        passes="None of the secrets is in any of it.",
    )
    async def test_no_secret_is_ever_in_its_words(self, on: Stage) -> None:
        told = [repr(on.venue), str(on.venue), repr(on.venue.capabilities), repr(await on.venue.test_connection())]
        told.append(repr(vars(on.venue)) if hasattr(on.venue, "__dict__") else "")
        for symbol in ("NO/SUCH", "NOSUCH"):
            try:
                told.append(repr(await on.venue.quote(symbol)))
            except Exception as error:  # noqa: BLE001 (whatever it is, it is read by people)
                told.append(f"{error!r} {error} {error.__cause__!r} {error.__context__!r}")
        for secret in on.secrets:
            assert not any(secret in text for text in told), "a secret was told"
