"""Hold rebalancing against vectorbt's ``targetpercent`` orders with ``cash_sharing``, the answers being vectorbt's own.

vectorbt values a group at the prices it trades at (``val_price`` left as it is) and again after each order
(``update_value=True``), as we do. Its ``call_seq="auto"`` puts sells first; among them the order is its own and tells
once there are costs, so a second run is told the order we promise: what gives up of a position in column order, then
what adds. No position turns round: there we send two orders, and vectorbt one. With shorts, weights stay so small that
cash never binds: how a group of vectorbt shares locked cash is its own.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pandas as pd
import pytest

import tradelab as tl

pytestmark = pytest.mark.filterwarnings("ignore")

SYMBOLS = ["AAPL", "MSFT", "IBM"]
CASH = 10_000.0


@pytest.fixture(scope="module")
def vbt(oracle) -> ModuleType:
    return oracle("vectorbt")


@pytest.fixture(scope="module")
def bars() -> dict[str, pd.DataFrame]:
    frames = {name: tl.samples.load(f"{name}-1d") for name in SYMBOLS}
    shared = frames["AAPL"].index
    for frame in frames.values():
        shared = shared.intersection(frame.index)
    return {name: frame.loc[shared[:400]] for name, frame in frames.items()}


def random_weights(bars: dict[str, pd.DataFrame], chance: np.random.Generator, sides: np.ndarray) -> pd.DataFrame:
    """Sparse rows, in which a weight is zero now and then."""
    index = next(iter(bars.values())).index
    totals = [0.5, 0.9, 1.0] if (sides > 0.0).all() else [0.2, 0.3, 0.4]
    table = chance.dirichlet(np.ones(len(bars)), len(index)) * chance.choice(totals, (len(index), 1)) * sides
    table[chance.random(table.shape) < 0.1] = 0.0
    table[chance.random(len(index)) < 0.85] = np.nan
    table[-1] = np.nan
    return pd.DataFrame(table, index, list(bars))


def theirs(vbt: ModuleType, bars: dict[str, pd.DataFrame], weights: pd.DataFrame, sides: np.ndarray, **terms: object):
    fill = terms.pop("fill")
    wide = {name: pd.DataFrame({s: frame[name] for s, frame in bars.items()}) for name in ("open", "close")}
    late = weights.shift(1) if fill == "next_open" else weights
    price = wide["open"] if fill == "next_open" else wide["close"]

    def trade(call_seq: object):
        return vbt.Portfolio.from_orders(
            wide["close"],
            late,
            size_type="targetpercent",
            price=price,
            cash_sharing=True,
            group_by=True,
            call_seq=call_seq,
            update_value=True,
            lock_cash=True,
            init_cash=CASH,
            freq="1d",
            engine="numba",
            **terms,
        )

    first = trade("auto").orders.records
    adds = np.zeros(late.shape, dtype=bool)
    adds[first["idx"], first["col"]] = np.where(first["side"] == 0, 1, -1) == sides[first["col"]]
    return trade(np.argsort(adds, axis=1, kind="stable"))


CONFIGURATIONS = [
    (seed, {"fill": fill, **costs}, sides)
    for seed, (fill, costs, sides) in enumerate(
        (fill, costs, sides)
        for fill in ("next_open", "close")
        for costs in (
            {"fees": 0.0},
            {"fees": 0.002},
            {"fees": 0.001, "fixed_fees": 2.0, "slippage": 0.001},
            {"fees": 0.001, "size_granularity": 1.0},
        )
        for sides in ((1.0, 1.0, 1.0), (1.0, -1.0, 1.0), (-1.0, -1.0, -1.0))
    )
]


@pytest.mark.parametrize(("seed", "terms", "sides"), CONFIGURATIONS)
def test_rebalancing_is_vectorbts_target_percent(vbt, bars, seed, terms, sides):
    chance = np.random.default_rng(seed)
    weights = random_weights(bars, chance, np.array(sides))
    result = tl.backtest(bars, weights=weights, init_cash=CASH, **terms)
    portfolio = theirs(vbt, bars, weights, np.array(sides), **terms)
    ours, records = result.outcome.run.orders, portfolio.orders.records
    assert len(records) > 50
    assert len(ours) == len(records)
    records = records.sort_values(["col", "idx"])
    ours = np.sort(ours, order=["instrument", "bar"])
    np.testing.assert_array_equal(ours["bar"], records["idx"])
    np.testing.assert_array_equal(ours["side"] > 0, records["side"] == 0)
    for name, their in (("qty", "size"), ("price", "price"), ("fees", "fees")):
        np.testing.assert_allclose(ours[name], records[their], rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(result.equity, portfolio.value(), rtol=1e-9)
    np.testing.assert_allclose(result.cash, portfolio.cash(), rtol=1e-9, atol=1e-9 * CASH)
