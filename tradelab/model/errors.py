"""Every error of tradelab, sorted by what the reader should do about it.

TradelabError
├── ConfigError              edit your call, your file or your parameters
│   ├── ParameterError       an unknown, mistyped or out-of-range parameter
│   └── UnknownNameError     no such strategy, symbol, sample, series, run
├── DataError                do not trust this data
│   ├── ColumnError          a column is missing or is not numbers
│   ├── TimestampError       naive, unsorted or repeated time stamps
│   ├── QualityError         impossible bars: high < low, price <= 0, NaN
│   ├── AlignmentError       bars and signals do not share their index
│   ├── TooFewBarsError      empty, or shorter than the warm-up
│   ├── CorruptFileError     a file that cannot be read or whose hash is wrong
│   └── LookaheadError       a strategy that saw the future
├── StorageError             make room, then try again: disk full, not writable
│   └── LockedError          wait, then try again: somebody else is writing
├── LeaseError               another engine has the account: stop one of them
├── VenueError               the outside world said no
│   ├── ConnectivityError    try again; what was fetched is kept
│   └── RequestError         do not try again: the request itself is wrong
├── RunError                 a notebook run failed; its folder says where
├── MissingExtraError        install the named extra
└── InvariantError           we are wrong: report it
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from importlib.util import find_spec


class TradelabError(Exception):
    """Root of every error we raise on purpose.

    Parameters
    ----------
    problem
        One sentence: what is wrong, with the name of the thing and its value.
    allowed
        The values that would have been right, if they can be listed.
    fix
        What to do next.
    """

    def __init__(self, problem: str, *, allowed: Iterable[object] = (), fix: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.allowed = tuple(allowed)
        self.fix = fix

    def __str__(self) -> str:
        parts = [self.problem]
        if self.allowed:
            parts.append(f"Allowed: {', '.join(map(str, self.allowed))}.")
        if self.fix:
            parts.append(self.fix)
        return " ".join(parts)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.problem, self.allowed, self.fix)


def _rebuild(kind: type[TradelabError], problem: str, allowed: tuple[object, ...], fix: str) -> TradelabError:
    return kind(problem, allowed=allowed, fix=fix)


class ConfigError(TradelabError):
    """Edit your call, your file or your parameters."""


class ParameterError(ConfigError):
    """An unknown, mistyped or out-of-range parameter."""


class UnknownNameError(ConfigError):
    """No such strategy, symbol, sample, series or run."""

    @classmethod
    def of(cls, kind: str, name: object, known: Iterable[str], fix: str = "") -> UnknownNameError:
        """Name the unknown thing, the nearest known one, and all known ones.

        >>> str(UnknownNameError.of("strategy", "sma_cros", ["rsi", "sma_cross"]))
        "no strategy named 'sma_cros'; did you mean 'sma_cross'? Allowed: rsi, sma_cross."
        """
        known = sorted(known)
        near = difflib.get_close_matches(str(name), known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        return cls(f"no {kind} named {name!r}{hint}", allowed=known, fix=fix)


class DataError(TradelabError):
    """Do not trust this data."""


class ColumnError(DataError):
    """A column is missing, repeated or not numbers."""


class TimestampError(DataError):
    """Naive, unsorted or repeated time stamps."""


class QualityError(DataError):
    """Impossible bars: high below low, a price of zero or less, NaN."""


class AlignmentError(DataError):
    """Bars and signals do not share their index."""


class TooFewBarsError(DataError):
    """Empty data, or fewer bars than the warm-up needs."""


class CorruptFileError(DataError):
    """A file that cannot be read, or whose content is not what the catalogue says."""


class LookaheadError(DataError):
    """A strategy whose past decisions change when the future does."""


class StorageError(TradelabError):
    """Make room or free the lock, then try again; nothing is half-written."""


class LockedError(StorageError):
    """Wait for who else is writing to end, then try again."""


class LeaseError(TradelabError):
    """Another engine trades this account, or may: stop one of them; nothing was sent."""


class VenueError(TradelabError):
    """The outside world said no."""


class ConnectivityError(VenueError):
    """Try again: what was fetched so far is kept.

    Parameters
    ----------
    retry_after_s
        Seconds the venue asked us to leave it alone (Retry-After); ``None`` where it did not say.
    """

    def __init__(
        self, problem: str, *, allowed: Iterable[object] = (), fix: str = "", retry_after_s: float | None = None
    ) -> None:
        super().__init__(problem, allowed=allowed, fix=fix)
        self.retry_after_s = retry_after_s

    def __reduce__(self) -> tuple[object, ...]:
        return (*super().__reduce__(), {"retry_after_s": self.retry_after_s})  # the third part is set on the copy


class RequestError(VenueError):
    """Do not try again: the venue refused the request itself."""


class RunError(TradelabError):
    """A notebook run failed; its folder says where."""


class MissingExtraError(TradelabError):
    """A part of tradelab that is not installed."""

    @classmethod
    def unless(cls, package: str, extra: str, doing: str) -> None:
        """Raise unless ``package`` can be imported; ``doing`` is what needs it, ``extra`` what brings it.

        >>> MissingExtraError.unless("json", "report", "drawing")
        """
        if find_spec(package) is None:
            raise cls(f"{doing} needs {package}.", fix=f"Install it: pip install 'tradelab[{extra}]'.")


class InvariantError(TradelabError):
    """We are wrong: stop and report it."""
