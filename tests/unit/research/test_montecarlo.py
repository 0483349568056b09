"""Other luck: what stays the same stays exactly the same, what is drawn is drawn evenly, and seeds repeat."""

import itertools

import numpy as np
import pandas as pd
import pytest

import tradelab as tl
from tradelab.catalog.quality import require_sound
from tradelab.model.errors import ConfigError, ParameterError, TooFewBarsError, UnknownNameError
from tradelab.research.montecarlo import METHODS, MonteCarlo, bootstrap_returns, monte_carlo, random_entries
from tradelab.research.montecarlo_paths import _noisy, _redrawn
from tradelab.research.rerun import setup_of


@pytest.fixture(scope="module")
def bars():
    return tl.samples.load("GOOG-1d").iloc[:500]


@pytest.fixture(scope="module")
def result(bars):
    return tl.backtest(bars, "sma_cross", fast=5, slow=20, fees=0.001)


def trades_of(opens, *, entries, exits, **terms):
    """A backtest of hand-made signals on hand-made opens, each bar closing at the next one's open."""
    closes = np.append(opens[1:], opens[-1])
    frame = pd.DataFrame(
        {"open": opens, "high": np.maximum(opens, closes), "low": np.minimum(opens, closes), "close": closes},
        index=pd.date_range("2024-01-01", periods=len(opens), tz="UTC"),
    ).assign(volume=1.0)
    flags = {name: np.isin(np.arange(len(opens)), at) for name, at in (("entries", entries), ("exits", exits))}
    return tl.backtest(frame, **flags, **terms)


def test_shuffled_trades_meet_every_order_and_only_those():
    # three trades of +50 %, -50 % and +10 % by hand: six orders
    opens = np.array([100.0, 100, 150, 150, 75, 100, 110, 110])
    result = trades_of(opens, entries=[0, 2, 4], exits=[1, 3, 5])
    assert result.trades["return"].tolist() == pytest.approx([0.5, -0.5, 0.1])
    expected = set()
    for order in itertools.permutations([0.5, -0.5, 0.1]):
        wealth = np.concatenate([[1.0], np.cumprod(1.0 + np.array(order))])
        expected.add(round(float((wealth / np.maximum.accumulate(wealth) - 1).min()), 9))
    drawn = monte_carlo(result, "shuffle_trades", runs=300)
    assert set(drawn.draws["max_drawdown"].round(9)) == expected
    assert drawn.actual["max_drawdown"] == pytest.approx(-0.5)


def test_bootstrapped_trades_are_products_of_the_trades():
    opens = np.array([100.0, 100, 150, 150, 75, 75])
    result = trades_of(opens, entries=[0, 2], exits=[1, 3])
    drawn = monte_carlo(result, "bootstrap_trades", runs=400)
    shares = drawn.draws["total_return"].round(9).value_counts(normalize=True)
    assert shares[1.25] == pytest.approx(0.25, abs=0.07)  # both times +50 %: 1.5² − 1
    assert shares[-0.25] == pytest.approx(0.5, abs=0.08)
    assert shares[-0.75] == pytest.approx(0.25, abs=0.07)


def test_the_account_of_closed_trades_ends_where_the_account_does(bars):
    result = tl.backtest(bars, "sma_cross", fast=5, slow=20, fees=0.001, direction="long")
    drawn = monte_carlo(result, "bootstrap_trades", runs=10)
    last = result.trades[result.trades["status"] == "closed"]["exit_time"].iloc[-1]
    assert 1.0 + drawn.actual["total_return"] == pytest.approx(result.equity[last] / result.init_cash, rel=1e-9)


def test_bootstrapped_returns_keep_the_figures_of_the_backtest_beside_them(result):
    drawn = bootstrap_returns(result, runs=200, mean_block=1)
    assert drawn.actual["total_return"] == pytest.approx(result.summary.total_return)
    assert drawn.actual["max_drawdown"] == pytest.approx(result.summary.max_drawdown)
    assert drawn.actual["sharpe"] == pytest.approx(result.summary.sharpe)
    spread = drawn.draws["sharpe"].std()
    years = len(result.index) / result.summary.periods_per_year
    assert spread == pytest.approx(years**-0.5, rel=0.2)  # Lo 2002: the error of an annual ratio is about 1/√years
    assert drawn.draws["sharpe"].mean() == pytest.approx(result.summary.sharpe, abs=4 * spread / 200**0.5)


def test_random_trades_of_a_market_that_rises_evenly_make_what_it_makes():
    opens = 100.0 * 1.01 ** np.arange(60)
    result = trades_of(opens, entries=[3, 20, 40], exits=[8, 25, 45], fees=0.002)
    drawn = random_entries(result, runs=50)
    gross = 1.01**5 - 1.0
    # five bars at 1 % each wherever they stand; fees of 0.2 % of both notionals, as the trades themselves paid
    assert drawn.draws["mean_trade"].to_numpy() == pytest.approx(gross - 0.002 * (1 + 1.01**5), rel=1e-9)
    assert drawn.actual["mean_trade"] == pytest.approx(drawn.draws["mean_trade"].iloc[0], rel=1e-9)


def test_random_trades_do_not_overlap_and_stand_anywhere_alike():
    # The market moves on one bar only: a trade of two bars catches it from two of its places.
    opens = np.full(42, 100.0)
    opens[20:] = 110.0
    result = trades_of(opens, entries=[0, 30], exits=[2, 32])
    drawn = random_entries(result, runs=4000)
    caught = (drawn.draws["mean_trade"] > 1e-9).mean()
    # never both trades at once: 0.1/2 is the most
    assert drawn.draws["mean_trade"].max() == pytest.approx(0.05)
    # two trades of two bars among 41 bars from the first entry on: two chances of two places in about 39
    assert caught == pytest.approx(4 / 39, abs=0.03)


def test_good_timing_has_a_small_p_value_and_bad_timing_a_great_one():
    rng = np.random.default_rng(5)
    moves = rng.normal(0.0, 0.01, 400)
    opens = 100.0 * np.exp(np.concatenate([[0.0], np.cumsum(moves)]))
    up = np.flatnonzero(moves[2:] > 0.005) + 1  # decided on a bar whose next open-to-open move is known to be good
    down = np.flatnonzero(moves[2:] < -0.005) + 1
    good = trades_of(opens, entries=up, exits=np.setdiff1d(np.arange(400), up))
    bad = trades_of(opens, entries=down, exits=np.setdiff1d(np.arange(400), down))
    assert random_entries(good, runs=200).p_value() == pytest.approx(1 / 201)
    assert random_entries(bad, runs=200).p_value() == 1.0


def test_noisy_bars_are_sound_and_stay_near(bars):
    noisy = _noisy({"GOOG": bars}, 0.3, np.random.default_rng(1))["GOOG"]
    require_sound(noisy, name="GOOG")
    typical = np.median(np.log(bars["high"] / bars["low"]))
    moved = np.log(noisy["close"] / bars["close"])
    assert moved.std() == pytest.approx(0.3 * typical, rel=0.1)
    assert noisy.index.equals(bars.index)


def test_redrawn_bars_are_sound_and_made_of_real_ones(bars):
    redrawn = _redrawn({"GOOG": bars}, 5.0, np.random.default_rng(1))["GOOG"]
    require_sound(redrawn, name="GOOG")
    for ratio in (lambda b: b["close"] / b["close"].shift(), lambda b: b["high"] / b["low"]):
        real, drawn = (ratio(frame).iloc[1:].to_numpy() for frame in (bars, redrawn))
        assert np.abs(drawn[:, None] - real).min(axis=1).max() < 1e-12


def test_instruments_of_one_time_axis_are_redrawn_together(bars):
    twice = _redrawn({"a": bars, "b": bars * 2.0}, 5.0, np.random.default_rng(1))
    assert (twice["b"]["close"] / twice["a"]["close"]).to_numpy() == pytest.approx(2.0)


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_draws_the_same(result, method):
    one, two, three = (monte_carlo(result, method, runs=5, seed=s) for s in (1, 1, 2))
    pd.testing.assert_frame_equal(one.draws, two.draws)
    assert not one.draws.equals(three.draws)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_shows_itself(result, method):
    drawn = monte_carlo(result, method, runs=20)
    assert isinstance(drawn, MonteCarlo)
    assert "Monte Carlo" in str(drawn)
    assert "<table" in drawn._repr_html_()
    assert [trace.name for trace in drawn.plot().data] == ["Draws", "Backtest"]
    assert drawn.quantiles()[0.5].loc["max_drawdown" if "max_drawdown" in drawn.actual else "mean_trade"] < 0.2


def test_p_values_count_the_backtest_itself():
    drawn = MonteCarlo("hand", "by hand", {"x": 2.0, "y": np.nan}, pd.DataFrame({"x": [1.0, 2.0, 3.0], "y": [1.0] * 3}))
    assert drawn.p_value() == pytest.approx(3 / 4)
    assert np.isnan(drawn.p_value("y"))
    assert drawn.chance_below("x", 2.0) == pytest.approx(1 / 3)
    with pytest.raises(UnknownNameError, match="z"):
        drawn.p_value("z")


def test_what_cannot_be_drawn_is_refused(bars, result):
    with pytest.raises(UnknownNameError, match="shuffle_trade'"):
        monte_carlo(result, "shuffle_trade")
    with pytest.raises(ParameterError, match="runs=0"):
        monte_carlo(result, runs=0)
    with pytest.raises(ParameterError, match="noise=0"):
        monte_carlo(result, "perturb_prices", noise=0.0)
    idle = tl.backtest(bars, "rsi_reversion", low=0.1, direction="long")
    for method in ("shuffle_trades", "random_entries"):
        with pytest.raises(TooFewBarsError, match="closed"):
            monte_carlo(idle, method)


def test_a_result_of_signals_cannot_be_run_again(bars):
    result = tl.backtest(bars, entries=bars.close > bars.open)
    with pytest.raises(ConfigError, match="no strategy that could be run again"):
        monte_carlo(result, "resample_prices", runs=1)


def test_terms_a_result_knows_only_by_name_must_be_given_again(bars):
    stops = pd.Series(0.05, bars.index)
    result = tl.backtest(bars, "sma_cross", fast=5, slow=20, sl_stop=stops, fees=0.001)
    with pytest.raises(ConfigError, match="sl_stop"):
        setup_of(result)
    again = setup_of(result, sl_stop=stops).run()
    pd.testing.assert_series_equal(again.equity, result.equity)


def test_a_setup_runs_to_the_same_result(bars, result):
    pd.testing.assert_series_equal(setup_of(result).run().equity, result.equity)
    policy = tl.backtest(bars, "sma_cross", fill="close", sl_stop=0.03, direction="long")
    pd.testing.assert_series_equal(setup_of(policy).run().equity, policy.equity)
