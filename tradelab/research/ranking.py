"""Say of which figures the lowest is the best."""

from __future__ import annotations

LOW_IS_GOOD = frozenset({"volatility", "max_drawdown_bars", "fees", "turnover", "longest_loss_streak", "open_trades"})
