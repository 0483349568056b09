"""Errors say what is wrong, what is allowed and what to do, and survive a trip between processes."""

from __future__ import annotations

import copy
import pickle
import re

import pytest

from tradelab.model import errors
from tradelab.model.errors import ConfigError, ConnectivityError, ParameterError, TradelabError, UnknownNameError

_ALL = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, TradelabError)]


def test_a_message_is_the_problem_then_what_is_allowed_then_the_next_step() -> None:
    error = ParameterError("fees=-0.1 is below zero.", allowed=[0, 0.001], fix="Say fees as a fraction.")
    assert str(error) == "fees=-0.1 is below zero. Allowed: 0, 0.001. Say fees as a fraction."


def test_a_message_without_more_to_say_is_the_problem_alone() -> None:
    assert str(ParameterError("fees=-0.1 is below zero.")) == "fees=-0.1 is below zero."


@pytest.mark.parametrize("kind", _ALL, ids=lambda kind: kind.__name__)
def test_an_error_survives_pickling_whole(kind: type[TradelabError]) -> None:
    error = kind("the problem.", allowed=("a", 1), fix="Do this.")
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is kind
        assert (twin.problem, twin.allowed, twin.fix) == ("the problem.", ("a", 1), "Do this.")
        assert str(twin) == str(error)


def test_how_long_a_venue_asked_us_to_wait_survives_pickling() -> None:
    error = ConnectivityError("too many requests.", fix="Wait.", retry_after_s=12.5)
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert twin.retry_after_s == 12.5
        assert str(twin) == "too many requests. Wait."
    assert ConnectivityError("reset.").retry_after_s is None


def test_what_is_allowed_is_kept_even_when_it_came_from_a_generator() -> None:
    error = TradelabError("x.", allowed=(n for n in range(3)))
    assert str(error) == str(error) == "x. Allowed: 0, 1, 2."


def test_an_unknown_name_is_answered_with_the_nearest_and_all_known_ones() -> None:
    error = UnknownNameError.of("strategy", "sma_cros", ["sma_cross", "rsi"])
    assert str(error) == "no strategy named 'sma_cros'; did you mean 'sma_cross'? Allowed: rsi, sma_cross."
    assert isinstance(error, ConfigError)


def test_an_unknown_name_unlike_any_other_gets_no_guess() -> None:
    assert "did you mean" not in str(UnknownNameError.of("strategy", "zzz", ["sma_cross"]))


def test_the_drawing_at_the_top_of_the_file_names_every_error_and_no_other() -> None:
    drawn = re.findall(r"^(?:[│├└─ ]*)(\w+Error)\b", errors.__doc__ or "", flags=re.MULTILINE)
    assert sorted(drawn) == sorted(kind.__name__ for kind in _ALL)
    assert len(drawn) == len(set(drawn))


def test_the_drawing_shows_who_is_whose_child() -> None:
    branch = re.compile(r"^(?P<indent>[│├└─ ]*)(?P<name>\w+Error)\b", re.MULTILINE)
    above: dict[int, str] = {}
    for match in branch.finditer(errors.__doc__ or ""):
        depth = len(match["indent"]) // 4
        above[depth] = match["name"]
        if depth:
            assert getattr(errors, match["name"]).__bases__[0].__name__ == above[depth - 1]
