"""Refuse credentials that no HTTP header can carry, before a client fails on them with the secret in its error."""

from __future__ import annotations

from collections.abc import Mapping

from tradelab.model.credentials import Secret
from tradelab.model.errors import ParameterError


def require_header_values(credentials: Mapping[str, Secret], *names: str) -> None:
    """Raise if one of the named credentials, where it is given, is not visible ASCII (RFC 9110, 5.5).

    >>> require_header_values({"api_key": Secret("k-1")}, "api_key", "api_secret")
    """
    for name in names:
        if name in credentials and not all("!" <= sign <= "~" for sign in credentials[name].reveal()):
            raise ParameterError(
                f"{name} is sent in a header and has a letter that none can carry.",
                fix="It is plain letters, digits and signs: copy it again.",
            )
