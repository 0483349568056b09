"""Judge each piece of evidence by a threshold with a source, in a sentence a trader understands.

A finding passes, leaves a doubt, or fails; one that could not be had is unknown. Five are *decisive*: where one of them
fails, no other figure can save the result. They are the look-ahead check, the two tests for superior predictive ability
(luck, and timing), the deflated Sharpe ratio, and what the choice made on the blocks that followed it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from tradelab.metrics.datasnooping import Snooping
from tradelab.research.scrutiny_evidence import Evidence

PASS, DOUBT, FAIL, UNKNOWN = "pass", "doubt", "fail", "unknown"

_TESTS = "5 % as in Hansen 2005, 10 % the usual weakest"
_NEYMAN = "Bailey, Borwein, López de Prado and Zhu 2017: below 5 % accept, at 50 % a coin chooses as well"


@dataclass(frozen=True)
class Finding:
    """One judgement.

    Attributes
    ----------
    name
        What was looked at.
    figure
        What was found, written out.
    value
        The same as a number; NaN where there is none.
    threshold, source
        What it was held against, and who says so.
    says
        What it means.
    state
        ``"pass"``, ``"doubt"``, ``"fail"`` or ``"unknown"``.
    decisive
        Whether failing settles the verdict.
    """

    name: str
    figure: str
    value: float
    threshold: str
    source: str
    says: str
    state: str
    decisive: bool = False

    def __str__(self) -> str:
        return f"{self.state.upper():<7} {self.name}: {self.figure} ({self.threshold}). {self.says}"


def judge(evidence: Evidence) -> tuple[Finding, ...]:
    """Every finding, in the order in which a reader should meet them."""
    return tuple(one(evidence) for one in _JUDGES)


def lookahead(e: Evidence) -> Finding:
    """Decisions must not change when later bars are taken away, nor when bars before the warm-up are."""
    ahead = [f"{symbol}: {c.lookahead}" for symbol, c in e.checks.items() if c.lookahead]
    short = [f"{symbol}: {c.warm_up}" for symbol, c in e.checks.items() if c.warm_up]
    cuts = sum(c.cuts for c in e.checks.values())
    state = FAIL if ahead else DOUBT if short else PASS
    says = {
        FAIL: f"It sees the future, so nothing below means anything. {' '.join(ahead[:1])}",
        DOUBT: f"Its warm-up is declared too short: live, its first decisions will differ. {' '.join(short[:1])}",
        PASS: "Taking later bars away, or bars before the warm-up, changed no decision.",
    }[state]
    return Finding(
        name="Look-ahead and warm-up",
        figure=f"{len(ahead) + len(short)} offences in {cuts} cuts",
        value=float(len(ahead) + len(short)),
        threshold="none",
        source="truncation, as freqtrade's lookahead- and recursive-analysis",
        says=says,
        state=state,
        decisive=True,
    )


def enough_trades(e: Evidence) -> Finding:
    """Few trades prove nothing."""
    count = e.best.summary.trades
    state = _high(count, 100, 30)
    says = {
        PASS: "Enough to judge by.",
        DOUBT: "Not many: a few trades more or less would move every figure.",
        FAIL: "So few trades that one or two make the result.",
    }[state]
    return Finding(
        name="Trades",
        figure=f"{count} closed",
        value=float(count),
        threshold="100 pass, below 30 fail",
        source="Tharp 2008 on the system quality number: 30 at the least, better 100",
        says=says,
        state=state,
    )


def probabilistic(e: Evidence) -> Finding:
    """The best ratio, were it the only one tried."""
    luck, years = e.luck, _years(e, e.luck.min_track)
    longer = f"{luck.min_track:,.0f} bars ({years})" if not math.isnan(luck.min_track) else "no number of bars"
    return _finding(
        "Probabilistic Sharpe ratio",
        luck.psr,
        f"{luck.psr:.1%}; to be sure it needs {longer}, it has {luck.moments.periods:,}",
        "95 % pass, below 90 % fail",
        "Bailey and López de Prado 2012",
        _high(luck.psr, 0.95, 0.90),
        good="Had this been the only combination tried, its ratio would be above 0 beyond reasonable doubt.",
        bad="Even had it been the only combination tried, the history is too short, or too wild, for this ratio.",
        unsure="Had this been the only combination tried, its ratio would probably, not surely, be above 0.",
    )


def deflated(e: Evidence) -> Finding:
    """The best ratio against the best that so many tries show without skill."""
    luck, root = e.luck, math.sqrt(e.per_year)
    best = f"{luck.moments.sharpe * root:.2f}" if not math.isnan(root) else f"{luck.moments.sharpe:.4f} a bar"
    lucky = f"{luck.expected_best * root:.2f}" if not math.isnan(root) else f"{luck.expected_best:.4f} a bar"
    return _finding(
        "Deflated Sharpe ratio",
        luck.dsr,
        f"{luck.dsr:.1%}: {best} against {lucky}, the best of {luck.trials:,} without skill",
        "95 % pass, below 50 % fail",
        "Bailey and López de Prado 2014; at 50 % the best of as many idle tries does as well",
        _high(luck.dsr, 0.95, 0.50),
        good="The ratio stays above 0 when the number of combinations tried is paid for.",
        bad=f"Trying {luck.trials:,} combinations (worth about {luck.independent:,.0f} independent ones) and keeping "
        "the best explains much or all of this ratio.",
        unsure="The ratio is above what so many tries bring by luck alone, but not beyond reasonable doubt.",
        decisive=True,
    )


def luck(e: Evidence) -> Finding:
    """Does the best of all combinations beat earning nothing?"""
    found = e.cash
    p = math.nan if found is None else found.consistent
    return _finding(
        "Superior to cash",
        p,
        f"p {_p(p, found)}, {_tried(e)}",
        "5 % pass, above 10 % fail",
        f"Hansen 2005, consistent p-value; {_TESTS}",
        _low(p, 0.05, 0.10),
        good="A search among worthless combinations would seldom find one as good as this.",
        bad="A search among worthless combinations often finds one as good as this.",
        unsure="A search among worthless combinations finds one as good as this now and then.",
        decisive=True,
    )


def timing(e: Evidence) -> Finding:
    """Does it still, when what its mean exposure earned of the market's rise is taken off?"""
    found = e.timing
    p = math.nan if found is None else found.consistent
    return _finding(
        "Superior timing",
        p,
        f"p {_p(p, found)} (White's reality check {_p(e.reality, found)}), {_tried(e)}",
        "5 % pass, above 10 % fail",
        f"Hansen 2005 and White 2000 on detrended returns (Aronson 2006); {_TESTS}",
        _low(p, 0.05, 0.10),
        good="Its entries and exits earn something that being in the market as much, at any time, does not.",
        bad="What it earned is what anybody earned who was in the market as much; its timing cannot be told from luck.",
        unsure="Its timing may be worth something: luck does as well once in ten to twenty searches.",
        decisive=True,
    )


def randomly(e: Evidence) -> Finding:
    """Would as many trades at random times have done as well?"""
    p = math.nan if e.random is None else e.random.p_value("mean_trade")
    return _finding(
        "Random entries",
        p,
        f"p = {p:.3f}",
        "5 % pass, above 10 % fail",
        "Aronson 2006, chapter 6; it knows nothing of the search, so it flatters the best of one",
        _low(p, 0.05, 0.10),
        good="Trades as many and as long at random times seldom make as much a trade.",
        bad="Trades as many and as long at random times often make as much a trade.",
        unsure="Trades as many and as long at random times make as much a trade now and then.",
    )


def overfit(e: Evidence) -> Finding:
    """Is the best of one half of history still good on the other?"""
    found = e.overfitting
    pbo = math.nan if found is None else found.pbo
    loss = math.nan if found is None else found.probability_of_loss
    slope = math.nan if found is None else found.slope
    return _finding(
        "Probability of overfitting",
        pbo,
        f"{pbo:.1%} over {e.judged:,} combinations; loss out of sample {loss:.1%}, slope {slope:+.2f}",
        "5 % pass, above 50 % fail",
        _NEYMAN,
        _low(pbo, 0.05, 0.50),
        good="What was best on one half of the history was among the better ones on the other, nearly always.",
        bad="What was best on one half of the history was often below the median of all combinations on the other: "
        "choosing by the past chooses little, or all combinations are much alike.",
        unsure="What was best on one half of the history was mostly, not always, in the better half on the other.",
    )


def walk(e: Evidence) -> Finding:
    """What the choice made on the block after it was made."""
    found = e.walked
    sharpe = math.nan if found is None else found.sharpe * math.sqrt(1.0 if math.isnan(e.per_year) else e.per_year)
    share = math.nan if found is None else found.efficiency
    left = f"{share:.0%}" if sharpe > 0.0 and share > 0.0 else "nothing"
    state = UNKNOWN if math.isnan(sharpe) else FAIL if sharpe <= 0.0 else PASS if share >= 0.5 else DOUBT
    tested = 0 if found is None else len(found.test)
    return _finding(
        "Walk-forward",
        sharpe,
        f"Sharpe ratio {sharpe:.2f} on {tested} blocks it had not seen: {left} of that in training",
        "half of training pass, nothing left fail",
        "Pardo 2008: an efficiency of 50 to 60 %",
        state,
        good="Choosing on the past and trading what came next earned a good part of what the past had promised.",
        bad="Choosing on the past and trading what came next earned little or nothing of what the past had promised.",
        unsure="Choosing on the past and trading what came next earned something, less than half of what was promised.",
        decisive=True,
    )


def plateau(e: Evidence) -> Finding:
    """Are the neighbours of the best any good?"""
    around = e.around
    score = math.nan if around is None else around.score
    worst = math.nan if around is None else around.worst
    return _finding(
        "Parameter stability",
        score,
        f"neighbours have {score:.0%} of the best on average, the worst {worst:.0%}",
        "70 % pass, below 40 % fail",
        "a rule of this house, after Pardo 2008 on plateaus and peaks",
        _high(score, 0.7, 0.4),
        good="A step to any side costs little: a plateau.",
        bad="A step to the side loses much of it: a peak, and peaks are mostly noise.",
        unsure="A step to the side costs a good part of it: neither a plateau nor a peak.",
    )


def fall(e: Evidence) -> Finding:
    """How much deeper could it have fallen with its trades in another order?"""
    if e.drawdowns is None:
        seen = deep = math.nan
    else:
        seen, deep = e.drawdowns.actual["max_drawdown"], float(e.drawdowns.draws["max_drawdown"].quantile(0.05))
    ratio = deep / seen if seen < 0.0 else math.nan
    return _finding(
        "Order of trades",
        ratio,
        f"deepest fall {seen:.1%}; one order in twenty falls to {deep:.1%} or deeper",
        "1.5 times as deep pass, twice fail",
        "a rule of this house; trade shuffling as in Tomasini and Jaekle 2009",
        _low(ratio, 1.5, 2.0),
        good="The drawdown seen is about what these trades bring in any order.",
        bad="The order of its trades was kind: expect to fall much deeper than the backtest shows.",
        unsure="The order of its trades was rather kind: expect to fall half as deep again, or more.",
    )


def futures(e: Evidence) -> Finding:
    """How often would another history of the same kind have lost?"""
    chance = math.nan if e.futures is None else e.futures.chance_below("total_return", 0.0)
    return _finding(
        "Chance of loss",
        chance,
        f"{chance:.1%} over as long again",
        "5 % pass, above 20 % fail",
        "a rule of this house; stationary bootstrap of Politis and Romano 1994",
        _low(chance, 0.05, 0.20),
        good="Histories made of the same stretches of returns nearly always end above where they began.",
        bad="Histories made of the same stretches of returns often end below where they began.",
        unsure="Histories made of the same stretches of returns end below where they began now and then.",
    )


def costs(e: Evidence) -> Finding:
    """How much dearer could it be?"""
    even, none_set = e.costs.break_even, e.costs.unit != "times the costs set"
    good, poor = (20.0, 5.0) if none_set else (2.0, 1.25)
    state = PASS if math.isnan(even) else _high(even, good, poor)
    if none_set and state == PASS:
        state = DOUBT  # nobody trades for nothing
    figure = "break-even beyond what was tried" if math.isnan(even) else f"break-even at {even:.2f} {e.costs.unit}"
    return _finding(
        "Costs",
        even,
        figure,
        f"{good:g} {e.costs.unit} pass, below {poor:g} fail",
        "a rule of this house: real costs are often twice those assumed",
        state,
        good="Costs may double and something is left.",
        bad="No costs were set: set what your venue takes." if none_set else "A little dearer, and nothing is left.",
        unsure="No costs were set: set what your venue takes."
        if none_set
        else "It bears somewhat more, not the double.",
    )


def delay(e: Evidence) -> Finding:
    """What is left when its orders go out a bar later?"""
    kept = e.delays.kept
    return _finding(
        "Delay of one bar",
        kept,
        f"keeps {kept:.0%} of the Sharpe ratio",
        "50 % pass, nothing left fail",
        "a rule of this house",
        _high(kept, 0.5, 0.0),
        good="A bar's delay costs little: it does not live on the moment.",
        bad="A bar's delay costs most of it: it lives on the moment, where others are faster.",
        unsure="A bar's delay costs more than half of it.",
    )


_JUDGES: tuple[Callable[[Evidence], Finding], ...] = (
    lookahead, luck, timing, deflated, walk, overfit, probabilistic, randomly, plateau, futures, fall, costs, delay,
    enough_trades,
)  # fmt: skip


def _finding(
    name: str,
    value: float,
    figure: str,
    threshold: str,
    source: str,
    state: str,
    *,
    good: str,
    unsure: str,
    bad: str,
    decisive: bool = False,
) -> Finding:
    if state == UNKNOWN:
        missing = "Too little to tell: too few bars, trades or combinations, or a figure that is undefined."
        return Finding(name, "–", value, threshold, source, missing, state, decisive)
    says = {PASS: good, DOUBT: unsure, FAIL: bad}[state]
    return Finding(name, figure, value, threshold, source, says, state, decisive)


def _high(value: float, good: float, poor: float) -> str:
    """State of a figure that should be high."""
    return UNKNOWN if math.isnan(value) else PASS if value >= good else FAIL if value < poor else DOUBT


def _low(value: float, good: float, poor: float) -> str:
    """State of a figure that should be low."""
    return UNKNOWN if math.isnan(value) else PASS if value <= good else FAIL if value > poor else DOUBT


def _p(p: float, found: Snooping | None) -> str:
    """A bootstrapped p-value; where no draw was as good, all that is known is that it is below one in so many."""
    return f"= {p:.3f}" if p > 0.0 or found is None else f"< {1.0 / found.draws:.3f}"


def _tried(e: Evidence) -> str:
    if e.replayed == e.combinations:
        return f"all {e.combinations:,} combinations"
    return f"{e.replayed:,} of {e.combinations:,} combinations"


def _years(e: Evidence, bars: float) -> str:
    return f"{bars / e.per_year:,.1f} years" if not math.isnan(bars / e.per_year) else "of unknown length"
