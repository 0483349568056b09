"""The backtest lab without a browser and without a kernel: clicks and traits drive it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import ipywidgets as w
import numpy as np
import pandas as pd
import pytest

import tradelab as tl
from tradelab.model.errors import ColumnError, ParameterError, UnknownNameError
from tradelab.strategy.define import SHELF
from tradelab_widgets import BacktestLab

_PLOTLY = "application/vnd.plotly.v1+json"


@pytest.fixture(scope="module")
def bars() -> pd.DataFrame:
    return tl.samples.load("GOOG-1d")


@pytest.fixture
def shelf() -> Iterator[None]:
    """Strategies that a test defines are gone after it."""
    before = dict(SHELF)
    yield
    SHELF.clear()
    SHELF.update(before)


def _control(lab: BacktestLab, label: str) -> Any:
    """The control a person finds under this label, of those that are in the panel now."""
    return next(c for c in _inside(lab) if getattr(c, "description", "").startswith(label))


def _inside(box: Any) -> list[Any]:
    return [part for child in box.children for part in [child, *(_inside(child) if isinstance(child, w.Box) else [])]]


def _click(lab: BacktestLab, label: str) -> None:
    _control(lab, label).click()


def _banner(lab: BacktestLab) -> str:
    """What the banner says; nothing when it is not to be seen."""
    banner = next(c for c in _inside(lab) if type(c).__name__ == "Banner")
    assert not banner.value or 'role="alert"' in banner.value
    return banner.value if banner.layout.display != "none" else ""


def _status(lab: BacktestLab) -> str:
    line = next(c for c in _inside(lab) if type(c).__name__ == "StatusLine")
    assert 'role="status"' in line.value
    return line.value


def _outputs(lab: BacktestLab) -> list[dict[str, Any]]:
    return [o["data"] for o in next(c for c in _inside(lab) if isinstance(c, w.Output)).outputs]


def _all_html(lab: BacktestLab) -> str:
    return "".join(c.value for c in _inside(lab) if isinstance(c, w.HTML))


def test_run_shows_the_card_and_the_picture_that_tradelab_hands_over(bars: pd.DataFrame) -> None:
    lab = BacktestLab(bars, "sma_cross", fast=5, slow=20, fees=0.001)
    assert "2,148 bars of GOOG" in _status(lab)
    _click(lab, "Run")
    expected = tl.backtest(bars, "sma_cross", fast=5, slow=20, fees=0.001)
    assert lab.result.summary == expected.summary
    card, picture = _outputs(lab)
    assert card["text/html"] == expected._repr_html_()
    assert [trace.get("name") for trace in picture[_PLOTLY]["data"]] == [t.name for t in expected.plot().data]
    assert expected.title in _status(lab)
    assert _banner(lab) == ""


def test_no_figure_widget_is_sent(bars: pd.DataFrame) -> None:
    lab = BacktestLab(bars)
    _click(lab, "Run")
    assert not any("figure" in type(part).__name__.lower() for part in _inside(lab))


def test_a_refused_parameter_is_said_and_the_last_result_stays(bars: pd.DataFrame) -> None:
    lab = BacktestLab(bars)
    _click(lab, "Run")
    first, shown = lab.result, _outputs(lab)
    _control(lab, "fast").value = 40
    assert "Changed since the last run" in _status(lab)
    _click(lab, "Run")
    assert "fast=40, slow=30 together break the rule fast &lt; slow" in _banner(lab)
    assert lab.result is first
    assert _outputs(lab) == shown
    _control(lab, "fast").value = 10
    assert _banner(lab) == ""
    assert "Shown: sma_cross(fast=10, slow=30)" in _status(lab)


@pytest.mark.parametrize(("label", "typed", "named"), [("fast", 501, "fast=501"), ("fast", -1, "fast=-1")])
def test_what_is_out_of_range_is_refused_not_clamped(bars: pd.DataFrame, label: str, typed: int, named: str) -> None:
    lab = BacktestLab(bars)
    _control(lab, label).value = typed
    _click(lab, "Run")
    assert f"{named} is out of range. Allowed: 1 … 500" in _banner(lab)


def test_another_strategy_brings_its_own_controls_and_defaults(bars: pd.DataFrame) -> None:
    lab = BacktestLab(bars, "sma_cross", fast=5)
    old = _control(lab, "fast")
    _control(lab, "Strategy").value = "bollinger_reversion"
    assert _control(lab, "window (2 … 500)").value == 20
    assert _control(lab, "width (0.1 … 10)").value == 2.0
    assert old not in _inside(lab)
    assert old.comm is None  # closed, in the browser too
    _click(lab, "Run")
    assert lab.result.title == "bollinger_reversion(window=20, width=2.0) on GOOG"
    _control(lab, "Strategy").value = "buy_and_hold"
    _click(lab, "Run")
    assert lab.result.strategy == "buy_and_hold"


def test_every_registered_strategy_is_offered_and_runs(bars: pd.DataFrame) -> None:
    lab = BacktestLab(bars)
    names = _control(lab, "Strategy").options
    assert {"sma_cross", "ema_cross", "rsi_reversion", "donchian_breakout", "macd", "psar_trend"} <= set(names)
    for name in names:
        _control(lab, "Strategy").value = name
        _click(lab, "Run")
        assert (lab.result.strategy, _banner(lab)) == (name, "")


def test_a_control_suits_its_parameter(bars: pd.DataFrame, shelf: None) -> None:
    @tl.strategy(warmup=1)
    def of_all_kinds(
        bars: pd.DataFrame,
        count: int = 3,
        share: Annotated[float, tl.Range(0, 1, 0.1)] = 0.5,
        eager: bool = True,
        side: Literal["up", "down"] = "up",
        word: str = "a",
    ) -> tl.Signals:
        """Never trades."""
        return tl.Signals()

    lab = BacktestLab(bars, of_all_kinds, side="down")
    controls = {name: _control(lab, name) for name in ("count", "share", "eager", "side", "word")}
    kinds = {name: type(control) for name, control in controls.items()}
    assert kinds == {"count": w.IntText, "share": w.FloatText, "eager": w.Checkbox, "side": w.Dropdown, "word": w.Text}
    assert (controls["share"].step, controls["side"].options, controls["side"].value) == (0.1, ("up", "down"), "down")
    controls["eager"].value = False
    controls["word"].value = "b"
    _click(lab, "Run")
    assert dict(lab.result.parameters) == {"count": 3, "share": 0.5, "eager": False, "side": "down", "word": "b"}


def test_every_control_has_a_label(bars: pd.DataFrame) -> None:
    controls = [c for c in _inside(BacktestLab(bars)) if isinstance(c, (w.ValueWidget, w.Button)) and c.tooltip != ""]
    unlabelled = [c for c in controls if not isinstance(c, (w.HTML, w.Output)) and not c.description]
    assert len(controls) > 10
    assert unlabelled == []


def test_a_person_types_percent_and_tradelab_is_given_fractions(bars: pd.DataFrame) -> None:
    lab = BacktestLab(bars, fees=0.0007, direction="long")
    assert _control(lab, "Fees (%)").value == 0.07
    assert _control(lab, "Direction").value == "long"
    _control(lab, "Slippage (%)").value = 0.03
    _control(lab, "Stop (%)").value = "5"
    _control(lab, "Stop trails").value = True
    _control(lab, "Target (%)").value = " 12.5 % "
    _control(lab, "Fee an order").value = 1.5
    _control(lab, "Initial cash").value = 5000
    _click(lab, "Run")
    terms = {"fees": 0.0007, "slippage": 0.0003, "fixed_fees": 1.5, "init_cash": 5000.0, "direction": "long"}
    terms |= {"sl_stop": 0.05, "sl_trail": True, "tp_stop": 0.125}
    assert {name: lab.result.settings[name] for name in terms} == terms
    _control(lab, "Stop (%)").value = ""
    _control(lab, "Stop trails").value = False
    _click(lab, "Run")
    assert (lab.result.settings["sl_stop"], lab.result.settings["sl_trail"]) == (None, None)


@pytest.mark.parametrize(
    ("label", "typed", "said"),
    [
        ("Stop (%)", "five", "sl_stop=&#x27;five&#x27; is no distance"),
        ("Stop (%)", "0", "sl_stop=0.0 is not allowed"),
        ("Target (%)", "nan", "tp_stop=nan is not allowed"),
        ("Fees (%)", -1.0, "fees=-0.01 is not allowed"),
        ("Initial cash", 0.0, "init_cash=0.0 is not allowed"),
        ("Stop trails", True, "sl_trail=True needs sl_stop"),
    ],
)
def test_a_wrong_term_is_refused_by_tradelab_in_the_banner(
    bars: pd.DataFrame, label: str, typed: Any, said: str
) -> None:
    lab = BacktestLab(bars)
    _control(lab, label).value = typed
    _click(lab, "Run")
    assert said in _banner(lab)
    assert lab.result is None
    assert "Ready" in _status(lab)


@pytest.mark.parametrize("label", ["Direction", "Fill"])
def test_every_choice_of_a_term_is_one_tradelab_takes(bars: pd.DataFrame, label: str) -> None:
    lab = BacktestLab(bars)
    for _, value in _control(lab, label).options:
        _control(lab, label).value = value
        _click(lab, "Run")
        assert _banner(lab) == ""
        assert lab.result.settings[label.lower()] == value


def test_a_term_without_a_control_stays_as_given_and_is_listed(bars: pd.DataFrame) -> None:
    stops = pd.Series(0.05, bars.index)
    lab = BacktestLab(bars, size=0.5, size_type="percent", sl_stop=stops, fill=tl.FillPolicy(gap_beats_stop=False))
    assert "As given: fill, size, size_type, sl_stop" in _all_html(lab)
    _control(lab, "fast").value = 8
    _click(lab, "Run")
    expected = tl.backtest(
        bars, "sma_cross", fast=8, size=0.5, size_type="percent", sl_stop=0.05, fill=tl.FillPolicy(gap_beats_stop=False)
    )
    assert lab.result.summary == expected.summary


def test_the_call_that_is_shown_gives_the_same_result(bars: pd.DataFrame) -> None:
    lab = BacktestLab(bars, "rsi_reversion", calendar="24/7")
    _control(lab, "low").value = 25.0
    _control(lab, "Fill").value = "close"
    _control(lab, "Fees (%)").value = 0.1
    code = (
        'tl.backtest(bars, "rsi_reversion", window=14, low=25.0, high=70.0, middle=50.0, fill="close", fees=0.001, '
        'calendar="24/7")'
    )
    assert lab.model.code == code
    assert code.replace('"', "&quot;") in _all_html(lab)
    _click(lab, "Run")
    assert lab.result.summary == eval(code, {"tl": tl, "bars": bars}).summary


def test_an_honest_strategy_is_called_honest_until_something_changes(bars: pd.DataFrame) -> None:
    lab = BacktestLab(bars)
    _click(lab, "Check honesty")
    assert tl.check("sma_cross", bars)._repr_html_() in _all_html(lab)
    assert "Checked sma_cross on GOOG" in _status(lab)
    _control(lab, "fast").value = 11
    assert "none found" not in _all_html(lab)


def test_a_strategy_that_sees_the_future_is_shown_to_do_so_on_each_instrument(bars: pd.DataFrame, shelf: None) -> None:
    @tl.strategy(warmup=2)
    def prophet(bars: pd.DataFrame) -> tl.Signals:
        """Knows tomorrow."""
        return tl.Signals(long_entry=bars.close.shift(-1) > bars.close)

    lab = BacktestLab({"<b>A": bars.iloc[:300], "B": bars.iloc[300:600]}, prophet)
    _click(lab, "Check honesty")
    assert _all_html(lab).count("it looks ahead") == 2
    assert "&lt;b&gt;A" in _all_html(lab)
    assert "<b><b>A" not in _all_html(lab)


def test_a_failure_nobody_foresaw_is_shown_escaped_with_its_place(bars: pd.DataFrame, shelf: None) -> None:
    @tl.strategy(warmup=1)
    def broken(bars: pd.DataFrame) -> tl.Signals:
        """Asks for a column that is not there."""
        return tl.Signals(long_entry=bars["<script>"])

    lab = BacktestLab(bars, broken)
    _click(lab, "Run")
    assert "KeyError: &#x27;&lt;script&gt;&#x27;" in _banner(lab)
    assert "in broken" in _banner(lab)
    assert "<script>" not in _banner(lab)
    assert not _control(lab, "Run").disabled


def test_an_interrupted_run_says_so_and_leaves_everything_as_it_was(
    bars: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = BacktestLab(bars)
    _click(lab, "Run")
    first = lab.result

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tl, "backtest", interrupted)
    _click(lab, "Run")
    assert "Interrupted before it was done" in _banner(lab)
    assert lab.result is first


def test_the_buttons_rest_while_it_runs(bars: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    lab, seen = BacktestLab(bars), []
    real = tl.backtest

    def watched(*given: Any, **terms: Any) -> Any:
        seen.append(
            (_control(lab, "Run").disabled, _control(lab, "Check").disabled, "Running sma_cross" in _status(lab))
        )
        return real(*given, **terms)

    monkeypatch.setattr(tl, "backtest", watched)
    _click(lab, "Run")
    assert seen == [(True, True, True)]
    assert not _control(lab, "Run").disabled


def test_the_card_is_shown_even_where_the_picture_cannot_be_drawn(
    bars: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_plotly(*_: Any) -> None:
        raise ModuleNotFoundError("No module named 'plotly'", name="plotly")

    monkeypatch.setattr(tl.Result, "plot", without_plotly)
    lab = BacktestLab(bars)
    _click(lab, "Run")
    assert [list(data) for data in _outputs(lab)] == [["text/html", "text/plain"]]
    assert "plotly" in _banner(lab)


def test_the_model_moves_the_controls(bars: pd.DataFrame) -> None:
    lab = BacktestLab(bars)
    lab.model.strategy = "ema_cross"
    lab.model.parameters = {"fast": 9, "slow": 21}
    lab.model.terms = lab.model.terms | {"sl_stop": 0.08, "fill": "close", "slippage": 0.0002}
    assert (_control(lab, "Strategy").value, _control(lab, "fast").value, _control(lab, "slow").value) == (
        "ema_cross",
        9,
        21,
    )
    shown = [_control(lab, label).value for label in ("Stop (%)", "Fill", "Slippage (%)")]
    assert shown == ["8", "close", 0.02]
    with pytest.raises(UnknownNameError, match="did you mean 'sma_cross'"):
        lab.model.strategy = "sma_cros"
    assert lab.model.strategy == "ema_cross"


def test_a_strategy_defined_anew_in_a_cell_is_what_the_next_run_runs(bars: pd.DataFrame, shelf: None) -> None:
    @tl.strategy(warmup=1, name="mine")
    def first(bars: pd.DataFrame, old: int = 1, kept: int = 2) -> tl.Signals:
        """Never trades."""
        return tl.Signals()

    lab = BacktestLab(bars, first, kept=7)

    @tl.strategy(warmup=1, name="mine")
    def second(bars: pd.DataFrame, kept: int = 2, new: float = 0.5) -> tl.Signals:
        """Buys at once."""
        return tl.Signals(long_entry=np.ones(len(bars), dtype=bool))

    @tl.strategy(warmup=1)
    def another(bars: pd.DataFrame) -> tl.Signals:
        """Never trades."""
        return tl.Signals()

    _click(lab, "Run")
    assert lab.result.title == "mine(kept=7, new=0.5) on GOOG"
    assert len(lab.result.trades) == 1
    assert (_control(lab, "kept").value, _control(lab, "new").value) == (7, 0.5)
    assert "Buys at once." in _all_html(lab)
    assert "another" in _control(lab, "Strategy").options
    assert _control(lab, "Strategy").value == "mine"


@pytest.mark.parametrize(
    ("given", "error", "named"),
    [
        ({"strategy": "sma_cros"}, UnknownNameError, "sma_cros"),
        ({"fst": 3}, ParameterError, "did you mean 'fast'"),
        ({"fast": 50}, ParameterError, "fast < slow"),
        ({"fees": -1}, ParameterError, "fees=-1"),
        ({"fill": "yesterday"}, ParameterError, "yesterday"),
        ({"bars": pd.DataFrame({"price": [1.0]})}, ColumnError, "open"),
    ],
)
def test_what_is_wrong_from_the_start_is_an_error_in_the_cell(
    bars: pd.DataFrame, given: dict[str, Any], error: type[Exception], named: str
) -> None:
    with pytest.raises(error, match=named):
        BacktestLab(given.pop("bars", bars), **given)


def test_a_page_without_a_kernel_shows_what_the_panel_showed(bars: pd.DataFrame) -> None:
    lab = BacktestLab(bars, "sma_cross", fast=5)
    before = lab._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in before
    assert "Not run yet." in before["text/html"]
    assert before["text/plain"] == 'BacktestLab: tl.backtest(bars, "sma_cross", fast=5, slow=30)'
    _click(lab, "Run")
    after = lab._repr_mimebundle_()["text/html"]
    assert lab.result._repr_html_() in after
    assert "<script" not in after


def _python(program: str) -> str:
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    return told.stdout.strip()


def test_the_package_loads_ipywidgets_only_when_a_panel_is_asked_for() -> None:
    program = "import sys, tradelab_widgets; print('ipywidgets' in sys.modules, tradelab_widgets.__all__)"
    assert _python(program) == "False ['BacktestLab']"


def test_where_ipywidgets_is_missing_the_extra_is_named() -> None:
    program = """
import sys
sys.modules["ipywidgets"] = None
from tradelab.model.errors import MissingExtraError
try:
    from tradelab_widgets import BacktestLab
except MissingExtraError as error:
    print(error)
"""
    assert _python(program) == "a panel needs ipywidgets. Install tradelab[lab]."
