"""Refuse to enter outside hours, and where the account, the bot or a guard lets nothing in."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from tradelab.model.signal import Drop, DropCode
from tradelab.model.states import BotStatus, TradingState
from tradelab.model.units import NS_PER_S
from tradelab.modules.risk_management.guards import breaches
from tradelab.modules.risk_management.scene import Scene, drop
from tradelab.spine.config import Mode
from tradelab.spine.presets import Schedule

# ── when ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def market_closed(scene: Scene) -> Drop | None:
    """Refuse while the instrument's own market is closed."""
    return None if scene.closed is None else drop(DropCode.MARKET_CLOSED, scene.closed)


def began(schedule: Schedule, now_ns: int) -> dt.date | None:
    """Return the day on which the window began that is open now; ``None``: it is closed.

    Both ends are read off the clock on the wall, summer time and all; ``start`` belongs to the window, ``end`` not.

    Examples
    --------
    >>> night = Schedule(start=dt.time(22), end=dt.time(6))
    >>> began(night, 1_704_157_200_000_000_000)  # Tuesday 2024-01-02, 01:00 UTC
    datetime.date(2024, 1, 1)
    """
    wall = dt.datetime.fromtimestamp(now_ns // NS_PER_S, ZoneInfo(schedule.timezone))
    now, start, end = wall.time(), schedule.start, schedule.end
    if start is None or end is None:
        return wall.date()
    if start < end:
        return wall.date() if start <= now < end else None
    if now >= start:
        return wall.date()
    return wall.date() - dt.timedelta(days=1) if now < end else None


def outside_hours(scene: Scene) -> Drop | None:
    """Refuse outside the hours of the bot's schedule."""
    schedule = scene.preset.schedule
    if began(schedule, scene.view.now_ns) is not None:
        return None
    says = f"entries are allowed from {schedule.start} to {schedule.end}, {schedule.timezone}"
    return drop(DropCode.OUTSIDE_HOURS, says, timezone=schedule.timezone)


def outside_days(scene: Scene) -> Drop | None:
    """Refuse on a day that is not the bot's; a window over midnight belongs to the day on which it began."""
    schedule = scene.preset.schedule
    day = began(schedule, scene.view.now_ns)
    if day is None or day.isoweekday() in schedule.days:
        return None
    days = ", ".join(map(str, schedule.days))
    return drop(DropCode.OUTSIDE_DAYS, f"it is day {day.isoweekday()} of the week; entries are allowed on {days}")


# ── the account ──────────────────────────────────────────────────────────────────────────────────────────────────────


def disconnected(scene: Scene) -> Drop | None:
    """Refuse while nothing can be sent."""
    if scene.connected and scene.capabilities is not None:
        return None
    return drop(DropCode.DISCONNECTED, f"account {scene.account!r} is not connected")


def reconciling(scene: Scene) -> Drop | None:
    """Refuse while it is not known that we and the venue agree."""
    state = scene.snapshot.accounts.get(scene.account)
    if state is not None and not state.reconciling:
        return None
    return drop(DropCode.RECONCILING, f"what account {scene.account!r} holds is being compared with the venue")


def trading_state(scene: Scene) -> Drop | None:
    """Refuse while the node, the account or the bot may only reduce, or nothing."""
    scopes = ("node", f"account {scene.account}", f"bot {scene.signal.bot}")
    state = scene.snapshot.state(*scopes)
    if state is TradingState.ACTIVE:
        return None
    code = DropCode.HALTED if state is TradingState.HALTED else DropCode.REDUCING
    so = ", ".join(scope for scope in scopes if scene.snapshot.states.get(scope) is state)
    return drop(
        code, f"{so} is {state.value}; a person resumes it: resume, scope {so}", trading_state=state.value, scope=so
    )


def bot_not_running(scene: Scene) -> Drop | None:
    """Refuse for a bot that is paused, stopped or was never started."""
    status = scene.snapshot.bots.get(scene.signal.bot, BotStatus.STOPPED)
    if status is BotStatus.RUNNING:
        return None
    return drop(DropCode.BOT_NOT_RUNNING, f"bot {scene.signal.bot!r} is {status.value}", bot_status=status.value)


def not_armed(scene: Scene) -> Drop | None:
    """Refuse to trade real money that nobody has armed."""
    if scene.view.bot.mode is not Mode.LIVE or scene.armed:
        return None
    if not scene.was_armed:
        return drop(DropCode.NOT_ARMED, f"live account {scene.account!r} is not armed; a person does that")
    return drop(
        DropCode.NOT_ARMED,
        f"live account {scene.account!r} was armed for its connection as it was set up before (venue, address, key or "
        f"settings have changed since, or it was not noted then); look at it, then: tradelab arm {scene.account}",
    )


# ── its guards ───────────────────────────────────────────────────────────────────────────────────────────────────────


def equity_unknown(scene: Scene) -> Drop | None:
    """Refuse where an account is to be guarded and the venue does not say what it is worth."""
    if not scene.guards or scene.view.equity() is not None:
        return None
    guards = ", ".join(code.value for code in scene.guards)
    return drop(
        DropCode.EQUITY_UNKNOWN, f"the venue does not say what the account is worth; it is to be guarded: {guards}"
    )


def guard(scene: Scene) -> Drop | None:
    """Refuse behind a guard that has been reached, or that had been and that nobody has re-armed."""
    reached = breaches(scene.guarded, scene.guards)
    if reached:
        one = reached[0]
        return drop(one.code, one.says, loss_fraction=one.loss, max_loss_fraction=one.limit, base=one.base)
    for code in sorted(scene.guarded.tripped, key=lambda each: each.value):
        return drop(code, f"guard {code.value} has tripped; a person re-arms it: resume, scope account {scene.account}")
    return None


SCHEDULE = (market_closed, outside_hours, outside_days)
ACCOUNT = (disconnected, reconciling, trading_state, bot_not_running, not_armed)
GUARDS = (equity_unknown, guard)
