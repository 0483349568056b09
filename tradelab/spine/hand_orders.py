"""Turn what somebody orders by hand into a signal of a bot, and answer with what the gates made of it.

An order by hand is bound by the limits, the schedule and the exits of a bot's preset like any other; a bot that has no
strategy is there for nothing else. Its signal has the command's name in its own: sent twice it is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from tradelab.model.errors import ConfigError, ParameterError, UnknownNameError
from tradelab.model.messages import CommandDone, CommandReceived, OrderIntended, Recorded, SignalDropped, SignalRaised
from tradelab.model.orders import OrderIntent, OrderType, Side
from tradelab.model.signal import Action, Origin, Signal
from tradelab.model.states import Leg
from tradelab.model.units import NS_PER_S
from tradelab.spine.bus import Bus
from tradelab.spine.config import BotConfig, NodeConfig
from tradelab.spine.ledger import Ledger
from tradelab.spine.snapshot import PositionKey
from tradelab.spine.words import choice, number, seconds

NEEDS = ("risk_management", "execution")  # modules without which nothing is ever ordered
_TYPES = {  # by which of a price and a stop are given
    (False, False): OrderType.MARKET, (True, False): OrderType.LIMIT, (False, True): OrderType.STOP,
    (True, True): OrderType.STOP_LIMIT,
}  # fmt: skip
_YES = {"yes": True, "true": True, "no": False, "false": False}


class HandOrders:
    """The orders that are given by hand, from the command to what became of it."""

    def __init__(self, bus: Bus, ledger: Ledger, config: NodeConfig) -> None:
        self._bus = bus
        self._ledger = ledger
        self._config = config
        bus.hear(OrderIntended, self._intended)
        bus.hear(SignalDropped, self._dropped)

    def raise_signal(self, it: CommandReceived, given: Mapping[str, str], now_ns: int) -> None:
        """Raise the signal; the command is answered when it has led to an order, or to none.

        Raises
        ------
        ConfigError
            No bot or several could give it, or it is none that could ever be sent.
        """
        off = [name for name in NEEDS if name not in self._config.modules_on]
        if off:
            raise ConfigError(f"nothing is ordered here: {', '.join(off)} is off.", fix="Put it in [modules].")
        bot = bot_for(self._config, given)
        side = choice(Side, "side", given.get("side", ""))
        closes = _closes(given)
        self._require_meant(bot, given["symbol"], side, closes)
        price, stop = number(given, "price"), number(given, "stop")
        signal = Signal(
            id=f"{bot.name} {given['symbol']} order {it.command_id}",
            bot=bot.name,
            symbol=given["symbol"],
            action=_action(side, closes),
            origin=Origin.PERSON,
            decided_ns=now_ns,
            expires_ns=now_ns + int(seconds(given, "ttl_s") * NS_PER_S),
            qty=number(given, "qty"),
            order_type=_type(given, price, stop),
            order_price=price if stop is None else stop,
            limit_price=None if stop is None else price,
            stop_loss=number(given, "stop_loss"),
            take_profit=number(given, "take_profit"),
            says=given.get("says", ""),
        )
        self._bus.say(SignalRaised(signal))

    def _require_meant(self, bot: BotConfig, symbol: str, side: Side, closes: bool) -> None:
        """Refuse to open against what is held: who sells what a stop has just closed would be short."""
        held = self._ledger.position(PositionKey(bot.execution, bot.name, symbol)).qty
        if closes and held * side.sign >= 0:
            what = f"holds {held:f}" if held else "holds nothing"
            raise ParameterError(f"bot {bot.name!r} {what} of {symbol}: a {side.value} closes none of that.")
        if not closes and held * side.sign < 0:
            raise ParameterError(
                f"bot {bot.name!r} holds {held:f} of {symbol}, and a {side.value} would open the other way.",
                fix="To make the position smaller, say close=yes (tradelab order --close).",
            )

    # ── what became of it ────────────────────────────────────────────────────────────────────────────────────────

    def _intended(self, recorded: Recorded[OrderIntended]) -> None:
        it = recorded.message
        if it.leg in (Leg.ENTRY, Leg.EXIT) and it.signal_id is not None:
            says = f"order {it.intent.client_order_id} is on its way: {_words(it.intent)}"
            self._answer(it.signal_id, done=True, says=says)

    def _dropped(self, recorded: Recorded[SignalDropped]) -> None:
        it = recorded.message
        self._answer(it.signal_id, done=False, says=f"{it.code.value}: {it.says} ({it.by})")

    def _answer(self, signal_id: str, *, done: bool, says: str) -> None:
        state = self._ledger.signal(signal_id)
        if state is None:
            return
        name = f"{state.signal.bot} {state.signal.symbol} order "
        command_id = signal_id.removeprefix(name)
        if not signal_id.startswith(name) or not self._ledger.has_command(command_id):
            return
        if self._ledger.command(command_id) is None:
            self._bus.say(CommandDone(command_id=command_id, done=done, says=says))


def bot_for(config: NodeConfig, given: Mapping[str, str]) -> BotConfig:
    """Return the one bot that an order by hand is given through, by its name, or by account, symbol and preset."""
    symbol, named = given.get("symbol", ""), given.get("bot")
    wanted = {name: given[key] for key, name in (("account", "execution"), ("preset", "preset")) if given.get(key)}
    if named is not None:
        config.bot(named)
    elif "execution" not in wanted:
        raise ParameterError("an order needs an account, or a bot.", allowed=[bot.name for bot in config.bots])
    fits = [
        bot
        for bot in config.bots
        if named in (None, bot.name)
        and symbol in bot.symbols
        and all(getattr(bot, name) == value for name, value in wanted.items())
    ]
    if len(fits) == 1:
        return fits[0]
    if fits:
        names = [bot.name for bot in fits]
        raise ParameterError(f"several bots trade {symbol} there: name one, or its preset.", allowed=names)
    where = ", ".join(f"{given[key]!r}" for key in ("bot", "account", "preset") if given.get(key))
    known = [f"{bot.name}: {' '.join(bot.symbols)} on {bot.execution}, preset {bot.preset}" for bot in config.bots]
    fix = "An order by hand goes by a bot's limits and exits: give it a table [bots.hand], which needs no strategy."
    raise UnknownNameError(f"no bot ({where}) trades {symbol!r}.", allowed=known, fix=fix)


def _action(side: Side, closes: bool) -> Action:
    if closes:
        return Action.EXIT_LONG if side is Side.SELL else Action.EXIT_SHORT
    return Action.ENTER_LONG if side is Side.BUY else Action.ENTER_SHORT


def _type(given: Mapping[str, str], price: Decimal | None, stop: Decimal | None) -> OrderType:
    """Return the kind of order that a price and a stop make; a kind that is named must be that one."""
    made = _TYPES[price is not None, stop is not None]
    named = given.get("type")
    if named is not None and choice(OrderType, "type", named) is not made:
        needs = {kind.value: which for which, kind in _TYPES.items()}[named]
        words = " and ".join(word for word, is_needed in zip(("a price", "a stop"), needs, strict=True) if is_needed)
        raise ParameterError(f"type={named}: such an order has {words or 'neither a price nor a stop'}.")
    return made


def _closes(given: Mapping[str, str]) -> bool:
    told = given.get("close", "no").lower()
    if told not in _YES:
        raise ParameterError(f"close={given['close']!r} is not known.", allowed=["yes", "no"])
    return _YES[told]


def _words(intent: OrderIntent) -> str:
    at = "" if intent.price is None else f" at {intent.price:f}"
    stop = "" if intent.stop_price is None else f", stop {intent.stop_price:f}"
    return f"{intent.side.value} {intent.qty:f} {intent.symbol} {intent.type.value}{at}{stop}"
