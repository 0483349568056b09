"""Hold what a backtest lab is set to and what tradelab last handed it; knows no widget."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import traitlets as t

import tradelab as tl
from tradelab.research.inputs import read_bars
from tradelab.research.settings import Settings
from tradelab.strategy.registry import find, registered
from tradelab.strategy.spec import Strategy
from tradelab_widgets.panel import Voice

DEFAULTS = {name: field.default for name, field in Settings.__dataclass_fields__.items()}
_BESIDES = {"benchmark": None, "calendar": None}  # arguments of ``tl.backtest`` that are no ``Settings``
_PLAIN = (str, int, float, bool, type(None))


class LabModel(Voice):
    """The state of a backtest lab: assign to its traits, call `run` and `check`, watch `result` and `verdicts`.

    Parameters
    ----------
    bars
        What ``tl.backtest`` takes.
    strategy
        A strategy or the name of a registered one.
    terms
        Parameters of the strategy and terms of the backtest by name.

    Raises
    ------
    TradelabError
        Bars, a strategy, a parameter or a term that ``tl.backtest`` would refuse.
    """

    strategy = t.Unicode()
    names = t.Tuple()
    parameters = t.Dict()
    terms = t.Dict()
    running = t.Bool(False)
    result = t.Any(None, allow_none=True)
    verdicts = t.Dict()

    def __init__(self, bars: Any, strategy: str | Strategy, terms: Mapping[str, Any]) -> None:
        super().__init__()
        tape = read_bars(bars)
        self.bars = bars
        self.frames = dict(tape.frames)
        self._given = find(strategy)
        self._ran = ""
        own = {name: value for name, value in terms.items() if name not in DEFAULTS and name not in _BESIDES}
        full = self._given.resolve(own)
        said = {name: value for name, value in terms.items() if name not in own}
        Settings(**{name: value for name, value in said.items() if name in DEFAULTS})
        self.names = tuple(self._known())
        self.strategy = self._given.name
        self.terms = DEFAULTS | said
        self.parameters = full

    @property
    def chosen(self) -> Strategy:
        """The strategy behind the name, as it was last defined."""
        return self._known()[self.strategy]

    @property
    def code(self) -> str:
        """The call that `run` makes, as one would write it in a cell."""
        words = {name: _shown(value) for name, value in (self.parameters | self.said).items()}
        return ", ".join([f'tl.backtest(bars, "{self.strategy}"', *[f"{n}={v}" for n, v in words.items()]]) + ")"

    def run(self) -> None:
        """Backtest; the last result stays when this one is refused."""
        with self._busy(f"Running {self.strategy} …"):
            result = tl.backtest(self.bars, self.chosen, **self.said, **self.parameters)
            self._ran = self.code
            self.result = result

    def check(self) -> None:
        """Ask ``tl.check`` whether the strategy sees the future, on every instrument."""
        with self._busy(f"Checking {self.strategy} …"):
            chosen, given = self.chosen, self.parameters
            self.verdicts = {symbol: tl.check(chosen, frame, **given) for symbol, frame in self.frames.items()}
        self.status = f"Checked {self.strategy} on {', '.join(self.verdicts)}."

    def reread(self) -> None:
        """Take note of strategies that cells defined, or defined anew, since last time."""
        self.names = tuple(self._known())
        if set(self.parameters) != set(self.chosen.parameters):
            defaults = self.chosen.defaults
            self.parameters = {name: self.parameters.get(name, value) for name, value in defaults.items()}

    @property
    def said(self) -> dict[str, Any]:
        """Terms that are not what they are anyway."""
        usual = DEFAULTS | _BESIDES
        return {n: v for n, v in self.terms.items() if not isinstance(v, _PLAIN) or v != usual[n]}

    @contextmanager
    def _busy(self, doing: str) -> Iterator[None]:
        self.reread()
        self.status, self.running = doing, True
        try:
            yield
        finally:
            self.running = False
            self.status = self._where_we_are()

    def _known(self) -> dict[str, Strategy]:
        return dict(sorted(({self._given.name: self._given} | registered()).items()))

    def _where_we_are(self) -> str:
        if self.result is None:
            return f"Ready: {', '.join(f'{len(frame):,} bars of {symbol}' for symbol, frame in self.frames.items())}."
        if self._ran == self.code:
            return f"Shown: {self.result.title}."
        return f"Changed since the last run. Still shown: {self.result.title}."

    @t.validate("strategy")
    def _is_known(self, proposal: Any) -> str:
        known = self._known()
        return proposal["value"] if proposal["value"] in known else find(proposal["value"]).name

    @t.observe("strategy")
    def _start_from_defaults(self, _change: Any) -> None:
        self.parameters = self.chosen.defaults

    @t.observe("strategy", "parameters", "terms")
    def _changed(self, _change: Any) -> None:
        self.verdicts = {}
        self.status = self._where_we_are()


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return repr(value) if isinstance(value, _PLAIN) else "…"
