"""Write down what a strategy does to its bars: steps, in a graph, each of which can be done for real.

A strategy that is handed stand-ins for bars and parameters (`tradelab.strategy.trace_symbols`) does what it always
does, and leaves a graph of `Node` behind: lines, conditions, calls. One watching serves every combination of
parameters that takes the same way through the function. Where the function asks a parameter for a decision
(``if slow > 50``) and combinations answer differently, `Fork` parts them, and each part is watched by itself; where it
wants what no stand-in can give, single values of the bars above all, `Untraceable` ends the watching.

Each node remembers how to do its step for real, so what the engine has no instruction for is replayed on the real
bars, value for value what the function itself would have got. What kind of thing a replayed step gives is seen on a
sample, the first few hundred bars.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

SAMPLE_BARS = 256


class Untraceable(BaseException):
    """The function does what cannot be watched; no ``except Exception`` of its own may hide it."""


class Fork(BaseException):
    """Combinations part here; ``labels`` says which go together, one hashable each."""

    def __init__(self, labels: Sequence[Hashable]) -> None:
        super().__init__("combinations part")
        self.labels = labels


@dataclass(frozen=True, eq=False)
class Choices:
    """A number that each combination has its own of: Python numbers, an array of objects."""

    values: np.ndarray


@dataclass(frozen=True, eq=False)
class Node:
    """One step: what it is called, what it was made of, and how to do it for real.

    Parameters
    ----------
    op
        Name of the step; `tradelab.strategy.trace_lower` knows some as instructions, the rest are replayed.
    key
        What tells it from other steps of that name on the same ``args``.
    args
        Nodes, `Choices` and plain values.
    real
        Called with the real values of ``args``.
    """

    op: str
    key: Hashable
    args: tuple[Any, ...]
    real: Callable[..., Any]


class World:
    """What all stand-ins of one watching share: the real bars, and a sample of them."""

    def __init__(self, bars: pd.DataFrame) -> None:
        self.bars = bars
        self.sample = bars.iloc[:SAMPLE_BARS]
        self.frame = Node("bars", "", (), lambda: bars)
        self._seen: dict[Node, Any] = {self.frame: self.sample}

    def seen(self, node: Node) -> Any:
        """What a node is on the sample, for the first combination."""
        if node not in self._seen:
            with np.errstate(all="ignore"):
                value = node.real(*(self._first(a) for a in node.args))
            self._seen[node] = value[: len(self.sample)] if node.op == "given" else value
        return self._seen[node]

    def _first(self, value: Any) -> Any:
        if isinstance(value, Node):
            return self.seen(value)
        return value.values[0] if isinstance(value, Choices) else value
