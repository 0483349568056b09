"""Make a labelled control for each parameter of a strategy and each term of a backtest.

No control clamps: a value out of range reaches tradelab as it was typed, and is refused in words. A person reads and
types percent; tradelab is given fractions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import ipywidgets as w

from tradelab.strategy.spec import Parameter, Range

SHAPE: dict[str, Any] = {"layout": {"width": "auto", "margin": "2px 0"}, "style": {"description_width": "150px"}}


@dataclass(frozen=True)
class Field:
    """One term as a person sees it: its label and hint, and the way from its value to a control's and back."""

    term: str
    label: str
    hint: str
    make: Callable[..., Any]
    write: Callable[[Any], Any]
    read: Callable[[Any], Any]
    fits: Callable[[Any], bool]

    def control(self, value: Any) -> Any:
        """A new control that shows ``value``."""
        return self.make(value=self.write(value), description=self.label, tooltip=f"{self.term}: {self.hint}", **SHAPE)


def parameter_control(parameter: Parameter, value: Any) -> Any:
    """A new control that shows ``value``, made after the parameter's kind and allowed values."""
    allowed = parameter.allowed
    more: dict[str, Any] = {"tooltip": f"{parameter.name}: {parameter.kind.__name__}", **SHAPE}
    label = parameter.name
    if isinstance(allowed, tuple):
        return w.Dropdown(options=list(allowed), value=value, description=label, **more)
    if parameter.kind is bool:
        return w.Checkbox(value=value, description=label, **more)
    if parameter.kind is str:
        return w.Text(value=value, description=label, **more)
    if isinstance(allowed, Range):
        label = f"{label} ({allowed})"
        if allowed.step is not None:
            more["step"] = parameter.kind(allowed.step)
    return (w.IntText if parameter.kind is int else w.FloatText)(value=value, description=label, **more)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _plainly(value: float) -> float:
    """Without the dust of a multiplication: 100 · 0.0007 is 0.07."""
    return float(f"{value:.12g}")


def _percent(fraction: float) -> float:
    return _plainly(100.0 * fraction)


def _fraction(percent: float) -> float:
    return _plainly(percent / 100.0)


def _optional_text(fraction: Any) -> str:
    if fraction is None:
        return ""
    return f"{_percent(fraction):g}" if _is_number(fraction) else str(fraction)


def _optional_value(text: str) -> Any:
    """Nothing, a fraction, or what was typed, for tradelab to refuse."""
    text = text.strip().removesuffix("%").strip()
    try:
        return _fraction(float(text)) if text else None
    except ValueError:
        return text


def _choice(term: str, label: str, hint: str, options: Mapping[str, str]) -> Field:
    def make(**shown: Any) -> w.Dropdown:
        return w.Dropdown(options=list(options.items()), **shown)

    return Field(term, label, hint, make, str, str, lambda value: value in options.values())


def _number(term: str, label: str, hint: str) -> Field:
    return Field(term, label, hint, w.FloatText, float, float, _is_number)


def _share(term: str, label: str, hint: str) -> Field:
    return Field(term, label, hint, w.FloatText, _percent, _fraction, _is_number)


def _optional_share(term: str, label: str, hint: str) -> Field:
    def make(**shown: Any) -> w.Text:
        return w.Text(placeholder="none", continuous_update=False, **shown)

    return Field(term, label, hint, make, _optional_text, _optional_value, lambda v: v is None or _is_number(v))


FIELDS = (
    _choice("direction", "Direction", "which entries are taken", {"Both": "both", "Long": "long", "Short": "short"}),
    _choice(
        "fill",
        "Fill",
        "when a decision becomes an order",
        {"Next open": "next_open", "Same close (nobody can)": "close", "As vectorbt": "vectorbt"},
    ),
    _number("init_cash", "Initial cash", "money at the start"),
    _share("fees", "Fees (%)", "of the notional"),
    _number("fixed_fees", "Fee an order", "money"),
    _share("slippage", "Slippage (%)", "of the price"),
    _optional_share("sl_stop", "Stop (%)", "of the price; empty for none"),
    Field(
        "sl_trail",
        "Stop trails",
        "the stop follows the price",
        w.Checkbox,
        bool,
        lambda ticked: ticked or None,
        lambda value: value is None or isinstance(value, bool),
    ),
    _optional_share("tp_stop", "Target (%)", "of the price; empty for none"),
)
