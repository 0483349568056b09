"""Say how much memory a sweep will need and how much there is, and refuse it before it starts rather than fall over."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path
from typing import NamedTuple

from tradelab.model.errors import ConfigError, ParameterError

_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_SHARE = 0.8  # of what is free: the rest is for the table, the browser, the machine
_BYTES_A_BAR = 8 * 10  # six columns of the frame, four of the market


class Estimate(NamedTuple):
    """Bytes a sweep will hold, by what for."""

    bars: int
    rows: int
    threads: int

    @property
    def total(self) -> int:
        """All of it."""
        return sum(self)

    def __str__(self) -> str:
        return (
            f"{shown(self.total)} ({shown(self.rows)} for the combinations, {shown(self.bars)} for bars, "
            f"{shown(self.threads)} for the threads at work)"
        )


def estimate(*, bars: int, rows: int, row_bytes: int, threads: int, thread_bytes: int) -> Estimate:
    """Return what a sweep will need.

    Parameters
    ----------
    bars
        Bars of all accounts and instruments together; those on disk count too, once opened.
    rows, row_bytes
        Combinations times accounts, and what is kept of each: its figures, its block sums, its parameters.
    threads, thread_bytes
        How many batches run at once in this process, and what each needs while it runs.
    """
    return Estimate(bars * _BYTES_A_BAR, rows * row_bytes, threads * thread_bytes)


def require_memory(needed: Estimate, limit: int | str | None) -> None:
    """Refuse what does not fit.

    Parameters
    ----------
    needed
        From ``estimate``.
    limit
        Bytes, or words like ``"2 GB"``; ``None``: four fifths of what this process may still take.

    Raises
    ------
    ConfigError
        It does not fit; says the estimate, the limit, and what to do.
    """
    allowed, origin = parse_bytes(limit), "memory_limit"
    if allowed is None:
        free = available_memory()
        if free is None:
            return
        allowed, origin = int(free * _SHARE), f"{_SHARE:.0%} of the {shown(free)} that are free"
    if needed.total > allowed:
        raise ConfigError(
            f"this sweep needs about {needed}; the limit is {shown(allowed)} ({origin}).",
            fix="Take fewer combinations (search='random', samples=…), blocks=0, fewer threads or bars; "
            "or allow more: memory_limit='8 GB'.",
        )


def parse_bytes(limit: int | str | None) -> int | None:
    """Return a number of bytes that was given as such or in words.

    >>> parse_bytes("1.5 GB"), parse_bytes(2048), parse_bytes(None)
    (1500000000, 2048, None)
    """
    if limit is None:
        return None
    text = str(limit).strip().upper().replace(" ", "")
    number = text.rstrip("BKMGI")
    with contextlib.suppress(ValueError):
        value = float(number) * _UNITS.get(text[len(number) :] or "B", float("nan"))
        if 0 < value < float("inf") and not isinstance(limit, bool):
            return int(value)
    raise ParameterError(f"memory_limit={limit!r} is no amount of memory.", allowed=['bytes, or "500 MB", "2 GB"'])


def available_memory() -> int | None:
    """Return the bytes this process may still take: what the machine has free, less if a container allows less."""
    known = [room for room in (_of_machine(), _of_container()) if room is not None]
    return min(known) if known else None


def _of_machine() -> int | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    with contextlib.suppress(ImportError):  # comes with Jupyter; the only way on Windows and macOS
        import psutil

        return int(psutil.virtual_memory().available)
    with contextlib.suppress(AttributeError, ValueError, OSError):
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _of_container(root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Room below the limit of the control group (version 2, then 1); ``None`` where there is no limit."""
    for most, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        with contextlib.suppress(OSError, ValueError):  # "max" is no number: no limit
            limit, taken = (int((root / name).read_text(encoding="ascii")) for name in (most, used))
            return max(limit - taken, 0)
    return None


def shown(size: float) -> str:
    """Write a number of bytes for a reader.

    >>> shown(2_345_678), shown(812)
    ('2.3 MB', '812 B')
    """
    if size < 1000:
        return f"{size:.0f} B"
    power = min(int(math.log10(size)) // 3, 4)
    return f"{size / 1000**power:,.1f} {('kB', 'MB', 'GB', 'TB')[power - 1]}"
