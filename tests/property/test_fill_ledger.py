"""However fills become known, the rounds and the money they come to are the same, to the last digit.

The other side is counted here from the fills alone, in fractions: what was received less what was paid, and what is
held. It knows nothing of rounds, closings or order.
"""

from __future__ import annotations

import random
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradelab.model.instrument import Instrument, InstrumentKind
from tradelab.spine.positions import Book, Booked, Round

D = Decimal
STEP = D("0.001")


def _instrument(kind: InstrumentKind, contract_size: Decimal) -> Instrument:
    return Instrument(
        symbol="BTC/USDT", venue="x", base="BTC", quote="USDT", tick_size=D("0.01"), qty_step=STEP,
        contract_size=contract_size, kind=kind,
    )  # fmt: skip


_instruments = st.builds(
    _instrument,
    st.sampled_from([InstrumentKind.SPOT, InstrumentKind.PERPETUAL]),
    st.sampled_from([D(1), D("0.01"), D(100_000)]),
)
_qty = st.integers(-20, 20).filter(bool).map(lambda steps: steps * STEP)
_fees = (
    st.tuples(st.sampled_from(["USDT", "BTC", "BNB"]), st.integers(-3, 9).map(lambda n: n * D("0.0000001"))) | st.none()
)


@st.composite
def _fills(draw: st.DrawFn) -> list[Booked]:
    made = []
    for number in range(draw(st.integers(1, 9))):
        fee = draw(_fees)
        made.append(
            Booked(
                draw(st.integers(0, 4)),
                str(number * 7),
                draw(_qty),
                draw(st.integers(1, 10**7)) * D("0.01"),
                None if fee is None else fee[1],
                None if fee is None else fee[0],
            )
        )
    return made


def _is_base(instrument: Instrument, one: Booked) -> bool:
    return one.fee_currency == "BTC" and instrument.kind is InstrumentKind.SPOT and one.qty > 0


def _check_money(instrument: Instrument, fills: list[Booked], book: Book) -> None:
    rounds: list[Round] = [*book.closed, book.now]
    size = Fraction(instrument.contract_size)
    paid_in_base = [f.fee or D(0) for f in fills if _is_base(instrument, f)]
    assert sum(map(Fraction, (r.cash for r in rounds))) == -sum(
        Fraction(f.qty) * Fraction(f.price or 0) * size for f in fills
    )
    assert sum(Fraction(r.fees) for r in rounds) == sum(Fraction(f.fee or 0) for f in fills if f.fee_currency == "USDT")
    others = [(currency, Fraction(fee)) for r in rounds for currency, fee in r.other_fees]
    for currency in ("BNB", "BTC"):
        counted = [f for f in fills if f.fee_currency == currency and not _is_base(instrument, f)]
        assert sum(fee for name, fee in others if name == currency) == sum(Fraction(f.fee or 0) for f in counted)
    assert sum(r.unknown_fees for r in rounds) == sum(f.fee is None for f in fills)
    held = Fraction(book.now.qty) + Fraction(book.now.dust)
    assert held == sum(Fraction(f.qty) for f in fills) - sum(map(Fraction, paid_in_base))
    assert sum(Fraction(r.entered) + Fraction(r.left) for r in rounds) == sum(abs(Fraction(f.qty)) for f in fills)
    for over in book.closed:
        assert over.is_flat
        assert over.pnl() is not None


@pytest.mark.slow
@settings(max_examples=10_000)
@given(instrument=_instruments, fills=_fills(), seed=st.integers(0, 2**32))
def test_any_order_of_fills_gives_the_same_rounds_and_no_money_is_lost(
    instrument: Instrument, fills: list[Booked], seed: int
) -> None:
    once = Book(instrument)
    for one in sorted(fills, key=lambda each: each.order):
        once.add(one)
    _check_money(instrument, fills, once)
    mixed = list(fills)
    random.Random(seed).shuffle(mixed)
    again = Book(instrument)
    for one in mixed:
        again.add(one)
    assert (again.closed, again.now) == (once.closed, once.now)


@settings(max_examples=500)
@given(fills=_fills(), seed=st.integers(0, 2**32))
def test_the_rounds_told_as_new_are_those_that_were_not_over_before(fills: list[Booked], seed: int) -> None:
    random.Random(seed).shuffle(fills)
    book = Book(_instrument(InstrumentKind.SPOT, D(1)))
    for one in fills:
        before, counted = book.closed, book.ends
        told = book.add(one)
        assert told == tuple(each for each in book.closed if each not in before)
        assert (book.ends != counted) or book.closed == before
