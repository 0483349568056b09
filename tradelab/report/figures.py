"""Put a plotly figure into a page: packed, drawn when seen, with a sketch and words for whoever cannot draw it."""

from __future__ import annotations

import base64
import gzip
import html
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from tradelab.report.safety import over_strings, refuse_secrets, strip_paths
from tradelab.report.sketch import sketch
from tradelab.report.traces import summary, title_of, types_of

PLOTLY_MIME = "application/vnd.plotly.v1+json"
_HEIGHT = 420


def chart(figure: Any, *, title: str | None = None, height: int | None = None, secrets: Iterable[str] = ()) -> str:
    """Return a plotly figure as one ``<figure>`` element for `page.render_page`.

    Parameters
    ----------
    figure
        A plotly figure, its JSON text, or the mapping that JSON holds.
    title
        Caption above the chart; default: the figure's own title, which then is not drawn a second time.
    height
        Height in CSS pixels; default: the layout's, else 420. The width is always the page's.
    secrets
        Values the chart must not hold.

    Raises
    ------
    ConfigError
        The figure's text holds one of ``secrets``.
    """
    known = _mapping(figure)
    known = over_strings(known, strip_paths)
    layout = known.get("layout", {})
    shown_height = int(height or layout.get("height") or _HEIGHT)
    caption = title if title is not None else title_of(known)
    words = summary(known)
    text = json.dumps({key: known.get(key, {}) for key in ("data", "layout", "config")}, separators=(",", ":"))
    refuse_secrets(text, secrets)
    packed = base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()
    drawing = sketch(known, shown_height)
    label = caption or words
    heading = f'<figcaption class="chart-title">{html.escape(caption)}</figcaption>' if caption else ""
    return (
        f'<figure class="chart" role="group" aria-label="{html.escape(label)}" '
        f'data-trace-types="{" ".join(types_of(known))}">{heading}'
        f'<div class="chart-plot" style="height:{shown_height}px">{drawing}</div>'
        f'<p class="chart-words{"" if drawing else " alone"}">{html.escape(words)}</p>'
        f'<script type="application/x-tradelab-chart">{packed}</script></figure>'
    )


def types_in(body: str) -> frozenset[str]:
    """Trace types of all charts in a piece of HTML made with `chart`."""
    listed = re.findall(r'<figure class="chart"[^>]*? data-trace-types="([^"]*)"', body)
    return frozenset(kind for types in listed for kind in types.split())


def _mapping(figure: Any) -> Mapping[str, Any]:
    if isinstance(figure, str):
        return json.loads(figure)
    if hasattr(figure, "to_json"):
        return json.loads(figure.to_json())
    return figure
