"""Seal and open one secret with AES-256-GCM, bound to the place where it is kept.

A sealed value is ``1 | key id (8 bytes) | nonce (12 bytes) | ciphertext and tag``. The first nine bytes and the place
(connection and field) are authenticated with it: changed in any byte, or copied to another row, it does not open.
"""

from __future__ import annotations

import binascii
import os
import unicodedata
from dataclasses import dataclass
from typing import NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from tradelab.model.credentials import Secret
from tradelab.model.errors import ConfigError, CorruptFileError, ParameterError

MAKE_A_KEY = 'python -c "from tradelab.store.sealing import new_key; print(new_key().text.reveal())"'
_AGAIN = "Set the connection's credentials again, or put back your last copy of the records."
_FORMAT = b"\x01"
_ID, _NONCE, _TAG = (
    8,
    12,
    16,
)  # bytes; random 96-bit nonces are good for 2^32 values under one key (NIST SP 800-38D, 8.3)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sealed value belongs; it opens nowhere else."""

    connection_id: str
    connection: str  # the name, for messages; not part of the seal, since connections are renamed
    field: str

    @property
    def bound(self) -> bytes:
        """What is authenticated of it, unambiguous whatever the parts contain."""
        parts = (b"tradelab credential", self.connection_id.encode(), self.field.encode())
        return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


class Key:
    """A 256-bit key, known by an id that tells nothing about it; shown by its id only."""

    __slots__ = ("_cipher", "_text", "id")

    def __init__(self, text: Secret) -> None:
        """Take 32 bytes as base64.

        Raises
        ------
        ParameterError
            It is not base64, or not 32 bytes.
        """
        self.id = "none"  # what a traceback shows of this object, when it is refused
        if not _is_key(text):
            raise ParameterError("a key must be 32 bytes in base64 (44 characters).", fix=f"Make one: {MAKE_A_KEY}")
        self.id = HKDF(hashes.SHA256(), _ID, None, b"tradelab key id").derive(_bytes(text)).hex()
        self._cipher = AESGCM(_bytes(text))
        self._text = text

    @property
    def text(self) -> Secret:
        """The key as base64, to be kept somewhere safe."""
        return self._text

    def __repr__(self) -> str:
        return f"Key({self.id})"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Key is not pickled")

    def __getstate__(self) -> NoReturn:
        raise TypeError("a Key has no state to give")

    def seal(self, secret: Secret, place: Place) -> bytes:
        """Return ``secret`` as bytes that only this key opens, and only at ``place``."""
        head, nonce = _FORMAT + bytes.fromhex(self.id), os.urandom(_NONCE)
        return head + nonce + self._cipher.encrypt(nonce, secret.reveal().encode(), head + place.bound)

    def open(self, sealed: bytes, place: Place) -> Secret:
        """Return what was sealed.

        Raises
        ------
        ConfigError
            It was sealed with another key.
        CorruptFileError
            It was changed, or belongs to another place.
        """
        what = f"credential {place.field!r} of connection {place.connection!r}"
        if len(sealed) < 1 + _ID + _NONCE + _TAG or sealed[:1] != _FORMAT:
            raise CorruptFileError(f"{what} is damaged: not a sealed value of ours.", fix=_AGAIN)
        if sealed_with(sealed) != self.id:
            raise ConfigError(
                f"{what} does not open: it was sealed with key {sealed_with(sealed)}, and this is key {self.id}.",
                fix="Give the key or passphrase it was sealed with, or set the connection's credentials again.",
            )
        head, nonce = sealed[: 1 + _ID], sealed[1 + _ID : 1 + _ID + _NONCE]
        try:
            return Secret(self._cipher.decrypt(nonce, sealed[1 + _ID + _NONCE :], head + place.bound).decode())
        except InvalidTag:
            raise CorruptFileError(f"{what} was changed or copied from another record.", fix=_AGAIN) from None


@dataclass(frozen=True, slots=True)
class Derivation:
    """How a passphrase becomes a key: Scrypt (RFC 7914) with this salt and cost; 128·n·r bytes of memory."""

    salt: str  # hexadecimal, 16 bytes
    n: int = 2**17
    r: int = 8
    p: int = 1

    def __post_init__(self) -> None:
        if not (2 <= self.n <= 2**20 and self.n & (self.n - 1) == 0 and 1 <= self.r <= 32 and 1 <= self.p <= 16):
            raise CorruptFileError(
                f"the cost of the passphrase is damaged: n={self.n}, r={self.r}, p={self.p}.", fix=_AGAIN
            )

    def key(self, passphrase: Secret) -> Key:
        """Derive the key; at the usual cost this takes 128 MiB and some tenths of a second."""
        scrypt = Scrypt(salt=bytes.fromhex(self.salt), length=32, n=self.n, r=self.r, p=self.p)
        return Key(_base64(scrypt.derive(unicodedata.normalize("NFKC", passphrase.reveal()).encode())))


def new_key() -> Key:
    """Return a random key.

    >>> new_key().id != new_key().id
    True
    """
    return Key(_base64(AESGCM.generate_key(256)))


def sealed_with(sealed: bytes) -> str:
    """Return the id of the key that sealed this."""
    return sealed[1 : 1 + _ID].hex()


def _bytes(text: Secret) -> bytes:
    return binascii.a2b_base64(text.reveal(), strict_mode=True)


def _base64(raw: bytes) -> Secret:
    return Secret(binascii.b2a_base64(raw, newline=False).decode())


def _is_key(text: Secret) -> bool:
    try:
        return len(_bytes(text)) == 32
    except ValueError:  # binascii.Error, and text that is not ASCII
        return False
