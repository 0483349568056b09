"""Secrets show themselves to nobody; what a provider asks for is checked field by field."""

from __future__ import annotations

import base64
import copy
import dataclasses
import json
import pickle
import traceback
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.store.world import shown_by_us
from tradelab.model.credentials import CredentialField, Credentials, Secret, check_credentials
from tradelab.model.errors import ParameterError

ASKS = (
    CredentialField("api_key", says="the public half"),
    CredentialField("secret"),
    CredentialField("password", required=False),
)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (" hunter2", "'secret' begins or ends with a space or a line break"),
        ("hunter2\n", "'secret' begins or ends with a space or a line break"),
        ("hunter2\r\nX-Evil: 1", "'secret' has a control character in it"),
        ("hunter2\x00x", "'secret' has a control character in it"),
        ("hunter2\ud800", "'secret' is not text: half of a character is missing"),
        ("   ", "'secret' begins or ends with a space"),
    ],
)
def test_what_copying_did_to_a_secret_is_named_and_no_part_of_it_shown(text: str, fault: str) -> None:
    with pytest.raises(ParameterError, match=fault) as refused:
        check_credentials(ASKS, {"api_key": "k", "secret": text})
    assert "hunter2" not in shown_by_us(refused.value)


@pytest.mark.parametrize("text", ["correct horse battery staple", "пароль-密码-😀", "a&b=c%20", "'; drop table --"])
def test_any_text_that_can_be_meant_is_a_secret(text: str) -> None:
    assert check_credentials(ASKS, {"api_key": "k", "secret": text}).reveal("secret") == text


@pytest.mark.parametrize("show", [repr, str, "{}".format, "{!r:>40}".format, "%s".__mod__, ascii])
def test_no_way_of_printing_shows_a_secret(show: object) -> None:
    assert "hunter2" not in show(Secret("hunter2"))  # type: ignore[operator]
    assert "hunter2" not in show(Credentials({"password": "hunter2"}))  # type: ignore[operator]
    assert "****" in show(Secret("hunter2"))  # type: ignore[operator]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_secret_is_not_pickled(protocol: int) -> None:
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(Secret("hunter2"), protocol)
    with pytest.raises(TypeError):
        pickle.dumps(Credentials({"password": "hunter2"}), protocol)


def test_a_secret_is_formatted_like_the_stars_it_shows() -> None:
    assert f"{Secret('hunter2'):^10}" == "   ****   "


def test_a_secret_is_not_written_as_json_and_has_no_state_to_give() -> None:
    with pytest.raises(TypeError) as refused:
        json.dumps({"secret": Secret("hunter2")})
    assert "hunter2" not in str(refused.value)
    assert "hunter2" not in json.dumps({"secret": Secret("hunter2")}, default=str)
    assert not hasattr(Secret("hunter2"), "__dict__")
    with pytest.raises(TypeError, match="no state"):
        Secret("hunter2").__getstate__()


def test_copies_and_records_around_a_secret_stay_closed() -> None:
    @dataclasses.dataclass(frozen=True)
    class Login:
        user: str
        secret: Secret

    login = Login("ada", Secret("hunter2"))
    assert copy.deepcopy(login.secret) is login.secret
    assert "hunter2" not in repr(dataclasses.asdict(login))
    assert dataclasses.asdict(login)["secret"].reveal() == "hunter2"


def test_secrets_compare_by_content_and_only_with_secrets() -> None:
    assert Secret("a") == Secret("a")
    assert hash(Secret("a")) == hash(Secret("a"))
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert not Secret("")


def test_a_secret_does_not_change() -> None:
    with pytest.raises(AttributeError):
        Secret("a")._text = "b"


def test_only_asking_by_name_reveals_a_field() -> None:
    login = Credentials({"api_key": "k-1", "secret": Secret("s-1")})
    assert (login.reveal("api_key"), login.reveal("secret")) == ("k-1", "s-1")
    assert list(login) == ["api_key", "secret"]
    with pytest.raises(
        ParameterError, match=r"no credential 'api_kye' \(did you mean 'api_key'\?\).*Allowed: api_key, secret"
    ):
        login.reveal("api_kye")


def test_every_missing_and_unknown_field_is_named_at_once() -> None:
    with pytest.raises(ParameterError) as refused:
        check_credentials(ASKS, {"apikey": "v-1", "pasword": "v-2", "colour": "v-3"}, provider="ccxt:binance")
    assert str(refused.value) == (
        "credentials of ccxt:binance: missing 'api_key'; missing 'secret'; unknown 'apikey' (did you mean 'api_key'?); "
        "unknown 'pasword' (did you mean 'password'?); unknown 'colour'. Allowed: api_key, secret, password (optional)."
    )


def test_an_empty_text_is_not_given() -> None:
    with pytest.raises(ParameterError, match="missing 'secret'"):
        check_credentials(ASKS, {"api_key": "k", "secret": ""})
    assert list(check_credentials(ASKS, {"api_key": "k", "secret": "s", "password": ""})) == ["api_key", "secret"]


def test_a_provider_that_asks_for_nothing_takes_nothing() -> None:
    assert len(check_credentials((), {})) == 0
    with pytest.raises(ParameterError, match=r"unknown 'token'\. Allowed: none"):
        check_credentials((), {"token": "t"})


def test_a_number_is_refused_by_name_and_type_not_by_value() -> None:
    with pytest.raises(ParameterError, match="'secret' must be a text, not int") as refused:
        check_credentials(ASKS, {"api_key": "k", "secret": 774411})  # type: ignore[dict-item]
    assert "774411" not in str(refused.value)
    with pytest.raises(ParameterError, match="'secret' must be a text, not bytes"):
        Credentials({"secret": b"s"})  # type: ignore[dict-item]
    with pytest.raises(ParameterError, match="must be a text, not int"):
        Secret(774411)  # type: ignore[arg-type]


@pytest.mark.parametrize("given_", [{"api_key": 1, "secret": "hunter2"}, {"api_key": "k", "secert": 1, "x": "hunter2"}])
@pytest.mark.parametrize("check", [lambda given_: check_credentials(ASKS, given_), Credentials])
def test_our_frames_hold_no_value_even_where_a_traceback_shows_locals(check: object, given_: dict[str, str]) -> None:
    try:
        check(given_)  # type: ignore[operator]
    except ParameterError as error:
        shown = traceback.TracebackException.from_exception(error, capture_locals=True)
        ours = [frame for frame in shown.stack if frame.filename.endswith("tradelab/model/credentials.py")]
        assert ours
        assert all("hunter2" not in str(frame.locals) for frame in ours)
    else:
        pytest.fail("not refused")


SPELLED = {
    "plain": lambda s: f"failed for {s}!",
    "url": lambda s: "GET /?k=" + quote_plus(s),
    "json": lambda s: json.dumps({"secret": s}),
    "json, utf-8": lambda s: json.dumps({"secret": s}, ensure_ascii=False),
    "hex": lambda s: s.encode().hex(),
    "basic auth": lambda s: "Basic " + base64.b64encode(f"user:{s}".encode()).decode(),
    "basic auth, shifted by one": lambda s: "Basic " + base64.b64encode(f"user1:{s}:".encode()).decode(),
    "basic auth, shifted by two": lambda s: "Basic " + base64.b64encode(f"user12:{s}::".encode()).decode(),
    "url-safe base64": lambda s: base64.urlsafe_b64encode(s.encode()).decode(),
}


@pytest.mark.parametrize("spelled", SPELLED)
@given(secret=st.text(st.characters(codec="utf-8"), min_size=8, max_size=40))
def test_scrubbing_leaves_no_spelling_of_a_secret(spelled: str, secret: str) -> None:
    text = SPELLED[spelled](secret)
    scrubbed = Credentials({"secret": secret}).scrub(text)
    assert "****" in scrubbed
    assert secret not in scrubbed or secret in "****failed for !"
    for core in (secret.encode().hex(), json.dumps(secret)[1:-1]):
        assert core not in scrubbed


def test_scrubbing_leaves_what_is_not_secret() -> None:
    login = Credentials({"api_key": "public-key-1", "secret": "s3cret-value", "pin": "12"})
    assert login.scrub("order 12 refused") == "order 12 refused"
    assert login.scrub("bad signature for s3cret-value") == "bad signature for ****"
