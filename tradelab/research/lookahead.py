"""Prove that a strategy neither sees the future nor needs more past than it says, by taking history away."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tradelab.catalog.frame import as_bars
from tradelab.model.errors import LookaheadError, TooFewBarsError
from tradelab.research.checks import whole
from tradelab.strategy.registry import find
from tradelab.strategy.spec import SIGNAL_NAMES, Strategy


@dataclass(frozen=True)
class Offence:
    """The first bar on which a decision changed: which signal, what full history said, what the truncated one said."""

    kind: str  # "look-ahead" or "warm-up"
    bar: int
    time: pd.Timestamp
    signal: str
    full: bool
    truncated: bool
    known_until: pd.Timestamp

    def __str__(self) -> str:
        if self.kind == "look-ahead":
            cause = f"with bars only up to {self.known_until} it said {self.truncated}: it looks ahead"
        else:
            cause = f"from the declared warm-up alone it said {self.truncated}: the warm-up is too short"
        return f"{self.signal} at {self.time} (bar {self.bar}) is {self.full} on full history, but {cause}."


@dataclass(frozen=True)
class Check:
    """Verdict on one strategy with one set of parameters.

    Parameters
    ----------
    strategy, warmup
        Name, and the declared warm-up in bars.
    cuts
        How many places history was cut at.
    signals
        How many bars carried a signal; a strategy without any proves nothing.
    lookahead, warm_up
        First offence of each kind, or ``None``.
    """

    strategy: str
    warmup: int
    cuts: int
    signals: int
    lookahead: Offence | None
    warm_up: Offence | None

    @property
    def ok(self) -> bool:
        """Whether neither kind of offence was found."""
        return self.lookahead is None and self.warm_up is None

    def require(self) -> Check:
        """Return this verdict, or raise ``LookaheadError`` with the first offence."""
        offence = self.lookahead or self.warm_up
        if offence is None:
            return self
        if offence.kind == "look-ahead":
            fix = "Use only what is known at the bar's close: no shift(-1), no statistics of the whole history."
        else:
            fix = "Declare a longer warm-up in @tl.strategy(warmup=…)."
        raise LookaheadError(f"{self.strategy}: {offence}", fix=fix)

    def __str__(self) -> str:
        said = [
            f"{self.strategy}: {self.cuts} cuts, {self.signals} bars with signals, warm-up {self.warmup} bars",
            f"  look-ahead: {self.lookahead or 'none found'}",
            f"  warm-up:    {self.warm_up or 'honest'}",
        ]
        if self.signals == 0:
            said.append("  it decided nothing on these bars, so nothing is proved")
        return "\n".join(said)

    def _repr_html_(self) -> str:
        lines = html.escape(str(self)).split("\n")
        return f"<p>{'✓' if self.ok else '✗'} <b>{lines[0]}</b><br>{'<br>'.join(lines[1:])}</p>"


def check(strategy: str | Strategy, bars: pd.DataFrame, *, cuts: int = 200, seed: int = 0, **parameters: Any) -> Check:
    """Run a strategy on truncated history and compare its decisions with those on full history.

    At each cut *t* the bars after *t* are taken away: every decision up to *t* must stay. Then all but the last
    ``warmup`` bars up to *t* are taken away: the decision at *t* must stay. Cuts are placed where signals fire, where a
    strategy has most to hide, before the greatest moves, which it would most like to know, and at random elsewhere.
    A strategy that reads the future from elsewhere than its bars, a variable of the notebook say, is not found out.

    Parameters
    ----------
    strategy
        A strategy or its registered name; parameters follow by keyword.
    bars
        One instrument, at least two bars longer than the warm-up.
    cuts
        How many places to cut at; each costs two runs of the strategy.
    seed
        Of the random cuts.

    Examples
    --------
    >>> import tradelab as tl
    >>> tl.check("sma_cross", tl.samples.load("GOOG-1d"), fast=5, slow=20).ok
    True
    """
    chosen = find(strategy)
    frame = as_bars(bars)
    full_parameters = chosen.resolve(parameters)
    warmup = max(chosen.warmup_bars(full_parameters), 1)
    whole("cuts", cuts, least=1)
    whole("seed", seed, least=0)
    if len(frame) < warmup + 2:
        raise TooFewBarsError(
            f"{len(frame)} bars cannot check a warm-up of {warmup}.", fix=f"Give at least {warmup + 2} bars."
        )
    full = _decisions(chosen, frame, full_parameters)
    fired: np.ndarray = np.logical_or.reduce(full)
    places = _places(fired, frame["close"].to_numpy(), warmup, cuts, seed)
    return Check(
        strategy=chosen.name,
        warmup=warmup,
        cuts=len(places),
        signals=int(fired.sum()),
        lookahead=_first(_ahead(chosen, frame, full_parameters, full, places)),
        warm_up=_first(_too_short(chosen, frame, full_parameters, full, places, warmup)),
    )


def _decisions(strategy: Strategy, frame: pd.DataFrame, parameters: Mapping[str, Any]) -> np.ndarray:
    """The four flags as one boolean array of shape (4, bars)."""
    try:
        columns = strategy.decide(frame.copy(), parameters)
    except Exception as error:
        error.add_note(f"{strategy.name} was given {len(frame)} bars, {frame.index[0]} … {frame.index[-1]}")
        raise
    return np.stack([columns[name] for name in SIGNAL_NAMES])


def _places(fired: np.ndarray, close: np.ndarray, warmup: int, cuts: int, seed: int) -> np.ndarray:
    """Ascending bars to cut after: where signals fire or one bar before, before the greatest moves, and at random."""
    chance = np.random.default_rng(seed)
    candidates = np.arange(warmup - 1, len(fired) - 1)
    at_signals = np.flatnonzero(fired)
    at_signals = np.intersect1d(np.concatenate([at_signals, at_signals - 1]), candidates)
    some = chance.permutation(at_signals)[: cuts // 2]
    moves = np.abs(close[candidates + 1] / close[candidates] - 1.0)
    wild = np.setdiff1d(candidates[np.argsort(-moves, kind="stable")][: cuts // 4], some)
    rest = chance.permutation(np.setdiff1d(candidates, np.concatenate([some, wild])))
    return np.sort(np.concatenate([some, wild, rest[: cuts - len(some) - len(wild)]]))


def _ahead(
    strategy: Strategy, frame: pd.DataFrame, parameters: Mapping[str, Any], full: np.ndarray, places: np.ndarray
) -> Iterator[Offence]:
    for t in places:
        known = _decisions(strategy, frame.iloc[: t + 1], parameters)
        differs = (known != full[:, : t + 1]).any(axis=0)
        if differs.any():
            yield _offence("look-ahead", frame, full, known, int(np.argmax(differs)), 0, int(t))


def _too_short(
    strategy: Strategy,
    frame: pd.DataFrame,
    parameters: Mapping[str, Any],
    full: np.ndarray,
    places: np.ndarray,
    warmup: int,
) -> Iterator[Offence]:
    for t in places:
        start = int(t) + 1 - warmup
        known = _decisions(strategy, frame.iloc[start : t + 1], parameters)
        if (known[:, -1] != full[:, t]).any():
            yield _offence("warm-up", frame, full, known, int(t), start, int(t))


def _offence(
    kind: str, frame: pd.DataFrame, full: np.ndarray, known: np.ndarray, bar: int, start: int, cut: int
) -> Offence:
    which = int(np.argmax(full[:, bar] != known[:, bar - start]))
    return Offence(
        kind=kind,
        bar=bar,
        time=frame.index[bar],
        signal=SIGNAL_NAMES[which],
        full=bool(full[which, bar]),
        truncated=bool(known[which, bar - start]),
        known_until=frame.index[cut],
    )


def _first(offences: Iterator[Offence]) -> Offence | None:
    return next(offences, None)
