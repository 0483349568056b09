"""Say one thing after the other: each message is journalled, then folded, then heard by who declared that he would.

What comes from outside is said with :meth:`Bus.say`. All that follows from it is said by handlers, waits in one queue,
and is kept with it in one transaction. What is to be done in the world waits until that is kept (:meth:`Bus.then`): a
process killed in between has neither said nor done it, or has said it, and does it when it comes back.
"""

from __future__ import annotations

import logging
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol, TypeVar

from tradelab.model.clock import Clock
from tradelab.model.errors import InvariantError
from tradelab.model.messages import Message, Recorded, TradeExecuted

_log = logging.getLogger(__name__)

M = TypeVar("M", bound=Message)
Heard = Callable[[Recorded[Any]], None]


class Keeping(Protocol):
    """One transaction of what keeps messages."""

    @property
    def transaction(self) -> Any:
        """What the lease and the trading states are read in; ``None`` where nothing else is kept."""
        ...

    def append(self, message: Message, ts_event_ns: int, ts_init_ns: int, cause: int | None) -> int:
        """Add a message and return its number."""
        ...

    def book(self, account: str, symbol: str, trade_id: str) -> None:
        """Bind the message that was added last to a fill, which is booked once."""
        ...


class Keeper(Protocol):
    """What keeps messages: a journal in a database, or in memory for a replay."""

    def recorded(self, after: int = 0) -> Iterator[Recorded[Any]]:
        """Yield all that was said behind number ``after``, in order."""
        ...

    def writing(self) -> AbstractContextManager[Keeping]:
        """Give a transaction."""
        ...


class Bus:
    """One queue, one thread, messages by their type, each heard by all its hearers before the next is looked at.

    Parameters
    ----------
    keeper
        Keeps every message before anybody hears it.
    fold
        Hears every message first: what is true, as everyone who hears it after can rely on.
    clock
        Tells when a message came to be known.
    """

    def __init__(self, keeper: Keeper, fold: Heard, clock: Clock) -> None:
        self._keeper = keeper
        self._fold = fold
        self._clock = clock
        self._hearers: defaultdict[type[Message], list[Heard]] = defaultdict(list)
        self._onlookers: list[Heard] = []
        self._lost_onlookers: list[str] = []
        self._queue: deque[tuple[Message, int | None, int | None]] = deque()
        self._deeds: list[Callable[[], None]] = []
        self._keeping: Keeping | None = None
        self._cause: int | None = None
        self._is_broken = False
        self._when_broken: Callable[[], None] = lambda: None
        self._is_showing = False

    @property
    def is_broken(self) -> bool:
        """Whether it has stopped: what is in memory may be more than what is kept, or a deed was not begun."""
        return self._is_broken

    @property
    def lost_onlookers(self) -> tuple[str, ...]:
        """Who looked on, failed, and is shown nothing more, in words."""
        return tuple(self._lost_onlookers)

    def when_broken(self, told: Callable[[], None]) -> None:
        """Let somebody be told the moment it stops: what is thrown then may be caught by who knows nothing of it."""
        self._when_broken = told

    def hear(self, kind: type[M], hearer: Callable[[Recorded[M]], None]) -> None:
        """Let every message of exactly this kind be heard; hearers hear in the order in which they asked."""
        self._hearers[kind].append(hearer)

    def look_on(self, onlooker: Heard) -> None:
        """Let somebody see every message once it is kept: what is shown outside is what will still be true tomorrow.

        Who looks on cannot influence: what it says is refused (what it has begun by :meth:`then` comes when all have
        been shown), and one that fails is written to the log, told in :attr:`lost_onlookers` and shown nothing more.
        """
        self._onlookers.append(onlooker)

    def say(self, message: Message, *, ts_event_ns: int | None = None) -> None:
        """Say something; said from outside it is heard, and all that follows from it, before this returns.

        Parameters
        ----------
        ts_event_ns
            When it happened, where that was not now.

        Raises
        ------
        InvariantError
            A transaction could not be kept before: what is in memory is more than what is kept, and nobody may act
            on it. Start again from the journal.
        """
        if self._is_broken:
            raise InvariantError("the bus has stopped: what was said last could not be kept.", fix="Start it again.")
        if self._is_showing:
            raise InvariantError(f"who looks on said {type(message).__name__}, and may say nothing.")
        self._queue.append((message, ts_event_ns, self._cause))
        if self._keeping is None:
            self._run()

    def then(self, deed: Callable[[], None]) -> None:
        """Do something in the world as soon as all that has been said so far is kept; nothing, if it cannot be.

        A deed begins something and returns. One that fails is a mistake of ours: what was meant and what was begun are
        no longer the same, so all others are done, then the bus stops, and starting again finds out.
        """
        if self._keeping is None and not self._is_showing:
            deed()
        else:
            self._deeds.append(deed)

    @property
    def transaction(self) -> Any:
        """The transaction in which what is being said is kept; for hearers that must read what others write."""
        if self._keeping is None:
            raise InvariantError("nothing is being said: there is no transaction.")
        return self._keeping.transaction

    def _run(self) -> None:
        said: list[Recorded[Any]] = []
        with self._unbroken(), self._keeper.writing() as keeping:
            self._keeping = keeping
            while self._queue:
                recorded = self._record(keeping, *self._queue.popleft())
                said.append(recorded)
                self._cause = recorded.seq
                self._fold(recorded)
                for hearer in self._hearers[type(recorded.message)]:
                    hearer(recorded)
        self._show(said)
        self._do()

    def _show(self, said: list[Recorded[Any]]) -> None:
        self._is_showing = True
        try:
            for onlooker in tuple(self._onlookers):
                try:
                    for recorded in said:
                        onlooker(recorded)
                except Exception as error:  # noqa: BLE001 (told in the log, with its traceback, and in health)
                    self._onlookers.remove(onlooker)
                    name = getattr(onlooker, "__qualname__", repr(onlooker))
                    self._lost_onlookers.append(f"{name} failed ({type(error).__name__}) and is shown nothing more")
                    _log.exception("who looked on failed, and is shown nothing more: %r", onlooker)
        finally:
            self._is_showing = False

    def _do(self) -> None:
        deeds, self._deeds = self._deeds, []
        failures: list[Exception] = []
        for deed in deeds:
            try:
                deed()
            except Exception as error:  # noqa: BLE001 (raised below, when the others are done)
                failures.append(error)
        if failures:
            self._break()
            raise failures[0]

    def _break(self) -> None:
        self._is_broken = True
        self._when_broken()

    def _record(self, keeping: Keeping, message: Message, ts_ns: int | None, cause: int | None) -> Recorded[Any]:
        now_ns = self._clock.now_ns()
        happened_ns = now_ns if ts_ns is None else ts_ns
        seq = keeping.append(message, happened_ns, now_ns, cause)
        if isinstance(message, TradeExecuted):
            keeping.book(message.account, message.fill.symbol, message.fill.trade_id)
        return Recorded(seq, happened_ns, now_ns, cause, message)

    @contextmanager
    def _unbroken(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._queue.clear()
            self._deeds.clear()
            self._break()
            raise
        finally:
            self._keeping, self._cause = None, None
