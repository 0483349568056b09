"""List who is measured, on what, how large a run each can bear, and how closely its answers must equal ours."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from peers import bars

EXACT = {"total_return": 1e-9, "sharpe": 1e-9, "max_drawdown": 1e-9, "trades": 0.0}
WHOLE_UNITS = {"total_return": 1e-4, "max_drawdown": 2e-3, "trades": 1.0}
ONE_UNIT = {"profit": 1e-6, "trades": 0.0}


@dataclass(frozen=True)
class Peer:
    """One engine and its terms.

    Parameters
    ----------
    name
        Its key in ``versions.toml``; ``"ours"`` for this project.
    engine
        The module of ``engines`` that runs it.
    kinds
        What it takes part in: ``"sweep"``, ``"rich"``, ``"signals"``, ``"events"``, ``"feed"``, ``"ladder"``.
    ns
        About what it takes, nanoseconds a bar and combination: only to choose a size that fits the time.
    bytes
        About what it keeps, bytes a bar and combination: only to choose a size that fits the memory.
    compared
        Figures that must equal ours, and how closely: relative, for trades absolute.
    check
        Terms that are changed for the comparison, where its rules differ from ours; ``check_stops`` with stops only.
    fill
        Where its market orders fill, in our words, for single runs.
    threads
        Threads it is given (ours only).
    says
        What a reader must know about the comparison.
    """

    name: str
    engine: str
    kinds: tuple[str, ...]
    ns: float
    bytes: float
    compared: dict[str, float] = field(default_factory=lambda: EXACT)
    check: dict[str, Any] = field(default_factory=dict)
    check_stops: dict[str, Any] = field(default_factory=dict)
    fill: str = "next_open"
    threads: int = 1
    says: str = ""


_ARRAYS = ("sweep", "rich", "signals")
# What a bar and combination costs us, roughly: raise or lower it with the engine, for it decides which runs are cut.
OURS_NS, OURS_BYTES = 0.4, 0.01
OURS = (
    Peer("ours", "ours", (*_ARRAYS, "events", "ladder"), OURS_NS, OURS_BYTES, threads=1),
    Peer("ours", "ours", ("sweep", "ladder"), OURS_NS, OURS_BYTES, threads=2),
)
_SLIPPED_STOPS = (
    "compared at slippage 0 where there are stops: it lets slippage worsen a stop's fill, vectorbt does not"
)
_NO_EXIT_SPREAD = (
    "compared at slippage 0 (its spread is paid on entry alone): return to 1e-4 and within one trade (whole units, "
    "open trades not counted), drawdown to 2e-3 (it books an order at the close, fee and all, one bar later), no "
    "Sharpe (its own is of daily returns); after a stop it lets the same bar's signal act"
)
PEERS = (
    Peer("vectorbt", "vectorbt", _ARRAYS, 750.0, 130.0),
    Peer("vectorbt-rust", "vectorbt", _ARRAYS, 850.0, 150.0),
    Peer("raptorbt", "raptorbt", _ARRAYS, 130.0, 75.0, check_stops={"slippage": 0.0}, says=_SLIPPED_STOPS),
    Peer(
        "backtesting",
        "backtesting",
        ("sweep", "rich"),
        16_000.0,
        1.0,
        compared=WHOLE_UNITS,
        check={"slippage": 0.0},
        says=_NO_EXIT_SPREAD,
    ),
    Peer(
        "backtesting",
        "backtesting",
        ("events",),
        15_000.0,
        400.0,
        compared=ONE_UNIT,
        check={"slippage": 0.0},
        says="compared at slippage 0",
    ),
    Peer("backtrader", "backtrader", ("events",), 160_000.0, 1000.0, compared=ONE_UNIT),
    Peer(
        "nautilus",
        "nautilus",
        ("events",),
        60_000.0,
        1000.0,
        compared=ONE_UNIT,
        check={"slippage": 0.0},
        fill="close",
        says="fills at the close, slippage 0",
    ),
    Peer(
        "freqtrade",
        "freqtrade",
        ("events",),
        50_000.0,
        2000.0,
        compared=ONE_UNIT,
        check={"slippage": 0.0},
        says="has no slippage",
    ),
    Peer(
        "jesse",
        "jesse",
        ("events",),
        30_000.0,
        2000.0,
        compared=ONE_UNIT,
        check={"slippage": 0.0},
        fill="close",
        says="fills at the close, has no slippage",
    ),
    Peer(
        "hftbacktest",
        "hftbacktest",
        ("feed",),
        200.0,
        300.0,
        compared={},
        says="replays a book, not bars: two events a bar, another problem; nothing to compare",
    ),
)


@dataclass(frozen=True)
class Limits:
    """What one timed call may take, how often it is timed, and whether caches are filled by another process before."""

    round_s: float
    memory_gb: float
    rounds: int
    slow_rounds: int = 3
    slow_s: float = 2.0
    warm: bool = True


def fit(asked: dict[str, Any], peer: Peer, limits: Limits) -> dict[str, Any]:
    """Return the case as large as the peer can bear: fewer combinations first, then fewer bars.

    Parameters
    ----------
    asked
        A case with ``bars`` and ``windows``; only a sweep loses combinations.
    """
    room = min(limits.round_s * 1e9 / peer.ns, limits.memory_gb * 1e9 / peer.bytes)
    made = dict(asked, peer=peer.name, threads=peer.threads)
    combinations = count(asked)
    if combinations * asked["bars"] <= room:
        return made
    if asked["kind"] in ("sweep", "ladder") and len(asked["windows"]) > 2:
        fewest = min(6, combinations)
        k = len(asked["windows"])
        while k > 2 and k * (k - 1) // 2 > max(fewest, room / asked["bars"]):
            k -= 1
        made["windows"] = bars.spread(k)
        combinations = k * (k - 1) // 2
    if combinations * asked["bars"] > room:
        made["bars"] = max(2_000, int(room / combinations // 1_000 * 1_000))
    return made


def count(case: dict[str, Any]) -> int:
    """Combinations, or columns, of a case."""
    return case["columns"] if case["kind"] == "signals" else len(bars.pairs(case["windows"]))
