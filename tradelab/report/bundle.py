"""Choose the plotly.js that a page carries: our small bundle, or the whole of it when a chart needs more.

An unknown trace type raises nothing in the browser and becomes an empty scatter, so the choice is made here, by name.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

_ASSETS = files("tradelab.report") / "assets"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A plotly.js as it is put into a page.

    Attributes
    ----------
    name
        ``"own"`` or ``"full"``.
    packed
        The JavaScript, gzipped, in base64.
    """

    name: str
    packed: str


@cache
def trace_types() -> frozenset[str]:
    """Trace types our own bundle can draw."""
    return frozenset(_manifest()["trace_types"])


def plotly_js_version() -> str:
    """Version of plotly.js our own bundle was built from."""
    return str(_manifest()["plotly_js"])


def bundle_for(types: Iterable[str]) -> Bundle:
    """Return the smallest plotly.js that draws all of ``types``.

    >>> bundle_for({"scatter", "candlestick"}).name
    'own'
    """
    return _own() if set(types) <= trace_types() else _full()


@cache
def _manifest() -> dict[str, Any]:
    return json.loads((_ASSETS / "plotly-bundle.json").read_text(encoding="utf-8"))


@cache
def _own() -> Bundle:
    return Bundle("own", base64.b64encode((_ASSETS / "plotly-bundle.min.js.gz").read_bytes()).decode())


@cache
def _full() -> Bundle:
    import plotly

    whole = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
    return Bundle("full", base64.b64encode(gzip.compress(whole.read_bytes(), 9, mtime=0)).decode())
