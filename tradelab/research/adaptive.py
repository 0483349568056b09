"""Let Optuna choose what to try next from what was found so far, in rounds of a fixed size.

A round is asked, computed by whoever computes, and told. Its size does not depend on threads or machines, so the same
seed tries the same combinations anywhere, and a sweep that was killed finds its way again by asking anew: rows it has
are told without being computed.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tradelab.model.errors import ConfigError, MissingExtraError
from tradelab.research.ranking import LOW_IS_GOOD
from tradelab.research.search import Adaptive, Rules
from tradelab.research.space import Axis, Choices, Domain, Space, Span

_ASKED_AT_MOST = 20  # questions for each sample wanted, before the space counts as exhausted


@dataclass(frozen=True, eq=False)
class Tried:
    """What an adaptive search has asked for so far, in the order of asking."""

    points: list[dict[str, Any]]
    left_out: int

    def space(self, names: tuple[str, ...]) -> Space:
        """Return the combinations as columns."""
        axes = tuple(Axis.of(name, [point[name] for point in self.points]) for name in names)
        return Space(axes, len(self.points) + self.left_out, self.left_out)


Evaluate = Callable[[Tried, np.ndarray], np.ndarray]


def climb(
    chosen: Adaptive, domains: Mapping[str, Domain], rules: Rules, *, samples: int, seed: int, by: str, figure: Evaluate
) -> Tried:
    """Ask, compute and tell until ``samples`` distinct combinations have run, or the space has no more.

    Parameters
    ----------
    by
        The figure to climb; where less is better it descends. A combination whose figure is undefined counts as bad.
    figure
        Called with all that was tried and the places of the newest in it; returns the figure of each, NaN where
        undefined.
    """
    MissingExtraError.unless("optuna", "search", "an adaptive search")
    import optuna

    distributions = {name: _distribution(domain) for name, domain in domains.items()}
    tried, asked = Tried([], 0), 0
    values: dict[tuple[Any, ...], float] = {}
    with _quiet():
        study = optuna.create_study(
            sampler=chosen.sampler or optuna.samplers.TPESampler(seed=seed),
            direction="minimize" if by in LOW_IS_GOOD else "maximize",
        )
        while len(tried.points) < samples and asked < _ASKED_AT_MOST * samples:
            size = min(chosen.per_round, samples - len(tried.points))
            trials = [study.ask(distributions) for _ in range(size)]
            asked += size
            points = [{n: _value(domains[n], trial.params[n]) for n in domains} for trial in trials]
            columns = {name: [point[name] for point in points] for name in domains}
            allowed = rules.allowed(columns, size).tolist()
            keys = [tuple(point.values()) for point in points]
            fresh = {
                key: point for key, point, good in zip(keys, points, allowed, strict=True) if good and key not in values
            }
            tried = Tried([*tried.points, *fresh.values()], tried.left_out + allowed.count(False))
            places = np.arange(len(tried.points) - len(fresh), len(tried.points))
            if len(fresh):
                values |= dict(zip(fresh, figure(tried, places).tolist(), strict=True))
            for trial, key in zip(trials, keys, strict=True):
                _tell(study, trial, values.get(key, math.nan))
    if not tried.points:
        raise ConfigError(f"all {asked} combinations asked for break the rule {rules.strategy.requires}.")
    return tried


def _tell(study: Any, trial: Any, value: float) -> None:
    """A combination against the rule, or with an undefined figure, is pruned: Optuna counts it below all others."""
    import optuna

    if math.isfinite(value):
        study.tell(trial, value)
    else:
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)


def _distribution(domain: Domain) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(domain, Span):
        if domain.whole:
            step = int(domain.step or 1)
            high = int(domain.low) + (int(domain.size) - 1) * step
            return IntDistribution(int(domain.low), high, log=domain.log, step=step)
        if domain.step is not None:
            return IntDistribution(0, int(domain.size) - 1)
        return FloatDistribution(domain.low, domain.high, log=domain.log)
    if _is_ordered(domain):
        return IntDistribution(0, len(domain.values) - 1)
    return CategoricalDistribution(tuple(range(len(domain.values))))


def _is_ordered(domain: Choices) -> bool:
    """Whether neighbours in the list are neighbours in meaning, which a sampler may make use of."""
    values = domain.values
    numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)
    return numbers and (list(values) == sorted(values) or list(values) == sorted(values, reverse=True))


def _value(domain: Domain, told: Any) -> Any:
    if isinstance(domain, Choices):
        return domain.values[told]
    if not domain.whole and domain.step is not None:
        return domain.listed("")[told]
    return told


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna from logging each trial while we ask it."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
