"""The PROXY protocol's header, against the text of HAProxy's doc/proxy-protocol.txt."""

import re
from ipaddress import IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.door.proxy_protocol import BadHeader, Header, read_header

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
ADDRESSES = st.ip_addresses().filter(lambda one: one.version == 4 or one.ipv4_mapped is None)
PORTS = st.integers(0, 65535)


def binary(family: int, block: bytes, command: int = 0x21, size: int | None = None) -> bytes:
    """A header of version 2."""
    length = len(block) if size is None else size
    return SIGNATURE + bytes([command, family]) + length.to_bytes(2, "big") + block


V4 = bytes([192, 0, 2, 1, 198, 51, 100, 1]) + (56324).to_bytes(2, "big") + (443).to_bytes(2, "big")
V6 = IPv6Address("2001:db8::1").packed + IPv6Address("2001:db8::2").packed + b"\xdc\x04\x01\xbb"
TLVS = b"\x01\x00\x08http/1.1" + b"\x04\x00\x00" + b"\x05\x00\x03abc" + b"\xee\x01\x00" + bytes(256)


@pytest.mark.parametrize(
    ("line", "address", "port"),
    [
        (b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443", "192.168.0.1", 56324),
        (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535", "255.255.255.255", 65535),
        (b"PROXY TCP4 0.0.0.0 0.0.0.0 0 0", "0.0.0.0", 0),
        (b"PROXY TCP6 2001:db8::1 2001:db8::2 1 2", "2001:db8::1", 1),
        (b"PROXY TCP6 2001:DB8:0:0:0:0:0:1 ::1 1 2", "2001:db8::1", 1),
        (
            b"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            65535,
        ),
        (b"PROXY TCP6 ::ffff:192.0.2.1 ::1 7 8", "192.0.2.1", 7),
        (b"PROXY TCP6 ::ffff:c000:201 ::1 7 8", "192.0.2.1", 7),
        (b"PROXY UNKNOWN", "", 0),
        (b"PROXY UNKNOWN ", "", 0),
        (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535", "", 0),
        (b"PROXY UNKNOWN whatever \x00\xff", "", 0),
        (b"PROXY UNKNOWN " + b"x" * 91, "", 0),
    ],
)
def test_a_line_tells_who_it_is(line, address, port):
    """Cut at every byte it is not whole yet; what follows is the client's."""
    data = line + b"\r\n"

    assert read_header(data + b"\x16\x03\x01") == Header(length=len(data), address=address, port=port)
    assert all(read_header(data[:cut]) is None for cut in range(len(data)))


@pytest.mark.parametrize(
    "line",
    [
        b"PROXY", b"PROXY ", b"PROXY TCP4", b"PROXY  TCP4 1.2.3.4 1.2.3.4 1 2", b"PROXY TCP4 1.2.3.4 1.2.3.4 1",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 ", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3", b"PROXY TCP4 1.2.3.4 1.2.3.4  1 2",
        b"PROXY TCP4 1.2.3.4\t1.2.3.4 1 2", b"PROXY TCP4 1.2.3.4 1.2.3.4 65536 2", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 65536",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 -1 2", b"PROXY TCP4 1.2.3.4 1.2.3.4 +1 2", b"PROXY TCP4 1.2.3.4 1.2.3.4 a 2",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 01 2", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 00", b"PROXY TCP4 01.2.3.4 1.2.3.4 1 2",
        b"PROXY TCP4 1.2.3.4 1.2.3.256 1 2", b"PROXY TCP4 1.2.3 1.2.3.4 1 2", b"PROXY TCP4 1.2.3.4 ::1 1 2",
        b"PROXY TCP4 ::1 ::1 1 2", b"PROXY TCP6 1.2.3.4 1.2.3.4 1 2", b"PROXY TCP6 ::1 1.2.3.4 1 2",
        b"PROXY TCP6 ::1%eth0 ::1 1 2", b"PROXY TCP6 1::2::3 ::1 1 2", b"PROXY TCP6 [::1] ::1 1 2",
        b"PROXY TCP6 12345::1 ::1 1 2", b"PROXY UDP4 1.2.3.4 1.2.3.4 1 2", b"PROXY tcp4 1.2.3.4 1.2.3.4 1 2",
        b"proxy TCP4 1.2.3.4 1.2.3.4 1 2", b"PROXY UNKNOWNX", b"PROXY unknown",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n", b"PROXY TCP4 1.2.3.4\r 1.2.3.4 1 2", b"PROXY TCP4 1.2.3.4 1.2.3.4 1\x00 2",
        b"PROXY TCP4 \xb2.2.3.4 1.2.3.4 1 2", b"PROXY UNKNOWN " + b"x" * 92,
    ],
)  # fmt: skip
def test_a_line_that_is_malformed_is_none(line):
    """Whatever is wrong with it."""
    with pytest.raises(BadHeader):
        read_header(line + b"\r\n")


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\n", b"\x16\x03\x01", b"PRIX", b"PROXX", b"PUT / ", b"\r\n\r\n\x01", b"\n", b"\x00",
             b"x" * 200, b"PROXY TCP4 " + b"1" * 100, SIGNATURE[:-1] + b"X"],
)  # fmt: skip
def test_what_cannot_become_a_header_is_told_at_once(data):
    """Before its end has come."""
    with pytest.raises(BadHeader):
        read_header(data)


def test_a_line_has_107_bytes_at_most():
    """With its CRLF; without one, a longer beginning is refused."""
    longest = b"PROXY UNKNOWN " + b"x" * 91

    assert len(longest) == 105
    assert read_header(longest) is None
    assert read_header(longest + b"\r") is None
    with pytest.raises(BadHeader):
        read_header(longest + b"xx")


@pytest.mark.parametrize(
    ("data", "address", "port"),
    [
        (binary(0x11, V4), "192.0.2.1", 56324),
        (binary(0x11, V4 + TLVS), "192.0.2.1", 56324),
        (binary(0x21, V6), "2001:db8::1", 56324),
        (binary(0x21, V6 + TLVS), "2001:db8::1", 56324),
        (binary(0x21, IPv6Address("::ffff:192.0.2.1").packed + V6[16:]), "192.0.2.1", 56324),
        (binary(0x11, bytes(12)), "0.0.0.0", 0),
        (binary(0x31, b"/run/a".ljust(108, b"\0") + bytes(108)), "", 0),
        (binary(0x32, bytes(216)), "", 0),
        (binary(0x12, V4), "", 0),
        (binary(0x22, V6), "", 0),
        (binary(0x10, V4), "", 0),
        (binary(0x00, b""), "", 0),
        (binary(0x00, TLVS), "", 0),
        (binary(0x00, b"", 0x20), "", 0),
        (binary(0x11, V4, 0x20), "", 0),
        (binary(0x11, b"", 0x20), "", 0),
        (binary(0xFF, b"x", 0x20), "", 0),
        (binary(0x11, V4 + bytes(4084)), "192.0.2.1", 56324),
    ],
)
def test_a_block_tells_who_it_is(data, address, port):
    """LOCAL and what is unknown tell nothing; cut at every byte it is not whole yet; the rest is skipped."""
    assert read_header(data + b"\x16\x03\x01") == Header(length=len(data), address=address, port=port)
    assert all(read_header(data[:cut]) is None for cut in range(len(data)))


@pytest.mark.parametrize(
    "data",
    [
        binary(0x11, V4, 0x11), binary(0x11, V4, 0x22), binary(0x11, V4, 0x2F), binary(0x11, V4, 0x31),
        binary(0x11, V4, 0x01), binary(0x41, V4), binary(0xF1, V4), binary(0x13, V4), binary(0x1F, V4), binary(0x03, b""),
        binary(0x11, V4[:-1]), binary(0x11, b""), binary(0x21, V6[:-1]), binary(0x21, V4), binary(0x11, V4 + bytes(4085)),
        binary(0x11, b"", size=65535),
    ],
)  # fmt: skip
def test_a_block_that_is_malformed_is_none(data):
    """Version, command, family, protocol, and sizes that do not fit."""
    with pytest.raises(BadHeader):
        read_header(data)


@given(ADDRESSES, ADDRESSES, PORTS, PORTS, st.binary(max_size=40))
def test_what_is_written_is_read(source, target, port, other, rest):
    """As a line and as a block, with whatever follows."""
    if source.version != target.version:
        target = source
    line = f"PROXY TCP{source.version} {source} {target} {port} {other}\r\n".encode()
    family = 0x11 if source.version == 4 else 0x21
    block = binary(family, source.packed + target.packed + port.to_bytes(2, "big") + other.to_bytes(2, "big"))

    assert read_header(line + rest) == Header(length=len(line), address=str(source), port=port)
    assert read_header(block + rest) == Header(length=len(block), address=str(source), port=port)


@given(st.one_of(st.binary(max_size=150), st.binary(max_size=60).map(lambda tail: SIGNATURE + tail),
                 st.binary(max_size=60).map(lambda tail: b"PROXY " + tail + b"\r\n"),
                 st.from_regex(re.compile(rb"PROXY (TCP[46]|UNKNOWN)( [0-9a-f.:]{0,12}){0,5}\r\n"))))  # fmt: skip
def test_noise_is_no_address(noise):
    """Nothing but `BadHeader` is raised, and what is read is an address that stands there."""
    try:
        found = read_header(noise)
    except BadHeader:
        return

    if found is not None and found.address:
        assert found.length <= len(noise)
        assert 0 <= found.port <= 65535
        assert str(ip_address(found.address)) == found.address
