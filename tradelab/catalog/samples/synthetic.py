"""Make bars up, from a seed, with the habits of real ones: regimes, fat tails, daily rhythm, gaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tradelab.catalog.coverage import is_fx_week
from tradelab.catalog.frame import from_arrays
from tradelab.model.errors import ParameterError
from tradelab.model.instrument import Calendar
from tradelab.model.units import NS_PER_DAY, Timeframe

_MINUTES_PER_YEAR = 365 * 1440
_TAIL_DOF = 4.0  # Student t with 4 degrees: kurtosis of minute returns, roughly (Cont 2001, stylised fact 2)


@dataclass(frozen=True, slots=True)
class Regime:
    """A stretch of market: yearly drift and volatility as fractions, and how long it lasts on average."""

    name: str
    drift: float
    volatility: float
    mean_bars: int = 2_000


REGIMES = (
    Regime("calm", 0.10, 0.35),
    Regime("rise", 1.20, 0.55),
    Regime("fall", -1.50, 0.90, 1_000),
    Regime("storm", 0.0, 1.60, 300),
)


def synthetic(
    timeframe: str | Timeframe = "1m",
    bars: int = 100_000,
    *,
    seed: int = 0,
    start: str = "2024-01-01",
    price: float = 100.0,
    tick: float = 0.01,
    regimes: Sequence[Regime] = REGIMES,
    calendar: str = "24/7",
    gaps: float = 0.0,
) -> pd.DataFrame:
    """Return made-up bars, always valid, the same for the same arguments; ``attrs["synthetic"]`` is ``True``.

    Log returns are Student t (4 degrees of freedom) scaled by the regime's volatility and, within a day, by a U shape
    with peaks at the London and New York hours; volume follows the same rhythm and the size of the move.

    Parameters
    ----------
    timeframe, bars, start
        Length and number of bars, and the first open time (UTC); a month is not offered.
    seed
        Seed of numpy's PCG64 generator.
    price, tick
        First open, and the grid to which prices are rounded (at least one tick, always above zero).
    regimes
        Stretches to switch between at random.
    calendar
        ``"24/7"``, or ``"24/5"``: no bars from Friday to Sunday, 17:00 in New York.
    gaps
        Fraction of bars, in clumps of about ten, that are missing.

    Examples
    --------
    >>> made = synthetic("5m", 300, seed=7)
    >>> len(made), made.attrs["synthetic"], bool((made["high"] >= made["low"]).all())
    (300, True, True)
    """
    length = Timeframe.of(timeframe)
    _require(length, bars, price, tick, regimes, gaps)
    rng = np.random.default_rng(seed)
    stamps = _stamps(rng, length, bars, start, _calendar(calendar), gaps)
    drift, volatility = _regime_paths(rng, regimes, bars)
    year = length.value / _MINUTES_PER_YEAR
    rhythm = _rhythm(stamps) if length.ns < NS_PER_DAY else np.ones(bars)
    scale = volatility * np.sqrt(year) * rhythm
    shock = np.clip(rng.standard_t(_TAIL_DOF, bars) / np.sqrt(_TAIL_DOF / (_TAIL_DOF - 2)), -12, 12)
    move = (drift - volatility**2 / 2) * year + scale * shock
    level = np.log(price) + np.cumsum(move)
    close = price * np.exp(_reined(level - np.log(price)))
    values = _candles(rng, price, close, scale, tick)
    busy = rhythm * (0.4 + np.abs(shock))
    values["volume"] = np.round(1000.0 * np.sqrt(length.value) * busy * rng.lognormal(0.0, 0.5, bars), 3)
    frame = from_arrays(stamps, values)
    frame.attrs = {"symbol": f"SYNTH-{seed}", "timeframe": length.alias, "source": "synthetic", "synthetic": True}
    return frame


def _require(length: Timeframe, bars: int, price: float, tick: float, regimes: Sequence[Regime], gaps: float) -> None:
    if length is Timeframe.MN:
        raise ParameterError("synthetic bars of a month are not offered.", fix="Make 1d bars and resample them.")
    if bars < 1:
        raise ParameterError(f"bars={bars} must be at least 1.")
    if not 0 < tick < price:
        raise ParameterError(f"price={price} and tick={tick}: the tick must be above zero and below the price.")
    if not regimes:
        raise ParameterError("regimes is empty.", fix="Give at least one Regime, or leave it out.")
    if not 0 <= gaps < 0.9:
        raise ParameterError(f"gaps={gaps} must be a fraction from 0 to below 0.9.")


def _calendar(text: str) -> Calendar:
    offered = {c.value: c for c in (Calendar.ALWAYS, Calendar.WEEKDAYS)}
    if text not in offered:
        raise ParameterError(f"calendar={text!r} is not offered.", allowed=offered)
    return offered[text]


def _stamps(
    rng: np.random.Generator, length: Timeframe, bars: int, start: str, calendar: Calendar, gaps: float
) -> np.ndarray:
    """Return ``bars`` open times: take too many, drop the closed and the missing ones, keep the first ``bars``."""
    moment = pd.Timestamp(start)
    first = length.floor((moment if moment.tz else moment.tz_localize("UTC")).value)
    wanted = int(bars / (1 - gaps) * (1.45 if calendar is Calendar.WEEKDAYS else 1.0)) + 4 * 1440
    while True:
        grid = first + np.arange(wanted, dtype=np.int64) * length.ns
        open_ = np.ones(wanted, dtype=bool)
        if calendar is Calendar.WEEKDAYS and length.ns <= NS_PER_DAY:
            open_ &= _is_weekday(grid, length)
        if gaps:
            open_ &= ~_clumps(rng, wanted, gaps)
        stamps = grid[open_]
        if len(stamps) >= bars:
            return stamps[:bars]
        wanted *= 2


def _is_weekday(grid: np.ndarray, length: Timeframe) -> np.ndarray:
    if length.ns == NS_PER_DAY:
        return (grid // NS_PER_DAY + 3) % 7 < 5  # 1970-01-01 was a Thursday
    return is_fx_week(grid)


def _clumps(rng: np.random.Generator, count: int, fraction: float) -> np.ndarray:
    """Mark about ``fraction`` of the bars as missing, in runs of ten on average."""
    starts = np.flatnonzero(rng.random(count) < -np.log1p(-fraction) / 10.0)
    ends = np.minimum(starts + rng.geometric(0.1, len(starts)), count)
    edge = np.zeros(count + 1, dtype=np.int64)
    np.add.at(edge, starts, 1)
    np.add.at(edge, ends, -1)
    return np.cumsum(edge[:-1]) > 0


def _regime_paths(rng: np.random.Generator, regimes: Sequence[Regime], bars: int) -> tuple[np.ndarray, np.ndarray]:
    """Return drift and volatility of every bar; stretches are geometric in length and drawn evenly."""
    shortest = min(r.mean_bars for r in regimes)
    count = int(bars / shortest * 2) + 20
    which = rng.integers(0, len(regimes), count)
    lengths = rng.geometric(1.0 / np.array([r.mean_bars for r in regimes], dtype=float)[which])
    which = np.append(which, which[-1])
    lengths = np.append(lengths, max(0, bars - int(lengths.sum())))
    path = np.repeat(which, lengths)[:bars]
    drift = np.array([r.drift for r in regimes])
    volatility = np.array([r.volatility for r in regimes])
    return drift[path], volatility[path]


def _rhythm(stamps: np.ndarray) -> np.ndarray:
    """Return the multiplier of volatility by the hour of the day (UTC); its mean square is about one."""
    hour = stamps % NS_PER_DAY / (NS_PER_DAY / 24)
    shape = 0.7 + 0.6 * np.exp(-(((hour - 8) / 2.5) ** 2)) + 0.9 * np.exp(-(((hour - 14.5) / 2.5) ** 2))
    return shape / 1.02


def _reined(level: np.ndarray) -> np.ndarray:
    """Keep a long path within e±4 of its start, by folding it back, so that a year of storm is still a price."""
    bound = 4.0
    return bound - np.abs((level + bound) % (4 * bound) - 2 * bound) if np.abs(level).max() > bound else level


def _candles(
    rng: np.random.Generator, price: float, close: np.ndarray, scale: np.ndarray, tick: float
) -> dict[str, np.ndarray]:
    """Return valid candles on the tick grid around the closes: high and low reach past open and close."""
    bars = len(close)
    open_ = np.concatenate(([price], close[:-1]))
    up = np.abs(rng.standard_normal(bars)) * scale * 0.6
    down = np.abs(rng.standard_normal(bars)) * scale * 0.6
    high = np.maximum(open_, close) * np.exp(up)
    low = np.minimum(open_, close) * np.exp(-down)
    decimals = max(0, int(np.ceil(-np.log10(tick))) + 2)
    raw = {"open": open_, "high": high, "low": low, "close": close}
    return {name: np.round(np.maximum(np.round(v / tick), 1.0) * tick, decimals) for name, v in raw.items()}
