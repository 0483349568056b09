"""Figures of trading: small numbers, each answer worked out by hand from the definitions."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from statistics import mean, stdev
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradelab.model.account import AccountInfo
from tradelab.model.errors import ParameterError
from tradelab.model.instrument import Instrument
from tradelab.model.messages import (
    AccountReported,
    ChangeIntended,
    InstrumentListed,
    Message,
    OrderAccepted,
    OrderIntended,
    PositionClosed,
    Recorded,
    RequestAnswered,
    TradeExecuted,
)
from tradelab.model.orders import Fill, Liquidity, OrderIntent, OrderRef, OrderType, Side
from tradelab.model.outcome import RefusalCode
from tradelab.model.states import Leg
from tradelab.model.units import NS_PER_DAY, NS_PER_HOUR
from tradelab.modules.position_monitoring.analytics import figures
from tradelab.modules.position_monitoring.analytics_log import TradeLog
from tradelab.modules.position_monitoring.days import Days

D = Decimal


def told(*messages: tuple[Message, int]) -> TradeLog:
    """A log of messages, each with the time at which it came to be known."""
    log = TradeLog()
    for n, (message, ts_ns) in enumerate(messages, 1):
        log.remember(Recorded(n, ts_ns, ts_ns, None, message))
    return log


def closed(
    pnl: str | None, *, bot: str = "b", day: int = 0, r: str | None = None, account: str = "a", symbol: str = "X"
) -> Any:
    """A round that is over."""
    return PositionClosed(
        account=account, bot=bot, symbol=symbol, opened_ns=day * NS_PER_DAY, closed_ns=day * NS_PER_DAY,
        qty=D(1), entry_price=D(100), exit_price=D(101), realized_pnl=None if pnl is None else D(pnl),
        fees=D("0.5"), reason="target",
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


def listed(symbol: str, quote: str, account: str = "a") -> Any:
    """What an instrument's prices are said in."""
    it = Instrument(symbol=symbol, venue="v", base="B", quote=quote, tick_size=D(1), qty_step=D(1))
    return InstrumentListed(account=account, instrument=it), 0


def worth(*equity: str | None, account: str = "a", currency: str | None = None, hour: int = 12) -> list[Any]:
    """An account's equity of each day."""
    return [
        (
            AccountReported(
                account=account, info=AccountInfo(balances=(), ts_ns=0, equity=D(value), currency=currency)
            ),
            day * NS_PER_DAY + hour * NS_PER_HOUR,
        )
        for day, value in enumerate(equity)
        if value is not None
    ]


def test_figures_of_five_rounds_are_those_worked_out_by_hand() -> None:
    log = told(closed("30", r="3"), closed("-10", r="-1"), closed("-5"), closed(None), closed("0", r="0"))
    (row,) = figures(log.days, by="bot", least_trades=3)
    assert (row.group, row.trades, row.untold, row.pnl, row.fees) == ("b", 5, 1, D(15), D("2.5"))
    assert (row.wins, row.losses) == (1, 2)
    assert row.win_rate == 0.25  # one of four that are known
    assert row.profit_factor == 2.0  # 30 / 15
    assert row.expectancy == 3.75  # 15 / 4
    assert row.expectancy_r == pytest.approx(2 / 3)


def test_what_cannot_be_told_is_none_and_never_a_large_number() -> None:
    (row,) = figures(told(closed("30")).days, by="bot", least_trades=1)
    assert (row.profit_factor, row.expectancy_r, row.slippage_bps, row.latency_p50_ms) == (None, None, None, None)
    assert (row.total_return, row.max_drawdown, row.sharpe, row.drift_bps) == (None, None, None, None)
    assert figures(told().days, by="bot") == ()


def test_of_too_few_rounds_there_are_sums_and_no_rates() -> None:
    (row,) = figures(told(closed("30"), closed("-10"), closed("5"), closed("1")).days, by="bot")
    assert (row.trades, row.pnl) == (4, D(26))
    assert (row.win_rate, row.profit_factor, row.expectancy) == (None, None, None)


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("bot", ["b", "c"]),
        ("symbol", ["X", "Y"]),
        ("connection", ["a", "z"]),
        ("day", ["1970-01-01", "1970-01-02"]),
    ],
)
def test_figures_are_told_by_bot_symbol_connection_and_day(by: Any, groups: list[str]) -> None:
    log = told(closed("1"), closed("2", bot="c", day=1), closed("3", account="z", symbol="Y"))
    assert [row.group for row in figures(log.days, by=by)] == groups


def test_days_are_asked_for_by_their_names_both_ends_among_them() -> None:
    log = told(*(closed(str(2**day), day=day) for day in range(4)))
    (row,) = figures(log.days, by="bot", first="1970-01-02", last="1970-01-03")
    assert row.pnl == D(6)


def test_another_grouping_is_refused() -> None:
    with pytest.raises(ParameterError, match="by='week' is not allowed"):
        figures(told().days, by="week")  # type: ignore[arg-type]


def test_money_of_two_currencies_is_not_added_up() -> None:
    log = told(listed("X", "USD"), listed("Y", "JPY"), closed("30"), closed("-1000", symbol="Y"))
    (bot,) = figures(log.days, by="bot", least_trades=1)
    assert (bot.currency, bot.pnl, bot.fees, bot.profit_factor, bot.expectancy) == (None, None, None, None, None)
    assert (bot.trades, bot.win_rate) == (2, 0.5)
    dollars, yen = figures(log.days, by="symbol")
    assert (dollars.currency, dollars.pnl, yen.currency, yen.pnl) == ("USD", D(30), "JPY", D(-1000))


def test_a_round_that_a_late_fill_tells_anew_is_counted_once() -> None:
    def round_(opened: int, ended: int, pnl: str) -> Any:
        it, at_ns = closed(pnl)
        return replace(it, opened_ns=opened, closed_ns=ended), at_ns

    log = told(round_(0, 10, "1"), round_(10, 20, "2"), round_(5, 12, "7"), round_(12, 20, "8"))
    (row,) = figures(log.days, by="bot")
    assert (row.trades, row.pnl) == (2, D(15))


def test_rounds_that_closed_in_the_same_nanosecond_are_several() -> None:
    def round_(opened: int, ended: int, pnl: str) -> Any:
        it, at_ns = closed(pnl)
        return replace(it, opened_ns=opened, closed_ns=ended), at_ns

    log = told(round_(0, 10, "1"), round_(10, 10, "2"), round_(10, 10, "2"), round_(10, 20, "4"))
    (row,) = figures(log.days, by="bot")
    assert (row.trades, row.pnl) == (4, D(9))


def test_slippage_is_above_zero_where_it_is_worse_than_the_price_the_order_was_weighed_by() -> None:
    (bought,) = figures(told(meant("1"), filled("1", "100.1")).days, by="bot")
    (sold,) = figures(told(meant("1", Side.SELL), filled("1", "100.1", Side.SELL)).days, by="bot")
    assert (bought.slippage_bps, sold.slippage_bps) == (pytest.approx(10.0), pytest.approx(-10.0))


def test_slippage_is_weighed_by_value() -> None:
    log = told(meant("1"), meant("2"), filled("1", "100", qty="3"), filled("2", "101", qty="1"))
    (row,) = figures(log.days, by="bot")
    assert row.slippage_bps == pytest.approx(25.0)  # 1 of 400


@pytest.mark.parametrize(
    ("moves", "bps"),
    [
        ([], 10.0),  # 98 to 97.902
        ([("96", None)], -198.125),  # moved to 96: 1.902 better
        ([("96", RefusalCode.OVERLOADED)], 10.0),
        ([("97", None), ("96", RefusalCode.OVERLOADED)], -92.989),  # 97 stands: 0.902 better
    ],
)
def test_a_stop_slips_from_its_trigger_as_it_was_moved_last(
    moves: list[tuple[str, RefusalCode | None]], bps: float
) -> None:
    order, at_ns = meant("1", Side.SELL)
    intent = replace(order.intent, type=OrderType.STOP, stop_price=D(98))
    ref = OrderRef(symbol="X", client_order_id="1")
    requests: list[Any] = []
    for level, code in moves:
        change = ChangeIntended(account="a", ref=ref, qty=None, price=None, stop_price=D(level), says="moved")
        requests += [(change, 0), (RequestAnswered(account="a", ref=ref, known=True, code=code, says=""), 0)]
    log = told((replace(order, intent=intent, leg=Leg.STOP), at_ns), *requests, filled("1", "97.902", Side.SELL))
    (row,) = figures(log.days, by="bot")
    assert row.slippage_bps == pytest.approx(bps, abs=0.001)


def test_latency_runs_from_the_intent_to_the_venues_yes() -> None:
    yes = OrderAccepted(account="a", client_order_id="1", venue_order_id="v")
    (row,) = figures(told(meant("1", at_ns=1_000_000), (yes, 4_000_000), (yes, 9_000_000)).days, by="connection")
    assert (row.latency_p50_ms, row.latency_p99_ms) == (3.0, 3.0)


def test_a_connection_is_judged_by_its_equity_open_profit_and_all() -> None:
    (row,) = figures(told(*worth("100", "110", "99", "120")).days, by="connection", least_days=4)
    assert (row.days, row.total_return) == (4, pytest.approx(0.2))
    assert row.max_drawdown == pytest.approx(-0.1)
    daily = [0.0, 0.1, -0.1, 21 / 99]
    assert row.sharpe == pytest.approx(mean(daily) / stdev(daily) * 365**0.5)
    # shortfalls: one of 0.1 in four days: sqrt(0.01 / 4) = 0.05
    assert row.sortino == pytest.approx(mean(daily) / 0.05 * 365**0.5)


def test_a_day_without_a_report_is_a_day_without_a_return() -> None:
    (row,) = figures(told(*worth("100", None, None, "110")).days, by="connection")
    assert (row.days, row.total_return, row.sharpe) == (4, pytest.approx(0.1), None)


def test_a_fall_inside_a_day_and_one_over_night_are_both_seen() -> None:
    inside = told(*worth("100"), *worth("80", hour=13), *worth("100", hour=14))
    over_night = told(*worth("100"), *worth("120", hour=13), *worth("110", hour=14), *worth(None, "90"))
    assert figures(inside.days, by="connection")[0].max_drawdown == pytest.approx(-0.2)
    assert figures(over_night.days, by="connection")[0].max_drawdown == pytest.approx(-0.25)


@given(st.lists(st.lists(st.integers(1, 1000), min_size=1, max_size=6), min_size=1, max_size=6))
def test_the_deepest_fall_of_all_reports_is_found_from_what_is_kept_of_each_day(reports: list[list[int]]) -> None:
    said = [each for day, values in enumerate(reports) for hour, value in enumerate(values)
            for each in worth(*[None] * day, str(value), hour=hour)]  # fmt: skip
    flat = [value for values in reports for value in values]
    by_hand = min(value / max(flat[: n + 1]) - 1 for n, value in enumerate(flat))
    (row,) = figures(told(*said).days, by="connection")
    assert row.max_drawdown == pytest.approx(by_hand, abs=1e-12)


def test_a_bot_is_judged_by_what_it_closed_over_what_its_account_was_worth_when_the_day_began() -> None:
    log = told(
        listed("X", "USD"), *worth("1000", "1000", "1100", "1100", currency="USD"),
        closed("50"), closed("-100", day=2), closed("11", day=3), closed("11", day=3),
    )  # fmt: skip
    (row,) = figures(log.days, by="bot", least_days=4)
    # 50/1000, none, -100/1000, 22/1100
    assert row.days == 4
    assert row.total_return == pytest.approx(1.05 * 0.9 * 1.02 - 1)
    assert row.max_drawdown == pytest.approx(-0.1)
    # mean -0.0075, squares about it: 0.0575² + 0.0075² + 0.0925² + 0.0275² = 0.012675, / 3, root 0.065
    assert row.sharpe == pytest.approx(-0.0075 / 0.065 * 365**0.5)
    assert row.sortino == pytest.approx(-0.0075 / 0.05 * 365**0.5)


def test_funding_is_in_the_return_of_a_connection_and_in_no_trade() -> None:
    log = told(listed("X", "USD"), *worth("1000", "987.5", currency="USD"), closed("0", day=1))  # 12.50 were paid
    (connection,) = figures(log.days, by="connection")
    (bot,) = figures(log.days, by="bot")
    assert (connection.total_return, connection.max_drawdown) == (pytest.approx(-0.0125), pytest.approx(-0.0125))
    assert (bot.pnl, bot.total_return, connection.pnl) == (D(0), 0.0, D(0))


def test_what_is_earned_in_another_currency_than_the_account_is_counted_in_is_no_return() -> None:
    log = told(listed("X", "JPY"), *worth("1000", currency="USD"), closed("50"))
    (row,) = figures(log.days, by="bot")
    assert (row.pnl, row.total_return, row.sharpe) == (D(50), None, None)


def test_a_day_is_one_return_and_no_ratio() -> None:
    log = told(listed("X", "USD"), *worth("1000", "1000", currency="USD"), closed("50"), closed("20", day=1))
    first, second = figures(log.days, by="day", least_days=1)
    assert (first.total_return, second.total_return) == (pytest.approx(0.05), pytest.approx(0.02))
    assert (first.days, first.sharpe) == (1, None)


def test_days_that_were_written_are_the_same_when_they_are_read() -> None:
    log = told(
        listed("X", "USD"), meant("1"), filled("1", "100.1"), closed("0.10", r="0.5"), closed(None, day=1),
        (OrderAccepted(account="a", client_order_id="1", venue_order_id="v"), 1_234_567),
        *worth("1000", "950.5", currency="USD"),
    )  # fmt: skip
    again = Days()
    for cell in log.days.changed:
        again.read(cell, log.days.written(cell))
    assert (again.facts, again.worth) == (log.days.facts, log.days.worth)
    assert len(log.days.changed) == 4
