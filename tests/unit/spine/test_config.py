"""A node's file is read whole, and what is wrong in it is said by field, value, what is allowed and what was meant."""

from __future__ import annotations

import copy
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tradelab.model.errors import ConfigError, UnknownNameError
from tradelab.model.exits import BreakEven, ExitPlan, Trail
from tradelab.model.units import Timeframe
from tradelab.modules.index import MANIFESTS
from tradelab.spine.config import Mode, NodeConfig, parse_node, read_node
from tradelab.spine.manifest import assemble
from tradelab.spine.presets import Schedule
from tradelab.strategy.registry import find

D = Decimal
PAPER = ROOT / "configs" / "paper.toml"
BOT = {
    "symbols": ["BTC/USDT"], "timeframe": "1h", "source": "binance", "execution": "paper", "preset": "small",
}  # fmt: skip
POCKET = {"kind": "paper", "balances": {"USDT": 1000}}
GOOD: dict[str, Any] = {
    "accounts": {"paper": {"kind": "paper", "balances": {"USDT": 1000}}},
    "presets": {"small": {"sizing": {"by": "qty", "value": 1}}},
    "bots": {"one": dict(BOT)},
}


def changed(*path: str, to: Any) -> dict[str, Any]:
    """The good settings with one value put somewhere."""
    told = copy.deepcopy(GOOD)
    place = told
    for step in path[:-1]:
        place = place.setdefault(step, {})
    place[path[-1]] = to
    return told


def test_the_example_says_what_a_person_reads_in_it() -> None:
    node = read_node(PAPER)
    trend, breakout = node.bots
    assert (node.name, node.is_live) == ("paper", False)
    assert (trend.name, trend.timeframe, trend.mode, trend.starts) == ("trend", Timeframe.M1, Mode.PAPER, True)
    assert (breakout.starts, breakout.filter) == (False, None)
    preset = node.presets["careful"]
    assert (preset.sizing.by, preset.sizing.value) == ("risk", D("0.001"))
    assert preset.exits == ExitPlan(stop="2 atr", targets=[("1 r", 0.5, "break_even"), "3 r"], max_bars=96)
    assert (preset.limits.max_daily_loss, preset.limits.max_spread_bps) == (D("0.02"), D(20))
    assert preset.schedule == Schedule()  # an example that does nothing at night teaches nothing at night
    assert node.accounts["paper"].balances == {"USDT": D(10_000)}
    assert node.module("market_data")["upkeep_every_h"] == 24
    assert node.module("execution") == {}


def test_a_trail_and_a_break_even_may_be_tables_with_all_their_words() -> None:
    exits = {
        "stop": "2 atr",
        "trail": {"distance": "3 atr", "start": "1 r", "step": 0.001, "chandelier": True},
        "break_even": {"at": "1 r", "offset": 0.0005, "fees": False},
    }
    plan = parse_node(changed("presets", "small", "exits", to=exits)).presets["small"].exits
    assert plan.trail == Trail("3 atr", start="1 r", step=0.001, chandelier=True)
    assert plan.break_even == BreakEven("1 r", offset=0.0005, fees=False)


def test_the_example_can_be_assembled_and_its_strategies_are_there() -> None:
    node = read_node(PAPER)
    on = [manifest.name for manifest in assemble(MANIFESTS, node.modules_on)]
    assert set(on) == set(node.modules_on)
    for bot in node.bots:
        assert bot.strategy is not None
        find(bot.strategy).resolve(bot.parameters)


def test_a_module_that_is_false_is_off() -> None:
    node = parse_node(changed("modules", to={"execution": False, "data_provider": True, "market_data": {}}))
    assert node.modules_on == ("data_provider", "market_data")


def test_bots_may_be_a_list_too_and_nothing_of_the_settings_can_be_changed() -> None:
    node = parse_node({**GOOD, "bots": [{"name": "one", **BOT}]})
    assert node == parse_node(GOOD)
    assert node.bot("one").symbols == ("BTC/USDT",)
    with pytest.raises(UnknownNameError, match="no bot named 'on'; did you mean 'one'"):
        node.bot("on")
    with pytest.raises(Exception, match="frozen"):
        node.bots[0].preset = "other"  # type: ignore[misc]


def test_a_number_of_the_file_is_as_exact_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text('[presets.p]\nsizing = {by = "qty", value = 0.1}\nlimits = {max_daily_loss = 0.03}\n')
    preset = read_node(path).presets["p"]
    assert (preset.sizing.value, preset.limits.max_daily_loss) == (D("0.1"), D("0.03"))


@pytest.mark.parametrize(
    ("path", "to", "says"),
    [
        (["bot"], {}, "no field of the top table named 'bot'; did you mean 'bots'?"),
        (["bots", "one", "symbol"], "x", "no field of bots.0 named 'symbol'; did you mean 'symbols'? Allowed: ai, "),
        (["bots", "one", "symbols"], [], "bots.0.symbols: at least one, each once"),
        (["bots", "one", "symbols"], ["a", "a"], "bots.0.symbols: at least one, each once"),
        (["bots", "one", "timeframe"], "7m", "bots.0.timeframe: timeframe '7m' is not known. Allowed: M1 (1m), "),
        (["bots", "one", "preset"], "smal", "no preset for bot 'one' named 'smal'; did you mean 'small'?"),
        (["bots", "one", "filter"], "trend", "no filter for bot 'one' named 'trend'"),
        (["bots", "one", "ai"], "gpt", "no ai for bot 'one' named 'gpt'"),
        (["bots", "one", "mode"], "real", "bots.0.mode='real' is wrong: input should be 'paper' or 'live'"),
        (["bots", "one", "mode"], "live", "bot 'one' is live, and its account 'paper' is a paper one"),
        (["bots", "one", "max_bars"], 0, "bots.0.max_bars=0 is wrong: input should be greater than 0"),
        (["bots", "one", "cooldown_s"], float("inf"), "bots.0.cooldown_s=inf is wrong: input should be a finite"),
        (["bots", "one", "signal_ttl_s"], float("inf"), "bots.0.signal_ttl_s=inf is wrong: input should be a finite"),
        (["bots", "one", "max_bars"], 10**11, "bots.0.max_bars=100000000000 is wrong: input should be less"),
        (["bots", "one", "cooldown_s"], -1, "bots.0.cooldown_s=-1 is wrong: input should be greater"),
        (["accounts", "paper", "kind"], "demo", "accounts.paper.kind='demo' is wrong: input should be"),
        (["accounts", "paper", "balances"], {}, 'accounts.paper: balances belong to an account of kind = "paper"'),
        (["accounts", "paper", "balances"], {"USDT": -5}, "accounts.paper.balances.USDT=-5 is wrong"),
        (["accounts", "paper", "balance"], 1, "no field of accounts.paper named 'balance'; did you mean 'balances'?"),
        (["accounts", "paper", "stop_policy"], "x", "input should be 'keep', 'cancel_entries' or 'flatten'"),
        (["presets", "small", "sizing"], {"by": "risk", "value": 2}, "value=2 risks more than everything"),
        (["presets", "small", "sizing"], {"by": "risk", "value": 0.01}, 'sizing by "risk" needs exits.stop'),
        (["presets", "small", "sizing"], {"by": "lots", "value": 1}, "presets.small.sizing.by='lots' is wrong"),
        (["presets", "small", "sizing"], {"by": "qty"}, "presets.small.sizing.value is missing"),
        (["presets", "small", "exits"], {"stopp": 1}, "no exit named 'stopp'; did you mean 'stop'?"),
        (["presets", "small", "exits"], {"trail": {"distanze": 0.02}}, "did you mean 'distance'?"),
        (["presets", "small", "exits"], {"trail": {"start": "1 r"}}, "trail needs distance"),
        (["presets", "small", "exits"], {"break_even": {"at": "no"}}, "BreakEven.at='no' is no distance"),
        (["presets", "small", "exits"], {"targets": ["1 r"]}, "distances in R need a stop, which defines R"),
        (["presets", "small", "limits"], {"max_daily_los": 1}, "did you mean 'max_daily_loss'?"),
        (["presets", "small", "limits"], {"max_daily_loss": 3}, "max_daily_loss=3 is wrong: input should be less"),
        (["presets", "small", "schedule"], {"start": "07:00"}, "start and end belong together"),
        (["presets", "small", "schedule"], {"timezone": "Mars/North"}, "'Mars/North' is no time zone"),
        (["presets", "small", "schedule"], {"days": [8]}, "presets.small.schedule.days.0=8 is wrong"),
        (["presets", "small", "limits"], {"max_positions": True}, "max_positions: true and false are no numbers"),
        (["presets", "small", "limits"], {"max_quote_age_s": True}, "max_quote_age_s: true and false are no numbers"),
        (["presets", "small", "limits"], {"max_daily_loss": True}, "limits.max_daily_loss=True is wrong"),
        (["presets", "small", "schedule"], {"days": [True]}, "schedule.days: true and false are no numbers"),
        (["presets", "small", "exits"], {"roi": {"0": True}}, "exits: roi: true and false are no numbers"),
        (["bots", "one", "max_bars"], True, "bots.0.max_bars: true and false are no numbers"),
        (["accounts", "paper", "balances"], {"USDT": True}, "accounts.paper.balances.USDT=True is wrong"),
        (["accounts", "main"], {"settings": {"mode": "spot"}}, 'settings belong to an account of kind = "paper"'),
        (["name"], "../zz", "a node cannot be called '../zz'. Allowed: letters, digits, '_', '-' and '.', at most 40."),
        (["accounts", "../../zz"], POCKET, "account: name '../../zz' is not one: at most 64 letters, digits, spaces"),
        (["accounts", "a/b"], POCKET, "account: name 'a/b' is not one"),
        (["accounts", "Paper"], POCKET, "accounts 'paper' and 'Paper' differ in large and small letters alone"),
        (["bots", "a\nb"], BOT, "bot: name 'a\\nb' is not one"),
        (["presets", ".."], {"sizing": {"by": "qty", "value": 1}}, "preset: name '..' is not one"),
        (["filters", ""], {}, "filter: name '' is not one"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_by_field_value_and_what_is_allowed(path: list[str], to: Any, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_node(changed(*path, to=to), "node.toml")
    assert str(refused.value).startswith("node.toml: ")
    assert says in str(refused.value)


def test_two_bots_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="bots need names of their own: one is there twice"):
        parse_node({**GOOD, "bots": [{"name": "one", **BOT}, {"name": "one", **BOT}]})


def test_how_much_more_is_wrong_is_said_too() -> None:
    with pytest.raises(ConfigError, match=r"1 more after it\."):
        parse_node(changed("bots", "one", to={**BOT, "max_bars": 0, "cooldown_s": -1}))


def test_a_long_value_is_shown_as_far_as_it_helps() -> None:
    with pytest.raises(ConfigError) as refused:
        parse_node(changed("bots", "one", "mode", to="x" * 500))
    assert len(str(refused.value)) < 250


@pytest.mark.parametrize("text", ["[bots", b"\xff\xfe"])
def test_a_file_that_is_no_toml_is_refused_by_its_place(tmp_path: Path, text: str | bytes) -> None:
    path = tmp_path / "node.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match=r"node\.toml cannot be read: .*See configs/paper\.toml for one that can"):
        read_node(path)


def test_a_file_that_is_not_there_is_refused_by_its_place(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml cannot be read"):
        read_node(tmp_path / "none.toml")


def test_nothing_of_a_node_is_shared_with_another() -> None:
    assert NodeConfig().accounts is not NodeConfig().accounts
