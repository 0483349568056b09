"""Carry secrets so that only the line that needs one can read it, and check them against what a provider declares."""

from __future__ import annotations

import base64
import difflib
import hmac
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn
from unicodedata import category
from urllib.parse import quote, quote_plus

from tradelab.model.errors import ParameterError

HIDDEN = "****"
_SHORTEST = 4  # a shorter value is found by chance in any text, and so is not looked for


_QUOTE = "Give every field as a text, in quotes."


class Secret:
    """A text that shows itself to nobody but the caller of :meth:`reveal`.

    ``repr``, ``str`` and ``format`` give stars; pickling and JSON are refused; copies are the same object. Equality is
    decided in constant time, and only between secrets. What Python cannot do is wipe it from memory.

    >>> key = Secret("hunter2")
    >>> key, f"{key:>8}", key.reveal()
    (Secret(****), '    ****', 'hunter2')
    """

    __slots__ = ("_text",)
    _text: str

    def __init__(self, text: str) -> None:
        kind = type(text).__name__
        if kind != "str":
            text = ""  # a traceback that shows local variables must not show what was given
            raise ParameterError(f"a secret must be a text, not {kind}.")
        object.__setattr__(self, "_text", text)

    def reveal(self) -> str:
        """Return the text; use it in the same expression, so that no local variable holds it."""
        return self._text

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a Secret does not change")

    def __repr__(self) -> str:
        return f"Secret({HIDDEN})"

    def __str__(self) -> str:
        return HIDDEN

    def __format__(self, spec: str) -> str:
        return format(HIDDEN, spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(("Secret", self._text))

    def __bool__(self) -> bool:
        return bool(self._text)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(
            "a Secret is not pickled: pass the connection's name, and open the credentials where it is used"
        )

    def __getstate__(self) -> NoReturn:
        raise TypeError("a Secret has no state to give")


class Credentials(Mapping[str, Secret]):
    """The secrets of one connection by field name, read-only.

    >>> login = Credentials({"api_key": "k-1", "secret": "s-1"})
    >>> login, login.reveal("api_key")
    (Credentials(api_key=****, secret=****), 'k-1')
    """

    __slots__ = ("_fields",)

    def __init__(self, given: Mapping[str, str | Secret]) -> None:
        self._fields, mistyped = _hide(given)
        if mistyped:
            given = {}  # a traceback that shows local variables must not show what was given
            raise ParameterError(f"credentials: {'; '.join(mistyped)}.", fix=_QUOTE)

    def reveal(self, name: str) -> str:
        """Return the text of one field.

        Raises
        ------
        ParameterError
            There is no such field; the message names those there are.
        """
        if name not in self._fields:
            raise ParameterError(f"there is no credential {name!r}{_nearest(name, self)}.", allowed=sorted(self))
        return self._fields[name].reveal()

    def scrub(self, text: str) -> str:
        """Return ``text`` with every spelling of every secret in it starred, fit for a log or a record.

        Spellings are the plain text and what URLs, JSON, hexadecimal and base64 (at any alignment) make of it. Values
        of fewer than four characters are left: they occur by chance.

        >>> Credentials({"secret": "a+b=c/d"}).scrub("GET /?key=a%2Bb%3Dc%2Fd failed for a+b=c/d")
        'GET /?key=**** failed for ****'
        """
        found = (spelling for secret in self._fields.values() for spelling in spellings(secret))
        for spelling in sorted(found, key=len, reverse=True):
            text = text.replace(spelling, HIDDEN)
        return text

    def __getitem__(self, name: str) -> Secret:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"Credentials({', '.join(f'{name}={HIDDEN}' for name in self._fields)})"


@dataclass(frozen=True, slots=True)
class CredentialField:
    """One thing a provider asks for: its name, whether it must be given and hidden while typed, what it is."""

    name: str
    required: bool = True
    secret: bool = True
    says: str = ""


def check_credentials(
    fields: Sequence[CredentialField], given: Mapping[str, str | Secret], *, provider: str = "this provider"
) -> Credentials:
    """Return what was given as credentials, if it is what the provider declares.

    An empty text counts as not given. One that nobody can have meant, with a line break or a space at its end from
    copying, say, is refused here: a venue would only answer that it is wrong. No message, and no local variable of
    ours, holds a value.

    Raises
    ------
    ParameterError
        Naming every missing, every damaged and every unknown field at once, the unknown ones with the nearest known
        name.

    Examples
    --------
    >>> asks = (CredentialField("api_key"), CredentialField("secret"), CredentialField("password", required=False))
    >>> check_credentials(asks, {"api_key": "k", "secret": "s"})
    Credentials(api_key=****, secret=****)
    >>> check_credentials(asks, {"api_key": "k", "secert": "s"})
    Traceback (most recent call last):
    tradelab.model.errors.ParameterError: credentials of this provider: missing 'secret'; unknown 'secert' (did you \
mean 'secret'?). Allowed: api_key, secret, password (optional).
    """
    secrets, mistyped = _hide(given)
    given = {}  # from here on a traceback that shows local variables shows stars
    known = [field.name for field in fields]
    missing = [field.name for field in fields if field.required and not secrets.get(field.name)]
    unknown = [name for name in secrets if name not in known]
    faults = mistyped or [f"missing {name!r}" for name in missing]
    faults += [f"{name!r} {fault}" for name, secret in secrets.items() if (fault := _damage(secret))]
    faults += [f"unknown {name!r}{_nearest(name, known)}" for name in unknown]
    if faults:
        allowed = [field.name if field.required else f"{field.name} (optional)" for field in fields]
        raise ParameterError(
            f"credentials of {provider}: {'; '.join(faults)}.",
            allowed=allowed or ["none"],
            fix=_QUOTE if mistyped else "",
        )
    return Credentials({name: secret for name, secret in secrets.items() if secret})


def spellings(secret: Secret) -> frozenset[str]:
    """Return the ways in which a text may carry the secret: plain, in a URL, in JSON, hexadecimal, base64."""
    raw = secret.reveal().encode()
    plain = {secret.reveal(), quote(secret.reveal()), quote(secret.reveal(), safe=""), quote_plus(secret.reveal())}
    plain |= {json.dumps(secret.reveal(), ensure_ascii=ascii_)[1:-1] for ascii_ in (True, False)}
    coded = {raw.hex(), raw.hex().upper(), *_base64_cores(raw)}
    return frozenset({text for text in plain if len(text) >= _SHORTEST} | {text for text in coded if len(text) >= 8})


def _base64_cores(raw: bytes) -> Iterator[str]:
    """Yield what base64 writes for these bytes alone, wherever in a longer text they begin."""
    for before in range(3):
        first, last = -(-before * 8 // 6), (before + len(raw)) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(bytes(before) + raw).decode()[first:last]


def _hide(given: Mapping[str, str | Secret]) -> tuple[dict[str, Secret], list[str]]:
    """Wrap every text; say which values were none (a number, say), without showing them."""
    hidden = {name: value if isinstance(value, Secret) else Secret(str(value)) for name, value in given.items()}
    wrong = [name for name, value in given.items() if not isinstance(value, str | Secret)]
    return hidden, [f"{name!r} must be a text, not {type(given[name]).__name__}" for name in wrong]


def _damage(secret: Secret) -> str:
    """Say what shows that a text was not given as it was meant, without a part of it; empty where nothing does."""
    if any(category(sign) == "Cs" for sign in secret.reveal()):
        return "is not text: half of a character is missing (read it as UTF-8)"
    if secret.reveal() != secret.reveal().strip():
        return "begins or ends with a space or a line break"
    if any(category(sign) == "Cc" for sign in secret.reveal()):
        return "has a control character in it: a line break, a tab or a NUL"
    return ""


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
