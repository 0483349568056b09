"""Refuse an answer that did not come whole: ccxt reads half a body as nothing at all, and nothing is not an answer."""

from __future__ import annotations

from tradelab.model.errors import ConnectivityError

_BROKEN = ("{", "[", "<")  # what is no JSON and begins so is a part of it, or somebody else's page


def require_whole(venue: str, status: int, method: str, body: object, parsed: object) -> None:
    """Raise if an answer that says all is well holds nothing that could be read.

    ccxt hands such a body on as text, and where it then looks for a list it finds an empty one: no fills, no positions,
    no order of that name, no money.

    Parameters
    ----------
    body, parsed
        The answer as it came, and what ccxt made of it: ``None`` where that was no JSON.

    Raises
    ------
    ConnectivityError
        Of a question: ask again. Of a request that changes something: nobody knows what became of it.

    Examples
    --------
    >>> require_whole("bybit", 200, "GET", '{"result": {"list": [', None)
    Traceback (most recent call last):
    tradelab.model.errors.ConnectivityError: bybit's answer (200) did not come whole. Ask again in a moment.
    >>> require_whole("bybit", 200, "GET", "{}", {})
    """
    if parsed is not None or not 200 <= status < 300 or status == 204 or not isinstance(body, str):
        return
    text = body.lstrip()
    if text.startswith(_BROKEN) or (not text and method == "GET"):
        raise ConnectivityError(f"{venue}'s answer ({status}) did not come whole.", fix="Ask again in a moment.")
