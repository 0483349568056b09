"""Check a connection's settings against what its provider declares: symbols, timeframes, and the provider's own."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    JsonValue,
    PlainSerializer,
    ValidationError,
    create_model,
    field_validator,
)

from tradelab.model.credentials import CredentialField
from tradelab.model.errors import ParameterError
from tradelab.model.units import Timeframe

TimeframeSetting = Annotated[Timeframe, BeforeValidator(Timeframe.of), PlainSerializer(lambda frame: frame.code)]


class Purpose(StrEnum):
    """What a connection is for."""

    DATA = "data"
    EXECUTION = "execution"
    COPY = "copy"


class ConnectionSettings(BaseModel):
    """What every provider's settings have; a provider with more declares a subclass.

    A change of a field in ``light`` leaves a passed test good; a change of any other asks for a new one. Settings
    are shown and kept in the open: what must not be seen is a credential.

    >>> settings = ConnectionSettings(symbols=["BTC/USDT"], timeframes=["1h"])
    >>> settings.timeframes, settings.model_dump(mode="json")
    ((<Timeframe.H1: 60>,), {'symbols': ['BTC/USDT'], 'timeframes': ['H1']})
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
    light: ClassVar[frozenset[str]] = frozenset({"symbols", "timeframes"})

    symbols: tuple[str, ...] = ()
    timeframes: tuple[TimeframeSetting, ...] = ()

    @field_validator("symbols", "timeframes")
    @classmethod
    def _each_once(cls, given: tuple[Any, ...]) -> tuple[Any, ...]:
        if "" in given or len(set(given)) < len(given):
            raise ValueError("each must be named once, and none be empty")
        return given

    def stored(self) -> dict[str, Any]:
        """Return the settings as plain JSON values, those that are ``None`` left out."""
        return self.model_dump(mode="json", exclude_none=True)

    def only(self, names: Iterable[str]) -> dict[str, Any]:
        """Return those of ``names`` that have a value, as plain JSON values: what an adapter is opened with."""
        wanted = set(names)
        return {name: value for name, value in self.stored().items() if name in wanted}


def named_settings(required: Mapping[str, bool]) -> type[ConnectionSettings]:
    """Make the settings of a provider that declares names only, and looks at the values itself when it is opened.

    Parameters
    ----------
    required
        Each name, and whether it must be given.

    Examples
    --------
    >>> bridge = Provider("bridge", settings=named_settings({"base_url": True, "timeout_s": False}))
    >>> bridge.check_settings({"base_url": "http://127.0.0.1:1"}).only(["base_url", "timeout_s"])
    {'base_url': 'http://127.0.0.1:1'}
    >>> bridge.check_settings({"timeout": 5})
    Traceback (most recent call last):
    tradelab.model.errors.ParameterError: settings of bridge: 'base_url': field required; unknown 'timeout' (did you \
mean 'timeout_s'?). Allowed: base_url, symbols, timeframes, timeout_s.
    """
    own = {name: must for name, must in required.items() if name not in ConnectionSettings.model_fields}
    fields: dict[str, Any] = {name: (JsonValue, ...) if must else (JsonValue, None) for name, must in own.items()}
    return create_model("NamedSettings", __base__=ConnectionSettings, **fields)


class UncheckedSettings(ConnectionSettings):
    """Settings as they were stored, of a provider that is not installed here or has changed since."""

    model_config = ConfigDict(extra="allow")


@dataclass(frozen=True, slots=True)
class Provider:
    """What a provider declares: its id (``"ccxt:binance"``), credentials, settings and what it can be used for."""

    id: str
    credentials: tuple[CredentialField, ...] = ()
    settings: type[ConnectionSettings] = ConnectionSettings
    purposes: frozenset[Purpose] = frozenset(Purpose)

    def check_settings(self, given: Mapping[str, Any] | ConnectionSettings) -> ConnectionSettings:
        """Return what was given as this provider's settings.

        Values are not repeated in the error: one of them may be a secret that was put in the wrong place.

        Raises
        ------
        ParameterError
            Naming every unknown and every wrong one at once, the unknown ones with the nearest known name.

        Examples
        --------
        >>> Provider("files").check_settings({"simbols": ["EURUSD"]})
        Traceback (most recent call last):
        tradelab.model.errors.ParameterError: settings of files: unknown 'simbols' (did you mean 'symbols'?). \
Allowed: symbols, timeframes.
        """
        if isinstance(given, ConnectionSettings):
            given = given.stored()
        try:
            return self.settings.model_validate(dict(given))
        except ValidationError as error:
            faults = [
                self._fault(found["type"], found["loc"], found["msg"]) for found in error.errors(include_input=False)
            ]
        given = {}  # a traceback that shows local variables must not show it either
        misplaced = [field.name for field in self.credentials if f"unknown {field.name!r}" in faults]
        fix = f"{', '.join(misplaced)}: give it with set_credentials, where it is sealed." if misplaced else ""
        raise ParameterError(
            f"settings of {self.id}: {'; '.join(faults)}.", allowed=sorted(self.settings.model_fields), fix=fix
        )

    def _fault(self, kind: str, where: tuple[int | str, ...], says: str) -> str:
        name = ".".join(map(str, where))
        if kind != "extra_forbidden":
            return f"{name!r}: {says[:1].lower()}{says[1:]}"
        near = difflib.get_close_matches(name, self.settings.model_fields, n=1)
        return f"unknown {name!r}" + (f" (did you mean {near[0]!r}?)" if near else "")
