"""What ccxt raises, and what a venue says in its own words, is sorted into refused and unknown; nothing is left out."""

from __future__ import annotations

import importlib

import pytest

from tradelab.adapters.budget import BudgetError
from tradelab.adapters.ccxt_outcomes import OUTCOMES, heard, is_there_already, outcome_of, read_error
from tradelab.model.credentials import Credentials
from tradelab.model.errors import ConnectivityError, RequestError
from tradelab.model.outcome import RefusalCode, Refused, Unknown

raised = importlib.import_module("ccxt.base.errors")
CLASSES = {name for name, value in vars(raised).items() if isinstance(value, type) and issubclass(value, Exception)}


def test_every_class_that_ccxt_has_is_in_the_table_and_no_other() -> None:
    assert set(OUTCOMES) == CLASSES


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_class_gives_the_outcome_of_the_table(name: str) -> None:
    error = getattr(raised, name)("somevenue something")
    outcome = outcome_of(error, "somevenue", heard(error))
    expected = OUTCOMES[name]
    if expected is None:
        assert isinstance(outcome, Unknown)
    else:
        assert isinstance(outcome, Refused)
        assert outcome.code is expected


def test_a_class_that_ccxt_may_have_tomorrow_is_what_its_parent_is() -> None:
    class Tomorrow(raised.RequestTimeout):
        pass

    assert isinstance(outcome_of(Tomorrow("x"), "somevenue", heard(Tomorrow("x"))), Unknown)


def test_what_is_no_error_of_ccxt_at_all_is_unknown() -> None:
    error = KeyError("orderId")  # ccxt reading an answer it did not expect
    assert isinstance(outcome_of(error, "binance", heard(error)), Unknown)


# Bodies as Binance documents them (Spot API, "Error codes"); the classes are those ccxt 4.5.90 raised when it was
# measured against them (live reliability study, section 1.2).
_MEASURED = [
    (raised.OperationFailed, '{"code":-1000,"msg":"An unknown error occured while processing the request."}', None),
    (raised.ExchangeError, '{"code":-1008,"msg":"Request throttled by system-level protection."}', "overloaded"),
    (raised.InvalidNonce, '{"code":-1021,"msg":"Timestamp for this request is outside of the recvWindow."}', "clock"),
    (raised.RequestTimeout, '{"code":-1007,"msg":"Timeout waiting for response from backend server."}', None),
    (raised.BadRequest, '{"code":-1013,"msg":"Filter failure: LOT_SIZE"}', "qty_step"),
    (raised.BadRequest, '{"code":-1013,"msg":"Filter failure: PRICE_FILTER"}', "tick"),
    (raised.BadRequest, '{"code":-1013,"msg":"Filter failure: NOTIONAL"}', "min_notional"),
    (raised.InsufficientFunds, '{"code":-2010,"msg":"Account has insufficient balance."}', "balance"),
    (raised.InvalidOrder, '{"code":-2010,"msg":"Duplicate order sent."}', None),
    (raised.ExchangeNotAvailable, "GET https://api.binance.com/api/v3/order?x=1 502 Bad Gateway <html>", None),
    (raised.DDoSProtection, '{"code":-1003,"msg":"Too much request weight used."}', "rate_limited"),
    (raised.DDoSProtection, '{"code":-1003,"msg":"Way too much; IP banned until 1700000000000."}', "banned"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "body", "code"), _MEASURED)
def test_binance_s_own_words_decide(kind: type[Exception], body: str, code: str | None) -> None:
    error = kind(f"binance {body}")
    outcome = outcome_of(error, "binance", heard(error))
    told = outcome.code.value if isinstance(outcome, Refused) else None
    assert told == code


def test_a_duplicate_is_known_as_one_whatever_class_it_came_in() -> None:
    error = raised.InvalidOrder('binance {"code":-2010,"msg":"Duplicate order sent."}')
    assert is_there_already(error, "binance", heard(error))
    other = raised.InvalidOrder('binance {"code":-2010,"msg":"Account has insufficient balance."}')
    assert not is_there_already(other, "binance", heard(other))
    assert is_there_already(raised.DuplicateOrderId("okx x"), "okx", heard(raised.DuplicateOrderId("okx x")))


def test_the_query_of_an_address_where_signatures_are_is_not_repeated() -> None:
    error = raised.RequestTimeout("binance GET https://api.binance.com/api/v3/account?timestamp=1&signature=5ec2e7")
    assert "5ec2e7" not in heard(error).words
    assert "api/v3/account" in heard(error).words


def test_a_ban_is_told_from_a_limit_by_its_status() -> None:
    error = raised.DDoSProtection("somevenue 418 I'm a teapot")
    outcome = outcome_of(error, "somevenue", heard(error, status=418, retry_after_s=120.0))
    assert isinstance(outcome, Refused)
    assert (outcome.code, outcome.retry_after_s) == (RefusalCode.BANNED, 120.0)


def test_what_never_left_this_machine_is_not_unknown() -> None:
    class ClientConnectorError(OSError):  # the name aiohttp gives it
        pass

    error = raised.ExchangeNotAvailable("binance POST https://api.binance.com/api/v3/order")
    error.__cause__ = ClientConnectorError("refused")
    outcome = outcome_of(error, "binance", heard(error))
    assert isinstance(outcome, Refused)
    assert outcome.code is RefusalCode.NOT_SENT


def test_a_budget_that_is_closed_sent_nothing() -> None:
    error = BudgetError("closed", retry_after_s=7.0)
    error.code = RefusalCode.BANNED
    outcome = outcome_of(error, "binance", heard(error))
    assert isinstance(outcome, Refused)
    assert (outcome.code, outcome.retry_after_s) == (RefusalCode.BANNED, 7.0)


def test_a_question_is_worth_repeating_exactly_when_the_moment_was_wrong() -> None:
    late = raised.RequestTimeout("binance timed out")
    assert isinstance(read_error(late, "binance", heard(late)), ConnectivityError)
    limited = raised.RateLimitExceeded("somevenue slow down")
    found = read_error(limited, "somevenue", heard(limited, retry_after_s=3.0))
    assert isinstance(found, ConnectivityError)
    assert found.retry_after_s == 3.0
    wrong = raised.AuthenticationError("somevenue bad key")
    assert isinstance(read_error(wrong, "somevenue", heard(wrong)), RequestError)


def test_a_failed_question_names_the_venue_once() -> None:
    class ClientConnectorError(OSError):
        pass

    gone = raised.ExchangeNotAvailable("binance GET https://api.binance.com/api/v3/time")
    gone.__cause__ = ClientConnectorError("refused")
    said = {
        gone: "binance could not be reached: GET https://api.binance.com/api/v3/time.",
        raised.RequestTimeout("binance GET https://x/y"): "binance could not answer: RequestTimeout: GET https://x/y.",
        raised.OnMaintenance("binance maintenance"): "binance could not answer: maintenance.",
        raised.BadSymbol("binance does not have market symbol X"): (
            "binance refused the request: does not have market symbol X [unknown_symbol]."
        ),
    }
    for error, words in said.items():
        assert read_error(error, "binance", heard(error)).problem == words


def test_half_a_secret_is_not_told_where_long_words_are_cut() -> None:
    secret = "5ec2e7" * 10
    told = heard(
        raised.ExchangeError("x" * 170 + secret + " and more"), scrub=Credentials({"api_secret": secret}).scrub
    )
    assert "5ec2e7" not in told.words
