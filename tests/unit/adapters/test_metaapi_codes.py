"""Hold the table of MetaTrader's return codes total, and each code to what its documentation says."""

from __future__ import annotations

import pytest

from tradelab.adapters.metaapi_codes import TABLE, Verdict, meaning
from tradelab.model.outcome import RefusalCode

# https://www.mql5.com/en/docs/constants/errorswarnings/enum_trade_return_codes: 10004 to 10046, without 10005 and 10037
MT5 = {
    10004: "REQUOTE", 10006: "REJECT", 10007: "CANCEL", 10008: "PLACED", 10009: "DONE", 10010: "DONE_PARTIAL",
    10011: "ERROR", 10012: "TIMEOUT", 10013: "INVALID", 10014: "INVALID_VOLUME", 10015: "INVALID_PRICE",
    10016: "INVALID_STOPS", 10017: "TRADE_DISABLED", 10018: "MARKET_CLOSED", 10019: "NO_MONEY", 10020: "PRICE_CHANGED",
    10021: "PRICE_OFF", 10022: "INVALID_EXPIRATION", 10023: "ORDER_CHANGED", 10024: "TOO_MANY_REQUESTS",
    10025: "NO_CHANGES", 10026: "SERVER_DISABLES_AT", 10027: "CLIENT_DISABLES_AT", 10028: "LOCKED", 10029: "FROZEN",
    10030: "INVALID_FILL", 10031: "CONNECTION", 10032: "ONLY_REAL", 10033: "LIMIT_ORDERS", 10034: "LIMIT_VOLUME",
    10035: "INVALID_ORDER", 10036: "POSITION_CLOSED", 10038: "INVALID_CLOSE_VOLUME", 10039: "CLOSE_ORDER_EXIST",
    10040: "LIMIT_POSITIONS", 10041: "REJECT_CANCEL", 10042: "LONG_ONLY", 10043: "SHORT_ONLY", 10044: "CLOSE_ONLY",
    10045: "FIFO_CLOSE", 10046: "HEDGE_PROHIBITED",
}  # fmt: skip
# https://metaapi.cloud/docs/client/models/metatraderTradeResponse/
METAAPI = {
    -9: "ERR_PIP_SIZE_NOT_DEFINED", -8: "ERR_INVESTOR", -7: "ERR_TRADE_TIMED_OUT", -6: "ERR_NO_QUOTES",
    -5: "ERR_NOT_SYNCHRONIZED", -4: "TRADE_RETCODE_ORDER_TYPE_NOT_SUPPORTED", -1: "TRADE_RETCODE_UNKNOWN",
    4753: "ERR_TRADE_POSITION_NOT_FOUND", 4754: "ERR_TRADE_ORDER_NOT_FOUND",
}  # fmt: skip
SUCCESS = {0, 10008, 10009, 10010, 10025}  # the same page: "Response codes which indicate success"
NOBODY_KNOWS = {-7, -1, 1, 2, 6, 9, 128, 139, 10011, 10012, 10023, 10028, 10031}


def test_every_documented_code_has_a_meaning_under_its_own_constant() -> None:
    documented = {n: f"TRADE_RETCODE_{name}" for n, name in MT5.items()} | METAAPI
    assert {n: TABLE[n].constant for n in documented} == documented


def test_the_codes_of_success_are_those_that_metaapi_names_and_no_other() -> None:
    accepted = {n for n, code in TABLE.items() if code.meaning in (Verdict.ACCEPTED, Verdict.UNCHANGED)}
    assert accepted == SUCCESS


def test_what_may_have_been_done_is_unknown_and_all_else_is_refused_with_a_code() -> None:
    assert {n for n, code in TABLE.items() if code.meaning is Verdict.UNKNOWN} == NOBODY_KNOWS
    assert all(isinstance(TABLE[n].meaning, RefusalCode) for n in set(TABLE) - SUCCESS - NOBODY_KNOWS)


@pytest.mark.parametrize("number", [*range(-20, 200), *range(4000, 5000), *range(9990, 10100)])
def test_a_code_nobody_documents_is_unknown(number: int) -> None:
    if number not in TABLE:
        assert meaning(number, None) is Verdict.UNKNOWN


@pytest.mark.parametrize("number", [None, "10009", 10009.0, True])
def test_a_code_that_is_no_whole_number_is_unknown(number: object) -> None:
    assert meaning(number, "TRADE_RETCODE_DONE") is Verdict.UNKNOWN


@pytest.mark.parametrize("number", sorted(TABLE))
def test_a_code_and_a_constant_that_contradict_each_other_are_unknown(number: int) -> None:
    contradicts = "TRADE_RETCODE_REJECT" if number in SUCCESS else "TRADE_RETCODE_DONE"
    assert meaning(number, contradicts) is Verdict.UNKNOWN
    assert meaning(number, TABLE[number].constant) is TABLE[number].meaning
    assert meaning(number, None) is TABLE[number].meaning
