"""Try a strategy by hand: choose it, set it, run it, see what tradelab makes of it."""

from __future__ import annotations

import html
import json
from typing import Any

import ipywidgets as w

from tradelab.strategy.spec import Strategy
from tradelab_widgets.lab_form import FIELDS, SHAPE, parameter_control
from tradelab_widgets.lab_model import LabModel
from tradelab_widgets.panel import Banner, StatusLine, guarded

_PLOTLY = "application/vnd.plotly.v1+json"


class BacktestLab(w.VBox):
    """A panel over ``tl.backtest`` and ``tl.check``.

    Parameters
    ----------
    bars
        What ``tl.backtest`` takes: bars of one instrument, or a mapping of several that share one account.
    strategy
        A strategy or the name of a registered one, to begin with.
    **terms
        Parameters of the strategy and terms of the backtest, by the names ``tl.backtest`` gives them. What has no
        control (a size, a stop given bar by bar) stays as given and is listed.

    Raises
    ------
    TradelabError
        What ``tl.backtest`` would refuse, where the panel is made; later refusals are shown in the panel.

    Examples
    --------
    >>> import tradelab as tl
    >>> from tradelab_widgets import BacktestLab
    >>> lab = BacktestLab(tl.samples.load("GOOG-1d"), "sma_cross", fees=0.0005)
    >>> lab.model.code
    'tl.backtest(bars, "sma_cross", fast=10, slow=30, fees=0.0005)'
    """

    def __init__(self, bars: Any, strategy: str | Strategy = "sma_cross", **terms: Any) -> None:
        self.model = LabModel(bars, strategy, terms)
        self._shown: Strategy | None = None
        self._controls: dict[str, Any] = {}
        self._fields = {f.term: f for f in FIELDS if f.fits(self.model.terms[f.term])}
        self._term_controls = {name: f.control(self.model.terms[name]) for name, f in self._fields.items()}
        self._choice = w.Dropdown(description="Strategy", **SHAPE)
        self._says, self._code, self._verdict = w.HTML(), w.HTML(), w.HTML()
        self._form = w.VBox()
        self._run = w.Button(description="Run", button_style="primary", tooltip="Backtest with these settings")
        self._check = w.Button(description="Check honesty", tooltip="Does the strategy see the future? (tl.check)")
        self._output = w.Output()
        super().__init__(self._laid_out())
        self._connect()
        self._show_strategy()
        self._show_code()

    @property
    def result(self) -> Any:
        """The last ``tl.Result``, or ``None``."""
        return self.model.result

    def _laid_out(self) -> list[w.Widget]:
        held = [name for name in self.model.said if name not in self._fields]
        terms = [w.HTML("<b>Terms</b>"), *self._term_controls.values()]
        if held:
            terms.append(w.HTML(f"As given: {html.escape(', '.join(held))}"))
        columns = w.GridBox(
            [w.VBox([w.HTML("<b>Decision</b>"), self._choice, self._says, self._form]), w.VBox(terms)],
            layout=w.Layout(grid_template_columns="repeat(auto-fit, minmax(290px, 1fr))", grid_gap="4px 32px"),
        )
        return [
            columns,
            self._code,
            w.HBox([self._run, self._check]),
            Banner(self.model),
            StatusLine(self.model),
            self._verdict,
            self._output,
        ]

    def _connect(self) -> None:
        model = self.model
        self._run.on_click(guarded(model, lambda _: model.run()))
        self._check.on_click(guarded(model, lambda _: model.check()))
        self._choice.observe(guarded(model, self._choose), "value")
        for name, control in self._term_controls.items():
            control.observe(guarded(model, self._term_setter(name)), "value")
        model.observe(self._show_strategy, ["strategy", "names", "parameters", "running"])
        model.observe(self._show_terms, "terms")
        model.observe(self._show_code, ["strategy", "parameters", "terms"])
        model.observe(self._show_running, "running")
        model.observe(self._show_verdicts, "verdicts")
        model.observe(self._show_result, "result")

    def _choose(self, change: Any) -> None:
        if change["new"] is not None:  # None while the list is replaced
            self.model.strategy = change["new"]

    def _term_setter(self, name: str) -> Any:
        def take(change: Any) -> None:
            self.model.terms = {**self.model.terms, name: self._fields[name].read(change["new"])}

        return take

    def _parameter_setter(self, name: str) -> Any:
        def take(change: Any) -> None:
            self.model.parameters = {**self.model.parameters, name: change["new"]}

        return take

    def _show_strategy(self, _change: Any = None) -> None:
        """Show the strategy as it is now defined: the list, its words, a control for each of its parameters."""
        model = self.model
        if self._choice.options != model.names:
            self._choice.value = None
            self._choice.options = model.names
        self._choice.value = model.strategy
        if self._shown is not model.chosen:
            self._rebuild(model.chosen)
        for name, control in self._controls.items():
            if name in model.parameters and control.value != model.parameters[name]:
                control.value = model.parameters[name]

    def _rebuild(self, chosen: Strategy) -> None:
        old, self._shown = tuple(self._controls.values()), chosen
        rule = f" Rule: <code>{html.escape(chosen.requires)}</code>." if chosen.requires else ""
        self._says.value = f'<p style="line-height:1.4;margin:2px 0">{html.escape(chosen.says)}{rule}</p>'
        known = self.model.parameters
        self._controls = {n: parameter_control(p, known.get(n, p.default)) for n, p in chosen.parameters.items()}
        for name, control in self._controls.items():
            control.observe(guarded(self.model, self._parameter_setter(name)), "value")
        self._form.children = tuple(self._controls.values())
        for control in old:
            control.close()

    def _show_terms(self, _change: Any) -> None:
        for name, control in self._term_controls.items():
            field, term = self._fields[name], self.model.terms[name]
            if field.read(control.value) != term:
                control.value = field.write(term)

    def _show_code(self, _change: Any = None) -> None:
        self._code.value = f'<div style="line-height:1.4"><code>{html.escape(self.model.code)}</code></div>'

    def _show_running(self, _change: Any) -> None:
        self._run.disabled = self._check.disabled = self.model.running

    def _show_verdicts(self, _change: Any) -> None:
        verdicts = self.model.verdicts
        heading = "<b>{}</b>" if len(verdicts) > 1 else ""
        said = [heading.format(html.escape(name)) + verdict._repr_html_() for name, verdict in verdicts.items()]
        self._verdict.value = f'<div style="line-height:1.5">{"".join(said)}</div>' if said else ""

    def _show_result(self, _change: Any) -> None:
        """Hand the result's card and its picture to the notebook's own renderers.

        A ``go.Figure`` is drawn by the plotly that JupyterLab already has; a ``FigureWidget`` would bring its own 5 MB.
        """
        result = self.model.result
        card = {"text/html": result._repr_html_(), "text/plain": repr(result)}
        with self._output.hold_sync():
            self._output.outputs = (_displayed(card),)
            figure = result.plot()
            drawn = {_PLOTLY: json.loads(figure.to_json()), "text/plain": str(figure.layout.title.text)}
            self._output.outputs += (_displayed(drawn),)

    def _repr_mimebundle_(self, **asked: Any) -> dict[str, Any]:
        """The live panel and, for a page that has no kernel, what it showed when it was displayed."""
        result, code = self.model.result, html.escape(self.model.code)
        shown = "<p>Not run yet.</p>" if result is None else result._repr_html_()
        own = {"text/plain": f"BacktestLab: {self.model.code}", "text/html": f"<p><code>{code}</code></p>{shown}"}
        return (super()._repr_mimebundle_(**asked) or {}) | own


def _displayed(data: dict[str, Any]) -> dict[str, Any]:
    return {"output_type": "display_data", "data": data, "metadata": {}}
