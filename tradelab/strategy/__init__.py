"""Decisions: functions from bars to signals, with typed parameters and a declared warm-up.

``tl.strategy`` is this package and, called, the decorator: importing a subpackage binds its name on the parent, so the
two could not be told apart, and a module that can be called lets both be right.
"""

from __future__ import annotations

import sys
from typing import Any


class _Callable(type(sys)):  # type: ignore[misc]
    """A module that, called, makes a strategy (``tradelab.strategy.define.strategy``)."""

    def __call__(self, *bare: Any, **terms: Any) -> Any:
        from tradelab.model.errors import ConfigError
        from tradelab.strategy.define import strategy

        if bare or "warmup" not in terms:
            raise ConfigError("a strategy needs its warm-up.", fix="Write @tl.strategy(warmup=20) above the function.")
        return strategy(**terms)


sys.modules[__name__].__class__ = _Callable
