"""Hand a result over to vectorbt as one of its own portfolios."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tradelab.model.errors import MissingExtraError
from tradelab.research.record import Record


def to_vectorbt(result: Record) -> Any:
    """Return a ``vectorbt.Portfolio`` that holds the same orders, bars and cash.

    Several instruments become one group that shares cash. vectorbt's own figures then follow from its own definitions:
    it counts an open trade in the win rate, and calls a ratio infinite where ours is NaN.

    Raises
    ------
    MissingExtraError
        vectorbt is not installed.
    """
    try:
        import vectorbt as vbt
        from vectorbt.portfolio.enums import order_dt
    except ImportError as error:
        raise MissingExtraError("vectorbt is not installed.", fix="pip install 'tradelab[interop]'") from error
    vbt.settings["plotting"]["use_widgets"] = False  # a FigureWidget carries 5 MB of JavaScript into every notebook

    close = pd.DataFrame(
        {symbol: frame["close"].reindex(result.index).ffill() for symbol, frame in result.frames.items()}
    )
    many = close.shape[1] > 1
    orders = result.outcome.run.orders
    records = np.zeros(len(orders), order_dt)
    by_column = np.argsort(orders["instrument"], kind="stable")  # vectorbt keeps each column's orders together
    records["id"] = np.arange(len(orders))
    records["col"], records["idx"] = orders["instrument"][by_column], orders["bar"][by_column]
    records["size"], records["price"] = orders["qty"][by_column], orders["price"][by_column]
    records["fees"] = orders["fees"][by_column]
    records["side"] = np.where(orders["side"][by_column] > 0, 0, 1)
    freq = pd.Series(result.index).diff().mode()[0] if len(result.index) > 1 else None
    prices = close if many else close.iloc[:, 0]
    wrapper = vbt.ArrayWrapper.from_obj(prices, freq=freq)
    if many:
        wrapper = wrapper.replace(group_by=np.zeros(close.shape[1], dtype=int), grouped_ndim=1)
    return vbt.Portfolio(
        wrapper,
        prices,
        records,
        np.empty(0, dtype=vbt.portfolio.enums.log_dt),
        init_cash=np.array([result.init_cash]),
        cash_sharing=many,
        call_seq=None,
        fillna_close=True,
    )
