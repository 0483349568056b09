"""Every input has an age limit, and too old is an answer."""

from __future__ import annotations

import pytest

from tradelab.feeds.freshness import AgeLimits, Fresh, Input, Stale, require_fresh
from tradelab.model.errors import ParameterError
from tradelab.model.units import NS_PER_S

LIMITS = AgeLimits(quote_s=2.0, bar_s=60.0, balance_s=300.0, ai_answer_s=30.0)


def test_every_input_has_a_limit() -> None:
    assert {kind: LIMITS.of(kind) for kind in Input} == {
        Input.QUOTE: 2.0,
        Input.BAR: 60.0,
        Input.BALANCE: 300.0,
        Input.AI_ANSWER: 30.0,
    }


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan")])
def test_a_limit_that_is_none_is_refused_by_name(bad: float) -> None:
    with pytest.raises(ParameterError, match="balance"):
        AgeLimits(quote_s=2.0, bar_s=60.0, balance_s=bad, ai_answer_s=30.0)


@pytest.mark.parametrize(
    ("age_s", "fresh"), [(0.0, True), (5.0, True), (5.001, False), (600.0, False), (-1.0, True), (-1.1, False)]
)
def test_the_limit_itself_is_still_fresh_and_a_moment_more_is_not(age_s: float, fresh: bool) -> None:
    now = 10**18
    told = require_fresh(now - int(age_s * NS_PER_S), now, 5.0, what="quote")
    assert isinstance(told, Fresh if fresh else Stale)


def test_what_never_came_is_stale() -> None:
    assert require_fresh(None, 5, 1.0, what="balance") == Stale(None, "there is no balance yet")


def test_the_words_tell_age_and_limit_or_that_a_clock_is_wrong() -> None:
    old = require_fresh(0, 9 * NS_PER_S, 5.0, what="quote")
    ahead = require_fresh(600 * NS_PER_S, 0, 5.0, what="bar")
    assert isinstance(old, Stale)
    assert isinstance(ahead, Stale)
    assert old.says == "the quote is 9.0 s old; the limit is 5.0 s"
    assert ahead.says == "the bar is from the future by 600.0 s: check the clock"


def test_a_limit_that_is_no_number_lets_nothing_pass() -> None:
    assert isinstance(require_fresh(0, 1, float("nan")), Stale)
