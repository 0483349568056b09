"""People are told what they should know, few times a minute, the urgent at once, and nobody waits for them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import Any

import pytest

from tradelab.app.daemon_table import NotifyTable
from tradelab.app.notify import Note, Notifier, note_of, sender, text_of
from tradelab.model import messages as said
from tradelab.model.clock import ManualClock
from tradelab.model.credentials import Secret
from tradelab.model.errors import ConfigError, MissingExtraError
from tradelab.model.messages import Message, Recorded
from tradelab.model.orders import Fill, Liquidity, Side
from tradelab.model.outcome import RefusalCode
from tradelab.model.signal import DropCode
from tradelab.model.states import Leg, Severity, TradingState

FILL = Fill(
    trade_id="1", symbol="BTC/USDT", venue_order_id="9", client_order_id=None, side=Side.BUY, qty=Decimal("0.10"),
    price=Decimal(42000), fee=None, fee_currency=None, liquidity=Liquidity.TAKER, ts_ns=0,
)  # fmt: skip
DROP = {"bot": "b", "signal_id": "s", "by": "risk_management"}
TOLD: list[tuple[Message, str, Severity, str]] = [
    (
        said.TradeExecuted(account="main", bot="b", signal_id="s", leg=Leg.ENTRY, fill=FILL),
        "fills", Severity.INFO, "buy 0.10 BTC/USDT at 42000 on main (b)",
    ),
    (
        said.PositionClosed(
            account="main", bot="b", symbol="BTC/USDT", opened_ns=0, closed_ns=1, qty=Decimal(1),
            entry_price=Decimal(1), exit_price=Decimal(2), realized_pnl=Decimal("-12.5"), fees=Decimal(0),
            reason="stop", r_multiple=Decimal("-1"),
        ),
        "stops", Severity.INFO, "BTC/USDT on main is closed by stop: -12.5, -1.00 R",
    ),
    (
        said.SignalDropped(**DROP, code=DropCode.DAILY_LOSS, says="2 % lost"),  # type: ignore[arg-type]
        "guards", Severity.INFO, "b: no trade, daily_loss: 2 % lost",
    ),
    (
        said.TradingStateChanged(scope="node", state=TradingState.HALTED, by="ada", says="mad"),
        "states", Severity.CRITICAL, "node is halted by ada: mad",
    ),
    (
        said.OrderRefused(account="main", client_order_id="x", code=RefusalCode.PRICE_LIMIT, says="no"),
        "errors", Severity.WARNING, "main: order refused, price_limit: no",
    ),
    (
        said.ReconcileEnded(account="main", agreed=False, complete=True, findings=("1 more BTC",)),
        "errors", Severity.WARNING, "main and its venue do not agree: 1 more BTC",
    ),
    (
        said.AlarmRaised(kind="feed_stale", about="BTC/USDT 1m", severity=Severity.WARNING, says="silent for 30 s"),
        "disconnects", Severity.WARNING, "BTC/USDT 1m: silent for 30 s",
    ),
    (
        said.AlarmRaised(kind="daily_loss", about="account main", severity=Severity.CRITICAL, says="2 % lost"),
        "guards", Severity.CRITICAL, "account main: 2 % lost",
    ),
    (
        said.AlarmRaised(kind="lease", about="main", severity=Severity.CRITICAL, says="lost"),
        "errors", Severity.CRITICAL, "main: lost",
    ),
    (said.NodeStopped(says="asked to"), "states", Severity.INFO, "stopped: asked to"),
]  # fmt: skip
QUIET: list[Message] = [
    said.SignalDropped(**DROP, code=DropCode.FILTER, says="no"),  # type: ignore[arg-type]
    said.AlarmRaised(kind="x", about="y", severity=Severity.INFO, says="z"),
    said.ReconcileEnded(account="main", agreed=True, complete=True, findings=()),
    said.CommandDone(command_id="1", done=True, says=""),
]


def recorded(message: Message) -> Recorded[Any]:
    return Recorded(1, 0, 0, None, message)


@pytest.mark.parametrize(("message", "about", "severity", "says"), TOLD, ids=lambda value: type(value).__name__)
def test_what_a_person_should_know_is_said_in_a_line(
    message: Message, about: str, severity: Severity, says: str
) -> None:
    assert note_of(recorded(message)) == Note(about, severity, says)


@pytest.mark.parametrize("message", QUIET, ids=lambda value: type(value).__name__)
def test_what_is_usual_is_not_told(message: Message) -> None:
    assert note_of(recorded(message)) is None


class Service:
    """Where messages go; it may fail, and it may never answer."""

    def __init__(self, *, fails: bool = False, hangs: bool = False) -> None:
        self.got: list[str] = []
        self.fails, self.hangs = fails, hangs

    async def send(self, title: str, text: str) -> bool:
        if self.hangs:
            await asyncio.sleep(3600)
        if self.fails:
            raise OSError("no route")
        self.got.append(f"{title}\n{text}")
        return True


def told(
    service: Service, script: Callable[[Notifier, ManualClock], Coroutine[Any, Any, None]], **table: Any
) -> Notifier:
    async def run() -> Notifier:
        clock = ManualClock(10**18)
        notifier = Notifier("paper", NotifyTable(to=("phone",), **table), service.send, clock)
        task = asyncio.create_task(notifier.run())
        await script(notifier, clock)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return notifier

    return asyncio.run(run())


def fill(number: int) -> Note:
    return Note("fills", Severity.INFO, f"fill {number}")


def test_what_is_more_than_the_limit_waits_and_is_told_together_and_none_is_lost() -> None:
    service = Service()

    async def script(notifier: Notifier, clock: ManualClock) -> None:
        for number in range(40):
            notifier.say(fill(number))
            await clock.advance(0)
        assert len(service.got) == 3
        await clock.advance(59)
        assert len(service.got) == 3
        await clock.advance(2)

    told(service, script, most_per_minute=3)
    assert service.got[:3] == [f"tradelab paper: fills\nfill {number}" for number in range(3)]
    assert len(service.got) == 4
    assert service.got[3].startswith("tradelab paper: 37 messages\nfill 3\nfill 4\n")
    assert service.got[3].endswith("fill 14\nand 25 more about fills")


def test_the_urgent_is_told_at_once_though_the_limit_is_used_up() -> None:
    service = Service()

    async def script(notifier: Notifier, clock: ManualClock) -> None:
        for number in range(5):
            notifier.say(fill(number))
            await clock.advance(0)
        notifier.told(recorded(TOLD[3][0]))
        await clock.advance(0)

    told(service, script, most_per_minute=2)
    assert service.got[-1] == "tradelab paper: states\nnode is halted by ada: mad"
    assert len(service.got) == 3


def test_what_nobody_wants_to_hear_of_is_not_told() -> None:
    service = Service()

    async def script(notifier: Notifier, clock: ManualClock) -> None:
        notifier.say(fill(1))
        notifier.say(Note("errors", Severity.WARNING, "an error"))
        await clock.advance(0)

    told(service, script, about=("errors",))
    assert service.got == ["tradelab paper: errors\nan error"]


def test_a_service_that_fails_is_logged_and_counted_and_the_next_is_tried(caplog: pytest.LogCaptureFixture) -> None:
    service = Service(fails=True)

    async def script(notifier: Notifier, clock: ManualClock) -> None:
        notifier.say(fill(1))
        await clock.advance(0)
        service.fails = False
        notifier.say(fill(2))
        await clock.advance(0)

    with caplog.at_level(logging.WARNING):
        assert told(service, script).failed == 1
    assert "not delivered: fill 1" in caplog.text
    assert service.got == ["tradelab paper: fills\nfill 2"]


def test_ten_thousand_messages_cost_the_bus_nothing_while_the_service_hangs() -> None:
    async def script(notifier: Notifier, clock: ManualClock) -> None:
        notifier.say(fill(0))
        await clock.advance(0)
        for number in range(10_000):
            notifier.say(fill(number))
        assert len(notifier._waiting) == 1_000
        service.hangs = False
        await notifier.flush()

    service = Service(hangs=True)
    told(service, script)
    assert service.got[0].startswith("tradelab paper: 10000 messages\nfill 0\n")
    assert service.got[0].endswith("fill 11\nand 9988 more about fills")


def test_a_text_of_many_is_short_and_counts_the_rest() -> None:
    notes = [fill(number) for number in range(14)] + [Note("errors", Severity.WARNING, "e")]
    assert text_of(notes).splitlines()[-2:] == ["and 2 more about fills", "and 1 more about errors"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # apprise's own
def test_an_address_that_is_none_is_refused_without_being_shown(canary: str, caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("apprise")
    with caplog.at_level(logging.DEBUG), pytest.raises(ConfigError) as refused:
        sender({"phone": Secret(f"nonsense://{canary}")})
    assert "the address of 'phone' is none that apprise knows" in str(refused.value)
    assert canary not in caplog.text + str(refused.value)


def test_without_the_extra_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tradelab.model.errors.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'tradelab\[notify\]'"):
        sender({})


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_message_arrives_by_the_real_library_at_a_real_socket() -> None:
    pytest.importorskip("apprise")
    got: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        got.append(await reader.readexactly(length))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async def run() -> bool:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            return await sender({"here": Secret(f"json://127.0.0.1:{port}/hook")})("tradelab paper: fills", "fill 1")

    assert asyncio.run(run())
    assert b"tradelab paper: fills" in got[0]
    assert b"fill 1" in got[0]
