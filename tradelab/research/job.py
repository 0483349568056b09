"""Say what a sweep computes, in a form that can be sent to another process: bars, strategy, terms, combinations."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from tradelab.catalog.frame import content_hash
from tradelab.catalog.resample import resample
from tradelab.model.errors import CorruptFileError, MissingExtraError, ParameterError
from tradelab.model.units import Timeframe
from tradelab.research.figures import row_dtype
from tradelab.research.finer import finer_by_symbol
from tradelab.research.inputs import Tape, read_bars
from tradelab.research.space import Space
from tradelab.strategy.registry import find, is_built_in
from tradelab.strategy.spec import Strategy

_KEPT_OPEN = 8  # tapes a worker keeps; a batch is of one
_opened: OrderedDict[tuple[BarsFile, ...], Tape] = OrderedDict()
_opening = threading.Lock()


@dataclass(frozen=True, slots=True)
class BarsFile:
    """Bars of one instrument in a Parquet file, and the hash its content must have."""

    symbol: str
    path: str
    sha256: str


@dataclass(frozen=True, eq=False)
class Source:
    """The bars of one account: held in memory, or named by the files they lie in.

    Parameters
    ----------
    symbol, timeframe
        What the rows of this account say in the columns of that name; ``""`` where the table has no such column.
    held
        The bars, unless only their files are known.
    files
        Where a process that does not hold them finds them.
    """

    symbol: str
    timeframe: str
    held: Tape | None
    files: tuple[BarsFile, ...] = ()

    @property
    def bars(self) -> int:
        """How many times its instruments have bars at."""
        return len(self.open().index)

    def open(self) -> Tape:
        """Return the bars; those read from files are kept for the next batch.

        Raises
        ------
        CorruptFileError
            A file is gone, or its content is not what was written.
        """
        if self.held is not None:
            return self.held
        with _opening:
            if self.files not in _opened:
                _opened[self.files] = read_bars({f.symbol: _read(f) for f in self.files}, checked=True)
                while len(_opened) > _KEPT_OPEN:
                    _opened.popitem(last=False)
            return _opened[self.files]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "held": None if self.files else self.held}


@dataclass(frozen=True, eq=False)
class Job:
    """What a runner needs to compute any combination of a sweep; can be pickled.

    A row is one account with one combination: row ``r`` is combination ``r % size`` on ``sources[r // size]``.

    Parameters
    ----------
    sources
        One an account: one for all instruments together, or one for each symbol and timeframe.
    strategy
        The strategy.
    fixed
        Parameters and terms that are the same for all.
    space
        The swept parameters, as columns.
    blocks
        How many equal blocks of bars to sum returns up over; 0 for none.
    size
        Row numbers an account takes; as many as there are combinations, or as there will be in a space that grows.
    """

    sources: tuple[Source, ...]
    strategy: Strategy
    fixed: Mapping[str, Any]
    space: Space
    blocks: int
    size: int
    dtype: np.dtype = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "dtype", row_dtype(self.blocks))

    def source(self, row: int) -> Source:
        """Return the account of a row."""
        return self.sources[row // self.size]

    def point(self, row: int) -> dict[str, Any]:
        """Return the swept parameters of a row by name, as they were given."""
        return self.space.point(row % self.size)

    def parameters(self, row: int) -> dict[str, Any]:
        """Return every parameter and term of a row that was given, swept or fixed."""
        return {**self.fixed, **self.point(row)}

    def only(self, rows: np.ndarray) -> Job:
        """Return the job that has just these rows of one account, in their order: what is sent to a worker."""
        space = self.space.take(rows % self.size)
        return replace(self, sources=(self.source(int(rows[0])),), space=space, size=len(space))

    def __reduce__(self) -> tuple[Any, ...]:
        rest = (self.fixed, self.space, self.blocks, self.size)
        return _job, (self.sources, _pack_strategy(self.strategy), *rest)


def _job(sources: tuple[Source, ...], packed: str | bytes, *rest: Any) -> Job:
    return Job(sources, _unpack_strategy(packed), *rest)


def _pack_strategy(strategy: Strategy) -> str | bytes:
    """A name that every process knows, or the function itself, be it of a notebook cell."""
    if is_built_in(strategy):
        return strategy.name
    MissingExtraError.unless("cloudpickle", "cluster", "sending a strategy to another process")
    import cloudpickle

    packed: bytes = cloudpickle.dumps(strategy)
    return packed


def _unpack_strategy(packed: str | bytes) -> Strategy:
    if isinstance(packed, str):
        return find(packed)
    import cloudpickle

    strategy: Strategy = cloudpickle.loads(packed)
    return strategy


def _read(file: BarsFile) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(file.path)
    except (OSError, ValueError) as error:
        raise CorruptFileError(
            f"bars of {file.symbol} cannot be read from {file.path}: {error}.",
            fix="Give a path that every worker can read.",
        ) from error
    if content_hash(frame) != file.sha256:
        raise CorruptFileError(f"bars of {file.symbol} in {file.path} are not those that were written.")
    return frame


def sources_of(
    bars: pd.DataFrame | Mapping[str, pd.DataFrame],
    *,
    each: bool,
    timeframes: Iterable[str | Timeframe] | None,
    finer: Any = None,
) -> tuple[Source, ...]:
    """Return the accounts of a sweep: one for all instruments, or one each, on every timeframe asked for.

    A longer bar is made of the shorter ones inside it and is known when its last one has closed; see
    ``tradelab.catalog.resample``.
    """
    alone = timeframes is None and not each
    tape = read_bars(bars, finer=finer if alone else None)
    own = None if finer is None or alone else finer_by_symbol(finer, tape.symbols)
    wanted = None if timeframes is None else list(dict.fromkeys(Timeframe.of(t) for t in _several(timeframes)))
    if wanted == []:
        raise ParameterError("timeframes is empty.", fix='Leave it out, or name some: ["1h", "4h"].')
    groups = [{s: frame} for s, frame in tape.frames.items()] if each else [dict(tape.frames)]
    if wanted is None:
        held = [read_bars(group, checked=True, finer=_part(own, group)) if each else tape for group in groups]
        return tuple(Source(part.symbols[0] if each else "", "", part) for part in held)
    return tuple(
        Source(
            next(iter(group)) if each else "",
            timeframe.alias,
            read_bars(
                {s: resample(frame, timeframe) for s, frame in group.items()},
                checked=True,
                finer=_part(own, group),
            ),
        )
        for group in groups
        for timeframe in wanted
    )


def _part(finer: Mapping[str, pd.DataFrame] | None, frames: Mapping[str, pd.DataFrame]) -> Any:
    """The finer bars of some of the instruments."""
    return None if finer is None else {symbol: finer[symbol] for symbol in frames}


def _several(timeframes: Iterable[str | Timeframe]) -> Iterable[str | Timeframe]:
    return [timeframes] if isinstance(timeframes, (str, Timeframe)) else timeframes
