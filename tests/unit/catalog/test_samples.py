"""The bundled bars are what they say they are; synthetic ones are labelled, repeatable and always possible."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tradelab.catalog import quality, samples
from tradelab.catalog.frame import content_hash, infer_timeframe
from tradelab.catalog.samples.synthetic import Regime
from tradelab.model.errors import ParameterError
from tradelab.model.units import Timeframe

# Read off the wheels' own files with csv and grep, not by our code.
FIRST_ROWS = {
    "EURUSD-1h": ("2017-01-01 22:00:00+00:00", [1.05236, 1.05253, 1.05221, 1.05227, 143539993.3]),
    "AAPL-1d": ("2000-03-01 00:00:00+00:00", [118.56 / 4, 132.06 / 4, 118.5 / 4, 130.31 / 4, 9616100 * 4]),
}


@pytest.mark.parametrize("name", FIRST_ROWS)
def test_the_first_row_is_the_source_s(name: str) -> None:
    bars = samples.load(name)
    time, values = FIRST_ROWS[name]
    assert str(bars.index[0]) == time
    np.testing.assert_allclose(bars.iloc[0].to_numpy(), values, rtol=1e-7)


@pytest.mark.parametrize("name", samples.names())
def test_every_sample_is_what_is_said_about_it(name: str) -> None:
    bars, about = samples.load(name), samples.about(name)
    assert (len(bars), str(bars.index[0]), str(bars.index[-1])) == (about.rows, about.start, about.end)
    assert infer_timeframe(bars) is about.timeframe
    assert bars.attrs["synthetic"] is False
    assert about.licence
    assert about.package in str(about)


@pytest.mark.parametrize("name", samples._manifest())
def test_content_is_the_recorded_one(name: str) -> None:
    assert content_hash(samples.load(name)) == samples._manifest()[name]["sha256"]


def test_no_split_is_left_in_the_prices() -> None:
    for name in ("AAPL-1d", "MSFT-1d", "GOOG-1d", "IBM-1d"):
        close = samples.load(name)["close"]
        assert (close / close.shift()).dropna().between(0.45, 1.6).all()
    assert abs(samples.load("MSFT-1d")["close"].pct_change()).max() < 0.2


def test_attributes_load_too() -> None:
    assert "EURUSD_1h" in dir(samples)
    assert len(samples.EURUSD_1h) == 6225
    with pytest.raises(AttributeError, match="EURUSD_1h"):
        _ = samples.EURUSD_9h


def test_each_load_is_a_fresh_frame() -> None:
    bars = samples.load("FB-1d")
    bars.iloc[:, :] = 0
    assert samples.load("FB-1d")["close"].min() > 0


@pytest.mark.parametrize("timeframe", ["1m", "15m", "1h", "1d", "1w"])
@pytest.mark.parametrize("seed", [0, 1])
def test_synthetic_bars_are_sound_and_labelled(timeframe: str, seed: int) -> None:
    bars = samples.synthetic(timeframe, 5_000, seed=seed)
    assert len(bars) == 5_000
    assert quality.inspect(bars, timeframe).is_sound
    assert bars.attrs["synthetic"] is True
    assert infer_timeframe(bars) is Timeframe.of(timeframe)


def test_the_same_arguments_make_the_same_bars() -> None:
    assert content_hash(samples.synthetic(bars=500, seed=4)) == content_hash(samples.synthetic(bars=500, seed=4))
    assert content_hash(samples.synthetic(bars=500, seed=4)) != content_hash(samples.synthetic(bars=500, seed=5))


def test_synthetic_returns_have_fat_tails_and_a_daily_rhythm() -> None:
    bars = samples.synthetic("1m", 200_000, seed=2)
    moves = np.log(bars["close"]).diff().dropna()
    assert moves.kurt() > 3  # a normal distribution has 0
    by_hour = moves.abs().groupby(moves.index.hour).mean()
    assert by_hour.loc[14] > 1.5 * by_hour.loc[2]


def test_regimes_are_felt() -> None:
    calm = samples.synthetic(bars=20_000, regimes=[Regime("calm", 0.0, 0.1)])
    storm = samples.synthetic(bars=20_000, regimes=[Regime("storm", 0.0, 2.0)])
    assert storm["close"].pct_change().std() > 10 * calm["close"].pct_change().std()


def test_gaps_take_about_their_share() -> None:
    bars = samples.synthetic("1m", 100_000, seed=1, gaps=0.05)
    asked = (bars.index[-1] - bars.index[0]) / pd.Timedelta("1min") + 1
    assert 1 - 100_000 / asked == pytest.approx(0.05, abs=0.01)


def test_weekdays_only_has_no_weekend() -> None:
    bars = samples.synthetic("1h", 2_000, calendar="24/5")
    assert not (bars.index.day_of_week == 5).any()
    assert quality.inspect(bars).soft == () or quality.inspect(bars).soft[0].check != "gaps"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"timeframe": "1M"}, "month"),
        ({"bars": 0}, "bars=0"),
        ({"tick": 0.0}, "tick=0.0"),
        ({"regimes": []}, "regimes"),
        ({"gaps": 1.5}, "gaps=1.5"),
        ({"calendar": "lunar"}, "'lunar'"),
    ],
)
def test_impossible_wishes_are_refused(arguments: dict[str, object], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        samples.synthetic(**arguments)  # type: ignore[arg-type]
