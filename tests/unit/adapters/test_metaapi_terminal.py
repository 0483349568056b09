"""Read a history that fills several pages whole and once, also where it grows meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tradelab.adapters.metaapi_settings import MetaApiSettings, hosts
from tradelab.adapters.metaapi_terminal import Terminal

HOSTS = hosts(MetaApiSettings(), "london", "agiliumtrade.ai", "mt-client-api-v1")


class Pages:
    """Answer as MetaApi pages: ``limit`` rows from ``offset`` on."""

    def __init__(self, count: int) -> None:
        self.rows = [{"id": str(k)} for k in range(count)]
        self.asked: list[tuple[str, int]] = []

    async def get(self, url: str, *, offset: int, limit: int) -> list[dict[str, Any]]:
        self.asked.append((url, offset))
        page = self.rows[offset : offset + limit]
        self.rows.append({"id": str(len(self.rows))})  # deals are made while we read
        return page


@pytest.mark.parametrize("count", [0, 999, 1000, 1001, 2500])
def test_every_row_is_read_once_and_the_span_stands_still(count: int) -> None:
    pages = Pages(count)
    terminal = Terminal(pages, HOSTS, "a/1")  # type: ignore[arg-type]
    rows = asyncio.run(terminal._paged("history-deals", 0, 1_789_099_200 * 10**9))
    ids = [row["id"] for row in rows]
    assert ids[:count] == [str(k) for k in range(count)]
    assert len(ids) == len(set(ids))
    assert {url for url, _ in pages.asked} == {
        f"{HOSTS.client}/users/current/accounts/a%2F1/history-deals/time/"
        "1970-01-01T00:00:00.000Z/2026-09-11T04:00:00.000Z"
    }
    assert [offset for _, offset in pages.asked] == [k * 1000 for k in range(len(pages.asked))]
