"""Say on what terms a backtest trades, in the user's words, and turn them into the engine's row of numbers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from tradelab.engine import terms as words
from tradelab.engine.fills import POLICIES, FillPolicy
from tradelab.engine.terms import plain_terms
from tradelab.model.errors import ParameterError, UnknownNameError
from tradelab.model.exits import Distance, ExitPlan, Target, Trail, distance
from tradelab.research.checks import is_single, number, require_choice, whole
from tradelab.research.planning import write_plan
from tradelab.strategy.spec import Strategy

SIDES = {"both": "both", "long": "long", "short": "short", "longonly": "long", "shortonly": "short"}

# Allowed range of each plain number: (above, from, below, up to); None: no bound.
_BOUNDS: dict[str, dict[str, float]] = {
    "init_cash": {"above": 0.0},
    "fees": {"least": 0.0, "below": 1.0},
    "maker_fees": {"above": -0.1, "below": 1.0},
    "fixed_fees": {"least": 0.0},
    "per_unit_fees": {"least": 0.0},
    "min_fees": {"least": 0.0},
    "spread": {"least": 0.0, "below": 1.0},
    "slippage": {"least": 0.0, "below": 1.0},
    "slippage_range": {"least": 0.0, "most": 10.0},
    "impact": {"least": 0.0},
    "volume_share": {"above": 0.0, "most": 1.0},
    "size_granularity": {"above": 0.0},
    "min_size": {"least": 0.0},
    "min_notional": {"least": 0.0},
    "max_weight": {"above": 0.0},
    "kelly_start": {"least": 0.0, "most": 1.0},
    "risk_cap": {"above": 0.0, "most": 1.0},
    "exit_size": {"above": 0.0, "most": 1.0},
    "leverage": {"least": 1.0, "most": 1000.0},
    "maintenance": {"least": 0.0, "below": 1.0},
    "liquidation_fee": {"least": 0.0, "below": 1.0},
    "borrow": {"least": 0.0},
    "interest": {"least": 0.0},
    "swap_long": {},
    "swap_short": {},
    "funding": {"above": -1.0, "below": 1.0},
    "entry_price": {"above": 0.0},
    "sl_price": {"above": 0.0},
    "tp_price": {"above": 0.0},
}
_COUNTS = {"latency": 0, "layers": 1, "kelly_trades": 2, "expiry": 1}
_FIELDS = {
    "per_unit_fees": "per_unit",
    "slippage_range": "slip_range",
    "size_granularity": "size_step",
    "min_size": "min_qty",
}
_SIZE_KINDS = {
    "amount": words.AMOUNT,
    "value": words.VALUE,
    "percent": words.PERCENT,
    "equity": words.EQUITY,
    "risk": words.RISK,
    "atr": words.SCALED,
    "volatility": words.SCALED,
    "kelly": words.KELLY,
}
PER_BAR = ("size", "sl_stop", "sl_trail", "tp_stop", "sl_price", "tp_price", "entry_price", "exit_size", "funding")


@dataclass(frozen=True)
class Settings:
    """Terms of a backtest as the user said them; what they mean is in ``docs/semantics.md``.

    Parameters
    ----------
    fill
        ``"tradelab"`` (default: next open, the worst inside a bar), ``"close"``, ``"vectorbt"``, ``"backtesting.py"``,
        ``"freqtrade"``, ``"optimistic"``, ``"ohlc"``, ``"olhc"``, ``"colour"``, or a ``FillPolicy`` of your own.
    direction
        ``"both"``, ``"long"`` or ``"short"``: which entries are taken.
    size, size_type
        What an entry asks for: units (``"amount"``), money (``"value"``), a fraction of free cash (``"percent"``) or of
        equity (``"equity"``), a fraction of equity lost at the stop (``"risk"``), a fraction of equity one ATR is worth
        (``"atr"``), a volatility a year of the position as a fraction of equity (``"volatility"``), or a multiple of
        Kelly's fraction of the trades so far (``"kelly"``). ``None``: all free cash. An array or Series gives one value
        a bar, read on the bar that decides.
    init_cash
        Money at the start.
    fees, maker_fees, fixed_fees, per_unit_fees, min_fees, fee_tiers
        Fraction of notional, the same for orders that rest, money an order, money a unit, least money an order, and
        ``((notional traded so far, fraction), …)``.
    spread, slippage, slippage_range, impact, volume_share
        Whole spread and slippage as fractions of the price, a fraction of the bar before's range, price impact of the
        squared share of volume, most of a bar's volume an entry takes.
    size_granularity, min_size, min_notional, max_weight
        Step to which units are rounded down, least units and money of an entry, largest position over equity.
    kelly_trades, kelly_start
        Closed trades before Kelly's fraction is used, and the fraction of equity until then.
    layers, risk_cap, exit_size
        Entries a position may consist of, what all may lose at their stop (fraction of equity), and the fraction of a
        position that an exit signal closes.
    entry_type, entry_price, expiry
        ``"market"``, ``"limit"`` or ``"stop"``; the price of the latter two bar by bar; bars they live.
    latency
        Bars that pass between a decision and its order.
    leverage, maintenance, liquidation_fee
        A margin account with that leverage (``None``: a cash account), the fraction of the positions' value below which
        equity is liquidated, and what that costs on top.
    funding, borrow, interest, swap_long, swap_short
        Fraction of its value a long pays at a bar's open (bar by bar, or the same on each; shorts receive it), a year
        on shorted value, a year on borrowed cash, price units a night.
    sl_stop, sl_trail, tp_stop
        Stop, trailing stop and target as fractions of the price; ``sl_trail=True`` makes ``sl_stop`` trail. An array
        or Series gives one value a bar, read on the bar that decides.
    sl_price, tp_price
        Stop and target as prices, bar by bar or one for all.
    plan
        An ``ExitPlan``, instead of the five above.
    session
        Time zone whose midnight ends a session (``"America/New_York"``), for ``session_close`` and nights.
    """

    fill: str | FillPolicy = "next_open"
    direction: str = "both"
    size: Any = None
    size_type: str = "amount"
    init_cash: float = 10_000.0
    fees: float = 0.0
    maker_fees: float | None = None
    fixed_fees: float = 0.0
    per_unit_fees: float = 0.0
    min_fees: float = 0.0
    fee_tiers: Any = None
    spread: float = 0.0
    slippage: float = 0.0
    slippage_range: float = 0.0
    impact: float = 0.0
    volume_share: float | None = None
    size_granularity: float | None = None
    min_size: float = 0.0
    min_notional: float = 0.0
    max_weight: float | None = None
    kelly_trades: int = 30
    kelly_start: float = 0.0
    layers: int = 1
    risk_cap: float | None = None
    exit_size: Any = 1.0
    entry_type: str = "market"
    entry_price: Any = None
    expiry: int | None = None
    latency: int = 0
    leverage: float | None = None
    maintenance: float = 0.0
    liquidation_fee: float = 0.0
    funding: Any = None
    borrow: float = 0.0
    interest: float = 0.0
    swap_long: float = 0.0
    swap_short: float = 0.0
    sl_stop: Any = None
    sl_trail: Any = None
    tp_stop: Any = None
    sl_price: Any = None
    tp_price: Any = None
    plan: ExitPlan | None = None
    session: str = "UTC"

    def __post_init__(self) -> None:
        for name, bounds in _BOUNDS.items():
            value = getattr(self, name)
            if value is not None and not (name in PER_BAR and not is_single(value)):
                number(name, value, **bounds)
        for name, least in _COUNTS.items():
            value = getattr(self, name)
            if value is not None:
                whole(name, value, least=least)
        for name, top in {"sl_stop": 1.0, "sl_trail": 1.0, "tp_stop": np.inf}.items():
            value = getattr(self, name)
            if isinstance(value, str):
                distance(name, value)
            elif (
                is_single(value)
                and value is not None
                and not (name == "sl_trail" and isinstance(value, (bool, np.bool_)))
            ):
                number(name, value, above=0.0, most=top)
        if is_single(self.size) and self.size is not None:
            number("size", self.size, above=0.0, most=1.0 if self.size_type in ("percent", "risk") else np.inf)
        require_choice("direction", self.direction, SIDES)
        require_choice("size_type", self.size_type, words.SIZE_TYPES)
        require_choice("entry_type", self.entry_type, words.ENTRY_TYPES)
        if not isinstance(self.fill, FillPolicy):
            require_choice("fill", self.fill, POLICIES)
        for name, value in self.policy._asdict().items():
            if name not in ("path", "last_bar") and not isinstance(value, (bool, np.bool_)):
                raise ParameterError(f"fill.{name}={value!r} is not allowed.", allowed=["True", "False"])
        require_choice("fill.path", self.policy.path, words.PATHS)
        require_choice("fill.last_bar", self.policy.last_bar, words.LAST_BAR)
        _require_tiers(self.fee_tiers)
        self._require_together()

    def _require_together(self) -> None:
        """Refuse terms that make no sense together."""
        if self.init_cash is None:
            raise ParameterError("init_cash=None is not allowed.", allowed=["above 0"])
        if self.size is None and self.size_type not in ("amount", "percent"):
            raise ParameterError(f"size_type={self.size_type!r} needs a size.", fix="Give size=…, or leave both out.")
        if self.size is None and self.size_type == "percent":
            raise ParameterError("size_type='percent' needs a size.", fix="Give size=…, or leave both out.")
        if self.trails and self.sl_stop is None:
            raise ParameterError("sl_trail=True needs sl_stop.", fix="Say how far: sl_stop=0.02, or sl_trail=0.02.")
        short = [n for n in ("sl_stop", "sl_trail", "tp_stop", "sl_price", "tp_price") if getattr(self, n) is not None]
        if self.plan is not None and not isinstance(self.plan, ExitPlan):
            raise ParameterError(f"plan is {type(self.plan).__name__}.", allowed=["an ExitPlan"])
        if self.plan is not None and short:
            raise ParameterError(f"both a plan and {', '.join(short)} were given.", fix="Say it in the plan.")
        for fraction, price in (("sl_stop", "sl_price"), ("tp_stop", "tp_price")):
            if getattr(self, fraction) is not None and getattr(self, price) is not None:
                raise ParameterError(f"both {fraction} and {price} were given.", fix="Give one of them.")
        if self.entry_type != "market" and self.entry_price is None:
            raise ParameterError(f"entry_type={self.entry_type!r} needs entry_price.", fix="Give a price bar by bar.")
        if self.size_type == "risk" and not self.has_stop:
            raise ParameterError("size_type='risk' needs a stop to risk anything at.", fix="Give sl_stop=… or a plan.")
        if self.risk_cap is not None and not self.has_stop:
            raise ParameterError("risk_cap needs a stop to risk anything at.", fix="Give sl_stop=… or a plan.")
        if self.size_type == "kelly" and not self.kelly_start > 0.0:
            raise ParameterError("size_type='kelly' would never trade.", fix="Give kelly_start=…, say 0.05.")
        if self.maintenance > 0.0 and self.leverage is None:
            raise ParameterError("maintenance needs a margin account.", fix="Give leverage=….")

    @property
    def has_stop(self) -> bool:
        """Whether entries have a fixed stop."""
        fixed = self.sl_stop is not None and not self.trails
        return fixed or self.sl_price is not None or (self.plan is not None and self.plan.stop is not None)

    @property
    def trails(self) -> bool:
        """Whether ``sl_stop`` itself trails, which ``sl_trail=True`` says."""
        return isinstance(self.sl_trail, (bool, np.bool_)) and bool(self.sl_trail)

    @property
    def policy(self) -> FillPolicy:
        """The fill policy behind the name."""
        return self.fill if isinstance(self.fill, FillPolicy) else POLICIES[self.fill]

    @property
    def trail(self) -> Any:
        """Distance of the trailing stop that ``sl_stop`` and ``sl_trail`` come to."""
        return self.sl_stop if self.trails else None if isinstance(self.sl_trail, (bool, np.bool_)) else self.sl_trail

    @property
    def exits(self) -> ExitPlan:
        """The plan, or the one that the short words make; values given bar by bar stand for nothing in it."""
        if self.plan is not None:
            return self.plan
        stop = _level(self.sl_price) or (None if self.trails or not is_single(self.sl_stop) else self.sl_stop)
        target = _level(self.tp_price) or (self.tp_stop if is_single(self.tp_stop) else None)
        return ExitPlan(
            stop=stop,
            targets=() if target is None else (Target(target),),
            trail=None if self.trail is None else Trail(self.trail if is_single(self.trail) else 1.0),
        )

    def row(self) -> np.ndarray:
        """One row of ``engine.terms.TERMS``."""
        rows = plain_terms()
        row = rows[0]
        for name, value in self.policy._asdict().items():
            known = {"path": words.PATHS, "last_bar": words.LAST_BAR}.get(name)
            row[name] = known.index(value) if known else int(value)
        for name in (*_BOUNDS, *_COUNTS):
            field, value = _FIELDS.get(name, name), getattr(self, name)
            if field in (words.TERMS.names or ()) and value is not None and is_single(value):
                row[field] = value
        row["size_type"] = words.PERCENT if self.size is None else _SIZE_KINDS[self.size_type]
        row["size"] = 1.0 if self.size is None or not is_single(self.size) else self.size
        row["entry_type"] = words.ENTRY_TYPES.index(self.entry_type)
        self._write_tiers(row)
        write_plan(row, self.exits)
        for price, unit in ((self.sl_price, "stop_unit"), (self.tp_price, "target_unit")):
            if price is not None and unit == "stop_unit":
                row[unit] = words.LEVEL
            elif price is not None:
                row[unit][0] = words.LEVEL
        return rows

    def _write_tiers(self, row: np.void) -> None:
        tiers = sorted((float(a), float(b)) for a, b in self.fee_tiers or ())
        row["tiers"] = len(tiers)
        for i, (start, rate) in enumerate(tiers):
            row["tier_from"][i], row["tier_fees"][i] = start, rate

    def plain(self) -> dict[str, Any]:
        """The same as JSON-ready values; what was given bar by bar is only named."""
        said = {field.name: getattr(self, field.name) for field in fields(self)}
        if isinstance(self.fill, FillPolicy):
            said["fill"] = self.fill._asdict()
        said["plan"] = None if self.plan is None else repr(self.plan)
        said["fee_tiers"] = None if self.fee_tiers is None else [list(map(float, t)) for t in self.fee_tiers]
        kept = {"fill", "fee_tiers"}
        return {name: value if name in kept else _plain(value) for name, value in said.items()}


def require_known(strategy: Strategy, names: Iterable[str]) -> None:
    """Refuse a name that is neither a parameter of the strategy nor a term of the backtest, and name the nearest."""
    known = [*strategy.parameters, *Settings.__dataclass_fields__]
    for name in names:
        if name not in known:
            unknown = UnknownNameError.of("parameter or term", name, known)
            raise ParameterError(f"{strategy.name}: {unknown.problem}", allowed=known)


def with_terms(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function that takes terms by keyword say which: what Tab completes and help shows."""
    own = inspect.signature(function)
    *named, rest = own.parameters.values()
    terms = [
        inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default, annotation=f.type)
        for f in fields(Settings)
        if f.name not in own.parameters
    ]
    function.__signature__ = own.replace(parameters=[*named, *terms, rest])  # type: ignore[attr-defined]
    return function


def split_settings(parameters: Mapping[str, Any]) -> tuple[Settings, dict[str, Any]]:
    """Part the terms of the backtest from the parameters of the strategy."""
    known = Settings.__dataclass_fields__
    terms = {name: value for name, value in parameters.items() if name in known}
    return Settings(**terms), {name: value for name, value in parameters.items() if name not in known}


def _require_tiers(tiers: Any) -> None:
    """Refuse fee tiers that are not pairs of a notional traded so far and the rate from there on."""
    if tiers is None:
        return
    pairs = tiers if isinstance(tiers, (list, tuple)) else [tiers]
    if not pairs or not all(isinstance(pair, (list, tuple, np.ndarray)) and len(pair) == 2 for pair in pairs):
        raise ParameterError(
            f"fee_tiers={tiers!r} is not allowed.", allowed=["pairs of notional and rate: ((0, 0.001), (1e6, 0.0008))"]
        )
    if len(pairs) > words.MAX_TIERS:
        raise ParameterError(f"{len(pairs)} fee tiers are too many.", allowed=[f"up to {words.MAX_TIERS}"])
    for start, rate in pairs:
        number("fee_tiers' notional", start, least=0.0)
        number("fee_tiers' rate", rate, above=-0.1, below=1.0)


def _level(price: Any) -> Distance | None:
    """A price that holds for all bars; none, or one a bar, is nothing here."""
    return None if price is None or not is_single(price) else Distance(float(price), "level")


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return value if isinstance(value, (str, int, float, type(None))) else "per bar"
