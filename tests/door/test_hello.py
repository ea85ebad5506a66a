"""The server name out of a real ClientHello, and nothing but `NotTls` out of anything else."""

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.door.contexts import Contexts
from authproxy.door.hello import NotTls, first_record, server_name


def hello(name: str | None) -> bytes:
    """What OpenSSL sends first."""
    context = ssl.create_default_context()
    context.check_hostname = False
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    wire = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        wire.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize(
    "name", ["a", "app.example.org", "APP.Example.ORG", "x" * 63 + ".example.org", "xn--mnchen-3ya.example"]
)
def test_the_name_is_found(name):
    """In lower case."""
    data = hello(name)

    assert first_record(data + b"more") == data
    assert all(first_record(data[:cut]) is None for cut in range(len(data)))
    assert server_name(data) == name.lower()


@pytest.mark.parametrize("name", [None, "127.0.0.1", "::1"])
def test_no_name_is_none(name):
    """Addresses are no names (RFC 6066, 3)."""
    assert server_name(hello(name)) is None


@given(st.integers(0, 600))
def test_a_hello_that_is_cut_is_no_name_or_not_tls(cut):
    """Never a wrong name, never another exception."""
    data = hello("app.example.org")[:cut]
    try:
        found = server_name(data)
    except NotTls:
        return

    assert found in {None, "app.example.org"}


@given(st.binary(max_size=300), st.integers(0, 500))
def test_noise_raises_nothing_else(noise, at):
    """A hello with other bytes in it."""
    data = hello("app.example.org")
    data = data[:at] + noise + data[at + len(noise) :]
    try:
        found = server_name(data)
    except NotTls:
        return

    assert found is None or isinstance(found, str)


@pytest.mark.parametrize(
    "header",
    [
        b"GET /",
        b"\x15\x03\x01\x00\x02",
        b"\x16\x02\x00\x00\x05",
        b"\x16\x03\x01\x00\x00",
        b"\x16\x03\x01\x40\x01",
        b"\x80\x2e\x01\x03\x01",
    ],
)
def test_what_is_no_handshake_is_told(header):
    """Plain HTTP, an alert, SSL 2, an empty record, one that is too large."""
    with pytest.raises(NotTls):
        first_record(header)


@pytest.mark.parametrize("length", [1, 512, 16_384])
def test_records_have_up_to_16_kib(length):
    """RFC 8446, 5.1."""
    record = b"\x16\x03\x01" + length.to_bytes(2, "big") + bytes(length)

    assert first_record(record + b"x") == record


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        (None, "default"), ("a.test", "exact"), ("b.test", "default"), ("x.b.test", "star"), ("x.y.b.test", "default"), ("", "default"),
        ("test", "default"), ("a.b.test", "exact below star"),
    ],
)  # fmt: skip
def test_the_exact_name_then_the_star_then_the_default(name, chosen):
    """A star stands for one label."""
    names = {"a.test": "exact", "*.b.test": "star", "a.b.test": "exact below star"}
    contexts = Contexts(default="default", names=names)  # type: ignore[arg-type]

    assert contexts.choose(name) == chosen
