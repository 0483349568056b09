"""Work out by hand when guards trip, what they measure from, and who re-arms them."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from tests.unit.modules.risk_management.world import Bot, World, code
from tradelab.model import messages as said
from tradelab.model.errors import ConfigError
from tradelab.model.signal import DropCode
from tradelab.model.states import Severity, TradingState
from tradelab.modules.risk_management.config import Config
from tradelab.modules.risk_management.guards import Guarded, acknowledged, loss, reported, trading_day, tripped
from tradelab.modules.risk_management.manifest import MANIFEST
from tradelab.spine.persons import may_change

D = Decimal

DAY_S = 86_400.0
DAILY, WEEKLY, DRAWDOWN = DropCode.DAILY_LOSS, DropCode.WEEKLY_LOSS, DropCode.DRAWDOWN
FIVE = Bot(limits={"max_daily_loss": "0.05"})


def alarms(world: World) -> list[str]:
    return [alarm.kind for alarm in world.said(said.AlarmRaised)]


def state(world: World) -> TradingState:
    return world.ledger.snapshot().state("account acc")


def later(world: World, seconds: float, equity: str) -> None:
    world.wait(seconds)
    world.report(equity)
    world.quote("EURUSD", "1.10000", "1.10010")


# ── tripping ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_breach_halts_the_account_and_raises_an_alarm_in_the_run_of_the_report_that_showed_it():
    world = World(FIVE)
    world.report("9500.01")
    assert state(world) is TradingState.ACTIVE
    world.report("9500")  # 5 % of 10 000, reached exactly
    report, change, alarm = world.keeper.said[-3:]
    assert isinstance(report.message, said.AccountReported)
    assert (change.message.scope, change.message.state) == ("account acc", TradingState.HALTED)
    assert (alarm.message.kind, alarm.message.severity) == ("daily_loss", Severity.CRITICAL)
    assert (change.cause, alarm.cause) == (report.seq, report.seq)
    assert alarm.message.says == (
        "equity 9500 is 5.00 % below the 10000 of when the day began; the limit is 5.00 %"
    )  # fmt: skip
    assert code(world.enter()) is DropCode.HALTED


def test_a_signal_in_the_very_run_of_the_breach_does_not_pass():
    """The state is halted by a message that is heard after the signal; the guard itself is looked at before."""
    world = World(FIVE)
    signal = world.signal()
    world.bus.hear(said.AccountReported, lambda _: world.bus.say(said.SignalRaised(signal)))
    hearers = world.bus._hearers[said.AccountReported]
    hearers.insert(0, hearers.pop())  # it hears the report before risk management does
    world.report("9000")
    assert code(world.answers[signal.id]) is DAILY


def test_a_guard_trips_once_and_says_so_once():
    world = World(FIVE)
    for equity in ("9400", "9300", "10000", "9200"):
        world.report(equity)
    assert alarms(world) == ["daily_loss"]
    assert len(world.said(said.TradingStateChanged)) == 1


def test_recovering_or_a_new_day_lets_nothing_pass():
    world = World(FIVE)
    world.report("9400")
    later(world, 60.0, "10500")
    assert code(world.enter()) is DropCode.HALTED
    later(world, 3 * DAY_S, "10500")
    assert code(world.enter()) is DropCode.HALTED
    world.restart()
    assert code(world.enter()) is DropCode.HALTED
    assert state(world) is TradingState.HALTED


def test_the_strictest_limit_of_all_bots_guards_the_account():
    world = World(Bot(limits={"max_daily_loss": "0.5"}, others=("c",), limits_of_others={"max_daily_loss": "0.05"}))
    world.report("9500")
    assert alarms(world) == ["daily_loss"]
    assert code(world.enter(bot="b")) is DropCode.HALTED


def test_equity_that_is_not_told_moves_nothing_and_lets_nothing_pass():
    world = World(FIVE)
    world.report(None)
    assert code(world.enter()) is DropCode.EQUITY_UNKNOWN
    world.report("9501")
    assert code(world.enter()) is None


def test_a_limit_tightened_while_the_engine_was_away_trips_at_its_start():
    world = World(Bot(limits={"max_daily_loss": "0.2"}))
    world.report("9000")
    assert state(world) is TradingState.ACTIVE
    world.restart(FIVE)
    assert alarms(world) == ["daily_loss"]
    assert state(world) is TradingState.HALTED


def test_of_a_base_of_nothing_everything_is_lost():
    config = Config()
    owing = reported(Guarded(), D(-5), 0, config)
    assert loss(owing, DAILY) == 1
    assert loss(Guarded(), DAILY) is None


# ── what they measure from ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_day_is_measured_from_the_higher_of_the_last_equity_before_it_and_the_first_in_it():
    for before, first in (("10000", "9600"), ("9600", "10000")):
        world = World(FIVE)
        later(world, 60.0, before)
        later(world, DAY_S, first)
        assert alarms(world) == []
        later(world, 60.0, "9501")
        assert alarms(world) == []
        later(world, 60.0, "9500")
        assert alarms(world) == ["daily_loss"]


def test_a_loss_over_several_days_trips_the_week_and_not_the_day():
    world = World(Bot(limits={"max_daily_loss": "0.05", "max_weekly_loss": "0.08"}))
    later(world, DAY_S, "9600")  # Wednesday: 4 % below Tuesday's 10 000
    later(world, DAY_S, "9300")  # Thursday: 3.1 % below 9 600, 7 % below the week's 10 000
    assert alarms(world) == []
    later(world, 60.0, "9200")  # 4.2 % of the day, 8 % of the week
    assert alarms(world) == ["weekly_loss"]


def test_a_week_begins_on_its_monday():
    world = World(Bot(limits={"max_weekly_loss": "0.08"}))
    later(world, 5 * DAY_S, "9500")  # Sunday
    later(world, DAY_S, "9500")  # Monday: from 9 500
    later(world, 60.0, "8750")  # 7.9 % of it, 12.5 % of last week's
    assert alarms(world) == []
    later(world, 60.0, "8740")  # 8 %
    assert alarms(world) == ["weekly_loss"]


def test_a_drawdown_is_measured_from_the_peak_whenever_that_was():
    world = World(Bot(limits={"max_drawdown": "0.1"}))
    later(world, 60.0, "12000")
    later(world, 30 * DAY_S, "10801")
    assert alarms(world) == []
    world.restart()
    later(world, 60.0, "10800")  # 10 % of 12 000
    assert alarms(world) == ["drawdown"]


def test_a_trading_day_may_begin_at_five_in_new_york_through_summer_time():
    """17:00 in New York is 22:00 UTC in winter, 21:00 in summer; clocks changed on 2024-03-10."""
    config = Config(timezone="America/New_York", day_starts=dt.time(17))

    def day(*moment: int) -> dt.date:
        return trading_day(int(dt.datetime(*moment, tzinfo=dt.UTC).timestamp()) * 10**9, config)

    assert (day(2024, 3, 8, 21, 59), day(2024, 3, 8, 22, 0)) == (dt.date(2024, 3, 7), dt.date(2024, 3, 8))
    assert (day(2024, 3, 11, 20, 59), day(2024, 3, 11, 21, 0)) == (dt.date(2024, 3, 10), dt.date(2024, 3, 11))


def test_the_day_of_a_guard_is_the_configured_one():
    """From Tuesday 12:00 UTC to 23:30 is one day in UTC and two in Berlin, where it is Wednesday 00:30."""
    for zone, expected in (("UTC", ["daily_loss"]), ("Europe/Berlin", [])):
        world = World(Bot(limits={"max_daily_loss": "0.05"}, settings={"timezone": zone}))
        later(world, 3600.0, "9600")
        later(world, 10.5 * 3600.0, "9590")
        later(world, 60.0, "9480")  # 5.2 % of 10 000; 1.25 % of 9 600
        assert alarms(world) == expected


# ── re-arming ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_person_re_arms_and_the_guard_measures_from_the_equity_then():
    world = World(FIVE)
    world.report("9000")
    world.change(TradingState.ACTIVE, by="ada")
    assert code(world.enter()) is None
    later(world, 60.0, "8551")  # 4.99 % of 9 000
    assert state(world) is TradingState.ACTIVE
    later(world, 60.0, "8550")
    assert state(world) is TradingState.HALTED
    assert alarms(world) == ["daily_loss", "daily_loss"]


def test_what_a_person_re_armed_is_re_armed_after_a_restart():
    world = World(FIVE)
    world.report("9000")
    world.change(TradingState.ACTIVE, by="ada")
    world.restart()
    assert alarms(world) == ["daily_loss"]
    assert code(world.enter()) is None


def test_only_what_had_tripped_is_measured_anew():
    world = World(Bot(limits={"max_daily_loss": "0.05", "max_drawdown": "0.1"}))
    world.report("9400")
    world.change(TradingState.ACTIVE, by="ada")
    later(world, 60.0, "9001")  # 4.2 % of 9 400; 9.99 % of the peak of 10 000
    assert alarms(world) == ["daily_loss"]
    later(world, 60.0, "9000")
    assert alarms(world) == ["daily_loss", "drawdown"]


@pytest.mark.parametrize("by", ["risk_management", "execution", "node", "program nightly", "", " "])
def test_nobody_but_a_person_re_arms(by: str):
    world = World(FIVE)
    world.report("9000")
    world.change(TradingState.ACTIVE, by=by)
    assert state(world) is TradingState.HALTED
    assert code(world.enter()) is DropCode.HALTED
    world.restart()
    assert code(world.enter()) is DropCode.HALTED


def test_a_signal_in_the_very_run_in_which_a_program_lets_go_does_not_pass():
    world = World(FIVE)
    world.report("9000")
    world.report("10000")
    signal = world.signal()
    hearers = world.bus._hearers[said.TradingStateChanged]
    hearers.insert(0, lambda _: None if signal.id in world.answers else world.bus.say(said.SignalRaised(signal)))
    world.change(TradingState.ACTIVE, by="program nightly")
    assert code(world.answers[signal.id]) is DAILY
    assert state(world) is TradingState.HALTED


def test_letting_the_account_reduce_re_arms_nothing():
    world = World(FIVE)
    world.report("9000")
    world.change(TradingState.REDUCING, by="ada")
    assert state(world) is TradingState.REDUCING
    assert code(world.enter()) is DropCode.REDUCING
    world.change(TradingState.ACTIVE, by="program nightly")
    assert state(world) is TradingState.HALTED
    world.change(TradingState.ACTIVE, by="ada")
    assert code(world.enter()) is None


def test_a_person_who_lets_the_node_go_re_arms_no_account():
    world = World(FIVE)
    world.report("9000")
    world.change(TradingState.ACTIVE, by="ada", scope="node")
    refused = world.enter()
    assert code(refused) is DropCode.HALTED
    assert refused.verdict.says == "account acc is halted; a person resumes it: resume, scope account acc"


def test_acknowledging_without_a_trip_moves_no_base():
    world = World(FIVE)
    world.report("9600")
    world.change(TradingState.HALTED, by="ada")
    world.change(TradingState.ACTIVE, by="ada")
    world.report("9500")
    assert alarms(world) == ["daily_loss"]
    assert acknowledged(tripped(Guarded(), DAILY)).tripped == frozenset()


def test_a_breach_while_a_person_has_halted_everything_is_kept_all_the_same():
    world = World(FIVE)
    world.change(TradingState.HALTED, by="ada")
    world.report("9000")
    assert alarms(world) == ["daily_loss"]


# ── who may change what ──────────────────────────────────────────────────────────────────────────────────────────────


def test_everybody_may_make_it_stricter_and_only_a_person_looser():
    order = [TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED]
    for now in order:
        for to in order:
            looser = order.index(to) < order.index(now)
            assert (may_change(now, to, "execution", ["execution"]) is not None) == looser
            assert may_change(now, to, "ada", ["execution"]) is None


def test_settings_that_mean_nothing_are_refused_by_name():
    for settings, field in (({"timezone": "Nowhere"}, "timezone"), ({"week_starts": 8}, "week_starts"),
                            ({"weekstart": 1}, "weekstart")):  # fmt: skip
        with pytest.raises(ConfigError, match=field):
            World(Bot(settings=settings))


def test_it_says_and_hears_what_its_manifest_declares():
    world = World(FIVE)
    hears = {kind for kind, hearers in world.bus._hearers.items() for h in hearers if h.__self__ is world.stage}
    assert hears <= set(MANIFEST.hears)
    assert {said.TradingStateChanged, said.AlarmRaised, said.RiskCalculated} <= set(MANIFEST.tells)
