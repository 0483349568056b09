"""A figure's JSON is read the way plotly writes it; words and sketch are checked against numbers counted by hand."""

from __future__ import annotations

import base64
import json
import xml.etree.ElementTree as ET

import numpy as np
import plotly.graph_objects as go
import pytest

from tradelab.report.sketch import sketch
from tradelab.report.traces import array, grid, numbers, positions, summary, title_of, types_of


def as_json(figure: go.Figure) -> dict:
    return json.loads(figure.to_json())


@pytest.mark.parametrize("dtype", ["f8", "f4", "i4", "i2", "u1"])
def test_arrays_packed_by_plotly_come_back(dtype):
    values = np.array([1, 2, 3], dtype=dtype)
    packed = as_json(go.Figure(go.Scatter(y=values)))["data"][0]["y"]
    assert set(packed) >= {"dtype", "bdata"}
    assert array(packed).tolist() == [1, 2, 3]


def test_a_matrix_packed_by_plotly_keeps_its_shape():
    values = np.arange(6.0).reshape(2, 3)
    packed = as_json(go.Figure(go.Heatmap(z=values)))["data"][0]["z"]
    assert np.array_equal(grid(packed), values)


def test_gaps_are_nan_and_ragged_rows_are_filled():
    assert np.isnan(numbers([1, None, "x"])[1:]).all()
    assert np.isnan(grid([[1, 2], [3]])[1, 1])


def test_dates_numbers_and_names_are_placed():
    days, labels = positions(["2024-01-01", "2024-01-03T00:00:00"], 2)
    assert days[1] - days[0] == 2 * 86_400
    assert labels[0] == "2024-01-01"
    assert positions(["a", "b", "c"], 3)[0].tolist() == [0, 1, 2]
    assert positions(None, 2)[0].tolist() == [0, 1]


def test_the_summary_says_first_last_lowest_and_highest():
    figure = as_json(
        go.Figure(go.Scatter(x=["2024-01-01", "2024-01-02", "2024-01-03"], y=[2.5, -1.0, 4.0], name="<b>Equity</b>"))
    )
    assert summary(figure) == (
        "Equity (line): 3 values from 2024-01-01 to 2024-01-03; first 2.5, last 4, lowest -1, highest 4."
    )


def test_the_summary_knows_candles_tables_pies_and_heatmaps():
    words = summary(
        as_json(
            go.Figure(
                [
                    go.Candlestick(open=[1, 2], high=[5, 5], low=[0, 0], close=[3, 4], name="EURUSD"),
                    go.Heatmap(z=[[1, 2], [3, 4]], name="months"),
                    go.Table(header={"values": ["symbol", "price"]}, cells={"values": [["A", "B"], [1, 2]]}),
                    go.Pie(labels=["long", "short"], values=[3, 1], name="sides"),
                    go.Scatter(y=[]),
                    go.Indicator(value=3),
                ]
            )
        )
    )
    assert "EURUSD (candlestick): 2 values from" not in words
    assert "EURUSD (candlestick): 2 values; first 3, last 4, lowest 3, highest 4." in words
    assert "months (heatmap): 2 by 2 cells; lowest 1, highest 4." in words
    assert "Table of 2 rows: symbol, price." in words
    assert "sides (pie): long 3, short 1." in words
    assert "no values" in words
    assert "Series 6 (indicator)." in words


def test_types_and_title_are_plain():
    figure = as_json(go.Figure([go.Bar(y=[1]), go.Scatter(y=[1])], layout={"title": "P&amp;L <b>now</b>"}))
    assert types_of(figure) == ("bar", "scatter")
    assert title_of(figure) == "P&L now"


def drawn(figure: go.Figure) -> ET.Element:
    return ET.fromstring(sketch(as_json(figure), 300))


def test_a_line_is_sketched_between_the_edges_of_its_panel():
    path = drawn(go.Figure(go.Scatter(y=[0.0, 1.0]))).find("path[@class='line s0']").get("d")
    assert path == "M64.0 270.0L944.0 14.0"


def test_a_gap_lifts_the_pen():
    path = drawn(go.Figure(go.Scatter(y=[0.0, None, 1.0, 0.5]))).find("path[@class='line s0']").get("d")
    assert path.count("M") == 2


def test_dates_with_gaps_between_them_stay_dates():
    places, labels = positions([None, "2024-01-01", None, "2024-01-03T12:00:00"], 4)
    assert labels == ["2024-01-01", "2024-01-03 12:00"]
    np.testing.assert_array_equal(np.isnan(places), [True, False, True, False])
    assert places[3] - places[1] == 2.5 * 86_400


def test_a_sketch_takes_the_plain_colours_of_its_traces_and_nothing_else():
    figure = go.Figure([go.Scatter(y=[1, 2], line={"color": "#c0463b"}), go.Scatter(y=[2, 1], line={"color": "red"})])
    drawn = sketch(as_json(figure), 300)
    assert 'class="line s0" style="color:#c0463b"' in drawn
    assert 'class="line s1" d=' in drawn


def test_a_long_line_keeps_its_extremes_and_stays_small():
    values = np.zeros(50_000)
    values[31_234] = 9.0
    svg = sketch(as_json(go.Figure(go.Scatter(y=values))), 300)
    assert " 14.0L" in svg
    assert len(svg) < 12_000


def test_subplots_are_sketched_one_below_the_other():
    figure = go.Figure([go.Scatter(y=[1, 2]), go.Scatter(y=[1, 2], yaxis="y2")])
    figure.update_layout(yaxis={"domain": [0.5, 1]}, yaxis2={"domain": [0, 0.4]})
    upper, lower = (path.get("d") for path in drawn(figure).findall("path") if "line" in path.get("class"))
    assert upper.endswith(" 14.0")
    assert lower.endswith(" 167.6")


def test_bars_histograms_and_heatmaps_have_their_shapes():
    assert drawn(go.Figure(go.Bar(y=[1, -2, 3]))).find("path[@class='bar s0']").get("d").count("z") == 3
    assert "bar s0" in sketch(as_json(go.Figure(go.Histogram(x=np.arange(100.0)))), 300)
    assert len(drawn(go.Figure(go.Heatmap(z=[[1, 2, 3], [4, None, 6]]))).findall("g/rect")) == 5


def test_what_cannot_be_sketched_has_no_sketch():
    assert sketch(as_json(go.Figure(go.Pie(values=[1, 2]))), 300) == ""
    assert sketch({"data": []}, 300) == ""


def test_labels_cannot_break_out_of_the_sketch():
    svg = sketch(as_json(go.Figure(go.Scatter(x=["</svg><script>", "b"], y=[1, 2]))), 300)
    assert "<script" not in svg


def test_bytes_are_read_as_little_endian():
    assert array({"dtype": "i2", "bdata": base64.b64encode(b"\x01\x00").decode()}).tolist() == [1]


@pytest.mark.parametrize("values", [[1e308, -1e308], [float("inf"), 1, 2], [10**400, 1], [1e17], [1e-320, 0], [np.nan]])
@pytest.mark.parametrize("kind", ["scatter", "bar", "histogram", "heatmap", "candlestick"])
def test_no_value_is_too_large_for_a_sketch(values, kind):
    trace = {"type": kind, "y": values, "x": values, "z": [values], "close": values}
    drawn = sketch({"data": [trace]}, 400)
    assert "inf" not in drawn
    assert "nan" not in drawn
