"""Find adapters by the name of their provider: ours and those of any installed package, loaded when they are asked for.

A package adds one by an entry point in the group ``tradelab.adapters`` that leads to an :class:`AdapterSpec`::

    [project.entry-points."tradelab.adapters"]
    acme = "acme_tradelab:SPEC"

``docs/adapters.md`` writes one from scratch.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar, cast

from tradelab.model.capabilities import Evidence
from tradelab.model.clock import Clock, SystemClock
from tradelab.model.credentials import CredentialField, Credentials, Secret, check_credentials
from tradelab.model.errors import ConfigError, ParameterError, UnknownNameError
from tradelab.model.ports import DataProvider, ExecutionVenue

GROUP = "tradelab.adapters"
_OURS = "tradelab"
Model = TypeVar("Model")


class Purpose(enum.Enum):
    """What an adapter can do. What a connection is *for* is the store's to say: copying needs an execution adapter."""

    DATA = "data"
    EXECUTION = "execution"


@dataclass(frozen=True, slots=True)
class SettingField:
    """One thing about a connection that is no secret: its name, whether it must be given, what it is."""

    name: str
    required: bool = False
    says: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterSpec:
    """What an adapter is, told without connecting to anything.

    Parameters
    ----------
    provider
        The name it is asked for by: lower case, the same as its entry point's.
    title
        What people call it.
    evidence
        How far it has been proved.
    purposes
        What a connection through it can be for.
    credentials, settings
        What it asks for; :func:`fields_of` reads the latter off a pydantic model.
    variant
        The setting that is told with the provider's name, after a colon: ``exchange`` in ``ccxt:binance``. Empty where
        the name alone says what is connected to.
    proved
        Variants for which more, or less, than ``evidence`` is proved.
    open
        Makes the adapter from checked settings and credentials, without connecting. Import what is heavy in it.
    """

    provider: str
    title: str
    evidence: Evidence
    purposes: frozenset[Purpose]
    open: Callable[[Mapping[str, Any], Credentials, Clock], Any]
    credentials: tuple[CredentialField, ...] = ()
    settings: tuple[SettingField, ...] = ()
    variant: str = ""
    proved: Mapping[str, Evidence] = field(default_factory=dict)

    def evidence_of(self, variant: str = "") -> Evidence:
        """Return how far a variant has been proved."""
        return self.proved.get(variant, self.evidence)


@dataclass(frozen=True, slots=True)
class Adapters:
    """All adapters there are: the specs by provider, and why the others could not be had."""

    specs: Mapping[str, AdapterSpec]
    broken: Mapping[str, str] = field(default_factory=dict)


def providers() -> tuple[str, ...]:
    """Return the names of all adapters, without importing any."""
    return tuple(sorted(_points()))


def adapters() -> Adapters:
    """Import every adapter, and tell by name which of them could not be; one that fails takes no other with it."""
    specs, broken = {}, {}
    for name in providers():
        try:
            specs[name] = spec(name)
        except ConfigError as error:
            broken[name] = str(error)
    return Adapters(specs, broken)


def spec(provider: str) -> AdapterSpec:
    """Import one adapter's spec.

    Raises
    ------
    UnknownNameError
        There is no such adapter; the nearest name is said.
    ConfigError
        Its package cannot be imported, or what it leads to is no spec of that name.
    """
    points = _points()
    if provider not in points:
        raise UnknownNameError.of("adapter", provider, points, fix="A plug-in is found once its package is installed.")
    point = points[provider]
    where = f"adapter {provider!r} ({point.value}, of {_package(point)})"
    try:
        found = point.load()
    except (Exception, SystemExit) as error:  # whatever another's package does on import
        raise ConfigError(
            f"{where} cannot be imported: {type(error).__name__}: {error}.", fix="Repair or uninstall that package."
        ) from error
    if not isinstance(found, AdapterSpec) or found.provider != provider:
        told = f"the spec of {found.provider!r}" if isinstance(found, AdapterSpec) else f"{type(found).__name__}"
        raise ConfigError(f"{where} is {told}, not an AdapterSpec of that name.", fix="Repair its entry point.")
    return found


def data_provider(
    provider: str,
    settings: Mapping[str, Any] | None = None,
    credentials: Mapping[str, str | Secret] | None = None,
    *,
    clock: Clock | None = None,
) -> DataProvider:
    """Make the data provider of that name; it is not connected yet.

    Raises
    ------
    UnknownNameError
        There is no such adapter.
    ParameterError
        A setting or a credential is missing, unknown or wrong, or the adapter offers no data.
    """
    return cast(DataProvider, _opened(provider, Purpose.DATA, settings, credentials, clock))


def execution_venue(
    provider: str,
    settings: Mapping[str, Any] | None = None,
    credentials: Mapping[str, str | Secret] | None = None,
    *,
    clock: Clock | None = None,
) -> ExecutionVenue:
    """Make the execution venue of that name; it is not connected yet. Raises as :func:`data_provider` does."""
    return cast(ExecutionVenue, _opened(provider, Purpose.EXECUTION, settings, credentials, clock))


def fields_of(model: Any) -> tuple[SettingField, ...]:
    """Read the settings of a connection off the fields of a pydantic model, their descriptions included."""
    return tuple(
        SettingField(name, required=info.is_required(), says=info.description or "")
        for name, info in model.model_fields.items()
    )


def checked(model: Callable[..., Model], settings: Mapping[str, Any], provider: str) -> Model:
    """Make the settings of a connection, or say what of them is wrong: each by name, the nearest known one with it.

    Parameters
    ----------
    model
        A pydantic model that forbids what it does not know.
    """
    from pydantic import ValidationError

    known = [f.name for f in fields_of(model)]
    for name in settings:
        if name not in known:
            raise UnknownNameError.of(f"setting of {provider}", name, known)
    try:
        return model(**settings)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, e['loc']))}: {_inner(e)}" for e in error.errors()]
        raise ParameterError(f"settings of {provider}: {'; '.join(faults)}.", allowed=known) from None


def _inner(error: Any) -> str:
    return str(error["msg"]).removeprefix("Value error, ").rstrip(".")


def _opened(
    provider: str,
    purpose: Purpose,
    settings: Mapping[str, Any] | None,
    credentials: Mapping[str, str | Secret] | None,
    clock: Clock | None,
) -> Any:
    found = spec(provider)
    if purpose not in found.purposes:
        able = [name for name, other in adapters().specs.items() if purpose in other.purposes]
        raise ParameterError(f"adapter {provider!r} offers no {purpose.value}.", allowed=able)
    secrets = check_credentials(found.credentials, credentials or {}, provider=provider)
    return found.open(settings or {}, secrets, clock or SystemClock())


def _points() -> dict[str, EntryPoint]:
    """Entry points by name; where two packages claim one, ours is taken, else the first by the package's name."""
    return {point.name: point for point in sorted(_found(), key=_rank, reverse=True)}


def _found() -> Iterable[EntryPoint]:
    return entry_points(group=GROUP)


def _rank(point: EntryPoint) -> tuple[bool, str]:
    return _package(point) != _OURS, _package(point)


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "an unnamed package"
