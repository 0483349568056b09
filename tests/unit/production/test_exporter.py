"""The exporter keeps what a reader needs and nothing that asks the network."""

from __future__ import annotations

import re
from importlib.metadata import entry_points

import nbformat
import plotly.graph_objects as go
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tradelab.production.exporter import TradelabExporter
from tradelab.production.recording import RESULT_MIME


def page_of(*cells: nbformat.NotebookNode, **ours: object) -> str:
    return TradelabExporter().from_notebook_node(new_notebook(cells=list(cells)), {"tradelab": ours})[0]


def shown(data: dict, kind: str = "display_data") -> nbformat.NotebookNode:
    return new_code_cell("x", outputs=[new_output(kind, data=data)])


def test_the_entry_point_names_our_exporter():
    (found,) = entry_points(group="nbconvert.exporters", name="tradelab")
    assert found.load() is TradelabExporter


def test_every_kind_of_output_is_kept():
    figure = go.Figure(go.Bar(y=[1, 2]), layout={"title": "Bars"}).to_plotly_json()
    page = page_of(
        new_markdown_cell("# The title\n\nIt is $\\alpha^2$."),
        new_code_cell("print(1)", outputs=[new_output("stream", name="stdout", text="10%\r100%\n\x1b[31mred\x1b[0m")]),
        shown(
            {"application/vnd.plotly.v1+json": {"data": [{"type": "bar", "y": [1, 2]}], "layout": {"title": "Bars"}}}
        ),
        shown({"text/html": "<table><tr><td>7</td></tr></table>", "text/plain": "7"}, "execute_result"),
        shown({"text/plain": "<plain>"}, "execute_result"),
        shown({"image/png": "iVBORw0KGgo=", "text/plain": "Figure"}),
        shown({RESULT_MIME: {"results": {"b": 1, "a": 2}, "order": ["b", "a"]}, "text/html": "no"}),
    )
    assert figure["data"][0]["type"] == "bar"
    assert page.count("<h1>The title</h1>") == 1
    assert "The title</h1>" in page
    assert "\\alpha^2" in page
    assert '100%\n<span class="ansi-red-fg">red</span>' in page
    assert "10%\r" not in page
    assert '<figcaption class="chart-title">Bars</figcaption>' in page
    assert re.search(r'class="scroll"[^>]*><table><tr><td>7', page)
    assert "&lt;plain&gt;" in page
    assert 'src="data:image/png;base64,iVBORw0KGgo="' in page
    assert page.index("<dt>b</dt>") < page.index("<dt>a</dt>")


def test_no_tag_of_the_page_fetches_anything():
    page = page_of(new_markdown_cell("words"), shown({"text/html": "<b>x</b>"}))
    assert not re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', page)


def test_code_is_folded_and_tags_hide_it():
    hidden = new_code_cell("secret_sauce = 1", metadata={"tags": ["hide-input"]})
    removed = new_code_cell("gone = 1", metadata={"tags": ["remove"]})
    page = page_of(new_code_cell("kept = 1"), hidden, removed)
    assert page.count('<details class="code">') == 1
    assert 'aria-pressed="false"' in page
    assert "secret_sauce" not in page
    assert "gone" not in page


@pytest.mark.parametrize("path", ["/home/ana/x.py", "/tmp/ipykernel_3/4.py"])
def test_tracebacks_carry_no_local_path(path):
    error = new_output("error", ename="E", evalue="v", traceback=[f"File \x1b[32m{path}\x1b[0m, line 3"])
    page = page_of(new_code_cell("x", outputs=[error]), failed_cell=1)
    assert path not in page
    assert 'id="failing-cell"' in page
    assert '<details class="code" open="">' in page


def test_what_was_printed_by_the_megabyte_keeps_its_beginning_and_its_end():
    text = "<alpha>\n" + "x" * 3_000_000 + "\n<omega>"
    page = page_of(
        new_code_cell("print()", outputs=[new_output("stream", name="stdout", text=text)]),
        shown({"text/plain": text}, "execute_result"),
    )
    assert page.count("&lt;alpha&gt;") == page.count("&lt;omega&gt;") == 2
    assert page.count("2,800,016 characters left out here; notebook.ipynb holds them all") == 2
    assert len(page) < 1_500_000


def test_each_heading_of_a_table_says_what_it_heads():
    page = page_of(shown({"text/html": "<table><thead><tr><th>a</th></tr></thead><tbody><tr><th>1</th></tr></tbody>"}))
    assert "<th scope=col>a</th>" in page
    assert "<th scope=row>1</th>" in page
