"""What a target is told first: read back by our own reader, and field by field."""

import struct
from datetime import UTC, datetime

import pytest

from authproxy.core.certificate import CertificateNames
from authproxy.core.peer import Peer
from authproxy.door.proxy_protocol import read_header
from authproxy.runtime import ProxyHeader
from authproxy.tunnel.header import header

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def peer(address="192.0.2.7", certificate=None):
    return Peer(
        address=address, port=4711, local_port=443, tls_version="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384",
        certificate=certificate,
    )  # fmt: skip


def names(*common_names):
    return CertificateNames(
        common_names=common_names, fingerprint="", spki="", serial=1, not_before=MOMENT, not_after=MOMENT
    )


def fields(data):
    """Return what stands in type, length and value, by type."""
    found = {}
    while data:
        kind, size = struct.unpack_from("!BH", data)
        found[kind] = data[3 : 3 + size]
        data = data[3 + size :]
    return found


def session_of(sent, width):
    """Return flags, verdict and the fields of the TLS session."""
    (content,) = fields(sent[16 + width :]).values()
    flags, verdict = struct.unpack_from("!BI", content)
    return flags, verdict, fields(content[5:])


def test_nothing_is_nothing():
    assert header(ProxyHeader.NONE, peer(), ("198.51.100.1", 443), None) == b""


@pytest.mark.parametrize(
    ("client", "local", "family", "told"),
    [
        ("192.0.2.7", "198.51.100.1", 0x11, "192.0.2.7"),
        ("2001:db8::7", "2001:db8::1", 0x21, "2001:db8::7"),
        ("192.0.2.7", "2001:db8::1", 0x21, "192.0.2.7"),
        ("2001:db8::7", "198.51.100.1", 0x21, "2001:db8::7"),
        ("", "", 0x00, ""),
    ],
)
def test_addresses_are_told_in_their_family(client, local, family, told):
    """Of two families one speaks for both; a Unix socket has none."""
    sent = header(ProxyHeader.ADDRESS, peer(client), (local, 443), None)
    read = read_header(sent)

    assert read is not None
    assert (sent[13], read.address, read.length) == (family, told, len(sent))
    assert read.port == (4711 if told else 0)


def test_the_session_is_told_with_the_common_name():
    flags, verdict, inner = session_of(
        header(ProxyHeader.TLS, peer(certificate=b"DER"), ("198.51.100.1", 443), names("alice")), 12
    )

    assert (flags, verdict) == (0x07, 0)
    assert inner == {0x21: b"TLSv1.3", 0x22: b"alice", 0x23: b"TLS_AES_256_GCM_SHA384"}


def test_without_a_certificate_nothing_was_verified():
    flags, verdict, inner = session_of(header(ProxyHeader.TLS, peer(), ("198.51.100.1", 443), None), 12)

    assert (flags, verdict) == (0x01, 1)
    assert 0x22 not in inner


@pytest.mark.parametrize("several", [(), ("a", "b"), ("a\nb",), ("a\0",), ("\u202ea",)])
def test_a_name_that_is_not_certain_is_not_told(several):
    """None, two, or one that would read differently elsewhere."""
    sent = header(ProxyHeader.TLS, peer(certificate=b"DER"), ("198.51.100.1", 443), names(*several))

    assert 0x22 not in session_of(sent, 12)[2]


@pytest.mark.parametrize(("size", "there"), [(48 * 1024, True), (48 * 1024 + 1, False)])
def test_the_certificate_goes_with_it_if_it_fits(size, there):
    sent = header(ProxyHeader.CERTIFICATE, peer(certificate=b"x" * size), ("198.51.100.1", 443), names("alice"))

    assert (0x28 in session_of(sent, 12)[2]) is there
    assert struct.unpack_from("!H", sent, 14)[0] == len(sent) - 16
