"""Whatever is done to fills on their way, each is given out once, through crashes too."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tradelab.feeds.fill_book import FillBook, FillCursor, key_of
from tradelab.model.orders import Fill, Liquidity, Side

MARGIN = 50  # how late the venue may list a fill, in the nanoseconds of this small world
LONG = 100_000


def fill(number: int, ts_ns: int, symbol: str = "A/B") -> Fill:
    one = Decimal(1)
    return Fill(
        trade_id=str(number), symbol=symbol, venue_order_id="o", client_order_id=None, side=Side.BUY, qty=one,
        price=one, fee=None, fee_currency=None, liquidity=Liquidity.TAKER, ts_ns=ts_ns,
    )  # fmt: skip


@dataclass(frozen=True)
class Made:
    """A fill, when the venue lists it, and the moments at which its frame comes (none, one, several, late)."""

    fill: Fill
    listed_ns: int
    frames_ns: tuple[int, ...]


@st.composite
def plays(draw: st.DrawFn) -> tuple[list[Made], list[tuple[int, str]]]:
    """Draw fills with what happens to them, and the moments of looks, of taking, of crashes."""
    made = []
    for number in range(draw(st.integers(0, 12))):
        ts = draw(st.integers(0, 900))
        late = draw(st.integers(0, MARGIN))
        frames = tuple(ts + d for d in draw(st.lists(st.integers(0, 400), max_size=3)))
        # two markets number their trades alike: the id alone names nothing
        made.append(Made(fill(number // 2, ts, "A/B" if number % 2 else "C/D"), ts + late, frames))
    others = draw(st.lists(st.tuples(st.integers(0, 1000), st.sampled_from(["look", "pop", "crash"])), max_size=25))
    return made, others


def booked(made: list[Made], others: list[tuple[int, str]], remember_ns: int) -> list[Fill]:
    """Play through, and return what was booked, in order; a crash goes on from the cursor kept with the last one."""
    kept = FillCursor(0)
    book = FillBook(kept, remember_ns=remember_ns)
    done: list[Fill] = []
    frames = [(at, "frame", m) for m in made for at in m.frames_ns]
    for at, what, of in sorted([*frames, *((at, what, None) for at, what in others)], key=lambda e: (e[0], e[1])):
        if of is not None:
            book.take([of.fill])
        elif what == "look":
            book.take(m.fill for m in made if m.listed_ns <= at and m.fill.ts_ns >= book.since_ns)
            book.listed_until(at - MARGIN)
        elif what == "crash":
            book = FillBook(kept, remember_ns=remember_ns)
        elif (one := book.pop()) is not None:
            done.append(one)
            kept = book.cursor()
    book.take(m.fill for m in made if m.fill.ts_ns >= book.since_ns)
    while (one := book.pop()) is not None:
        done.append(one)
    return done


@given(plays())
def test_each_fill_is_given_out_once_whatever_is_lost_repeated_late_or_mixed(
    play: tuple[list[Made], list[tuple[int, str]]],
) -> None:
    made, others = play
    counts = Counter(key_of(f) for f in booked(made, others, LONG))
    assert counts == Counter(key_of(m.fill) for m in made)


@given(plays())
def test_a_short_memory_repeats_nothing_either(play: tuple[list[Made], list[tuple[int, str]]]) -> None:
    made, others = play
    counts = Counter(key_of(f) for f in booked(made, others, 1))
    assert counts == Counter(key_of(m.fill) for m in made)


@given(st.permutations([fill(n, n // 3) for n in range(12)]), st.integers(1, 4))
def test_what_comes_together_goes_by_time_and_then_by_number(mixed: list[Fill], repeats: int) -> None:
    book = FillBook(FillCursor(0), remember_ns=LONG)
    assert book.take(mixed * repeats) == 12
    assert [book.pop() for _ in range(13)] == [*(fill(n, n // 3) for n in range(12)), None]


def test_a_cursor_leaves_what_waits_to_be_booked_after_a_crash() -> None:
    book = FillBook(FillCursor(0), remember_ns=LONG)
    book.take([fill(1, 10), fill(2, 20), fill(3, 30)])
    book.listed_until(100)
    assert book.pop() == fill(1, 10)
    cursor = book.cursor()
    assert cursor.since_ns == 20, "not 100: two fills from before that wait"
    again = FillBook(cursor, remember_ns=LONG)
    again.take([fill(1, 10), fill(2, 20), fill(3, 30)])
    assert [again.pop(), again.pop(), again.pop()] == [fill(2, 20), fill(3, 30), None]


def test_what_is_remembered_is_bounded() -> None:
    book = FillBook(FillCursor(0), remember_ns=1000)
    for n in range(5000):
        book.take([fill(n, n)])
        book.pop()
        book.listed_until(n)
    assert len(book.cursor().booked) <= 1
    assert len(book._seen) <= 1001
