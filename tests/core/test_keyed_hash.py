"""HMAC under a key that is hashed once gives what HMAC gives, and who may do the hashing."""

import _hashlib
import hashlib
import hmac
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.core.keyed_hash import begin_hmac, own_hash

NAMES = pytest.mark.parametrize("name", ["sha256", "sha512"])


@NAMES
@given(key=st.binary(max_size=300), begin=st.binary(max_size=20), message=st.binary(max_size=300))
def test_it_is_hmac(name, key, begin, message):
    """Keys longer than a block of the hash are hashed first, as RFC 2104 has it."""
    copy_inner, copy_outer = begin_hmac(key, name, begin)
    for _ in range(2):
        inner, outer = copy_inner(), copy_outer()
        inner.update(message)
        outer.update(inner.digest())
        assert outer.digest() == hmac.digest(key, begin + message, name)


@NAMES
@pytest.mark.parametrize("more", [-1, 0, 1])
def test_a_key_of_about_a_block(name, more):
    key = b"k" * (hashlib.new(name).block_size + more)
    copy_inner, copy_outer = begin_hmac(key, name)
    outer = copy_outer()
    outer.update(copy_inner().digest())
    assert outer.digest() == hmac.digest(key, b"", name)


@NAMES
def test_a_validated_openssl_hashes_by_itself(monkeypatch, name):
    """Under FIPS 140 no other implementation may; both give the same bytes."""
    openssl = getattr(hashlib, name)
    assert own_hash(name) is not openssl
    monkeypatch.setattr(_hashlib, "get_fips_mode", lambda: 1)

    assert own_hash(name) is openssl
    assert own_hash(name)(b"a").digest() == hashlib.new(name, b"a").digest()


@NAMES
def test_without_an_own_implementation_openssl_hashes(monkeypatch, name):
    """Some systems build Python so."""
    monkeypatch.setitem(sys.modules, f"_{name}", None)
    monkeypatch.setitem(sys.modules, "_sha2", None)

    assert own_hash(name) is getattr(hashlib, name)


@NAMES
def test_where_the_mode_cannot_be_told_openssl_hashes(monkeypatch, name):
    """Slower is better than not allowed."""
    monkeypatch.delattr(_hashlib, "get_fips_mode")

    assert own_hash(name) is getattr(hashlib, name)
