"""Sum a backtest up in one frozen record of figures, and show it to a reader."""

from __future__ import annotations

import dataclasses
import datetime as dt
import html
import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from tradelab.metrics import returns as of_returns
from tradelab.metrics import trades as of_trades
from tradelab.metrics.annualise import Annualisation
from tradelab.metrics.arrays import Floats, Ints, finite, same_length
from tradelab.metrics.grade import grade
from tradelab.metrics.trades import TradeColumns

_NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of one backtest. Fractions, not percent; undefined is NaN.

    Figures of trades are over **closed** trades; a position still open at the last bar counts in ``open_trades`` and in
    the equity. Figures of returns are over one return a bar, the first against ``init_cash``. An account that fell to
    zero has no returns to measure from there, so its ratios are NaN.

    Attributes
    ----------
    start_ns, end_ns
        Open times of the first and the last bar, UTC nanoseconds.
    bars
        Number of bars.
    periods_per_year, calendar, annualisation
        Bars a year, the calendar they were counted by, and the same as a sentence.
    init_cash, final_equity
        Account currency, at the start and after the last bar.
    total_return, cagr
        Growth over the whole history, and a year.
    volatility
        Deviation of returns, a year.
    sharpe, sortino, calmar, omega
        Ratios, a year, for a risk-free rate and a required return of 0; see `tradelab.metrics.returns`.
    max_drawdown, max_drawdown_bars
        Deepest fall below an earlier height (≤ 0), and the longest stay below one, in bars.
    value_at_risk, cvar
        Historical, at 5 %, a bar; losses are negative.
    exposure
        Share of bars that end in a position.
    turnover
        Traded notional, buys plus sells, over mean equity, a year.
    fees
        Account currency, all fees paid, those of the open trade's entry included.
    trades, open_trades
        Closed trades, and open ones.
    win_rate, profit_factor, payoff
        Share of winners, gross profit over gross loss, mean winner over mean loser.
    expectancy
        Mean profit of a trade, account currency.
    best_trade, worst_trade
        Returns of single trades, fractions.
    avg_bars_held, longest_win_streak, longest_loss_streak
        Bars, trades, trades.
    sqn
        System quality number.
    benchmark_return, alpha, beta
        Total return of the benchmark, excess return a year, and sensitivity to it; NaN without a benchmark.
    grade
        ``"A"`` to ``"F"``, ``"–"`` without a closed trade; see `tradelab.metrics.grade`.
    """

    start_ns: int
    end_ns: int
    bars: int
    periods_per_year: float
    calendar: str
    annualisation: str
    init_cash: float
    final_equity: float
    total_return: float
    cagr: float
    volatility: float
    sharpe: float
    sortino: float
    calmar: float
    omega: float
    max_drawdown: float
    max_drawdown_bars: int
    value_at_risk: float
    cvar: float
    exposure: float
    turnover: float
    fees: float
    trades: int
    open_trades: int
    win_rate: float
    profit_factor: float
    expectancy: float
    payoff: float
    best_trade: float
    worst_trade: float
    avg_bars_held: float
    longest_win_streak: int
    longest_loss_streak: int
    sqn: float
    benchmark_return: float
    alpha: float
    beta: float
    grade: str

    def to_dict(self) -> dict[str, float | int | str]:
        """Field names and values, in order."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def rows(self) -> list[tuple[str, str]]:
        """Labels and formatted values in the order of `LABELS`; an undefined figure shows as a dash."""
        return [(label.text, _shown(getattr(self, name), label.form)) for name, label in LABELS.items()]

    def __str__(self) -> str:
        rows = self.rows()
        left, right = (max(len(row[side]) for row in rows) for side in (0, 1))
        return "\n".join(f"{label:<{left}}  {value:>{right}}" for label, value in rows)

    def _repr_html_(self) -> str:
        cells = "".join(
            f'<tr><th style="text-align:left">{html.escape(label)}</th>'
            f'<td style="text-align:right">{html.escape(value)}</td></tr>'
            for label, value in self.rows()
        )
        return f'<table class="tradelab-summary"><tbody>{cells}</tbody></table>'


class Label(NamedTuple):
    """How a figure is called and written where a person looks: a format specification, or ``"time"``."""

    text: str
    form: str


LABELS: dict[str, Label] = {
    "start_ns": Label("Start", "time"),
    "end_ns": Label("End", "time"),
    "bars": Label("Bars", ",d"),
    "annualisation": Label("Annualised by", ""),
    "init_cash": Label("Initial cash", "z,.2f"),
    "final_equity": Label("Final equity", "z,.2f"),
    "total_return": Label("Total return", "z,.2%"),
    "benchmark_return": Label("Benchmark return", "z,.2%"),
    "cagr": Label("CAGR", "z,.2%"),
    "volatility": Label("Volatility a year", "z,.2%"),
    "sharpe": Label("Sharpe ratio", "z.2f"),
    "sortino": Label("Sortino ratio", "z.2f"),
    "calmar": Label("Calmar ratio", "z.2f"),
    "omega": Label("Omega ratio", "z.2f"),
    "max_drawdown": Label("Max drawdown", "z.2%"),
    "max_drawdown_bars": Label("Longest drawdown, bars", ",d"),
    "value_at_risk": Label("Value at risk 5 %, a bar", "z.2%"),
    "cvar": Label("Expected shortfall 5 %, a bar", "z.2%"),
    "alpha": Label("Alpha a year", "z,.2%"),
    "beta": Label("Beta", "z.2f"),
    "exposure": Label("Exposure", "z.1%"),
    "turnover": Label("Turnover a year", "z,.1f×"),
    "fees": Label("Fees paid", "z,.2f"),
    "trades": Label("Closed trades", ",d"),
    "open_trades": Label("Open trades", ",d"),
    "win_rate": Label("Win rate", "z.1%"),
    "profit_factor": Label("Profit factor", "z,.2f"),
    "expectancy": Label("Expectancy a trade", "z,.2f"),
    "payoff": Label("Payoff ratio", "z,.2f"),
    "best_trade": Label("Best trade", "z,.2%"),
    "worst_trade": Label("Worst trade", "z,.2%"),
    "avg_bars_held": Label("Mean bars held", "z,.1f"),
    "longest_win_streak": Label("Longest winning streak", ",d"),
    "longest_loss_streak": Label("Longest losing streak", ",d"),
    "sqn": Label("System quality number", "z.2f"),
    "grade": Label("Grade", ""),
}


def _shown(value: float | int | str, form: str) -> str:
    if isinstance(value, float) and math.isnan(value):
        return "–"
    if form == "time":
        return f"{dt.datetime.fromtimestamp(int(value) // 10**9, tz=dt.UTC):%Y-%m-%d %H:%M} UTC"
    if form.endswith("×"):
        return format(value, form[:-1]) + "×"
    return format(value, form)


def summarise(
    *,
    ts_ns: Ints,
    equity: ArrayLike,
    init_cash: float,
    in_position: ArrayLike,
    traded_notional: float,
    fees: float,
    trades: TradeColumns,
    annualisation: Annualisation,
    benchmark_returns: ArrayLike | None = None,
) -> Summary:
    """Compute the `Summary` of one account over one history.

    Parameters
    ----------
    ts_ns
        Shape (bars,): open times, UTC nanoseconds.
    equity
        Shape (bars,): account value at each bar's close.
    init_cash
        Account value before the first bar, above 0.
    in_position
        Shape (bars,): True where a position is held at the bar's close.
    traded_notional, fees
        Sums over all fills, account currency: |quantity × price|, and fees.
    trades
        Columns of the trade list, open trades included and marked.
    annualisation
        From `tradelab.metrics.annualise.annualisation`.
    benchmark_returns
        Shape (bars,), fractions a bar; buy-and-hold of the same bars is the usual one.

    Raises
    ------
    ValueError
        No bars, arrays of different lengths, NaN or infinity among them, ``init_cash`` not above 0.
    """
    equity = finite(equity, "equity")
    same_length(ts_ns=ts_ns, equity=equity, in_position=np.asarray(in_position))
    if len(equity) == 0:
        raise ValueError("there are no bars to sum up.")
    if not init_cash > 0:
        raise ValueError(f"init_cash is {init_cash}; allowed: above 0.")
    per_year = annualisation.periods_per_year
    growth = _growth(equity, init_cash, per_year)
    counted = _trades(trades)
    return Summary(
        start_ns=int(ts_ns[0]),
        end_ns=int(ts_ns[-1]),
        bars=len(equity),
        periods_per_year=per_year,
        calendar=annualisation.calendar,
        annualisation=annualisation.says,
        init_cash=float(init_cash),
        final_equity=float(equity[-1]),
        exposure=of_trades.exposure(in_position),
        turnover=_turnover(traded_notional, equity, per_year),
        fees=float(fees),
        **growth,
        **counted,
        **_ratios(_returns(equity, init_cash), benchmark_returns, per_year),
        grade=grade(
            win_rate=counted["win_rate"],
            profit_factor=counted["profit_factor"],
            max_drawdown=growth["max_drawdown"],
            total_return=growth["total_return"],
        ),
    )


def _returns(equity: Floats, init_cash: float) -> Floats:
    """One return a bar; none at all for an account that fell to zero before the end."""
    before = np.concatenate(([init_cash], equity[:-1]))
    return equity / before - 1.0 if before.min() > 0 else equity[:0]


def _growth(equity: Floats, init_cash: float, per_year: float) -> dict[str, Any]:
    total = float(equity[-1] / init_cash - 1.0)
    cagr = of_returns.growth_a_year(total, len(equity), periods_per_year=per_year)
    depth = of_returns.drawdown_of_wealth(equity, start=init_cash)
    deepest = float(depth.min())
    return {
        "total_return": total,
        "cagr": cagr,
        "max_drawdown": deepest,
        "max_drawdown_bars": of_returns.longest_run(depth < 0),
        "calmar": cagr / -deepest if deepest < 0 else _NAN,
    }


def _ratios(returns: Floats, benchmark_returns: ArrayLike | None, per_year: float) -> dict[str, Any]:
    benchmark, alpha, beta = _NAN, _NAN, _NAN
    if benchmark_returns is not None:
        benchmark = of_returns.total_return(benchmark_returns)
        if len(returns):
            alpha, beta = of_returns.alpha_beta(returns, benchmark_returns, periods_per_year=per_year)
    return {
        "volatility": of_returns.volatility(returns, periods_per_year=per_year),
        "sharpe": of_returns.sharpe(returns, periods_per_year=per_year),
        "sortino": of_returns.sortino(returns, periods_per_year=per_year),
        "omega": of_returns.omega(returns),
        **of_returns.tail(returns)._asdict(),
        "benchmark_return": benchmark,
        "alpha": alpha,
        "beta": beta,
    }


def _trades(trades: TradeColumns) -> dict[str, Any]:
    closed = trades.closed()
    best, worst = of_trades.extremes(closed.returns)
    wins, losses = of_trades.streaks(closed.pnl)
    return {
        "trades": len(closed.pnl),
        "open_trades": len(trades.pnl) - len(closed.pnl),
        "win_rate": of_trades.win_rate(closed.pnl),
        "profit_factor": of_trades.profit_factor(closed.pnl),
        "expectancy": of_trades.expectancy(closed.pnl),
        "payoff": of_trades.payoff(closed.pnl),
        "best_trade": best,
        "worst_trade": worst,
        "avg_bars_held": of_trades.average_bars_held(closed.entry_bar, closed.exit_bar),
        "longest_win_streak": wins,
        "longest_loss_streak": losses,
        "sqn": of_trades.sqn(closed.pnl),
    }


def _turnover(traded_notional: float, equity: Floats, per_year: float) -> float:
    mean = float(equity.mean())
    return float(traded_notional) / mean * per_year / len(equity) if mean > 0 else _NAN
