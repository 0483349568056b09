"""Run a strategy again on markets that could have been: the same bars under noise, or their stretches redrawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from tradelab.metrics.datasnooping import optimal_block_length, stationary_bootstrap
from tradelab.model.errors import ParameterError, TooFewBarsError
from tradelab.research.checks import whole
from tradelab.research.montecarlo_draws import MonteCarlo, generator
from tradelab.research.rerun import Setup, setup_of
from tradelab.research.result import Result

_FIGURES = ("total_return", "sharpe", "max_drawdown", "trades")


def perturb_prices(
    result: Result | Setup,
    *,
    noise: float = 0.1,
    runs: int = 200,
    seed: int | np.random.Generator = 0,
    **terms: Any,
) -> MonteCarlo:
    """Put noise on every bar, and run the strategy again.

    Open, high, low and close are each moved by a normal amount of ``noise`` times the median range of a bar; where a
    high would then lie below its bar's open or close it is lifted to it, a low lowered. The noise of one bar does not
    carry on to the next, so the path stays the path. A strategy that hangs on exact prices falls apart.

    Parameters
    ----------
    result
        Of a strategy.
    noise
        Deviation of the noise over the median of ``log(high / low)``.
    runs, seed
        How many markets, and where chance begins.
    **terms
        Terms a result knows only by name: those given bar by bar, and an ``ExitPlan``.
    """
    if not 0.0 < noise < 10.0:
        raise ParameterError(f"noise={noise!r} is not allowed.", allowed=["above 0 below 10"])
    whole("runs", runs, least=1)
    says = f"noise of {noise:g} of a bar's range on every price, the strategy run again {runs:,} times"
    return _rerun("perturbed prices", says, result, lambda frames, rng: _noisy(frames, noise, rng), runs, seed, terms)


def resample_prices(
    result: Result | Setup,
    *,
    mean_block: float | None = None,
    runs: int = 200,
    seed: int | np.random.Generator = 0,
    **terms: Any,
) -> MonteCarlo:
    """Draw stretches of the market anew, join them into another history, and run the strategy again.

    What a bar does to the close before it (its four prices as ratios, its volume) stays together; stretches are those
    of the stationary bootstrap (Politis and Romano 1994), the same for all instruments that share their times. Trends
    and cycles longer than a stretch are gone: a strategy that lives on them does worse than on the real market, one
    that was only lucky does as well.

    Parameters
    ----------
    mean_block
        Mean length of a stretch, in bars; ``None``: chosen from the autocorrelation of the squared returns (Politis and
        White 2004), which keeps calm and stormy times together.
    result, runs, seed, **terms
        As for `perturb_prices`.
    """
    setup = result if isinstance(result, Setup) else setup_of(result, **terms)
    block = _block(setup.frames) if mean_block is None else mean_block
    whole("runs", runs, least=1)
    says = f"stretches of the market of {block:,.1f} bars on average joined anew, the strategy run again {runs:,} times"
    return _rerun("resampled prices", says, setup, lambda frames, rng: _redrawn(frames, block, rng), runs, seed, {})


def _rerun(
    method: str,
    says: str,
    given: Result | Setup,
    change: Callable[[Mapping[str, pd.DataFrame], np.random.Generator], dict[str, pd.DataFrame]],
    runs: int,
    seed: int | np.random.Generator,
    terms: Mapping[str, Any],
) -> MonteCarlo:
    setup = given if isinstance(given, Setup) else setup_of(given, **terms)
    rng = generator(runs, seed)
    own = setup.run().summary.to_dict()
    found = [setup.run(change(setup.frames, rng)).summary for _ in range(runs)]
    draws = pd.DataFrame([{name: float(getattr(s, name)) for name in _FIGURES} for s in found])
    return MonteCarlo(method, says, {name: float(own[name]) for name in _FIGURES}, draws)


def _noisy(frames: Mapping[str, pd.DataFrame], noise: float, rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    changed = {}
    for symbol, frame in frames.items():
        prices = frame[["open", "high", "low", "close"]].to_numpy()
        wide = noise * float(np.median(np.log(prices[:, 1] / prices[:, 2])))
        moved = prices * np.exp(rng.normal(0.0, wide, prices.shape)) if wide > 0.0 else prices
        changed[symbol] = _bars(frame, *moved.T)
    return changed


def _redrawn(frames: Mapping[str, pd.DataFrame], block: float, rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    changed, drawn = {}, {}
    for symbol, frame in frames.items():
        close = frame["close"].to_numpy()
        key = (len(frame), frame.index[0], frame.index[-1])  # instruments of one time axis are redrawn together
        if key not in drawn:
            drawn[key] = 1 + stationary_bootstrap(len(frame) - 1, max(block, 1.0), 1, rng)[0]
        at = drawn[key]
        ratio = {name: frame[name].to_numpy()[at] / close[at - 1] for name in ("open", "high", "low", "close")}
        after = close[0] * np.cumprod(ratio["close"])
        before = np.concatenate([close[:1], after[:-1]])
        first = frame[["open", "high", "low", "close"]].to_numpy()[0]
        columns = [np.concatenate([[f], before * ratio[n]]) for n, f in zip(ratio, first, strict=True)]
        redrawn = _bars(frame, *columns)
        if "volume" in redrawn:
            redrawn["volume"] = np.concatenate([frame["volume"].to_numpy()[:1], frame["volume"].to_numpy()[at]])
        changed[symbol] = redrawn
    return changed


def _bars(like: pd.DataFrame, opens: Any, highs: Any, lows: Any, closes: Any) -> pd.DataFrame:
    """Bars with other prices, the high the highest and the low the lowest of each."""
    made = like.copy()
    made["open"], made["close"] = opens, closes
    made["high"] = np.maximum.reduce([opens, highs, lows, closes])
    made["low"] = np.minimum.reduce([opens, highs, lows, closes])
    return made


def _block(frames: Mapping[str, pd.DataFrame]) -> float:
    lengths = []
    for symbol, frame in frames.items():
        moves = np.diff(np.log(frame["close"].to_numpy()))
        if len(moves) < 32:
            raise TooFewBarsError(f"{symbol} has {len(frame)} bars; stretches of a market need 33 or more.")
        lengths.append(optimal_block_length(moves**2).stationary)
    return float(np.mean(lengths))
