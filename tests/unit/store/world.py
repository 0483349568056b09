"""The made-up providers and the clock that the records' tests share."""

from __future__ import annotations

import traceback
from pathlib import Path

import tradelab
from tradelab.model.credentials import CredentialField
from tradelab.model.errors import UnknownNameError
from tradelab.model.units import NS_PER_S
from tradelab.store.settings import ConnectionSettings, Provider, Purpose


class Clock:
    """A clock that moves when told to."""

    def __init__(self) -> None:
        self.ns = 1_700_000_000 * NS_PER_S

    def __call__(self) -> int:
        return self.ns

    def pass_s(self, seconds: float) -> None:
        self.ns += round(seconds * NS_PER_S)


class BridgeSettings(ConnectionSettings):
    """Settings of a made-up provider that has some of its own."""

    sandbox: bool = False
    leverage: int = 1


PROVIDERS = {
    "ccxt:binance": Provider(
        "ccxt:binance",
        (CredentialField("api_key"), CredentialField("secret"), CredentialField("password", required=False)),
        BridgeSettings,
    ),
    "files": Provider("files", purposes=frozenset({Purpose.DATA})),
}


def find_provider(name: str) -> Provider:
    """Give one of the providers above, as the app's registry would."""
    if name not in PROVIDERS:
        raise UnknownNameError.of("provider", name, PROVIDERS)
    return PROVIDERS[name]


def shown_by_us(error: BaseException | None) -> str:
    """All that a debugger could show of an error: texts of its whole chain, locals of every frame not in a test."""
    if error is None:
        return ""
    ours = str(Path(tradelab.__file__).parent)
    stack = traceback.TracebackException.from_exception(error, capture_locals=True).stack
    told = [
        str(frame.locals) for frame in stack if frame.filename.startswith(ours) or "site-packages" in frame.filename
    ]
    return "\n".join([repr(error), str(error), *told, shown_by_us(error.__cause__), shown_by_us(error.__context__)])
