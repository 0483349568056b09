"""Find the key that seals the credentials: ``TRADELAB_KEY``, a passphrase, else the operating system's keyring."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

from tradelab.model.credentials import Secret
from tradelab.model.errors import ConfigError, MissingExtraError, ParameterError
from tradelab.store.sealing import Derivation, Key, new_key

ENVIRONMENT, PASSPHRASE, KEYRING = "environment", "passphrase", "keyring"
SERVICE = "tradelab"  # what the keyring files our keys under, each by its id
SHORTEST_PASSPHRASE = 12
_ELSE = "Set TRADELAB_KEY or TRADELAB_PASSPHRASE instead."
_PASSPHRASE = "Set TRADELAB_PASSPHRASE, or type it on a terminal; a daemon takes it by --passphrase-stdin, too."

Ask = Callable[[str], str]
"""Show a person the text, and return the passphrase typed in; an empty one means that there is none."""


@dataclass(frozen=True, slots=True)
class HeldKey:
    """A key, where it is held, and for a passphrase how it is derived."""

    key: Key
    source: str
    derivation: Derivation | None = None


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What the records know of their key: enough to have it again, nothing that opens anything."""

    key_id: str
    source: str
    derivation: Derivation | None


# ── keys to begin with, or to rotate to ──────────────────────────────────────────────────────────────────────────


def given_key(text: Secret) -> HeldKey:
    """Take a key that the user keeps, and gives in ``TRADELAB_KEY``."""
    return HeldKey(Key(text), ENVIRONMENT)


def passphrase_key(passphrase: Secret, derivation: Derivation | None = None) -> HeldKey:
    """Derive a key from a new passphrase.

    Raises
    ------
    ParameterError
        It is shorter than twelve characters.
    """
    if len(passphrase.reveal()) < SHORTEST_PASSPHRASE:
        raise ParameterError(
            f"the passphrase has {len(passphrase.reveal())} characters; {SHORTEST_PASSPHRASE} is the least.",
            fix="Take a sentence.",
        )
    derivation = derivation or Derivation(os.urandom(16).hex())
    return HeldKey(derivation.key(passphrase), PASSPHRASE, derivation)


def keyring_key() -> HeldKey:
    """Make a new key and leave it in the operating system's keyring.

    Raises
    ------
    ConfigError
        There is no keyring, it is locked, or it did not keep the key.
    """
    key = new_key()
    _leave_in_keyring(key)
    if _from_keyring(key.id) != key.text:
        raise ConfigError("the operating system's keyring did not keep the key that was left in it.", fix=_ELSE)
    return HeldKey(key, KEYRING)


# ── the present key ──────────────────────────────────────────────────────────────────────────────────────────────


def first_key(ask: Ask | None, cost: Callable[[], Derivation]) -> HeldKey:
    """Choose the key of new records: the first of ``TRADELAB_KEY``, a passphrase, the keyring that there is."""
    if os.environ.get("TRADELAB_KEY"):
        return given_key(_environment_key())
    passphrase = _passphrase(ask, f"New passphrase for credentials (at least {SHORTEST_PASSPHRASE} characters): ")
    if passphrase:
        return passphrase_key(passphrase, cost())
    return keyring_key()


def same_key(record: KeyRecord, ask: Ask | None) -> Key:
    """Return the key that the records were sealed with.

    Raises
    ------
    ConfigError
        It is not to be had: another key or passphrase was given, or none.
    """
    if os.environ.get("TRADELAB_KEY"):
        return _expect(record, Key(_environment_key()), "TRADELAB_KEY")
    if record.derivation:
        passphrase = _passphrase(ask, "Passphrase for credentials: ")
        if not passphrase:
            raise ConfigError("they were sealed with a passphrase.", fix=_PASSPHRASE)
        return _expect(record, record.derivation.key(passphrase), "the passphrase")
    if record.source == ENVIRONMENT:
        raise ConfigError(f"they were sealed with a key of your own, {record.key_id}.", fix="Set TRADELAB_KEY to it.")
    text = _from_keyring(record.key_id)
    if text is None:
        raise ConfigError(
            f"the operating system's keyring has no key {record.key_id} any more.",
            fix="Restore the keyring, or set TRADELAB_KEY to that key if you kept it.",
        )
    return _expect(record, Key(text), "what the keyring holds")


def _expect(record: KeyRecord, key: Key, what: str) -> Key:
    if key.id == record.key_id:
        return key
    raise ConfigError(
        f"{what} is not what they were sealed with (key {record.key_id}, from: {record.source}; this is {key.id}).",
        fix="Give the right one; if it is lost, delete the connections or set all of their credentials again.",
    )


def _environment_key() -> Secret:
    text = Secret(os.environ["TRADELAB_KEY"].strip())
    try:
        Key(text)
    except ParameterError as error:
        raise ConfigError(f"TRADELAB_KEY: {error.problem}", fix=error.fix) from None
    return text


def _passphrase(ask: Ask | None, says: str) -> Secret:
    given = Secret(os.environ.get("TRADELAB_PASSPHRASE", ""))
    return given if given or ask is None else Secret(ask(says))


# ── the keyring ──────────────────────────────────────────────────────────────────────────────────────────────────


def _from_keyring(key_id: str) -> Secret | None:
    keyring = _keyring()
    said = ""
    try:
        return _hidden(keyring.get_password(SERVICE, key_id))
    except Exception as error:  # noqa: BLE001 - each back end has errors of its own: D-Bus, macOS, Windows
        said = type(error).__name__
    raise ConfigError(f"the operating system's keyring cannot be used here ({said}).", fix=_ELSE)


def _leave_in_keyring(key: Key) -> None:
    keyring = _keyring()
    said = ""
    try:
        keyring.set_password(SERVICE, key.id, key.text.reveal())
    except Exception as error:  # noqa: BLE001 - as above; raised below, since the back end's frames hold the key
        said = type(error).__name__
    if said:
        raise ConfigError(f"the operating system's keyring cannot be used here ({said}).", fix=_ELSE)


def _keyring() -> ModuleType:
    MissingExtraError.unless("keyring", "store", "keeping the key in the operating system's keyring")
    import keyring

    return keyring


def _hidden(text: str | None) -> Secret | None:
    return None if text is None else Secret(text)
