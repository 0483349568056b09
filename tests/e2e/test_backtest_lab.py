"""A person sets, runs and checks a strategy in the backtest lab of a real JupyterLab."""

from __future__ import annotations

from pathlib import Path
from typing import Any

pytest_plugins = ("tests.e2e.jupyterlab",)

_PANEL = """\
import tradelab as tl
from tradelab_widgets import BacktestLab

BacktestLab(tl.samples.load("GOOG-1d"), "sma_cross", fees=0.0005)"""


def test_a_person_runs_and_checks_a_strategy(jupyterlab: Any, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    with jupyterlab.opened(jupyterlab.write("lab.ipynb", _PANEL), height=1900) as notebook:
        panel = notebook.run(0).locator(".jp-OutputArea").first
        expect(panel.get_by_role("status")).to_contain_text("Ready: 2,148 bars of GOOG")
        expect(panel.get_by_label("Fees (%)")).to_have_value("0.05")

        panel.get_by_role("button", name="Run").click()
        card = panel.locator(".tradelab-card")
        expect(card).to_contain_text("sma_cross(fast=10, slow=30) on GOOG")
        expect(panel.locator(".js-plotly-plot .main-svg").first).to_be_visible()
        names = notebook.page.evaluate("document.querySelector('.js-plotly-plot').data.map(t => t.name)")
        assert {"GOOG", "Equity", "Drawdown"} <= set(names)

        fast = panel.get_by_label("fast (1 … 500)")
        fast.fill("40")
        fast.press("Tab")
        panel.get_by_role("button", name="Run").click()
        expect(panel.get_by_role("alert")).to_contain_text("fast=40, slow=30 together break the rule fast < slow")
        expect(card).to_contain_text("sma_cross(fast=10, slow=30) on GOOG")

        notebook.page.screenshot(path=tmp_path / "refused.png")
        panel.get_by_label("Strategy").select_option("rsi_reversion")
        expect(panel.get_by_label("window (2 … 200)")).to_have_value("14")
        panel.get_by_role("button", name="Check honesty").press("Enter")
        expect(panel.get_by_text("none found")).to_be_visible()
        expect(panel.get_by_role("alert")).to_be_hidden()
        panel.get_by_role("button", name="Run").press("Enter")
        expect(card).to_contain_text("rsi_reversion(window=14")

        notebook.page.screenshot(path=tmp_path / "checked.png")
        assert notebook.complaints == []
        assert notebook.foreign == []
