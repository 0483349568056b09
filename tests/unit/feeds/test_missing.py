"""What is missing is asked for until it is there or denied twice in the same way."""

from __future__ import annotations

from tradelab.feeds.missing import Missing, Question
from tradelab.feeds.series import Series
from tradelab.model.units import NS_PER_MIN, Timeframe

SERIES = Series("s", "X", Timeframe.M1)


def minutes(*numbers: int) -> list[int]:
    return [n * NS_PER_MIN for n in numbers]


def missing(*spans: tuple[int, int], page_bars: int = 10) -> Missing:
    return Missing([(a * NS_PER_MIN, b * NS_PER_MIN) for a, b in spans], SERIES, page_bars)


def asked(question: Question | None) -> tuple[int, int] | None:
    return None if question is None else (question.since_ns // NS_PER_MIN, question.limit)


def tell(job: Missing, *numbers: int) -> tuple[int, int] | None:
    """Answer the next question with these bars, and return what is asked then."""
    question = job.question()
    assert question is not None
    job.answer(question, minutes(*numbers))
    return asked(job.question())


def test_one_bar_more_than_needed_is_asked_for_and_at_most_a_page() -> None:
    assert asked(missing((5, 7)).question()) == (5, 3)
    assert asked(missing((5, 70)).question()) == (5, 10)
    assert asked(missing((5, 7), (20, 21)).question()) == (5, 10)


def test_an_answer_that_has_it_all_ends_the_asking() -> None:
    assert tell(missing((5, 7)), 7, 5, 6, 6) is None


def test_a_page_that_begins_late_is_asked_again_from_a_bar_earlier() -> None:
    job = missing((5, 20))
    assert tell(job, 8, 9, 10) == (4, 10)
    assert tell(job, 4, 5, 6, 7, 8, 9, 10) == (11, 10)


def test_the_earliest_hole_is_asked_for_before_what_comes_after_it() -> None:
    job = missing((0, 30))
    assert tell(job, 0, 1, 3, 4, 5) == (1, 10)


def test_a_hole_denied_twice_by_pages_that_show_a_later_bar_is_the_venues_own() -> None:
    job = missing((5, 8))
    assert tell(job, 5, 7) == (5, 10)
    assert tell(job, 5, 7) is None
    assert job.verdict(7 * NS_PER_MIN, 0) == ([(6 * NS_PER_MIN, 7 * NS_PER_MIN)], None)


def test_what_only_pages_without_a_later_bar_denied_may_be_late() -> None:
    job = missing((5, 7))
    assert tell(job, 5) == (6, 2)
    assert tell(job) == (5, 10)
    assert tell(job) is None
    assert job.verdict(None, 0) == ([], 6 * NS_PER_MIN)
    assert job.verdict(9 * NS_PER_MIN, 0) == ([], 6 * NS_PER_MIN), "a later bar is known, but not by the same page"
    old = job.verdict(9 * NS_PER_MIN, 60 * NS_PER_MIN)
    assert old == ([(6 * NS_PER_MIN, 7 * NS_PER_MIN)], None), "what is old is not late any more"


def test_a_denial_of_each_kind_proves_nothing_together() -> None:
    job = missing((5, 8))
    assert tell(job) == (4, 10)  # nothing at all
    assert tell(job, 4, 6, 7) == (4, 10)  # 5 denied, with a later bar
    assert tell(job, 4, 5, 6) is None


def test_an_earlier_beginning_that_ends_too_soon_is_followed_by_the_plain_question() -> None:
    job = missing((5, 6))
    assert tell(job, 6) == (4, 10)
    assert tell(job, 4) == (5, 10)
    assert tell(job, 5) is None


def test_empty_pages_before_a_listing_are_walked_over_two_questions_a_page() -> None:
    job, questions = missing((0, 35), page_bars=10), 0
    while (question := job.question()) is not None:
        since = question.since_ns // NS_PER_MIN
        job.answer(question, minutes(*(n for n in range(since, since + question.limit) if n >= 33)))
        questions += 1
    assert questions <= 9
    assert job.verdict(34 * NS_PER_MIN, 10**18) == ([(0, 33 * NS_PER_MIN)], None)


def test_a_page_of_one_bar_ends_too() -> None:
    job = missing((0, 5), page_bars=1)
    for _ in range(40):
        question = job.question()
        if question is None:
            break
        job.answer(question, [t for t in minutes(0, 1, 3) if t >= question.since_ns][:1])
    assert job.question() is None
