"""The hash that catalogs keep."""

import hmac
import json
import pickle
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.core.pepper import Pepper
from authproxy.core.record import UserId
from authproxy.core.secret import Secret

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "turvata-v2.json").read_text())
KEY = b"\x2a" * 32


@pytest.mark.parametrize("case", VECTORS["tokens"]["cases"], ids=lambda case: case["id"])
def test_hash_is_turvatas(case):
    """The same 64 bytes, for peppers below, at and above the block size of SHA-512."""
    credential = case["in"]
    pepper = Pepper(Secret(bytes.fromhex(credential["pepper_hex"])))

    digest = pepper.digest(
        UserId(UUID(credential["user_id"]).bytes),
        credential["rotation_version"],
        bytes.fromhex(credential["secret_hex"]),
    )

    assert digest.hex() == case["hash_hex"]


@given(
    st.binary(min_size=1, max_size=300),
    st.binary(min_size=16, max_size=16),
    st.integers(0, 65535),
    st.binary(min_size=32, max_size=32),
)
def test_hash_is_hmac_of_the_54_bytes(key, user_id, rotation_version, secret):
    """The kept key states give what HMAC-SHA512 gives for any key."""
    message = b"TRV2" + user_id + rotation_version.to_bytes(2, "big") + secret

    assert Pepper(Secret(key)).digest(UserId(user_id), rotation_version, secret) == hmac.digest(key, message, "sha512")


def test_hashing_leaves_the_pepper_as_it_was():
    """The second hash is like the first."""
    pepper = Pepper(Secret(KEY))
    user_id = UserId(bytes(16))

    assert pepper.digest(user_id, 1, bytes(32)) == pepper.digest(user_id, 1, bytes(32))


def test_id_names_the_pepper():
    """8 hex digits of an HMAC: stable, different for another pepper."""
    assert Pepper(Secret(KEY)).id == hmac.digest(KEY, b"authproxy pepper id", "sha512").hex()[:8]
    assert Pepper(Secret(KEY)).id != Pepper(Secret(b"\x2b" * 32)).id


def test_a_pepper_shows_its_id_only():
    """The key is neither printed nor kept, nor can the object be written out."""
    key = b"a pepper that nobody may ever see"
    pepper = Pepper(Secret(key))

    kept = [getattr(pepper, name) for name in Pepper.__slots__]

    assert repr(pepper) == str(pepper) == f"Pepper({pepper.id})"
    assert not any(isinstance(each, bytes | Secret) for each in kept)
    with pytest.raises(TypeError):
        pickle.dumps(pepper)
