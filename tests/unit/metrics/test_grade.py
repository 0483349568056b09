"""The mark: points from the original system's table."""

import math

import pytest

from tradelab.metrics.grade import grade

NOTHING = {"win_rate": 0.1, "profit_factor": 0.5, "max_drawdown": -0.9, "total_return": -0.5}


def mark(**figures):
    return grade(**(NOTHING | figures))


@pytest.mark.parametrize(
    ("figures", "letter"),
    [
        ({}, "F"),  # 0
        ({"win_rate": 0.4}, "F"),  # 10
        ({"win_rate": 0.5}, "D"),  # 20
        ({"win_rate": 0.6, "profit_factor": 1.0}, "C"),  # 30 + 10
        ({"win_rate": 0.6, "profit_factor": 2.0}, "B"),  # 30 + 30
        ({"win_rate": 0.6, "profit_factor": 2.0, "max_drawdown": -0.10}, "A"),  # 30 + 30 + 20
        ({"win_rate": 0.6, "profit_factor": 2.0, "max_drawdown": -0.20, "total_return": 0.09}, "B"),  # 70
        ({"win_rate": 0.6, "profit_factor": 2.0, "max_drawdown": -0.20, "total_return": 0.10}, "A"),  # 80
        ({"win_rate": 0.59, "profit_factor": 1.99, "max_drawdown": -0.11, "total_return": 0.2}, "B"),  # 20+20+10+20
    ],
)
def test_points_add_up_to_a_mark(figures, letter):
    assert mark(**figures) == letter


def test_without_a_closed_trade_there_is_no_mark():
    assert mark(win_rate=math.nan, profit_factor=math.nan) == "–"


def test_never_losing_scores_the_profit_factor_in_full():
    assert mark(win_rate=1.0, profit_factor=math.nan) == "B"


def test_break_even_trades_alone_score_nothing():
    assert mark(win_rate=0.0, profit_factor=math.nan) == "F"
