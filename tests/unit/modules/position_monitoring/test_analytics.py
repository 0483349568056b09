"""Figures of trading: small numbers, each answer worked out by hand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tradelab.model.account import AccountInfo
from tradelab.model.errors import ParameterError
from tradelab.model.messages import (
    AccountReported,
    Message,
    OrderAccepted,
    OrderIntended,
    PositionClosed,
    Recorded,
    TradeExecuted,
)
from tradelab.model.orders import Fill, Liquidity, OrderIntent, OrderType, Side
from tradelab.model.states import Leg
from tradelab.model.units import NS_PER_DAY
from tradelab.modules.position_monitoring.analytics import figures, frame, growth
from tradelab.modules.position_monitoring.analytics_log import TradeLog

D = Decimal


def told(*messages: tuple[Message, int]) -> TradeLog:
    """A log of messages, each with the time at which it came to be known."""
    log = TradeLog()
    for n, (message, ts_ns) in enumerate(messages, 1):
        log.remember(Recorded(n, ts_ns, ts_ns, None, message))
    return log


def closed(pnl: str | None, *, bot: str = "b", day: int = 0, r: str | None = None, account: str = "a") -> Any:
    """A round that is over."""
    return PositionClosed(
        account=account, bot=bot, symbol="X", opened_ns=0, closed_ns=day * NS_PER_DAY, qty=D(1), entry_price=D(100),
        exit_price=D(101), realized_pnl=None if pnl is None else D(pnl), fees=D("0.5"), reason="target",
        r_multiple=None if r is None else D(r),
    ), day * NS_PER_DAY  # fmt: skip


def meant(name: str, side: Side = Side.BUY, at_ns: int = 0) -> Any:
    """An order that was weighed against a price of 100."""
    intent = OrderIntent(client_order_id=name, symbol="X", side=side, type=OrderType.MARKET, qty=D(1))
    return OrderIntended(
        account="a", bot="b", signal_id="s", leg=Leg.ENTRY, intent=intent, approved_by=("risk",),
        reference_price=D(100), fresh_until_ns=1, fence=1,
    ), at_ns  # fmt: skip


def filled(name: str, price: str, side: Side = Side.BUY, qty: str = "1") -> Any:
    """A fill."""
    fill = Fill(
        trade_id=name, symbol="X", venue_order_id="v", client_order_id=name, side=side, qty=D(qty), price=D(price),
        fee=D(0), fee_currency="Q", liquidity=Liquidity.TAKER, ts_ns=0,
    )  # fmt: skip
    return TradeExecuted(account="a", bot="b", signal_id="s", leg=Leg.ENTRY, fill=fill), 0


def test_figures_of_four_rounds_are_those_worked_out_by_hand() -> None:
    log = told(closed("30", r="3"), closed("-10", r="-1"), closed("-5"), closed(None))
    (row,) = figures(log, by="bot")
    assert (row.group, row.trades, row.untold, row.pnl, row.fees) == ("b", 4, 1, D(15), D(2))
    assert row.win_rate == pytest.approx(1 / 3)
    assert row.profit_factor == 2.0
    assert row.expectancy == 5.0
    assert row.expectancy_r == 1.0


def test_what_cannot_be_told_is_none_and_never_a_large_number() -> None:
    (row,) = figures(told(closed("30")), by="bot")
    assert (row.profit_factor, row.expectancy_r, row.slippage_bps, row.latency_p50_ms) == (None, None, None, None)
    assert figures(told(), by="bot") == ()


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("bot", ["b", "c"]),
        ("symbol", ["X"]),
        ("connection", ["a", "z"]),
        ("day", ["1970-01-01", "1970-01-02"]),
    ],
)
def test_figures_are_told_by_bot_symbol_connection_and_day(by: Any, groups: list[str]) -> None:
    log = told(closed("1"), closed("2", bot="c", day=1), closed("3", account="z"))
    assert [row.group for row in figures(log, by=by)] == groups


def test_another_grouping_is_refused() -> None:
    with pytest.raises(ParameterError, match="by='week' is not allowed"):
        figures(told(), by="week")  # type: ignore[arg-type]


def test_slippage_is_above_zero_where_it_is_worse_than_the_price_the_order_was_weighed_by() -> None:
    (bought,) = figures(told(meant("1"), filled("1", "100.1")), by="bot")
    (sold,) = figures(told(meant("1", Side.SELL), filled("1", "100.1", Side.SELL)), by="bot")
    assert (bought.slippage_bps, sold.slippage_bps) == (pytest.approx(10.0), pytest.approx(-10.0))


def test_slippage_is_weighed_by_value() -> None:
    log = told(meant("1"), meant("2"), filled("1", "100", qty="3"), filled("2", "101", qty="1"))
    (row,) = figures(log, by="bot")
    assert row.slippage_bps == pytest.approx(100 * 101 / 401)


def test_latency_runs_from_the_intent_to_the_venues_yes() -> None:
    yes = OrderAccepted(account="a", client_order_id="1", venue_order_id="v")
    (row,) = figures(told(meant("1", at_ns=1_000_000), (yes, 4_000_000), (yes, 9_000_000)), by="connection")
    assert (row.latency_p50_ms, row.latency_p99_ms) == (3.0, 3.0)


def worth(*equity: str) -> TradeLog:
    """An account's equity at noon of each day."""
    return told(
        *(
            (AccountReported(account="a", info=AccountInfo(balances=(), ts_ns=at, equity=D(value))), at)
            for at, value in ((day * NS_PER_DAY + NS_PER_DAY // 2, value) for day, value in enumerate(equity))
        )
    )


def test_equity_gives_return_and_the_deepest_fall_from_a_peak() -> None:
    (row,) = growth(worth("100", "110", "99", "120").worth, periods_per_year=365)
    assert row.total_return == pytest.approx(0.2)
    assert row.max_drawdown == pytest.approx(-0.1)
    # daily 0.1, -0.1, 0.2121…: mean 0.070707…, deviation (n - 1) 0.158109…
    assert row.sharpe == pytest.approx(0.0707070707 / 0.1581090449 * 365**0.5, rel=1e-6)


def test_a_day_of_equity_tells_no_ratio() -> None:
    (row,) = growth(worth("100").worth, periods_per_year=365)
    assert (row.days, row.total_return, row.sharpe, row.sortino, row.max_drawdown) == (1, None, None, None, 0.0)


def test_figures_are_a_table_that_can_be_written() -> None:
    text = frame(figures(told(closed("30"), closed("-10", bot="c")), by="bot")).to_csv(index=False)
    assert text.splitlines()[0].startswith("group,trades,untold,pnl")
    assert [line.split(",")[0] for line in text.splitlines()[1:]] == ["b", "c"]
