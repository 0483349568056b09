"""A sealed value opens with its key, in its place, unchanged; and in no other case."""

from __future__ import annotations

import base64
import copy
import pickle

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.store.world import shown_by_us
from tradelab.model.credentials import Secret
from tradelab.model.errors import ConfigError, CorruptFileError, ParameterError, TradelabError
from tradelab.store.sealing import Derivation, Key, Place, new_key

PLACE = Place("0123", "binance main", "secret")
KEY = new_key()


@given(text=st.text())
def test_what_was_sealed_is_opened(text: str) -> None:
    assert KEY.open(KEY.seal(Secret(text), PLACE), PLACE) == Secret(text)


def test_the_same_secret_is_never_sealed_to_the_same_bytes() -> None:
    sealed = {KEY.seal(Secret("s3cret"), PLACE) for _ in range(100)}
    assert len(sealed) == 100
    assert not any(b"s3cret" in value for value in sealed)


def test_it_is_aes_256_gcm_as_another_program_would_open_it() -> None:
    sealed = KEY.seal(Secret("s3cret"), PLACE)
    key = base64.b64decode(KEY.text.reveal())
    assert len(key) == 32
    bound = b"".join(len(part).to_bytes(4, "big") + part for part in (b"tradelab credential", b"0123", b"secret"))
    assert sealed[:9] == b"\x01" + bytes.fromhex(KEY.id)
    assert AESGCM(key).decrypt(sealed[9:21], sealed[21:], sealed[:9] + bound) == b"s3cret"


def test_a_change_of_any_byte_is_seen() -> None:
    sealed = KEY.seal(Secret("s3cret"), PLACE)
    for at in range(len(sealed)):
        for flip in (0x01, 0x80, 0xFF):
            changed = bytearray(sealed)
            changed[at] ^= flip
            with pytest.raises(TradelabError, match="credential 'secret' of connection 'binance main'"):
                KEY.open(bytes(changed), PLACE)


def test_a_value_cut_short_or_made_longer_is_seen() -> None:
    sealed = KEY.seal(Secret("s3cret"), PLACE)
    for wrong in (*(sealed[:size] for size in range(len(sealed))), sealed + b"\0"):
        with pytest.raises(CorruptFileError, match="Set the connection's credentials again"):
            KEY.open(wrong, PLACE)


@pytest.mark.parametrize(
    "elsewhere",
    [
        Place("0124", "binance main", "secret"),
        Place("0123", "binance main", "api_key"),
        Place("0123s", "binance main", "ecret"),  # the parts are told apart, not only strung together
    ],
)
def test_a_value_does_not_open_in_another_place(elsewhere: Place) -> None:
    with pytest.raises(CorruptFileError, match="changed or copied from another record"):
        KEY.open(KEY.seal(Secret("s3cret"), PLACE), elsewhere)


def test_a_renamed_connection_still_opens() -> None:
    assert KEY.open(KEY.seal(Secret("s"), PLACE), Place("0123", "another name", "secret")).reveal() == "s"


def test_another_key_is_told_apart_and_named() -> None:
    other = new_key()
    with pytest.raises(ConfigError) as refused:
        other.open(KEY.seal(Secret("s3cret"), PLACE), PLACE)
    for part in ("'secret'", "'binance main'", KEY.id, other.id, "Give the key or passphrase it was sealed with"):
        assert part in str(refused.value)


@pytest.mark.parametrize(
    "text", ["", "hunter2", "ä" * 44, base64.b64encode(bytes(31)).decode(), base64.b64encode(bytes(33)).decode()]
)
def test_what_is_no_key_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ParameterError, match=r"32 bytes in base64 .*Make one: python -c") as refused:
        Key(Secret(text))
    assert not text or text not in shown_by_us(refused.value)


def test_a_key_shows_its_id_only() -> None:
    text = KEY.text.reveal()
    for shown in (repr(KEY), str(KEY), f"{KEY}", repr(copy.copy([KEY]))):
        assert text not in shown
        assert KEY.id in shown
    with pytest.raises(TypeError):
        pickle.dumps(KEY)
    with pytest.raises(TypeError):
        KEY.__getstate__()
    assert KEY.id not in base64.b64decode(text).hex()


def test_a_passphrase_becomes_the_key_that_scrypt_says() -> None:
    # RFC 7914, section 12, third vector: scrypt("pleaseletmein", "SodiumChloride", N=16384, r=8, p=1), first 32 bytes.
    expected = "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
    key = Derivation(b"SodiumChloride".hex(), n=16384).key(Secret("pleaseletmein"))
    assert base64.b64decode(key.text.reveal()).hex() == expected


def test_a_passphrase_is_the_same_however_its_accents_were_typed() -> None:
    cheap = Derivation("00" * 16, n=4)
    assert cheap.key(Secret("caf\u00e9 au lait")).id == cheap.key(Secret("cafe\u0301 au lait")).id


def test_the_usual_cost_is_128_mebibytes() -> None:
    usual = Derivation("00" * 16)
    assert 128 * usual.n * usual.r == 128 * 2**20


@pytest.mark.parametrize("cost", [{"n": 2**21}, {"n": 3}, {"n": 0}, {"r": 33}, {"p": 17}, {"r": 0}])
def test_a_cost_that_would_stop_the_machine_is_taken_for_damage(cost: dict[str, int]) -> None:
    with pytest.raises(CorruptFileError, match="cost of the passphrase"):
        Derivation("00" * 16, **cost)
