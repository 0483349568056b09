"""A tearsheet draws every chart in a browser that has no network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tradelab as tl


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 390)])
def test_a_tearsheet_draws_all_its_charts_offline(browser: Any, tmp_path: Path, scheme: str, width: int) -> None:
    file = tmp_path / "goog.html"
    result = tl.backtest(tl.samples.load("GOOG-1d"), "sma_cross", fast=10, slow=30)
    result.to_html(file)
    context = browser.new_context(offline=True, color_scheme=scheme, viewport={"width": width, "height": 900})
    page = context.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text) if line.type in ("error", "warning") else None)
    page.goto(file.as_uri())
    charts = page.locator("figure.chart")
    assert charts.count() == 5
    for number in range(5):
        charts.nth(number).scroll_into_view_if_needed()
        charts.nth(number).locator(".main-svg").first.wait_for()
    assert complaints == []
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    data = page.evaluate("document.querySelector('.js-plotly-plot').data.map(t => [t.name, t.x.length])")
    assert sum(count for name, count in data if name.endswith(" entry")) == len(result.trades)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    context.close()
