"""Cards about faults: what is Unknown and what is refused, and that one wish is one order through all of it."""

from __future__ import annotations

import pytest

from tests.conformance.cards import BY_CLIENT_ID, LIMIT, card, pushes, stages
from tests.conformance.stage import Fault, Stage
from tradelab.model.capabilities import Stream
from tradelab.model.errors import ConnectivityError
from tradelab.model.orders import OrderRef, OrderStatus, OrderType, Side
from tradelab.model.outcome import Accepted, RefusalCode, Refused, Unknown

_SKEW_S = 600


class Failing:
    """The wire breaks at the worst moment."""

    @card(
        prerequisite="The venue takes the next order, and its answer never comes.",
        action="Send a limit that rests; then ask for it by our id.",
        expects="Unknown.",
        passes="The order is found, open, once.",
        needs=(LIMIT, BY_CLIENT_ID, stages(Fault.ACCEPT_THEN_SILENCE)),
    )
    async def test_silence_after_an_order_is_unknown_and_the_order_is_found(self, on: Stage) -> None:
        await _unknown_and_found(on, Fault.ACCEPT_THEN_SILENCE)

    @card(
        prerequisite="The venue takes the next order, and the connection is reset.",
        action="Send a limit that rests; then ask for it by our id.",
        expects="Unknown.",
        passes="The order is found, open, once.",
        needs=(LIMIT, BY_CLIENT_ID, stages(Fault.ACCEPT_THEN_RESET)),
    )
    async def test_a_reset_after_an_order_is_unknown_and_the_order_is_found(self, on: Stage) -> None:
        await _unknown_and_found(on, Fault.ACCEPT_THEN_RESET)

    @card(
        prerequisite="The venue takes the next order, and answers 200 with half a body.",
        action="Send a limit that rests; then ask for it by our id.",
        expects="Unknown.",
        passes="The order is found, open, once.",
        needs=(LIMIT, BY_CLIENT_ID, stages(Fault.TRUNCATED_BODY)),
    )
    async def test_half_a_body_after_an_order_is_unknown_and_the_order_is_found(self, on: Stage) -> None:
        await _unknown_and_found(on, Fault.TRUNCATED_BODY)

    @card(
        prerequisite="A gateway answers the next order with 502 and a page of HTML.",
        action="Send a limit that rests; ask for it by our id; send it again once it cannot arrive any more.",
        expects="Unknown.",
        passes="It is not there; sent again it is one order.",
        needs=(LIMIT, BY_CLIENT_ID, stages(Fault.ERROR_PAGE)),
    )
    async def test_an_error_page_is_unknown(self, on: Stage) -> None:
        order = on.approved(on.intent(Side.BUY, on.unit, OrderType.LIMIT, price=on.away(-1)))
        await on.fault(Fault.ERROR_PAGE)
        assert isinstance(await on.venue.submit(order), Unknown)
        ours = OrderRef(symbol=on.symbol, client_order_id=order.intent.client_order_id)
        assert await on.venue.order(ours) is None
        await on.advance((on.venue.capabilities.request_life_ms or 0) / 1000 + 1)
        assert isinstance(await on.venue.submit(order), Accepted)
        assert len(await on.venue.open_orders()) == 1

    @card(
        prerequisite="The venue says 429 to the next request.",
        action="Send a limit.",
        expects="Refused(RATE_LIMITED) with the seconds to wait.",
        passes="The seconds are the venue's seven; nothing is open; the code says that it may pass later.",
        needs=(LIMIT, stages(Fault.RATE_LIMITED)),
    )
    async def test_a_rate_limit_is_a_refusal_that_says_how_long_to_wait(self, on: Stage) -> None:
        await on.fault(Fault.RATE_LIMITED)
        outcome = await on.submit(Side.BUY, on.unit, OrderType.LIMIT, price=on.away(-1))
        assert isinstance(outcome, Refused)
        assert outcome.code is RefusalCode.RATE_LIMITED
        assert outcome.code.may_pass_later
        assert outcome.retry_after_s == pytest.approx(7.0, abs=1.0)
        await on.advance(8)
        assert await on.venue.open_orders() == []

    @card(
        prerequisite="The venue's clock jumps ten minutes ahead of ours.",
        action="Ask for the account; send a limit.",
        expects="At most one refusal (CLOCK) or error, then an answer.",
        passes="By the second try the account is told and the order rests, once.",
        needs=(LIMIT, stages(Fault.CLOCK_SKEW)),
    )
    async def test_a_clock_that_is_off_is_recovered_from(self, on: Stage) -> None:
        await on.fault(Fault.CLOCK_SKEW)
        order = on.approved(on.intent(Side.BUY, on.unit, OrderType.LIMIT, price=on.away(-1)))
        outcome = await on.venue.submit(order)
        if isinstance(outcome, Refused):
            assert outcome.code is RefusalCode.CLOCK
            outcome = await on.venue.submit(order)
        assert isinstance(outcome, Accepted), outcome
        assert len(await on.venue.open_orders()) == 1
        assert await on.venue.account_info()

    @card(
        prerequisite="Nothing answers any more.",
        action="Ask for the quote; send a limit; test the connection.",
        expects="ConnectivityError; Unknown or Refused(NOT_SENT); not passed.",
        passes="No answer is a guess.",
        needs=(LIMIT, stages(Fault.UNREACHABLE)),
    )
    async def test_a_venue_that_cannot_be_reached_is_said_to_be(self, on: Stage) -> None:
        order = on.approved(on.intent(Side.BUY, on.unit, OrderType.LIMIT, price=on.away(-1)))
        await on.fault(Fault.UNREACHABLE)
        with pytest.raises(ConnectivityError):
            await on.venue.quote(on.symbol)
        outcome = await on.venue.submit(order)
        assert isinstance(outcome, Unknown) or (isinstance(outcome, Refused) and outcome.code is RefusalCode.NOT_SENT)
        assert not (await on.venue.test_connection()).passed

    @card(
        prerequisite="A limit rests; the venue does the next cancel, and its answer never comes.",
        action="Cancel it; ask for it.",
        expects="Unknown, then CANCELLED.",
        passes="The order is closed, without a fill.",
        needs=(LIMIT, stages(Fault.CANCEL_THEN_SILENCE)),
    )
    async def test_silence_after_a_cancel_is_unknown_and_the_order_tells(self, on: Stage) -> None:
        ref = await on.placed(Side.BUY, on.unit, OrderType.LIMIT, price=on.away(-1))
        await on.fault(Fault.CANCEL_THEN_SILENCE)
        assert isinstance(await on.venue.cancel(ref), Unknown)
        order = await on.becomes(ref, lambda o: not o.status.is_open, "is closed")
        assert (order.status, order.filled_qty) == (OrderStatus.CANCELLED, 0)

    @card(
        prerequisite="A stream of orders is read; it is cut.",
        action="Go on reading.",
        expects="ConnectivityError.",
        passes="The stream does not end in silence, and a new one can be read.",
        needs=(LIMIT, pushes(Stream.ORDERS), stages(Fault.DROP_STREAMS)),
    )
    async def test_a_stream_that_is_cut_says_so(self, on: Stage) -> None:
        from tests.conformance.streaming import Reader

        reader = await Reader.of(on, on.venue.watch_orders())
        await on.fault(Fault.DROP_STREAMS)
        await on.until(reader.has_ended, "the stream says that it was cut")
        assert isinstance(reader.error, ConnectivityError), reader.error
        again = await Reader.of(on, on.venue.watch_orders())
        ref = await on.placed(Side.BUY, on.unit, OrderType.LIMIT, price=on.away(-1))
        await on.until(again.holds(lambda o: o.client_order_id == ref.client_order_id), "the new stream tells of it")
        await again.stop()


async def _unknown_and_found(on: Stage, fault: Fault) -> None:
    order = on.approved(on.intent(Side.BUY, on.unit, OrderType.LIMIT, price=on.away(-1)))
    await on.fault(fault)
    outcome = await on.venue.submit(order)
    assert isinstance(outcome, Unknown), outcome
    ours = OrderRef(symbol=on.symbol, client_order_id=order.intent.client_order_id)
    found = await on.becomes(ours, lambda o: True, "is found")
    assert (found.status, found.qty, found.price) == (OrderStatus.NEW, on.unit, on.away(-1))
    assert len(await on.venue.open_orders()) == 1
