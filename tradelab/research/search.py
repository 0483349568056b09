"""Choose the combinations a sweep tries: a grid, random draws, or a Sobol sequence, less those the strategy forbids."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tradelab.model.errors import ConfigError, MissingExtraError, ParameterError, UnknownNameError
from tradelab.research.backtest import require_warmup, split_parameters
from tradelab.research.checks import require_choice
from tradelab.research.figures import FIGURES
from tradelab.research.inputs import Tape
from tradelab.research.settings import Settings, require_known
from tradelab.research.space import Axis, Choices, Domain, Space, smallest
from tradelab.strategy.spec import Strategy

SEARCHES = ("grid", "random", "sobol", "optuna")
_CHUNK = 1 << 16
_TRIES = 64  # draws for each sample wanted, before a space counts as exhausted
_TERMS = frozenset(Settings.__dataclass_fields__)


@dataclass(frozen=True, eq=False)
class Rules:
    """What every combination must obey, held against many at once and before the first of them runs.

    Parameters
    ----------
    strategy, fixed
        The strategy, and what is given beside the swept parameters.
    """

    strategy: Strategy
    fixed: Mapping[str, Any]

    def check_values(self, domains: Mapping[str, Domain]) -> None:
        """Refuse a name nobody knows, and a value that is wrong whatever it is combined with."""
        swept = {n: domain.values if isinstance(domain, Choices) else domain.ends() for n, domain in domains.items()}
        for name, values in {**{name: (value,) for name, value in self.fixed.items()}, **swept}.items():
            if name in _TERMS:
                continue
            require_known(self.strategy, [name])
            for value in values:
                self.strategy.parameters[name].accept(value, self.strategy.name)

    def allowed(self, columns: Mapping[str, list[Any]], count: int) -> np.ndarray:
        """Return which of ``count`` combinations obey the strategy's rule; ``columns`` are the swept parameters."""
        if not self.strategy.requires:
            return np.ones(count, dtype=bool)
        full = self._full(columns, count)
        try:  # all at once: Python's own arithmetic on each, since the arrays hold objects
            verdict = self.strategy.allows_each({name: _objects(values) for name, values in full.items()})
        except (ValueError, TypeError, AttributeError):
            verdict = None
        if verdict is not None and verdict.shape == (count,):
            return verdict
        each = (dict(zip(full, values, strict=True)) for values in zip(*full.values(), strict=True))
        return np.array([self.strategy.allows(point) for point in each], dtype=bool)

    def check_terms(self, space: Space) -> None:
        """Refuse terms of the backtest that are wrong, alone or together."""
        fixed = {name: value for name, value in self.fixed.items() if name in _TERMS}
        for point in _distinct(space, [name for name in space.names if name in _TERMS]):
            split_parameters({**fixed, **point})

    def check_warmup(self, space: Space, tapes: tuple[Tape, ...]) -> None:
        """Refuse a combination that needs more bars than there are: said now, not after an hour of work."""
        own = [name for name in space.names if name in self.strategy.parameters]
        given = {name: value for name, value in self.fixed.items() if name in self.strategy.parameters}
        points = ({**given, **point} for point in _distinct(space, own))
        longest = max(points, key=self._warmup)
        for tape in tapes:
            require_warmup(tape, self.strategy, longest)

    def _warmup(self, given: Mapping[str, Any]) -> float:
        parameters = self.strategy.parameters.values()
        return float(
            self.strategy.warmup(**{p.name: p.accept(given.get(p.name, p.default), p.name) for p in parameters})
        )

    def _full(self, columns: Mapping[str, list[Any]], count: int) -> dict[str, list[Any]]:
        full = {}
        for name, parameter in self.strategy.parameters.items():
            if name in columns:
                known = {value: parameter.accept(value, self.strategy.name) for value in set(columns[name])}
                full[name] = [known[value] for value in columns[name]]
            else:
                full[name] = [parameter.accept(self.fixed.get(name, parameter.default), self.strategy.name)] * count
        return full


def _objects(values: list[Any]) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _distinct(space: Space, names: list[str]) -> Iterator[dict[str, Any]]:
    """Each combination of some of the swept parameters that occurs, once."""
    axes = [axis for axis in space.axes if axis.name in names]
    if not axes:
        yield {}
        return
    key = np.zeros(len(space), np.int64)
    for axis in axes:
        key = key * len(axis.values) + axis.codes
    for at in np.unique(key, return_index=True)[1].tolist():
        yield {axis.name: axis.value(at) for axis in axes}


def grid(domains: Mapping[str, Domain], rules: Rules) -> Space:
    """Return every combination that obeys the rule; the last parameter varies fastest."""
    listed = {name: domain.listed(name) for name, domain in domains.items()}
    shape = tuple(len(values) for values in listed.values())
    kept = np.flatnonzero(_mask(listed, rules))
    if not len(kept):
        raise _none_left(rules, math.prod(shape))
    codes = np.unravel_index(kept, shape)
    axes = tuple(
        Axis(name, values, code.astype(smallest(len(values))))
        for (name, values), code in zip(listed.items(), codes, strict=True)
    )
    return Space(axes, math.prod(shape), math.prod(shape) - len(kept))


def _mask(listed: Mapping[str, tuple[Any, ...]], rules: Rules) -> np.ndarray:
    """Which cells of the grid obey the rule, which knows the strategy's own parameters alone."""
    own = [name for name in listed if name in rules.strategy.parameters]
    shape = tuple(len(listed[name]) for name in own)
    verdict = np.ones(math.prod(shape), dtype=bool)
    for first in range(0, len(verdict) if rules.strategy.requires and own else 0, _CHUNK):
        cells = np.arange(first, min(first + _CHUNK, len(verdict)))
        codes = np.unravel_index(cells, shape)
        columns = {n: [listed[n][k] for k in code.tolist()] for n, code in zip(own, codes, strict=True)}
        verdict[cells] = rules.allowed(columns, len(cells))
    if not own and rules.strategy.requires:
        verdict = rules.allowed({}, 1)
    wide = tuple(len(values) if name in own else 1 for name, values in listed.items())
    return np.broadcast_to(verdict.reshape(wide), tuple(map(len, listed.values()))).ravel()


def random(domains: Mapping[str, Domain], rules: Rules, samples: int, seed: int) -> Space:
    """Return distinct combinations drawn at random, each as likely as any other."""
    generator = np.random.default_rng(seed)

    def units() -> Iterator[np.ndarray]:
        while True:
            yield generator.random((max(samples, 64), len(domains)))

    return _drawn(domains, rules, samples, units)


def sobol(domains: Mapping[str, Domain], rules: Rules, samples: int, seed: int) -> Space:
    """Return distinct combinations of a scrambled Sobol sequence, which fills the space more evenly than chance does.

    Owen scrambling as in ``scipy.stats.qmc`` (Sobol 1967; Owen 1998); needs the ``search`` extra.
    """
    MissingExtraError.unless("scipy", "search", "a Sobol search")
    from scipy.stats import qmc

    def units() -> Iterator[np.ndarray]:
        taken, power = 0, max(math.ceil(math.log2(samples)), 6)
        while True:  # the first 2**m points of a seed are the same, whatever m
            points = qmc.Sobol(len(domains), scramble=True, rng=np.random.default_rng(seed)).random_base2(power)
            yield points[taken:]
            taken, power = len(points), power + 1

    return _drawn(domains, rules, samples, units)


def _drawn(
    domains: Mapping[str, Domain], rules: Rules, samples: int, units: Callable[[], Iterator[np.ndarray]]
) -> Space:
    if math.prod(domain.size for domain in domains.values()) <= samples and not _has_log(domains):
        return grid(domains, rules)  # nothing to draw from
    seen: set[tuple[Any, ...]] = set()
    kept: list[tuple[Any, ...]] = []
    left_out = tried = 0
    for points in units():
        columns = {name: domain.at(points[:, k]) for k, (name, domain) in enumerate(domains.items())}
        allowed = rules.allowed(columns, len(points)).tolist()
        for row, good in zip(zip(*columns.values(), strict=True), allowed, strict=True):
            if row in seen or len(kept) == samples:
                continue
            seen.add(row)
            kept += [row] if good else []
            left_out += not good
        tried += len(points)
        if len(kept) == samples or tried >= _TRIES * samples:
            break
    if not kept:
        raise _none_left(rules, left_out)
    axes = tuple(Axis.of(name, [row[k] for row in kept]) for k, name in enumerate(domains))
    return Space(axes, len(kept) + left_out, left_out)


def _has_log(domains: Mapping[str, Domain]) -> bool:
    return any(not isinstance(domain, Choices) and domain.log for domain in domains.values())


def _none_left(rules: Rules, total: int) -> ConfigError:
    return ConfigError(f"all {total} combinations break the rule {rules.strategy.requires} of {rules.strategy.name}.")


@dataclass(frozen=True, eq=False)
class Adaptive:
    """An adaptive search (Optuna).

    Parameters
    ----------
    sampler
        Any sampler of Optuna, with a seed of its own; ``None``: ``TPESampler`` (Bergstra et al. 2011) with the sweep's
        seed. Give a fresh one for each sweep: a sampler remembers.
    per_round
        Combinations asked for before any of them is told. More keeps more machines busy and learns later.
    """

    sampler: Any = None
    per_round: int = 16

    def __post_init__(self) -> None:
        if not isinstance(self.per_round, int) or self.per_round < 1:
            raise ParameterError(f"per_round={self.per_round!r} is no number.", allowed=["1, 2, 3 …"])

    @property
    def says(self) -> str:
        """Name of the sampler, for a manifest."""
        return type(self.sampler).__name__ if self.sampler is not None else "TPESampler"


def adaptive_of(search: Any) -> Adaptive | None:
    """Return the adaptive search that ``search`` asks for; ``None`` for one that knows its combinations beforehand."""
    if isinstance(search, Adaptive):
        return search
    if isinstance(search, str):
        return Adaptive() if search == "optuna" else None
    if type(search).__module__.partition(".")[0] == "optuna" or hasattr(search, "sample_relative"):
        return Adaptive(search)
    raise ParameterError(
        f"search={search!r} is no way to search.",
        allowed=['"grid"', '"random"', '"sobol"', '"optuna"', "a sampler of Optuna", "Adaptive(sampler, per_round)"],
    )


@dataclass(frozen=True, eq=False)
class Plan:
    """How a sweep searches, and through what.

    Parameters
    ----------
    says
        ``"grid"``, ``"random"``, ``"sobol"``, or the name of an adaptive sampler.
    adaptive
        The adaptive search; ``None`` for one that knows its combinations beforehand.
    count
        Combinations at most: of the grid, those that break the rule included, or the samples.
    """

    says: str
    adaptive: Adaptive | None
    domains: Mapping[str, Domain]
    rules: Rules
    count: int
    seed: int
    by: str

    @classmethod
    def of(
        cls, search: Any, domains: Mapping[str, Domain], rules: Rules, *, samples: object, seed: object, by: str
    ) -> Plan:
        """Read what was asked for, and refuse what is wrong with it.

        Raises
        ------
        ParameterError
            An unknown search, a wrong value, a number of samples the search does not take.
        """
        if isinstance(search, str):
            require_choice("search", search, SEARCHES)
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
            raise ParameterError(f"seed={seed!r} is no seed.", allowed=["0, 1, 2 …"])
        if by not in (FIGURES.names or ()):
            raise UnknownNameError.of("figure", by, FIGURES.names or ())
        rules.check_values(domains)
        adaptive = adaptive_of(search)
        says = search if adaptive is None else adaptive.says
        if says != "grid":
            count = _require_samples(samples, says)
        elif samples is None:
            count = math.prod(len(domain.listed(name)) for name, domain in domains.items())
        else:
            raise ParameterError(
                f"samples={samples!r} means nothing to a grid.", fix='Say search="random", or leave samples out.'
            )
        return cls(says, adaptive, domains, rules, count, int(seed), by)

    def choose(self, tapes: tuple[Tape, ...]) -> Space:
        """Return the combinations; of an adaptive search, which does not know them yet, none.

        Raises
        ------
        ConfigError
            Every combination breaks the strategy's rule.
        TooFewBarsError
            One needs more bars to warm up than some account has.
        """
        if self.adaptive is not None:
            corners = {name: Choices(tuple(dict.fromkeys(domain.ends()))) for name, domain in self.domains.items()}
            with contextlib.suppress(ConfigError):  # that no corner obeys the rule says nothing of the inside
                self._check(grid(corners, self.rules), tapes)
            return Space(tuple(Axis.of(name, []) for name in self.domains), 0, 0)
        if self.says == "grid":
            space = grid(self.domains, self.rules)
        else:
            space = {"random": random, "sobol": sobol}[self.says](self.domains, self.rules, self.count, self.seed)
        self._check(space, tapes)
        return space

    def _check(self, space: Space, tapes: tuple[Tape, ...]) -> None:
        self.rules.check_terms(space)
        self.rules.check_warmup(space, tapes)


def _require_samples(samples: object, search: str) -> int:
    if isinstance(samples, (int, np.integer)) and not isinstance(samples, bool) and samples > 0:
        return int(samples)
    raise ParameterError(
        f"samples={samples!r} is no number of combinations for search={search!r}.", allowed=["1, 2, 3 …"]
    )
