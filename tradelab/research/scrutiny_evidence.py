"""Gather what a verdict on a sweep rests on: the statistics of the search, and its best combination run again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tradelab.metrics import overfit
from tradelab.metrics.datasnooping import Snooping, mean_block_of, spa
from tradelab.metrics.overfit import Moments, Overfitting
from tradelab.model.errors import ConfigError
from tradelab.research.lookahead import Check, check
from tradelab.research.montecarlo import MonteCarlo, bootstrap_returns, random_entries, shuffle_trades
from tradelab.research.rerun import Setup, setup_of_row
from tradelab.research.result import Result
from tradelab.research.sensitivity import CostSensitivity, DelaySensitivity, cost_sensitivity, delay_sensitivity
from tradelab.research.stability import Stability, stability
from tradelab.research.sweep_view import Swept

_STEPS = 4_000  # returns a trial the reality check draws from; longer histories are summed up to as many
_LEAST_STEPS = 64
_REPLAYS, _REPLAYED_BARS = 300, 18_000_000
_TRIALS = 20_000  # of more, that many are judged by CSCV
_FIRST_TEST = 4  # of 16 blocks: the first quarter is trained on only
_CHECKED = 3  # instruments
_CUTS = 60


class Luck(NamedTuple):
    """The best Sharpe ratio beside what the search alone would have shown; ratios per bar."""

    moments: Moments
    psr: float
    min_track: float
    dsr: float
    expected_best: float
    trials: int
    independent: float


class Walked(NamedTuple):
    """Choosing on all blocks before, tested on the next: the walk-forward that a sweep's own sums allow.

    ``train`` and ``test`` are Sharpe ratios per bar of the chosen trial, one a tested block; ``sharpe`` that of all
    tested blocks joined; ``efficiency`` this over the mean of ``train``.
    """

    train: np.ndarray
    test: np.ndarray
    sharpe: float
    efficiency: float


@dataclass(frozen=True, eq=False)
class Evidence:
    """Everything that was found out about a sweep.

    Attributes
    ----------
    by, best_row, best
        The figure chosen by, the row it chose, and that row's backtest.
    combinations, replayed, judged
        How many ran; how many were run again for the reality check; how many CSCV judged.
    joined
        Bars in one step of the replayed returns.
    checks
        Look-ahead and warm-up, by symbol.
    ratios, blocks
        Sharpe ratios per bar of all combinations; blocks of time that CSCV halved.
    luck, overfitting, walked
        ``None`` where there was nothing to choose from, or too few bars.
    cash, timing
        SPA of the replayed returns against earning nothing, and of these returns less what each combination's mean
        exposure earned of the market's mean return (Aronson 2006, chapter 1: detrending), which leaves its timing.
    reality
        P-value of White's reality check of the timing returns.
    around, drawdowns, futures, random, costs, delays
        Neighbours, shuffled trades, redrawn returns, random entries, costs, delays of the best; ``None`` where there
        was too little to draw from.
    """

    by: str
    best_row: int
    best: Result
    combinations: int
    replayed: int
    judged: int
    joined: int
    checks: Mapping[str, Check]
    ratios: np.ndarray
    blocks: int
    luck: Luck
    overfitting: Overfitting | None
    walked: Walked | None
    cash: Snooping | None
    timing: Snooping | None
    reality: float
    around: Stability | None
    drawdowns: MonteCarlo | None
    futures: MonteCarlo | None
    random: MonteCarlo | None
    costs: CostSensitivity
    delays: DelaySensitivity

    @property
    def per_year(self) -> float:
        """Bars a year; NaN where the bars cannot tell."""
        return self.best.annualisation.periods_per_year


class Replay(NamedTuple):
    """Returns of some combinations run again, shape (steps, trials): as they were, and less the market's part."""

    rows: np.ndarray
    returns: np.ndarray
    timing: np.ndarray
    joined: int


def gather(sweep: Swept, by: str, *, min_trades: int, replays: int | None, draws: int, seed: int) -> Evidence:
    """Find out everything; parameters as for ``tl.scrutinise``."""
    row = int(sweep.ranked(by, min_trades=min_trades).index[0])
    best = sweep.result(row)
    setup = setup_of_row(sweep, row, best)
    rng = np.random.default_rng([seed, 0x5C12])  # shares no numbers with bars somebody made from the same seed
    most = min(_REPLAYS, max(_REPLAYED_BARS // len(best.index), 50)) if replays is None else replays
    replay = replayed(sweep, row, best, most)
    ratios = _ratios(sweep, best, replay)
    sums, overfitting = judged(sweep, replay, row)
    cash = timing = None
    reality = math.nan
    if len(replay.returns) >= _LEAST_STEPS:
        block = mean_block_of(replay.timing)
        cash = spa(replay.returns, draws=draws, mean_block=block, seed=rng)
        timing = spa(replay.timing, draws=draws, mean_block=block, seed=rng)
        reality = spa(replay.timing, draws=draws, mean_block=block, seed=rng, studentise=False).upper
    closed = best.summary.trades
    return Evidence(
        by=by,
        best_row=row,
        best=best,
        combinations=len(sweep),
        replayed=len(replay.rows),
        judged=0 if sums is None else sums.shape[2],
        joined=replay.joined,
        checks=_checks(setup),
        ratios=ratios,
        blocks=0 if sums is None else sums.shape[1],
        luck=_luck(ratios, best, replay),
        overfitting=overfitting,
        walked=None if sums is None else walked(sums),
        cash=cash,
        timing=timing,
        reality=reality,
        around=stability(sweep, by, min_trades=min_trades) if len(sweep) > 1 else None,
        drawdowns=shuffle_trades(best, runs=draws, seed=rng) if closed >= 2 else None,
        futures=bootstrap_returns(best, runs=min(draws, 500), seed=rng) if len(best.index) >= 64 else None,
        random=random_entries(best, runs=draws, seed=rng) if closed else None,
        costs=cost_sensitivity(setup),
        delays=delay_sensitivity(setup),
    )


def replayed(sweep: Swept, best_row: int, best: Result, most: int) -> Replay:
    """Run the best combination and others evenly spread over the sweep again, and keep their returns."""
    rows = _some(_same_account(sweep, best_row), best_row, most)
    closes = np.column_stack([frame["close"].reindex(best.index).ffill().to_numpy() for frame in best.frames.values()])
    drift = np.apply_along_axis(_moves, 0, closes).mean(axis=0)
    joined = max(math.ceil(len(best.index) / _STEPS), 1)
    edges = np.arange(0, len(best.index), joined)
    returns, timing = (np.empty((len(edges), len(rows))) for _ in range(2))
    for column, row in enumerate(rows.tolist()):
        result = best if row == best_row else sweep.result(row)
        own = np.nan_to_num(result.returns.to_numpy())
        returns[:, column] = np.add.reduceat(own, edges)
        timing[:, column] = np.add.reduceat(own - _mean_exposure(result, closes) @ drift, edges)
    return Replay(rows, returns, timing, joined)


def judged(sweep: Swept, replay: Replay, best_row: int) -> tuple[np.ndarray | None, Overfitting | None]:
    """Block sums of the trials to be judged, shape (3, blocks, trials), and what CSCV says of them."""
    sums = _kept_sums(sweep, best_row)
    if sums is None:
        steps = len(replay.returns)
        if steps < 2 * overfit.BLOCKS or len(replay.rows) < 2:
            return None, None
        sums = overfit.block_sums(replay.returns)
    return sums, overfit.overfitting_of_sums(sums)


def walked(sums: np.ndarray) -> Walked:
    """Choose by Sharpe ratio on all blocks so far, test on the next one, block after block."""
    blocks = sums.shape[1]
    first = max(blocks * _FIRST_TEST // overfit.BLOCKS, 1)
    train, test, joined = [], [], np.zeros(3)
    for block in range(first, blocks):
        past = overfit.sharpe_of_sums(*sums[:, :block].sum(axis=1))
        chosen = int(past.argmax())
        after = sums[:, block, chosen]
        train.append(float(past[chosen]))
        test.append(float(overfit.sharpe_of_sums(*after)))
        joined += after
    sharpe = float(overfit.sharpe_of_sums(*joined))
    mean = float(np.mean(train))
    return Walked(np.array(train), np.array(test), sharpe, sharpe / mean if mean > 0.0 else math.nan)


def _ratios(sweep: Swept, best: Result, replay: Replay) -> np.ndarray:
    """Sharpe ratios of all combinations per bar; of the replayed ones where the bars cannot tell a year's number."""
    if not math.isnan(best.annualisation.periods_per_year):
        return (sweep.table["sharpe"] / np.sqrt(sweep.table["periods_per_year"])).to_numpy(dtype=float)
    spread = replay.returns.std(axis=0, ddof=1)
    mean = replay.returns.mean(axis=0)
    return np.divide(mean, spread, out=np.full(len(mean), np.nan), where=spread > 0.0) / math.sqrt(replay.joined)


def _luck(ratios: np.ndarray, best: Result, replay: Replay) -> Luck:
    returns = best.returns.to_numpy()
    own = overfit.moments(returns[np.isfinite(returns)])
    known = ratios[np.isfinite(ratios)]
    variance = float(known.var(ddof=1)) if len(known) > 1 else 0.0
    trials = max(len(known), 1)
    return Luck(
        moments=own,
        psr=overfit.probabilistic_sharpe(own.sharpe, periods=own.periods, skew=own.skew, kurtosis=own.kurtosis),
        min_track=overfit.min_track_record(own.sharpe, skew=own.skew, kurtosis=own.kurtosis),
        dsr=overfit.deflated_sharpe(
            own.sharpe, periods=own.periods, skew=own.skew, kurtosis=own.kurtosis, variance=variance, trials=trials
        ),
        expected_best=overfit.expected_max_sharpe(variance, trials),
        trials=trials,
        independent=overfit.independent_trials(trials, _mean_correlation(replay.returns)),
    )


def _mean_correlation(returns: np.ndarray) -> float:
    """Mean off-diagonal correlation of the trials that move; 0 for one."""
    moving = returns[:, returns.std(axis=0) > 0.0]
    count = moving.shape[1]
    if count < 2:
        return 0.0
    unit = (moving - moving.mean(axis=0)) / moving.std(axis=0)
    total = float(np.square(unit.sum(axis=1)).mean())  # the sum of all correlations, the diagonal's ones included
    return (total - count) / (count * (count - 1))


def _kept_sums(sweep: Swept, best_row: int) -> np.ndarray | None:
    """The sums a sweep kept of all its combinations; ``None`` where it kept none that CSCV can halve."""
    try:
        blocks = getattr(sweep, "blocks", None)
    except ConfigError:  # the sweep says that it kept none
        return None
    if blocks is None:
        return None
    rows = _some(_same_account(sweep, best_row), best_row, _TRIALS)
    some = blocks[rows]
    sums = np.stack([some[name].T.astype(np.float64) for name in some.dtype.names[:3]])
    good = len(rows) > 1 and sums.shape[1] % 2 == 0 and bool((sums[0] >= 2).all())
    return sums if good else None


def _some(rows: np.ndarray, best_row: int, most: int) -> np.ndarray:
    """At most so many rows: the best, and others evenly spread."""
    if len(rows) <= most:
        return rows
    others = rows[rows != best_row]
    kept = others[np.linspace(0, len(others) - 1, most - 1).astype(int)] if most > 1 else others[:0]
    return np.sort(np.append(kept, best_row))


def _same_account(sweep: Swept, row: int) -> np.ndarray:
    """Rows that ran on the same bars as one row; all of them unless the sweep went over several accounts."""
    labels = [name for name in ("symbol", "timeframe") if name in sweep.table and name not in sweep.axes]
    same = np.ones(len(sweep.table), dtype=bool)
    for name in labels:
        same &= (sweep.table[name] == sweep.table[name].iloc[row]).to_numpy()
    return np.flatnonzero(same)


def _moves(close: np.ndarray) -> np.ndarray:
    """Returns a bar of an instrument, the last close standing where it has no bar; 0 before its first."""
    return np.nan_to_num(np.concatenate([[0.0], close[1:] / close[:-1] - 1.0]))


def _mean_exposure(result: Result, closes: np.ndarray) -> np.ndarray:
    """Mean signed position value over equity, one an instrument; ``closes`` of shape (bars, instruments)."""
    equity = result.equity.to_numpy()
    held = result.positions.to_numpy()
    share = np.where(equity[:, None] > 0.0, held * closes / np.where(equity > 0.0, equity, 1.0)[:, None], 0.0)
    return np.nan_to_num(share).mean(axis=0)


def _checks(setup: Setup) -> dict[str, Check]:
    symbols = list(setup.frames)[:_CHECKED]
    return {s: check(setup.strategy, setup.frames[s], cuts=_CUTS, **setup.own) for s in symbols}
