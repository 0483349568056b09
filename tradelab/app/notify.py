"""Tell people what they should know, through apprise: many ways by one library, a few messages a minute, none lost.

What is more than the limit waits and is told together. What is critical is told at once, within a limit of its own. The
bus never waits for any of this, and a service that does not answer costs nothing but its own message.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from tradelab.app.daemon_table import NotifyTable
from tradelab.model import messages as said
from tradelab.model.clock import Clock
from tradelab.model.credentials import Secret
from tradelab.model.errors import ConfigError, MissingExtraError
from tradelab.model.messages import Recorded
from tradelab.model.signal import DropCode
from tradelab.model.states import Severity, TradingState
from tradelab.model.units import NS_PER_MIN, NS_PER_S

_MOST_WAITING = 1_000
_SHOWN = 12  # of those that are told together
_SEND_S = 20.0
_GUARDS = frozenset(
    code
    for code in DropCode
    if code.name.startswith("MAX_")
    or code in (DropCode.DAILY_LOSS, DropCode.WEEKLY_LOSS, DropCode.DRAWDOWN, DropCode.ORDER_RATE, DropCode.MARGIN)
)
_log = logging.getLogger(__name__)


class Note(NamedTuple):
    """One thing to tell: what it is about, how soon, in words; or how many more there were, with no words left."""

    about: str
    severity: Severity
    says: str
    how_many: int = 1


Send = Callable[[str, str], Coroutine[Any, Any, bool]]


def note_of(recorded: Recorded[Any]) -> Note | None:
    """Return what of a message a person should know, in one line; ``None``: nothing."""
    told = recorded.message
    match told:
        case said.TradeExecuted():
            fill = told.fill
            who = told.bot or "nobody of ours"
            says = f"{fill.side.value} {fill.qty:f} {fill.symbol} at {fill.price:f} on {told.account} ({who})"
            return Note("fills", Severity.INFO, says)
        case said.PositionClosed():
            r = "" if told.r_multiple is None else f", {told.r_multiple:+.2f} R"
            says = f"{told.symbol} on {told.account} is closed by {told.reason}: {told.realized_pnl:+f}{r}"
            return Note("stops", Severity.INFO, says)
        case said.SignalDropped() if told.code in _GUARDS:
            return Note("guards", Severity.INFO, f"{told.bot}: no trade, {told.code.value}: {told.says}")
        case said.TradingStateChanged():
            severity = Severity.INFO if told.state is TradingState.ACTIVE else Severity.CRITICAL
            return Note("states", severity, f"{told.scope} is {told.state.value} by {told.by}: {told.says}")
        case said.OrderRefused():
            return Note("errors", Severity.WARNING, f"{told.account}: order refused, {told.code.value}: {told.says}")
        case said.ReconcileEnded() if not told.complete or not told.agreed:
            found = "; ".join(told.findings) or "it could not be compared"
            return Note("errors", Severity.WARNING, f"{told.account} and its venue do not agree: {found}")
        case said.PositionAdjusted():
            return Note(
                "errors", Severity.WARNING, f"{told.account}: {told.symbol} adjusted by {told.qty:f}: {told.says}"
            )
        case said.AlarmRaised() if told.severity is not Severity.INFO:
            return Note(_about(told.kind), told.severity, f"{told.about}: {told.says}")
        case said.NodeStarted():
            return Note("states", Severity.INFO, f"started on {told.host}, tradelab {told.version}")
        case said.NodeStopped():
            return Note("states", Severity.INFO, f"stopped: {told.says}")
        case _:
            return None


class Notifier:
    """Hears what is kept, and tells people.

    Parameters
    ----------
    send
        Tells one message, title and text; ``False``: it was not delivered.
    """

    def __init__(self, node: str, table: NotifyTable, send: Send, clock: Clock) -> None:
        self._node = node
        self._table = table
        self._send = send
        self._clock = clock
        self._waiting: deque[Note] = deque()
        self._left_out: Counter[str] = Counter()
        self._woken = asyncio.Event()
        self._sent_ns: dict[bool, deque[int]] = {True: deque(), False: deque()}
        self.failed = 0

    def told(self, recorded: Recorded[Any]) -> None:
        """Take in one message of the bus; returns at once."""
        note = note_of(recorded)
        if note is not None:
            self.say(note)

    def say(self, note: Note) -> None:
        """Let a note wait to be told, if anybody wants to hear of such things; the critical ones come first."""
        if note.about not in self._table.about:
            return
        if note.severity is Severity.CRITICAL:
            self._waiting.appendleft(note)
        elif len(self._waiting) < _MOST_WAITING:
            self._waiting.append(note)
        else:
            self._left_out[note.about] += 1
        self._woken.set()

    async def run(self) -> None:
        """Tell what waits, until cancelled."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            while self._waiting:
                urgent = self._waiting[0].severity is Severity.CRITICAL
                wait_s = self._wait_s(urgent)
                if wait_s > 0:
                    await self._rest(wait_s)
                    continue
                await self._tell(self._next(urgent), urgent)

    async def flush(self) -> None:
        """Tell what still waits, in one message."""
        if self._waiting:
            await self._tell(self._next(urgent=False), urgent=False)

    def _next(self, urgent: bool) -> list[Note]:
        """Return the urgent one alone, or everything that waits."""
        if urgent:
            return [self._waiting.popleft()]
        notes = list(self._waiting)
        notes += [Note(about, Severity.INFO, "", count) for about, count in self._left_out.items()]
        self._waiting.clear()
        self._left_out.clear()
        return notes

    async def _tell(self, notes: list[Note], urgent: bool) -> None:
        self._sent_ns[urgent].append(self._clock.now_ns())
        count = sum(note.how_many for note in notes)
        title = f"tradelab {self._node}: {notes[0].about if count == 1 else f'{count} messages'}"
        try:
            async with asyncio.timeout(_SEND_S):
                delivered = await self._send(title, text_of(notes))
        except Exception:  # noqa: BLE001 (a service that fails must not end the telling; it is in the log)
            _log.exception("a notification could not be sent")
            delivered = False
        if not delivered:
            self.failed += 1
            _log.warning("a notification was not delivered: %s", "; ".join(note.says for note in notes[:_SHOWN]))

    def _wait_s(self, urgent: bool) -> float:
        sent, now_ns = self._sent_ns[urgent], self._clock.now_ns()
        while sent and now_ns - sent[0] >= NS_PER_MIN:
            sent.popleft()
        if len(sent) < self._table.most_per_minute:
            return 0.0
        return (sent[0] + NS_PER_MIN - now_ns) / NS_PER_S

    async def _rest(self, seconds: float) -> None:
        """Wait until the limit lets another one through, or something more urgent comes."""
        rest = asyncio.create_task(self._clock.sleep(seconds))
        woken = asyncio.create_task(self._woken.wait())
        try:
            await asyncio.wait((rest, woken), return_when=asyncio.FIRST_COMPLETED)
            self._woken.clear()
        finally:
            rest.cancel()
            woken.cancel()
            await asyncio.gather(rest, woken, return_exceptions=True)


def text_of(notes: list[Note]) -> str:
    """Return notes as one text; of many the first ones, and how many more there were of what.

    >>> text_of([Note("fills", Severity.INFO, "bought 1 BTC")])
    'bought 1 BTC'
    """
    shown = [note for note in notes[:_SHOWN] if note.says]
    lines = [note.says for note in shown]
    more: Counter[str] = Counter()
    for note in notes[len(shown) :]:
        more[note.about] += note.how_many
    lines += [f"and {count} more about {about}" for about, count in more.items()]
    return "\n".join(lines)


def sender(addresses: dict[str, Secret]) -> Send:
    """Return what tells a message to all addresses, by apprise, on a thread.

    Raises
    ------
    MissingExtraError
        The extra ``notify`` is not installed.
    ConfigError
        An address is none that apprise knows; it is named, and not shown.
    """
    MissingExtraError.unless("apprise", "notify", "notifications")
    import apprise

    logging.getLogger("apprise").setLevel(logging.CRITICAL)  # it logs addresses, and those hold tokens
    notifier = apprise.Apprise()
    for name, address in addresses.items():
        if not notifier.add(address.reveal()):
            raise ConfigError(
                f"the address of {name!r} is none that apprise knows.", fix=f"Give it again: tradelab notify add {name}"
            )

    async def send(title: str, text: str) -> bool:
        return bool(await asyncio.to_thread(notifier.notify, title=title, body=text))

    return send


def _about(kind: str) -> str:
    """Sort an alarm by its kind: a limit that was reached is named like the refusals that follow from it."""
    if kind in {code.value for code in _GUARDS}:
        return "guards"
    return "disconnects" if kind == "venue" or kind.startswith("feed") else "errors"
