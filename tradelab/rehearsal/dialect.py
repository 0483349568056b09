"""Name what a dialect must say: its endpoints, its frames, and every fault in the venue's own words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiohttp import web

from tradelab.rehearsal.events import Event
from tradelab.rehearsal.exchange import Exchange
from tradelab.rehearsal.faults import Script
from tradelab.rehearsal.hub import Hub
from tradelab.rehearsal.meter import Meter, Scope, Verdict


@dataclass(slots=True)
class Call:
    """One HTTP request, read whole: what it asks, raw and parsed."""

    request: web.Request
    query: str  # as it came, for signatures
    body: bytes
    params: dict[str, str]  # query and form, decoded
    path: Mapping[str, str]  # parts of the path
    account: str | None = None  # set by the dialect once the signature is right
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers, whatever their case."""
        return self.request.headers


Handler = Callable[[Call], Awaitable[web.Response]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address of the venue.

    Parameters
    ----------
    kind
        What it is for, of :data:`tradelab.rehearsal.faults.REQUESTS`; faults are aimed by it. A function where the body
        of one address decides.
    weights
        What a call costs in each scope of the meter; a function where the parameters decide.
    """

    method: str
    path: str
    kind: str | Callable[[Call], str]
    handler: Handler
    weights: Mapping[Scope, int] | Callable[[Call], Mapping[Scope, int]] = field(default_factory=dict)

    def kind_of(self, call: Call) -> str:
        """Say what one call is for."""
        return self.kind if isinstance(self.kind, str) else self.kind(call)


class Dialect(Protocol):
    """One venue's protocol over the exchange that speaks none."""

    name: str

    def endpoints(self) -> list[Endpoint]:
        """Return every REST address."""
        ...

    def sockets(self) -> list[tuple[str, Callable[[web.Request], Awaitable[web.StreamResponse]]]]:
        """Return every path of the WebSockets, with what answers there."""
        ...

    def on_event(self, event: Event) -> None:
        """Turn what happened into frames for who listens."""
        ...

    def fault(self, script: Script, call: Call) -> web.Response:
        """Return the venue's own answer for a fault that is an answer."""
        ...

    def turned_away(self, verdict: Verdict, call: Call) -> web.Response:
        """Return the venue's own answer to one who asked too much."""
        ...

    def finish(self, response: web.Response, call: Call) -> web.Response:
        """Add what the venue adds to every answer, such as the weight used."""
        ...


@dataclass(slots=True)
class Desk:
    """What every dialect is given."""

    exchange: Exchange
    hub: Hub
    meter: Meter


Maker = Callable[[Desk], Dialect]
