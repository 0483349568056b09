"""Answer what somebody asks of figures of trading: which groups, which days, of how few nothing is told."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from tradelab.app.daemon_views import monitoring, plain
from tradelab.app.engine_port import Engine
from tradelab.model.errors import ConfigError, ParameterError, StorageError, UnknownNameError
from tradelab.modules.position_monitoring.days import Days

WORDS = ("by", "first", "last", "least_trades", "least_days")
_ON = "Put [modules.position_monitoring] into the node's file."


@dataclass(frozen=True, slots=True)
class Question:
    """Figures that are asked for; ``first`` and ``last`` are days of UTC, empty for all there are."""

    by: str = "bot"
    first: str = ""
    last: str = ""
    least_trades: int | None = None
    least_days: int | None = None

    @classmethod
    def of(cls, told: Mapping[str, str]) -> Question:
        """Read a question.

        Raises
        ------
        ParameterError, UnknownNameError
            A word that is none, a day that is none, a number that is none.

        Examples
        --------
        >>> Question.of({"by": "symbol", "first": "2024-01-31", "least_trades": "1"})
        Question(by='symbol', first='2024-01-31', last='', least_trades=1, least_days=None)
        """
        for word in told:
            if word not in WORDS:
                raise UnknownNameError.of("word", word, WORDS)
        days = {name: _day(name, told[name]) for name in ("first", "last") if told.get(name)}
        least = {name: _count(name, told[name]) for name in ("least_trades", "least_days") if told.get(name)}
        return cls(by=told.get("by") or "bot", **days, **least)  # type: ignore[arg-type]

    def answer(self, days: Days) -> list[dict[str, Any]]:
        """Return the figures, each group a row, as JSON has them: money as text, what cannot be told as null."""
        from tradelab.modules.position_monitoring import analytics

        least_trades = analytics.LEAST_TRADES if self.least_trades is None else self.least_trades
        least_days = analytics.LEAST_DAYS if self.least_days is None else self.least_days
        rows = analytics.figures(
            days, by=cast(analytics.By, self.by), first=self.first, last=self.last, least_trades=least_trades,
            least_days=least_days,
        )  # fmt: skip
        return [plain(row) for row in rows]


def analytics_view(engine: Engine, told: Mapping[str, str]) -> dict[str, Any]:
    """Return what an engine that runs answers.

    Raises
    ------
    ConfigError
        Its file has no position_monitoring, which counts.
    StorageError
        Counting has failed; the log says how.
    """
    question = Question.of(told)
    stage = monitoring(engine)
    if stage is None:
        raise ConfigError(f"{engine.name} does not watch positions, and so counts nothing.", fix=_ON)
    days = stage.trades.catch_up().days
    if stage.trades.failure is not None:
        raise StorageError(stage.trades.failure, fix="Trading goes on; see: tradelab logs")
    return {"node": engine.name, "seq": engine.ledger.seq, "by": question.by, "rows": question.answer(days)}


def _day(name: str, text: str) -> str:
    try:
        return dt.date.fromisoformat(text).isoformat()
    except ValueError:
        raise ParameterError(f"{name}={text!r} is no day.", allowed=["2024-01-31"]) from None


def _count(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ParameterError(f"{name}={text!r} is not allowed.", allowed=["whole numbers from 0"])
    return int(text)
