"""What may be sent is kept by scope, tightened by anybody, loosened by an engine alone."""

from __future__ import annotations

import pytest

from tradelab.model.clock import ManualClock
from tradelab.model.errors import ParameterError
from tradelab.model.states import TradingState
from tradelab.store.database import Database
from tradelab.store.states import UNREADABLE, Standing, TradingStates

_TYPED = "UPDATE trading_states SET state = 'haltd'"
UNCHECKED = {  # a table of another version may allow other words
    "sqlite": ("PRAGMA ignore_check_constraints = ON", _TYPED, "PRAGMA ignore_check_constraints = OFF"),
    "postgresql": ("ALTER TABLE trading_states DROP CONSTRAINT ck_trading_states_state", _TYPED),
}


def test_a_halt_past_the_engine_is_read_with_who_and_why(database: Database) -> None:
    states = TradingStates(database, "paper", ManualClock(7))
    states.tighten("bot eurusd", TradingState.HALTED, by="ada", says="it buys too much")
    assert states.read() == {
        "bot eurusd": Standing("bot eurusd", TradingState.HALTED, "ada", "it buys too much", 7),
    }


def test_states_of_another_engine_are_not_mine(database: Database) -> None:
    TradingStates(database, "paper").tighten("node", TradingState.HALTED, by="ada", says="")
    assert TradingStates(database, "live").read() == {}


def test_tightening_never_loosens(database: Database) -> None:
    states = TradingStates(database, "paper")
    states.tighten("node", TradingState.HALTED, by="ada", says="first")
    stands = states.tighten("node", TradingState.REDUCING, by="bob", says="second")
    assert (stands.state, stands.by) == (TradingState.HALTED, "ada")
    assert states.read()["node"].says == "first"


def test_an_engine_loosens_in_its_own_transaction_or_not_at_all(database: Database) -> None:
    states = TradingStates(database, "paper")
    states.tighten("node", TradingState.HALTED, by="ada", says="")
    with pytest.raises(RuntimeError, match="killed"), database.writing("resume") as transaction:
        states.write(transaction, "node", TradingState.ACTIVE, by="ada", says="all is well")
        raise RuntimeError("killed")
    assert states.read()["node"].state is TradingState.HALTED
    with database.writing("resume") as transaction:
        states.write(transaction, "node", TradingState.ACTIVE, by="ada", says="all is well")
        assert states.read(transaction)["node"].state is TradingState.ACTIVE
    assert states.read()["node"].state is TradingState.ACTIVE


def test_a_word_that_is_no_state_counts_as_halted_and_says_so(database: Database) -> None:
    states = TradingStates(database, "paper", ManualClock(7))
    states.tighten("node", TradingState.REDUCING, by="ada", says="")
    with database.writing("type into") as transaction:
        for statement in UNCHECKED[transaction.dialect.name]:
            transaction.exec_driver_sql(statement)
        told = states.read(transaction)["node"]
    says = "ada left 'haltd' in the records, which is no trading state: it counts as halted"
    assert told == Standing("node", TradingState.HALTED, UNREADABLE, says, 7)
    assert states.tighten("node", TradingState.REDUCING, by="bob", says="").state is TradingState.HALTED
    with database.writing("resume") as transaction:
        states.write(transaction, "node", TradingState.ACTIVE, by="ada", says="seen")
    assert states.read()["node"].state is TradingState.ACTIVE


@pytest.mark.parametrize("scope", ["", "all", "account", "account  ", "bot " + "x" * 80])
def test_a_scope_that_is_none_is_refused_with_what_there_is(database: Database, scope: str) -> None:
    with pytest.raises(ParameterError, match=r"is none.*node, account NAME, bot NAME"):
        TradingStates(database, "paper").tighten(scope, TradingState.HALTED, by="ada", says="")
