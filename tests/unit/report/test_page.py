"""The page is whole, quiet and honest about what it carries."""

from __future__ import annotations

import base64
import gzip
import json
import re
from importlib.resources import files
from itertools import product

import plotly
import plotly.graph_objects as go
import pytest
from plotly.offline import get_plotlyjs_version

from tradelab.model.errors import ConfigError
from tradelab.report import bundle
from tradelab.report.figures import chart, types_in
from tradelab.report.page import Masthead, render_page, tiles


def test_the_bundle_is_built_from_the_plotly_js_that_plotly_py_speaks():
    assert bundle.plotly_js_version().split(".")[0] == get_plotlyjs_version().split(".")[0], (
        "rebuild it: tools/plotly_bundle"
    )
    assert plotly.__version__


def test_the_small_bundle_is_taken_unless_a_trace_needs_the_whole():
    assert bundle.bundle_for({"scatter", "candlestick", "heatmap"}).name == "own"
    whole = bundle.bundle_for({"scatter", "sankey"})
    assert whole.name == "full"
    assert len(whole.packed) > 2 * len(bundle.bundle_for(set()).packed)


def test_the_small_bundle_is_plotly_js_and_small():
    packed = base64.b64decode(bundle.bundle_for(set()).packed)
    assert len(packed) < 600_000
    code = gzip.decompress(packed).decode()
    assert code.startswith(f"/*! plotly.js v{bundle.plotly_js_version()}")


def test_a_chart_carries_its_data_a_sketch_words_and_a_label():
    text = chart(go.Figure(go.Scatter(y=[1, 2]), layout={"title": "A & B", "height": 300}))
    assert 'role="group" aria-label="A &amp; B"' in text
    assert "<svg" in text
    assert "first 1, last 2" in text
    packed = re.search(r'x-tradelab-chart">([^<]+)<', text)[1]
    assert json.loads(gzip.decompress(base64.b64decode(packed)))["layout"]["height"] == 300
    assert types_in(text) == {"scatter"}


def test_a_page_without_charts_carries_no_plotly():
    page = render_page(
        "Runs", "<p>none</p>", masthead=Masthead(state="failed", state_kind="bad", parameters=(("fast", 3),))
    )
    assert len(page) < 40_000
    assert '<html lang="en">' in page
    assert '<th scope="row">fast</th><td>3</td>' in page
    assert "default-src 'none'" in page
    assert 'name="viewport"' in page


def test_titles_and_values_cannot_inject_markup():
    page = render_page(
        "<script>x</script>", "", masthead=Masthead(facts=(("<b>", "<i>"),), parameters=(("<u>", "<s>"),))
    )
    for raw in ("<script>x", "<b>", "<i>", "<u>", "<s>"):
        assert raw not in page
    assert "<img" not in tiles({"<img>": "<img>"})


@pytest.mark.parametrize("where", ["body", "escaped", "chart"])
def test_a_page_that_would_hold_a_known_secret_is_refused(where, monkeypatch):
    secret = 'canary&"7f3a'
    monkeypatch.setenv("MAIL_PASSWORD", secret)
    with pytest.raises(ConfigError, match="secret") as refusal:
        if where == "chart":
            chart(go.Figure(go.Scatter(y=[1], name=secret)), secrets=[secret])
        else:
            render_page("x", "canary&amp;&quot;7f3a" if where == "escaped" else secret)
    assert "canary" not in str(refusal.value)


def test_text_is_told_from_its_ground_by_light_and_by_dark():
    """Contrast of 4.5 to 1, WCAG 2.2 criterion 1.4.3, with its formula of relative luminance."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    css = (files("tradelab.report") / "assets" / "report.css").read_text()
    light, dark = (dict(re.findall(r"--([\w-]+):(#[0-9a-f]{6})", part)) for part in css.split("@media screen", 1))
    for theme in (light, dark):
        for ink, ground in product(
            ("ink", "soft", "faint", "accent", "good", "bad", "busy", "cyan", "c4"), ("paper", "wash")
        ):
            bright, dim = sorted((luminance(theme[ink]), luminance(theme.get(ground, "#ffffff"))), reverse=True)
            assert (bright + 0.05) / (dim + 0.05) >= 4.5, (ink, ground)


def test_no_button_of_a_chart_uploads_it():
    script = (files("tradelab.report") / "assets" / "report.js").read_text()
    assert '"sendChartToCloud"' in script.split("modeBarButtonsToRemove", 1)[1].split("]", 1)[0]
