"""What fills come to, by hand."""

from __future__ import annotations

import dataclasses
import decimal
from typing import Any

from tests.unit.spine.world import BTC, D, fill
from tradelab.model.instrument import Instrument, InstrumentKind
from tradelab.model.orders import Side
from tradelab.spine.positions import Book, Booked

PERPETUAL = dataclasses.replace(BTC, kind=InstrumentKind.PERPETUAL)


def book_of(*fills: Any, instrument: Instrument = BTC) -> Book:
    book = Book(instrument)
    for one in fills:
        book.add(Booked.of(one))
    return book


def test_a_round_earns_what_it_was_sold_for_less_what_it_cost_and_the_fees() -> None:
    book = book_of(
        fill("1", "0.5", "100", fee=D("0.05")), fill("2", "0.5", "102", fee=D("0.05")),
        fill("3", "1", "110", Side.SELL, fee=D("0.11")),
    )  # fmt: skip
    (over,) = book.closed
    assert over.pnl() == D("8.79")  # 110 - 50 - 51 - 0.21
    assert (over.entry_price, over.exit_price, over.fees) == (D(101), D(110), D("0.21"))
    assert (over.opened_ns, over.updated_ns) == (1, 3)
    assert book.now.is_flat


def test_a_short_earns_when_the_price_falls() -> None:
    book = book_of(fill("1", "1", "100", Side.SELL), fill("2", "1", "90"), instrument=PERPETUAL)
    assert book.closed[0].pnl() == D(10)


def test_what_is_open_is_worth_what_it_would_fetch_and_without_a_price_nobody_knows() -> None:
    book = book_of(fill("1", "2", "100"), fill("2", "1", "130", Side.SELL))
    assert book.now.qty == 1
    assert book.now.pnl(D(120)) == D(50)  # 30 taken, 20 open
    assert book.now.pnl() is None


def test_an_order_that_turns_a_position_round_ends_one_round_and_begins_the_next() -> None:
    book = book_of(fill("1", "1", "100"), fill("2", "3", "110", Side.SELL, fee=D("0.33")), instrument=PERPETUAL)
    (over,) = book.closed
    assert over.pnl() == D("9.67")  # the fee belongs to what it closed
    assert (book.now.qty, book.now.cash, book.now.fees, book.now.opened_ns) == (D(-2), D(220), D(0), 2)


def test_a_fee_in_what_was_bought_shrinks_what_is_held() -> None:
    book = book_of(fill("1", "1", "100", fee=D("0.001"), fee_currency="BTC"))
    assert book.now.qty == D("0.999")
    assert book.now.fees == 0


def test_what_is_too_little_to_sell_is_dust_and_the_round_is_over_and_its_profit_known() -> None:
    fee = {"fee": D("0.0004"), "fee_currency": "BTC"}
    book = book_of(fill("1", "1", "100", **fee), fill("2", "0.999", "110", Side.SELL))
    (over,) = book.closed
    assert over.is_flat
    assert over.pnl() == D("9.89")  # 0.999 * 110 - 100; what is left is counted as worth nothing
    assert (over.dust, book.now.dust, book.now.qty) == (D("0.0006"), D("0.0006"), 0)


def test_dust_is_taken_in_by_the_next_round_so_that_nothing_is_ever_lost() -> None:
    fee = {"fee": D("0.0004"), "fee_currency": "BTC"}
    book = book_of(
        fill("1", "1", "100", **fee), fill("2", "0.999", "110", Side.SELL),
        fill("3", "1", "100", **fee), fill("4", "1", "110", Side.SELL),
    )  # fmt: skip
    assert [one.pnl() for one in book.closed] == [D("9.89"), D(10)]
    assert book.now.dust == D("0.0002")  # 0.0006 + 0.9996 - 1


def test_a_fee_in_another_currency_is_kept_apart_and_one_that_is_not_told_is_counted() -> None:
    book = book_of(fill("1", "1", "100", fee=D("0.01"), fee_currency="BNB"), fill("2", "1", "101", Side.SELL, fee=None))
    (over,) = book.closed
    assert (over.other_fees, over.unknown_fees, over.pnl()) == ((("BNB", D("0.01")),), 1, D(1))


def test_the_fee_of_an_account_in_another_currency_is_not_taken_for_the_prices() -> None:
    usdjpy = dataclasses.replace(BTC, base="USD", quote="JPY", settle="EUR", kind=InstrumentKind.FX)
    book = book_of(fill("1", "1", "150", fee=D("3.5"), fee_currency="EUR"), instrument=usdjpy)
    assert (book.now.fees, book.now.other_fees) == (D(0), (("EUR", D("3.5")),))


def test_a_contract_is_worth_its_size() -> None:
    lots = dataclasses.replace(PERPETUAL, contract_size=D(100_000))
    book = book_of(fill("1", "0.1", "1.1000"), fill("2", "0.1", "1.1010", Side.SELL), instrument=lots)
    assert book.closed[0].pnl() == D(10)
    assert book.closed[0].entry_price == D("1.1")


def test_what_was_taken_over_from_the_venue_has_no_profit_that_anybody_could_tell() -> None:
    book = Book(BTC)
    book.add(Booked(1, "adjusted 1", D(1), None, is_fill=False))
    book.add(Booked.of(fill("2", "1", "100", Side.SELL)))
    assert book.closed[0].adjusted
    assert book.closed[0].pnl() is None


def test_a_fill_that_came_late_is_booked_where_it_belongs_and_the_rounds_it_changed_are_told() -> None:
    book = book_of(fill("1", "1", "100"), fill("5", "1", "110", Side.SELL), fill("7", "1", "105"))
    late = book.add(Booked.of(fill("3", "1", "90")))
    assert book.closed == ()  # one of two is still held: the round never ended
    assert late == ()
    assert (book.now.qty, book.now.cash) == (D(2), D(-185))


def test_venues_number_their_trades_so_nine_comes_before_ten() -> None:
    one, two = fill("9", "1", "100", ts_ns=5), fill("10", "2", "110", Side.SELL, ts_ns=5)
    assert book_of(two, one, instrument=PERPETUAL).closed == book_of(one, two, instrument=PERPETUAL).closed != ()


def test_a_coarse_decimal_context_of_the_caller_rounds_no_money() -> None:
    with decimal.localcontext(decimal.Context(prec=3)):
        book = book_of(fill("1", "1.001", "12345.67"), fill("2", "1.001", "12345.68", Side.SELL))
    assert book.closed[0].pnl() == D("0.01001")


def test_a_thousand_rounds_are_over_and_only_the_newest_are_looked_at_again() -> None:
    book = Book(BTC)
    for n in range(0, 2_000, 2):
        book.add(Booked.of(fill(str(n + 1), "1", "100")))
        book.add(Booked.of(fill(str(n + 2), "1", "101", Side.SELL)))
    assert len(book.closed) == 1_000
    assert book.recent(3) == book.closed[-3:]
    book.add(Booked.of(fill("1999", "1", "99", ts_ns=1999)))
    assert book.now.qty == 1
    assert book.closed[:999] == tuple(one for one in book.closed if one.pnl() == 1)
