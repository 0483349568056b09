"""Open a report in Chromium with the network off: every trace type is drawn as itself and nothing is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from tradelab.report.bundle import trace_types
from tradelab.report.figures import chart
from tradelab.report.page import Masthead, render_page, tiles

_DAYS = pd.date_range("2024-01-01", periods=60, tz="UTC")
_WALK = 100 + np.cumsum(np.random.default_rng(1).normal(size=60))
_OHLC = {"x": _DAYS, "open": _WALK, "high": _WALK + 2, "low": _WALK - 2, "close": _WALK + 1}
_TRACES: dict[str, Any] = {
    "bar": go.Bar(x=["a", "b"], y=[1, -2]),
    "box": go.Box(y=_WALK),
    "candlestick": go.Candlestick(**_OHLC),
    "contour": go.Contour(z=np.outer(_WALK, _WALK)),
    "heatmap": go.Heatmap(z=np.outer(_WALK[:12], _WALK[:5])),
    "histogram": go.Histogram(x=_WALK),
    "histogram2d": go.Histogram2d(x=_WALK, y=_WALK),
    "indicator": go.Indicator(mode="number", value=3.2),
    "ohlc": go.Ohlc(**_OHLC),
    "pie": go.Pie(labels=["long", "short"], values=[3, 1]),
    "scatter": go.Scatter(x=_DAYS, y=_WALK, name="equity"),
    "table": go.Table(header={"values": ["a"]}, cells={"values": [[1, 2]]}),
    "violin": go.Violin(y=_WALK),
    "waterfall": go.Waterfall(x=["fees", "gains"], y=[-1, 4]),
}


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with one chart of every trace type our bundle lists, a wide table and tiles."""
    charts = "".join(chart(go.Figure(trace, layout={"title": kind})) for kind, trace in sorted(_TRACES.items()))
    wide = pd.DataFrame(np.ones((3, 30))).to_html()
    body = f"{tiles({'sharpe': 1.2})}{charts}<div class='scroll'>{wide}</div>"
    words = Masthead(parameters=(("symbol", "EURUSD"),), facts=(("Data", "sha256:" + "ab" * 32),))
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render_page("Every chart", body, masthead=words), encoding="utf-8")
    return path


@contextmanager
def opened(browser: Any, path: Path, **options: Any) -> Iterator[Any]:
    """Open a file with the network off; afterwards nothing was asked for and nothing was thrown."""
    context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}} | options)
    context.set_offline(True)
    page = context.new_page()
    asked: list[str] = []
    thrown: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: thrown.append(str(error)))
    page.on(
        "console", lambda said: thrown.append(said.text) if said.type == "error" or "tradelab" in said.text else None
    )
    try:
        page.goto(path.as_uri())
        yield page
        assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
        assert thrown == []
    finally:
        context.close()


def draw_all(page: Any) -> list[list[str]]:
    """Scroll to each chart until it is drawn; return the trace types plotly made of it."""
    types = []
    for at in range(page.locator("figure.chart").count()):
        figure = page.locator("figure.chart").nth(at)
        figure.scroll_into_view_if_needed()
        figure.locator(".js-plotly-plot").wait_for()
        types.append(page.evaluate(f"document.querySelectorAll('.js-plotly-plot')[{at}]._fullData.map(t => t.type)"))
    return types


def test_every_trace_type_of_the_bundle_is_drawn_as_itself(browser, page_file):
    assert set(_TRACES) == trace_types()
    with opened(browser, page_file) as page:
        assert draw_all(page) == [[kind] for kind in sorted(_TRACES)]


_BEYOND = [
    go.Sankey(node={"label": ["a", "b"]}, link={"source": [0], "target": [1], "value": [2]}),
    go.Surface(z=[[1, 2], [3, 4]]),
    go.Scattergl(y=[1, 2]),
]


@pytest.mark.parametrize("trace", _BEYOND, ids=lambda trace: trace.type)
def test_a_trace_outside_the_bundle_brings_the_whole_plotly(browser, tmp_path, trace):
    path = tmp_path / "whole.html"
    path.write_text(render_page("Whole", chart(go.Figure(trace)) + chart(go.Figure(go.Bar(y=[1])))), encoding="utf-8")
    assert path.stat().st_size < 5_000_000
    with opened(browser, path) as page:
        assert draw_all(page) == [[trace.type], ["bar"]]


def test_charts_follow_the_colour_scheme_and_print_in_light_colours(browser, page_file, tmp_path):
    from playwright.sync_api import expect

    with opened(browser, page_file, color_scheme="dark") as page:
        tick = page.locator(".js-plotly-plot .xtick text").first
        tick.wait_for()
        ink = "getComputedStyle(document.querySelector('.js-plotly-plot .xtick text')).fill"
        dark = page.evaluate(ink)
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 27)"
        page.emulate_media(color_scheme="light")
        expect(tick).not_to_have_css("fill", dark)
        light = page.evaluate(ink)
        page.emulate_media(color_scheme="dark")
        expect(tick).to_have_css("fill", dark)
        seen = f"[{ink}, document.querySelectorAll('.is-drawn').length]"
        page.evaluate(f"window.addEventListener('beforeprint', () => {{ window.atPrint = {seen} }})")
        page.locator("html[data-charts=unpacked]").wait_for()
        page.pdf(path=str(tmp_path / "print.pdf"), prefer_css_page_size=True)
        assert page.evaluate("window.atPrint") == [light, len(_TRACES)]
        assert page.evaluate(ink) == dark


def test_a_phone_scrolls_down_and_never_sideways(browser, page_file):
    phone = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
    with opened(browser, page_file, **phone) as page:
        draw_all(page)
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        box = page.locator(".scroll").first
        assert box.evaluate("e => e.scrollWidth > e.clientWidth")


def test_without_javascript_the_sketch_and_the_words_are_there(browser, page_file):
    with opened(browser, page_file, java_script_enabled=False) as page:
        equity = page.locator("figure.chart[data-trace-types=scatter]")
        assert equity.locator("svg.chart-sketch path.line").is_visible()
        assert equity.locator(".chart-words").is_visible()
        assert page.locator("figure.chart[data-trace-types=pie] .chart-words").inner_text().startswith("Series 1 (pie)")
