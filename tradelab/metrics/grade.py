"""Give a backtest a school mark, A to F, by the point table of the system this project re-thinks.

==================  ====================  ====================
figure              threshold             points
==================  ====================  ====================
win rate            60 % · 50 % · 40 %    30 · 20 · 10
profit factor       2 · 1.5 · 1           30 · 20 · 10
drawdown at most    10 % · 20 %           20 · 10
total return        20 % · 10 %           20 · 10
==================  ====================  ====================

A from 80 points, B from 60, C from 40, D from 20, else F. The mark knows neither the length of the history nor its
costs or luck: read it as the original did, at a glance, and the figures for anything else.
"""

from __future__ import annotations

import numpy as np

from tradelab.metrics.arrays import Floats

_WIN_RATE = ((0.60, 30), (0.50, 20), (0.40, 10))
_PROFIT_FACTOR = ((2.0, 30), (1.5, 20), (1.0, 10))
_DRAWDOWN = ((-0.10, 20), (-0.20, 10))
_RETURN = ((0.20, 20), (0.10, 10))
_MARKS = ((80, "A"), (60, "B"), (40, "C"), (20, "D"))


def grade(*, win_rate: float, profit_factor: float, max_drawdown: float, total_return: float) -> str:
    """Mark four figures, all fractions (``max_drawdown`` ≤ 0); a dash where no trade was closed, for that is no feat.

    An undefined figure (NaN) scores nothing, with one exception: a profit factor is NaN when nothing was lost, and
    where something was won that scores in full. The original scored it 0, which put a system without a losing trade
    below one with many.

    >>> grade(win_rate=0.55, profit_factor=1.6, max_drawdown=-0.15, total_return=0.3)
    'B'
    >>> grade(win_rate=1.0, profit_factor=float("nan"), max_drawdown=-0.05, total_return=0.02)
    'A'
    """
    four = (np.array([value], float) for value in (win_rate, profit_factor, max_drawdown, total_return))
    return str(grades(*four)[0])


def grades(win_rate: Floats, profit_factor: Floats, max_drawdown: Floats, total_return: Floats) -> np.ndarray:
    """Mark many backtests, four arrays of shape (backtests,); as ``grade``, shape (backtests,) of letters."""
    spotless = np.isnan(profit_factor) & (win_rate > 0)
    points = (
        _score(win_rate, _WIN_RATE)
        + _score(np.where(spotless, np.inf, profit_factor), _PROFIT_FACTOR)
        + _score(max_drawdown, _DRAWDOWN)
        + _score(total_return, _RETURN)
    )
    marks = np.select([points >= least for least, _ in _MARKS], [mark for _, mark in _MARKS], "F")
    return np.where(np.isnan(win_rate), "–", marks)


def _score(values: Floats, steps: tuple[tuple[float, int], ...]) -> np.ndarray:
    return np.select([values >= least for least, _ in steps], [points for _, points in steps], 0)
