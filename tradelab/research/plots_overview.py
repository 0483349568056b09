"""Draw the whole story on one time axis: price with its trades, equity, drawdown."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from tradelab.model.errors import UnknownNameError
from tradelab.research import plots_theme as theme
from tradelab.research.plots_thin import MOST_POINTS, rounded, stamps, thin
from tradelab.research.plots_view import Backtested

MOST_CANDLES = 1_500
MOST_TRADES = 4_000
_MOST_BREAKS = 320
_LONGEST_BREAK = pd.Timedelta(days=5)  # a long weekend; a longer hole is missing data and stays in sight
_DOMAINS = {"y": (0.50, 1.0), "y2": (0.245, 0.455), "y3": (0.0, 0.20)}


def overview(result: Backtested, symbol: str | None = None) -> go.Figure:
    """Draw price with trades, equity and drawdown under each other.

    Parameters
    ----------
    symbol
        Whose price and trades; default: the first instrument. Equity and drawdown are the account's.

    Returns
    -------
    Figure
        Candles up to 1 500 bars, else the closes; series longer than 8 000 points are thinned to the first, lowest,
        highest and last value of 800 stretches, each at its own time. Entries and exits stand where they were filled;
        of more than 4 000 trades those with the largest returns are drawn, and the note under the title says so.

    Raises
    ------
    UnknownNameError
        ``symbol`` is not in the backtest.
    """
    symbol = result.symbols[0] if symbol is None else symbol
    if symbol not in result.frames:
        raise UnknownNameError.of("symbol", symbol, result.symbols)
    frame = result.frames[symbol]
    trades = result.trades[result.trades["symbol"] == symbol]
    shown = trades
    if len(trades) > MOST_TRADES:
        shown = trades.loc[trades["return"].abs().nlargest(MOST_TRADES).index].sort_index()
    note = _note(result, symbol, len(frame), len(shown), len(trades))
    drawn = theme.figure(f"{symbol}: price, trades, equity, drawdown", height=720, note=note)
    drawn.add_trace(_candles(frame, symbol) if len(frame) <= MOST_CANDLES else _line(frame, symbol))
    drawn.add_traces(_trade_traces(shown, result.index))
    drawn.add_traces(_account(result))
    _lay_out(drawn, result, symbol)
    return drawn


def _note(result: Backtested, symbol: str, bars: int, shown: int, trades: int) -> str:
    notes = []
    if bars > MOST_POINTS:
        notes.append(f"{bars:,} bars, thinned to their extremes")
    if shown < trades:
        notes.append(f"the {shown:,} largest of {trades:,} trades")
    if not trades:
        notes.append("no trades" if len(result.symbols) == 1 else f"no trades in {symbol}")
    return "; ".join(notes)


def _candles(frame: pd.DataFrame, symbol: str) -> go.Candlestick:
    """Hollow when the close is above the open, filled when below: no colour needed."""
    return go.Candlestick(
        x=stamps(pd.DatetimeIndex(frame.index)),
        **{name: rounded(frame[name]) for name in ("open", "high", "low", "close")},
        name=symbol,
        increasing={"line": {"color": theme.PRICE, "width": 1}, "fillcolor": "rgba(0,0,0,0)"},
        decreasing={"line": {"color": theme.PRICE, "width": 1}, "fillcolor": theme.PRICE},
        xaxis="x",
        yaxis="y",
    )


def _line(frame: pd.DataFrame, symbol: str) -> go.Scatter:
    close = frame["close"].to_numpy()
    kept = thin(close)
    return go.Scatter(
        x=stamps(pd.DatetimeIndex(frame.index[kept]), pd.DatetimeIndex(frame.index)),
        y=rounded(close[kept]),
        name=symbol,
        mode="lines",
        line={"color": theme.PRICE, "width": 1.1},
        hovertemplate="%{y}",
        xaxis="x",
        yaxis="y",
    )


def _trade_traces(trades: pd.DataFrame, index: pd.DatetimeIndex) -> list[go.Scatter]:
    won = trades["pnl"] > 0
    traces = [
        _spans(trades[won], "Won", theme.WON, "solid", index),
        _spans(trades[~won], "Lost", theme.LOST, "dot", index),
        _marks(trades[trades["direction"] == "long"], "Long entry", "entry", "triangle-up", index),
        _marks(trades[trades["direction"] == "short"], "Short entry", "entry", "triangle-down", index),
        _marks(trades[trades["status"] == "closed"], "Exit", "exit", "x-thin", index),
    ]
    return [trace for trace in traces if trace is not None]


def _spans(trades: pd.DataFrame, name: str, colour: str, dash: str, index: pd.DatetimeIndex) -> go.Scatter | None:
    """From each entry to its exit; an open trade's runs to the last close."""
    if trades.empty:
        return None
    count = len(trades)
    x: list[str | None] = [None] * (3 * count)
    y: list[float | None] = [None] * (3 * count)
    x[0::3], x[1::3] = stamps(trades["entry_time"], index), stamps(trades["exit_time"], index)
    y[0::3], y[1::3] = rounded(trades["entry_price"]), rounded(trades["exit_price"])
    return go.Scatter(
        x=x,
        y=y,
        name=name,
        mode="lines",
        line={"color": colour, "width": 1.3, "dash": dash},
        hoverinfo="skip",
        xaxis="x",
        yaxis="y",
    )


def _marks(trades: pd.DataFrame, name: str, side: str, symbol: str, index: pd.DatetimeIndex) -> go.Scatter | None:
    """Filled when the trade won, hollow when it lost; an exit is a cross in the colour of its outcome."""
    if trades.empty:
        return None
    won = (trades["pnl"] > 0).to_numpy()
    colours = np.where(won, theme.WON, theme.LOST).tolist()
    cross = symbol == "x-thin"
    reason = trades["exit_reason"] if side == "exit" else trades["direction"]
    said = [
        f"#{number} {word}, {part:+.2%}"
        for number, word, part in zip(trades.index, reason, trades["return"], strict=True)
    ]
    return go.Scatter(
        x=stamps(trades[f"{side}_time"], index),
        y=rounded(trades[f"{side}_price"]),
        name=name,
        mode="markers",
        marker={
            "symbol": symbol if cross else [symbol if good else f"{symbol}-open" for good in won],
            "color": colours,
            "size": (6 if cross else 8) * theme.crowd(len(trades)),
            "line": {"width": (1.8 if cross else 1.3) * theme.crowd(len(trades)), "color": colours},
        },
        text=said,
        hovertemplate="%{y} · %{text}, %{x}",
        xaxis="x",
        yaxis="y",
    )


def _account(result: Backtested) -> list[go.Scatter]:
    equity, fall = result.equity.to_numpy(), 100.0 * result.drawdown.to_numpy()
    benchmark = result.init_cash * np.cumprod(1.0 + np.asarray(result.benchmark, dtype=float))
    kept = thin(equity, fall, benchmark)
    x = stamps(result.index[kept], result.index)
    own = {"x": x, "mode": "lines", "xaxis": "x"}
    return [
        go.Scatter(
            y=rounded(benchmark[kept]),
            name="Benchmark",
            line={"color": theme.BENCHMARK, "width": 1},
            hovertemplate="%{y:,.2f}",
            yaxis="y2",
            **own,
        ),
        go.Scatter(
            y=rounded(equity[kept]),
            name="Equity",
            line={"color": theme.EQUITY, "width": 1.8},
            hovertemplate="%{y:,.2f}",
            yaxis="y2",
            **own,
        ),
        go.Scatter(
            y=[None if np.isnan(value) else value for value in np.round(fall[kept], 3).tolist()],
            name="Drawdown",
            line={"color": theme.FALL, "width": 1},
            fill="tozeroy",
            fillcolor="rgba(207,95,85,0.28)",
            hovertemplate="%{y:.2f} %",
            yaxis="y3",
            **own,
        ),
    ]


def _lay_out(drawn: go.Figure, result: Backtested, symbol: str) -> None:
    """Stack three panels on one time axis: that is what lets one hover box speak for all three."""
    titles = {"y": f"Price of {symbol}", "y2": "Equity (currency)", "y3": "Drawdown (%)"}
    for name, domain in _DOMAINS.items():
        axis = f"yaxis{name[1:]}"
        drawn.update_layout(
            {axis: {"domain": domain, "title": {"text": titles[name], "standoff": None}, "zeroline": False}}
        )
    drawn.update_layout(
        hovermode="x unified",
        hoversubplots="axis",
        xaxis={
            "type": "date",
            "anchor": "y3",
            "title": {"text": "Time (UTC)"},
            "range": _span(result.index),
            "rangeslider": {"visible": False},
            "rangebreaks": _breaks(result.index),
            "showspikes": True,
            "spikemode": "across",
            "spikethickness": 1,
            "spikecolor": theme.FAINT,
            "spikedash": "solid",
        },
        shapes=[
            {
                "type": "line",
                "xref": "paper",
                "yref": "y2",
                "x0": 0,
                "x1": 1,
                "y0": result.init_cash,
                "y1": result.init_cash,
                "line": {"color": theme.FAINT, "width": 1, "dash": "dash"},
                "layer": "below",
            }
        ],
    )


def _span(index: pd.DatetimeIndex) -> list[str]:
    """The whole history and a hundredth on either side, where the first and last marks have room."""
    room = (index[-1] - index[0]) / 100 or pd.Timedelta(days=1)
    return stamps(pd.DatetimeIndex([index[0] - room, index[-1] + room]).floor("s"))


def _breaks(index: pd.DatetimeIndex) -> list[dict[str, list[str]]]:
    """Nights, weekends and holidays cut out of the axis where there are few enough of them for the browser."""
    if not 2 < len(index) <= MOST_CANDLES:
        return []
    steps = np.diff(index.as_unit("ns").asi8)
    step = int(np.median(steps))
    gaps = np.flatnonzero((steps > 1.5 * step) & (steps <= _LONGEST_BREAK.value))
    if len(gaps) > _MOST_BREAKS:
        return []
    cut = index[gaps] + pd.Timedelta(step, "ns")
    return [{"bounds": [a, b]} for a, b in zip(stamps(cut, index), stamps(index[gaps + 1], index), strict=True)]
