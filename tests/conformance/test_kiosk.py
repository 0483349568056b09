"""Hold the adapter that docs/adapters.md writes from scratch to the contract, as the page has it."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tradelab.adapters import registry

_PAGE = (Path(__file__).parents[2] / "docs" / "adapters.md").read_text(encoding="utf-8")
_BLOCKS = re.findall(r"^```python\n(.*?)^```$", _PAGE, flags=re.MULTILINE | re.DOTALL)
(_ADAPTER,) = [block for block in _BLOCKS if "class Kiosk:" in block]
(_TESTS,) = [block for block in _BLOCKS if "class TestKiosk" in block]
(_POINT,) = re.findall(r"^```toml\n\[.*?\]\n(.*?)^```$", _PAGE, flags=re.MULTILINE | re.DOTALL)

_kiosk = ModuleType("kiosk_of_the_docs")
_kiosk.__file__ = "docs/adapters.md"
sys.modules[_kiosk.__name__] = _kiosk
exec(compile(_ADAPTER, "docs/adapters.md", "exec"), vars(_kiosk))
exec(compile(_TESTS, "docs/adapters.md", "exec"), vars(_kiosk))
TestKiosk = _kiosk.TestKiosk
TestKiosk.__module__ = __name__


def test_the_page_is_a_package_whose_adapter_is_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kiosk.py").write_text(_ADAPTER)
    info = tmp_path / "kiosk-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: kiosk\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[tradelab.adapters]\n{_POINT.replace(chr(34), '')}")
    monkeypatch.syspath_prepend(str(tmp_path))
    venue = registry.execution_venue("kiosk", {"price": "2", "money": "10"})

    async def balance() -> str:
        await venue.connect()
        return str((await venue.account_info()).balance("USD").free)

    assert asyncio.run(balance()) == "10"
    monkeypatch.delitem(sys.modules, "kiosk")


def test_the_first_lines_of_the_page_run() -> None:
    world: dict[str, object] = {}
    exec(compile(_BLOCKS[0], "docs/adapters.md", "exec"), world)
    assert type(world["venue"]).__name__ == "PaperVenue"
