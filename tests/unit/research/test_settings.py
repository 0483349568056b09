"""Refuse terms that make no sense, alone or together, and write those that do into the engine's row."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import tradelab as tl
from tradelab.engine import terms as words
from tradelab.engine.fills import NEXT_OPEN
from tradelab.model.errors import ParameterError
from tradelab.research.settings import Settings, split_settings

PRICES = pd.Series([100.0])


@pytest.mark.parametrize(
    ("said", "match"),
    [
        ({"fees": -0.1}, "fees"),
        ({"fees": 1.0}, "fees"),
        ({"fees": float("nan")}, "fees"),
        ({"fees": True}, "fees"),
        ({"maker_fees": -0.2}, "maker_fees"),
        ({"leverage": 0.5}, "leverage"),
        ({"maintenance": 0.05}, "maintenance"),
        ({"volume_share": 0.0}, "volume_share"),
        ({"exit_size": 1.5}, "exit_size"),
        ({"layers": 0}, "layers"),
        ({"layers": 1.5}, "layers"),
        ({"latency": -1}, "latency"),
        ({"expiry": 0}, "expiry"),
        ({"size": 1.5, "size_type": "percent"}, "size"),
        ({"size_type": "risk", "size": 0.01}, "needs a stop"),
        ({"size_type": "risk", "size": 0.01, "sl_stop": 0.1, "sl_trail": True}, "needs a stop"),
        ({"size_type": "equity"}, "needs a size"),
        ({"size_type": "kelly", "size": 0.5}, "kelly_start"),
        ({"risk_cap": 0.01}, "risk_cap"),
        ({"sl_trail": True}, "needs sl_stop"),
        ({"sl_stop": 0.02, "sl_price": PRICES}, "both"),
        ({"tp_stop": 0.02, "tp_price": PRICES}, "both"),
        ({"plan": tl.ExitPlan(stop=0.02), "sl_stop": 0.02}, "both a plan"),
        ({"plan": {"stop": 0.02}}, "ExitPlan"),
        ({"sl_stop": "2 pips"}, "sl_stop"),
        ({"sl_price": -5.0}, "sl_price"),
        ({"funding": 1.5}, "funding"),
        ({"entry_type": "limit"}, "entry_price"),
        ({"entry_type": "iceberg"}, "entry_type"),
        ({"fill": "zipline"}, "fill"),
        ({"fill": NEXT_OPEN._replace(path="sideways")}, "path"),
        ({"fill": NEXT_OPEN._replace(last_bar="burn")}, "last_bar"),
    ],
)
def test_terms_that_make_no_sense_are_refused(said, match):
    with pytest.raises(ParameterError, match=match):
        Settings(**said)


def test_more_tiers_than_there_is_room_for_are_refused():
    with pytest.raises(ParameterError, match="tiers"):
        Settings(fee_tiers=[(1000.0 * k, 0.001) for k in range(7)]).row()


def test_terms_are_written_into_one_row():
    row = Settings(
        fill="freqtrade", fees=0.001, per_unit_fees=0.5, slippage_range=0.1, size_granularity=0.25, min_size=2.0,
        size=0.01, size_type="risk", sl_stop="3 %", leverage=5.0, layers=3, fee_tiers=[(1e6, 0.0), (0.0, 0.002)],
    ).row()[0]  # fmt: skip
    assert (row["path"], row["turns_round"], row["last_bar"]) == (words.FREQTRADE, 0, words.CLOSED_AT_OPEN)
    assert (row["fees"], row["per_unit"], row["slip_range"]) == (0.001, 0.5, 0.1)
    assert (row["size_step"], row["min_qty"], row["leverage"], row["layers"]) == (0.25, 2.0, 5.0, 3)
    assert (row["size_type"], row["size"], row["stop"], row["stop_unit"]) == (words.RISK, 0.01, 0.03, words.FRACTION)
    assert row["tier_from"][:2].tolist() == [0.0, 1e6]
    assert row["tier_fees"][:2].tolist() == [0.002, 0.0]
    assert np.isnan(row["maker_fees"]) and np.isinf(row["max_weight"])


def test_no_size_means_all_free_cash():
    row = Settings().row()[0]
    assert (row["size_type"], row["size"]) == (words.PERCENT, 1.0)


def test_terms_and_parameters_of_a_strategy_are_parted():
    settings, own = split_settings({"fast": 3, "fees": 0.001, "plan": None})
    assert (settings.fees, own) == (0.001, {"fast": 3})


def test_terms_can_be_written_down():
    said = Settings(fill=NEXT_OPEN, sl_stop=PRICES / 1000, fee_tiers=((0, 0.001),)).plain()
    assert said["sl_stop"] == "per bar"
    assert said["fee_tiers"] == [[0.0, 0.001]]
    assert said["fill"]["path"] == "pessimistic"
