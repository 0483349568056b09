"""What every execution venue of tradelab does: the cards, and how an adapter's tests set the stage for them.

How to hold an adapter to the contract
======================================

Write ``tests/conformance/test_<venue>.py`` with one class for each account mode, and nothing else but its stage::

    class BinanceStage(Stage):                                   # tests/conformance/stage.py says what to write
        faults = frozenset({Fault.ACCEPT_THEN_SILENCE, ...})     # what this stage can bring about
        secrets = ("canary-key", "canary-secret")                # what the venue was given and must never tell

        async def move_price(self, symbol, price, depth=None): ...
        async def advance(self, seconds): ...
        async def reopen(self): ...
        async def fault(self, fault): ...

    class TestBinanceSpot(VenueContract):
        title = "Binance spot"                                   # the column in docs/conformance.md
        provider = "ccxt"                                        # the adapter's name in tradelab.adapters.registry

        @asynccontextmanager
        async def stage(self):
            async with rehearsal(...) as server:                 # a fresh server or account for each card
                on = BinanceStage()
                on.venue, on.instrument, on.price, on.funds = ...
                await on.venue.connect()
                try:
                    yield on
                finally:
                    await on.venue.disconnect()

Every card is a plain pytest test that runs on an ``asyncio`` loop of its own and gets a stage of its own. Say nothing
about pytest-asyncio; never sleep in a stage where the venue's clock can be moved.

What a stage must be when it is given
-------------------------------------
``venue``
    Connected. No position, no open order, no fill since the stage began, and no balance but ``funds``.
``instrument``
    The very object that ``venue.instruments()`` lists for what is traded. Its least quantity should be worth less than
    its least value, where it has both, so that either can be violated alone.
``price``
    Where the market stands: on the tick, and far enough from any round limit that it may move by 3 % either way
    (inside the instrument's price band, too).
``funds``
    All the money there is, free, in ``instrument.settle or instrument.quote``. It bears 120 times ``on.unit`` at
    ``price`` and does **not** bear the largest single order (``max_qty`` or ``max_notional``; a million units where
    there is neither). Leave fees on: a card about fees with a fee of zero shows little.

What the market does
--------------------
``await on.move_price(symbol, price, depth=None)``
    Afterwards ``bid <= price <= ask``, both on the tick, less than half a percent apart, and **everything that the new
    price meets has been done**: resting orders that were passed have traded, triggers that were passed have fired, what
    they fired has traded. Cards move the price clearly beyond a level (half a percent or more), never on to it.
    With ``depth`` that quantity, and no more, stands at the best bid and at the best ask, in the venue's unit; what
    stands behind is at least one tick worse. Without it there is plenty. Calling it again puts fresh quantity there.
``await on.advance(seconds)``
    The venue's clock goes on by that much (up to 3 700 s), the market standing still; what expires has expired when it
    returns. If the adapter has a clock of its own, move that one too: the two must not drift apart by it.
``await on.fault(Fault.X)``
    Bring one of ``faults`` about. :class:`~tests.conformance.stage.Fault` says what each means, exactly.
``await on.reopen()``
    Drop the adapter object without any goodbye, as a SIGKILL would (``disconnect`` may be called on the old one only to
    close sockets, once the new one is there), and connect a new one to the same account.
``on.requests_sent()``
    Requests the server has seen. A card about what is refused before anything is sent compares it.
``await on.settle()``
    Called between two looks while a card waits for something; the default sleeps 10 ms. Override it to step a clock.

What is skipped
---------------
Only what the venue's ``capabilities`` declare missing ("declared missing"), and what the stage cannot bring about
("not staged": a fault, a limit that the instrument does not have). A card is never skipped because it fails. If a card
is wrong for a real venue, change the card's words and its play together, and tell the others.

What a card looks like
----------------------
An async method with ``@card(prerequisite=, action=, expects=, passes=, needs=())`` and the stage as its argument. The
fifth field, when to skip, is told by ``needs`` themselves (``tests/conformance/cards.py`` has them). Where venues
differ honestly (a stop that has been passed is refused by some and fills at once on others), ``expects`` names both,
and ``passes`` says what holds on all.

Waiting: ``await on.becomes(ref, holds, what)`` and ``await on.until(ask, what)`` ask until it is so, at most 20 s.

``make conformance`` plays all cards on all venues and writes ``docs/conformance.md``.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar

from tests.conformance.asking import Asking, Naming
from tests.conformance.changing import Cancelling, Changing
from tests.conformance.connecting import Connecting
from tests.conformance.failing import Failing
from tests.conformance.protecting import Closing, Protecting
from tests.conformance.refusing import Refusing
from tests.conformance.resting import Resting
from tests.conformance.streaming import Streaming
from tests.conformance.trading import Trading
from tradelab.model.capabilities import Evidence


class VenueContract(
    Streaming,
    Failing,
    Refusing,
    Naming,
    Asking,
    Changing,
    Cancelling,
    Closing,
    Protecting,
    Resting,
    Trading,
    Connecting,
):
    """All cards; an adapter's test class is one of these with a stage."""

    title: ClassVar[str]
    provider: ClassVar[str]
    on_page: ClassVar[bool] = True  # whether it is a column of docs/conformance.md
    evidence: ClassVar[Evidence]  # what the venue itself says; noted when the first card is played

    def stage(self) -> AbstractAsyncContextManager[Any]:
        """Give a fresh :class:`~tests.conformance.stage.Stage`, and clear it away afterwards."""
        raise NotImplementedError
