"""What is said of the client's address: lines that hold whatever a trusted peer wrote."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.core.peer import Peer
from authproxy.edge.origin import UNKNOWN, origin_behind, origin_of

TRUSTED = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fe80::/10"))
PEER = Peer(address="10.0.0.1", port=1, local_port=8443)
NAMES = st.sampled_from(
    [b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-port", b"x-real-ip", b"forwarded"]
)
VALUES = st.one_of(
    st.sampled_from(
        [
            b"192.0.2.7",
            b"10.0.0.2",
            b"for=192.0.2.7",
            b'for="[2001:db8::1]:1";by=x',
            b"",
            b",",
            b"unknown",
            b'fe80::1%"x":"',
        ]
    ),
    st.binary(max_size=40).map(lambda text: bytes(byte for byte in text if byte == 9 or (byte >= 32 and byte != 127))),
)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=5))
def test_whatever_a_trusted_peer_says_the_address_is_one(said):
    """It goes to the log and is decided on: an address without a zone index, and no byte more."""
    origin = origin_behind(PEER, said, TRUSTED)

    assert origin.address == UNKNOWN or str(ipaddress.ip_address(origin.address))
    assert "%" not in origin.address


@pytest.mark.parametrize(
    ("said", "address"),
    [
        ([(b"x-forwarded-for", b"203.0.113.9")], "203.0.113.9"),
        ([(b"x-forwarded-for", b"203.0.113.9:4711")], "203.0.113.9"),
        ([(b"x-forwarded-for", b"[2001:db8::9]:4711")], "2001:db8::9"),
        ([(b"forwarded", b'for="[2001:db8::9]:4711";proto=https')], "2001:db8::9"),
        ([(b"forwarded", b'for=203.0.113.9;by="a,b"')], "203.0.113.9"),
        ([(b"x-forwarded-for", b"unknown")], UNKNOWN),
        ([(b"x-forwarded-for", b"203.0.113.9 4711")], UNKNOWN),
        ([(b"forwarded", b"for=_hidden")], UNKNOWN),
        ([(b"forwarded", b"proto=https")], UNKNOWN),
        ([(b"x-forwarded-for", b"203.0.113.9"), (b"forwarded", b"for=203.0.113.9")], "203.0.113.9"),
        ([(b"x-forwarded-for", b"203.0.113.9"), (b"forwarded", b"for=203.0.113.10")], UNKNOWN),
    ],
)
def test_an_unreadable_client_is_nobodys_neighbour(said, address):
    """What cannot be read for certain lies in no network, least of all in the proxy's own."""
    assert origin_behind(PEER, said, TRUSTED).address == address


@given(st.lists(st.tuples(NAMES, VALUES), max_size=5))
def test_every_line_stands_once_and_is_a_line(said):
    """Six fields, whatever was said."""
    lines = origin_behind(PEER, said, TRUSTED).lines(b"a.test")
    names = [line.partition(b":")[0] for line in lines.split(b"\r\n")[:-1]]

    assert lines.endswith(b"\r\n")
    assert sorted(names) == sorted(
        [b"X-Forwarded-For", b"X-Real-IP", b"X-Forwarded-Proto", b"X-Forwarded-Port", b"Forwarded", b"X-Forwarded-Host"]
    )


def test_an_ipv6_client_is_written_as_rfc_7239_says():
    """In brackets and quotes."""
    lines = origin_of(Peer(address="2001:db8::1", port=1, local_port=443)).lines(b"a")

    assert b'Forwarded: for="[2001:db8::1]";proto=https;host="a"\r\n' in lines
    assert b"X-Real-IP: 2001:db8::1\r\n" in lines


def test_nothing_is_made_up_about_a_unix_socket():
    """It has neither addresses nor ports: a port of 0 would stand in links that an upstream makes."""
    lines = origin_of(Peer(address="", port=0, local_port=0)).lines(b"a")

    told = b'X-Forwarded-Proto: https\r\nForwarded: for=unknown;proto=https;host="a"\r\nX-Forwarded-Host: a\r\n'
    assert lines == told


def test_connections_of_one_address_are_told_apart_by_what_they_show():
    """What is remembered of an address is never somebody's certificate."""
    plain, shown = origin_of(PEER), origin_of(PEER._replace(certificate=b"der"))

    assert plain.shown is None
    assert shown.shown is not None
    assert origin_of(PEER).shown is None
    assert plain.lines(b"a") == shown.lines(b"a")
    assert origin_of(PEER._replace(local_port=1)).lines(b"a") != plain.lines(b"a")


def test_lines_follow_the_host():
    """One connection may ask for several."""
    origin = origin_of(PEER)

    assert b"X-Forwarded-Host: a\r\n" in origin.lines(b"a")
    assert b"X-Forwarded-Host: b\r\n" in origin.lines(b"b")
    assert b"X-Forwarded-Host: a\r\n" in origin.lines(b"a")
