"""A search through noise is called a lie, a planted edge is not; each finding says what its evidence says."""

import html
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import tradelab as tl
from tradelab.metrics.overfit import block_sums
from tradelab.model.errors import ConfigError, ParameterError
from tradelab.research import plots_theme, scrutiny_findings
from tradelab.research.scrutiny import scrutinise
from tradelab.research.scrutiny_evidence import judged, replayed, walked

GRID = {"fast": [3, 5, 8, 12, 16, 20], "slow": [25, 30, 40, 50, 60, 80]}
DECISIVE = {"Look-ahead and warm-up", "Superior to cash", "Superior timing", "Deflated Sharpe ratio", "Walk-forward"}


def market(moves, rng):
    """Sound daily bars whose closes make these log moves."""
    close = 100.0 * np.exp(np.cumsum(moves))
    opened = np.concatenate([[100.0], close[:-1]])
    wick = np.abs(rng.normal(0.0, 0.004, (2, len(moves))))
    columns = {
        "open": opened,
        "high": np.maximum(opened, close) * (1.0 + wick[0]),
        "low": np.minimum(opened, close) * (1.0 - wick[1]),
        "close": close,
        "volume": np.ones(len(moves)),
    }
    return pd.DataFrame(columns, index=pd.bdate_range("2015-01-01", periods=len(moves), tz="UTC"))


def noise(seed, drift=0.0):
    """Six years of a random walk: no past says anything of what comes."""
    rng = np.random.default_rng([seed, 99])
    return market(rng.normal(drift, 0.01, 1500), rng)


def edge(seed):
    """Ten years of trends that last sixty days on average and move by 0.3 % a day under noise of 1 %."""
    rng = np.random.default_rng([seed, 77])
    side = np.where(np.cumsum(rng.random(2500) < 1 / 60) % 2 == 0, 1.0, -1.0)
    return market(side * 0.003 + rng.normal(0.0, 0.01, 2500), rng)


def swept(bars, **terms):
    return tl.sweep(bars, "sma_cross", fees=5e-4, progress=False, **{**GRID, **terms})


@pytest.fixture(scope="module")
def of_noise():
    return swept(noise(0))


@pytest.fixture(scope="module")
def lie(of_noise):
    return scrutinise(of_noise, draws=200, seed=1)


@pytest.fixture(scope="module")
def of_edge():
    return swept(edge(0))


@pytest.fixture(scope="module")
def truth(of_edge):
    return scrutinise(of_edge, draws=200, seed=1)


# The rates below are of the sample sizes in their names; each seed is another market.
@pytest.mark.slow
def test_of_forty_searches_through_noise_at_least_nine_in_ten_are_called_a_lie():
    verdicts = [scrutinise(swept(noise(seed)), draws=200, seed=seed).verdict for seed in range(40)]
    assert verdicts.count("lie") >= 36
    assert verdicts.count("holds") == 0


@pytest.mark.slow
def test_of_twenty_long_only_searches_through_a_rising_random_walk_nine_in_ten_are_called_a_lie():
    # the market gains 10 % a year: being long pays, and timing it is luck
    markets = [noise(seed, drift=4e-4) for seed in range(20)]
    verdicts = [scrutinise(swept(b, direction="long"), draws=200, seed=k).verdict for k, b in enumerate(markets)]
    assert verdicts.count("lie") >= 18
    assert verdicts.count("holds") == 0


@pytest.mark.slow
def test_of_twenty_planted_edges_at_most_one_is_called_a_lie():
    verdicts = [scrutinise(swept(edge(seed)), draws=200, seed=seed).verdict for seed in range(20)]
    assert verdicts.count("lie") <= 1


def test_noise_is_a_lie_and_an_edge_is_none(lie, truth):
    assert lie.verdict == "lie"
    assert truth.verdict != "lie"
    assert {f.name for f in lie.findings if f.decisive} == DECISIVE
    assert all(truth[name].state == "pass" for name in DECISIVE)


def test_the_verdict_is_never_better_than_a_decisive_failure(truth, monkeypatch):
    from tradelab.research.scrutiny import _verdict

    passed = tuple(replace(f, state="pass") for f in truth.findings)
    assert _verdict(passed) == "holds"
    for k, finding in enumerate(passed):
        for state in ("doubt", "unknown", "fail"):
            worse = (*passed[:k], replace(finding, state=state), *passed[k + 1 :])
            expected = "lie" if state == "fail" and finding.decisive else "doubtful"
            assert _verdict(worse) == expected


def test_a_strategy_that_sees_tomorrow_is_a_lie_however_good_the_rest(of_edge):
    @tl.strategy(warmup=1, name="sees_tomorrow")
    def sees_tomorrow(bars, least: float = 0.0):
        tomorrow = bars.close.shift(-1) / bars.close - 1.0
        return tl.Signals(long_entry=tomorrow > least, long_exit=tomorrow < 0, short_entry=tomorrow < -least)

    found = scrutinise(tl.sweep(noise(3), sees_tomorrow, least=[0.0, 0.001, 0.002], progress=False), draws=100)
    assert found.verdict == "lie"
    assert found["Look-ahead and warm-up"].state == "fail"
    assert found["Superior to cash"].state == "pass"
    assert "sees the future" in found.says


def test_what_being_long_earns_in_a_rising_market_is_no_timing():
    # by construction: long half of the time whatever happens, in a market that rises three parts in a thousand a day
    rng = np.random.default_rng(2)
    bars = market(rng.normal(0.003, 0.01, 1500), rng)

    @tl.strategy(warmup=1, name="half_the_time")
    def half_the_time(bars, phase: int = 0):
        day = np.arange(len(bars)) + phase
        return tl.Signals(long_entry=day % 20 == 0, long_exit=day % 20 == 10)

    found = scrutinise(tl.sweep(bars, half_the_time, phase=range(0, 20, 2), progress=False), draws=200)
    assert found["Superior to cash"].state == "pass"
    assert found["Superior timing"].state == "fail"
    assert found.verdict == "lie"


def test_sums_kept_by_the_sweep_say_what_the_replayed_returns_say(of_noise):
    row = int(of_noise.ranked("sharpe").index[0])
    replay = replayed(of_noise, row, of_noise.result(row), 300)
    sums, found = judged(of_noise, replay, row)
    assert replay.joined == 1
    assert sums == pytest.approx(block_sums(replay.returns), abs=1e-9)
    assert found.trials == len(of_noise)


def test_replayed_returns_are_the_backtests_and_their_timing_has_no_market_in_it(of_noise):
    row = int(of_noise.ranked("sharpe").index[0])
    replay = replayed(of_noise, row, of_noise.result(row), 300)
    some = of_noise.result(7)
    column = int(np.flatnonzero(replay.rows == 7)[0])
    assert replay.returns[:, column] == pytest.approx(some.returns.to_numpy())
    frame = of_noise.tape.frames["bars"]
    share = (some.positions["bars"] * frame["close"] / some.equity).mean()
    moved = frame["close"].pct_change().fillna(0.0).mean()
    assert replay.timing[:, column] == pytest.approx(replay.returns[:, column] - share * moved)


def test_long_histories_are_summed_up_to_a_few_thousand_steps():
    bars = tl.samples.load("EURUSD-1h")
    found = tl.sweep(bars, "sma_cross", fast=[10, 20], slow=[100, 200], progress=False)
    replay = replayed(found, 0, found.result(0), 300)
    assert replay.joined == 2
    assert len(replay.returns) == -(-len(bars) // 2)
    assert replay.returns[:, 0].sum() == pytest.approx(found.result(0).returns.sum())


def test_the_walk_over_blocks_worked_by_hand():
    # two trials over four blocks of two returns; trained on the first block, then on all before
    returns = np.array([[1, 3, 1, 3, -2, -4, 1, 3], [0, 1, 0, 2, 2, 5, 2, 6]], dtype=float).T
    found = walked(block_sums(returns, 4))

    def ratio(x):
        return np.mean(x) / np.std(x, ddof=1)

    # the first trial is best on block 1 and on blocks 1-2, and fails on block 3; then the second is best
    assert found.train == pytest.approx([ratio([1, 3]), ratio([1, 3, 1, 3]), ratio([0, 1, 0, 2, 2, 5])])
    assert found.test == pytest.approx([ratio([1, 3]), ratio([-2, -4]), ratio([2, 6])])
    assert found.sharpe == pytest.approx(ratio([1, 3, -2, -4, 2, 6]))
    assert found.efficiency == pytest.approx(found.sharpe / found.train.mean())


def test_fewer_replays_than_combinations_are_named(of_noise):
    found = scrutinise(of_noise, draws=50, replays=10)
    assert "10 of 36 combinations" in found["Superior to cash"].figure
    assert found.evidence.best_row in range(36)
    assert found.evidence.judged == 36  # the sweep's own sums judge them all


def test_the_same_seed_gives_the_same_verdict(of_noise, lie):
    again = scrutinise(of_noise, draws=200, seed=1)
    assert again.findings == lie.findings
    other = scrutinise(of_noise, draws=200, seed=2)
    assert other["Superior timing"].value != lie["Superior timing"].value


def test_one_combination_leaves_nothing_to_choose_and_says_so():
    found = scrutinise(tl.sweep(edge(1), "sma_cross", fast=[10], slow=40, progress=False), draws=50)
    assert found["Probability of overfitting"].state == "unknown"
    assert found["Parameter stability"].state == "unknown"
    assert found["Deflated Sharpe ratio"].value == pytest.approx(found["Probabilistic Sharpe ratio"].value)


def test_a_short_history_is_judged_by_what_there_is():
    found = scrutinise(swept(noise(4).iloc[:110], fast=[3, 5], slow=[20, 25]), draws=50, min_trades=0)
    assert found.verdict in ("lie", "doubtful")
    assert found["Trades"].state == "fail"
    assert found.figures()


def test_instruments_that_share_an_account_are_judged_together():
    shares = {name: tl.samples.load(f"{name}-1d").iloc[:800] for name in ("AAPL", "MSFT")}
    found = scrutinise(swept(shares, size=0.5, size_type="percent", fast=[5, 10], slow=[30, 60]), draws=50)
    assert set(found.evidence.checks) == {"AAPL", "MSFT"}
    assert "AAPL, MSFT" in found.title


def test_accounts_of_their_own_are_told_apart():
    shares = {name: tl.samples.load(f"{name}-1d").iloc[:800] for name in ("AAPL", "MSFT")}
    found = scrutinise(swept(shares, each=True, fast=[5, 10], slow=[30, 60]), draws=50)
    assert (found.evidence.combinations, found.evidence.replayed, found.evidence.judged) == (8, 4, 4)
    assert found.evidence.luck.trials == 8  # every account that was tried is a try
    assert "4 of 8 combinations" in found["Superior timing"].figure


def test_stops_and_plans_are_run_again_as_they_were():
    found = scrutinise(swept(noise(5), fast=[5], slow=[30], sl_stop=[0.02, 0.05], direction="long"), draws=50)
    zero = found.evidence.costs.table.loc[1.0, "total_return"]
    assert zero == pytest.approx(found.evidence.best.summary.total_return)
    assert found.evidence.delays.table.loc[0, "sharpe"] == pytest.approx(found.evidence.best.summary.sharpe)


@pytest.mark.parametrize(
    ("value", "high", "low"),
    [(0.95, "pass", "fail"), (0.93, "doubt", "fail"), (0.2, "fail", "fail"), (0.1, "fail", "doubt"),
     (0.05, "fail", "pass"), (float("nan"), "unknown", "unknown")],
)  # fmt: skip
def test_thresholds_are_reached_by_what_equals_them(value, high, low):
    assert scrutiny_findings._high(value, 0.95, 0.90) == high
    assert scrutiny_findings._low(value, 0.05, 0.10) == low


def test_every_finding_has_a_threshold_a_source_and_a_sentence(lie, truth):
    for finding in (*lie.findings, *truth.findings):
        assert finding.threshold
        assert finding.source
        assert finding.says.endswith(".")
        assert finding.state in {"pass", "doubt", "fail", "unknown"}


def test_every_statistic_has_its_paragraph_in_the_prose(lie, request):
    prose = (request.config.rootpath / "docs" / "scrutiny.md").read_text(encoding="utf-8")
    for finding in lie.findings:
        assert f"### {finding.name}" in prose


def test_it_speaks_in_words_rows_and_pictures(lie):
    assert lie.says.startswith("Take it for a lie")
    assert all(f.name in str(lie) for f in lie.findings)
    assert list(lie.table.index) == [f.name for f in lie.findings]
    figures = lie.figures()
    assert list(figures) == [
        "search", "logits", "degradation", "walk", "random", "plateau", "drawdowns", "futures", "costs", "delays",
    ]  # fmt: skip
    assert [name for name, figure in figures.items() if plots_theme.said(figure)] == []
    assert lie._repr_html_().count("<tr") == len(lie.findings)
    with pytest.raises(KeyError):
        lie["Luck"]


def test_the_report_is_one_file_that_asks_the_network_for_nothing(lie, tmp_path):
    path = lie.to_html(tmp_path / "verdict.html")
    page = path.read_text(encoding="utf-8")
    assert [p.name for p in tmp_path.iterdir()] == ["verdict.html"]
    assert not re.search(r"""(?:src|href|url)\s*[=(]\s*["']?\s*(?:https?:)?//""", page)
    assert page.count('<figure class="chart"') == 10
    assert '<span class="badge bad">a lie</span>' in page
    assert all(html.escape(f.says) in page for f in lie.findings)
    assert lie.to_html() == page


def test_a_section_stands_in_another_page(lie):
    from tradelab.report.page import render_page

    page = render_page("Study", lie.section())
    assert "What the verdict rests on" in page


def test_what_cannot_be_judged_is_refused(of_noise):
    with pytest.raises(ParameterError, match="draws=5"):
        scrutinise(of_noise, draws=5)
    with pytest.raises(ParameterError, match="replays=0"):
        scrutinise(of_noise, replays=0)
    idle = tl.sweep(noise(1), "rsi_reversion", low=[0.1, 0.2], direction="long", progress=False)
    with pytest.raises(ConfigError, match="no combination"):
        scrutinise(idle)
