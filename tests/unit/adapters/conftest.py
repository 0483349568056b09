"""Give the download tests a Binance of their own."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

_module = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("binance_server.py"))))


@pytest.fixture
def binance() -> Iterator[SimpleNamespace]:
    """A local Binance: ``exchange`` (its bars, clock and faults), ``url``, ``kline(k)``."""
    exchange = _module.Exchange()
    with _module.serving(exchange) as url:
        yield SimpleNamespace(exchange=exchange, url=url, kline=_module.kline, first_ms=_module.FIRST_MS)
