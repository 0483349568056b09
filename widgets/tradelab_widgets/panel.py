"""Give every panel a voice: a banner for what went wrong, a line for what is going on, and no silent callback.

Jupyter drops an exception in a widget's callback, and whatever it prints; so no callback here runs unguarded.
"""

from __future__ import annotations

import functools
import html
import traceback
from collections.abc import Callable
from typing import Any

import ipywidgets as w
import traitlets as t

from tradelab.model.errors import TradelabError


class Voice(t.HasTraits):
    """What a panel has to say: ``error`` and, for a failure nobody foresaw, its ``trace``; ``status`` for the rest."""

    error = t.Unicode()
    trace = t.Unicode()
    status = t.Unicode()


def guarded(voice: Voice, action: Callable[..., None]) -> Callable[..., None]:
    """Return ``action`` as a callback that says what went wrong instead of raising to nobody."""

    @functools.wraps(action)
    def safe(*told: Any) -> None:
        voice.error = voice.trace = ""
        try:
            action(*told)
        except TradelabError as problem:
            voice.error = str(problem)
        except KeyboardInterrupt:
            voice.error = "Interrupted before it was done; nothing was changed."
        except Exception as problem:  # noqa: BLE001  a callback has nobody above it
            voice.trace = "".join(traceback.format_exception(problem, limit=-8, chain=False))
            voice.error = f"{type(problem).__name__}: {problem}"

    return safe


class Banner(w.HTML):
    """Show a voice's error, loudly and escaped; take no room while there is none."""

    def __init__(self, voice: Voice) -> None:
        super().__init__(layout=w.Layout(display="none"))
        self._voice = voice
        voice.observe(self._show, "error")

    def _show(self, _change: Any) -> None:
        error, trace = html.escape(self._voice.error), html.escape(self._voice.trace)
        place = f'<pre style="max-height:16em;overflow:auto;white-space:pre;line-height:1.3">{trace}</pre>'
        more = f"<details><summary>Where</summary>{place}</details>" if trace else ""
        self.value = (
            '<div role="alert" style="line-height:1.4;padding:6px 12px;overflow-wrap:anywhere;border-radius:2px;'
            'border-left:4px solid var(--jp-error-color1,#cf5f55);background:rgba(207,95,85,.12)">'
            f"<b>Error.</b> {error}{more}</div>"
        )
        self.layout.display = None if error else "none"


class StatusLine(w.HTML):
    """Show a voice's status where a screen reader will read it out."""

    def __init__(self, voice: Voice) -> None:
        super().__init__()
        self._voice = voice
        voice.observe(self._show, "status")
        self._show(None)

    def _show(self, _change: Any) -> None:
        said = html.escape(self._voice.status)
        self.value = f'<div role="status" aria-live="polite" style="line-height:1.4;opacity:.8">{said}</div>'
