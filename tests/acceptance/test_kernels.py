"""A slice of `make acceptance`: kernels that order and watch are killed, and the engine takes no notice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.kernels import kill_kernels

pytest.importorskip("jupyter_client", reason="jupyter_client is not installed")


@pytest.mark.slow
def test_kernels_killed_while_they_order_and_watch_change_nothing(tmp_path: Path) -> None:
    result = kill_kernels(3, tmp_path)
    assert result.wrong == []
    assert (result.kills, len(result.acknowledged) >= 3, result.orders >= 1) == (3, True, True)
