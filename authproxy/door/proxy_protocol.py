"""The PROXY protocol's header, versions 1 and 2: where a connection came from before a balancer took it.

Source: HAProxy, doc/proxy-protocol.txt, sections 2.1 and 2.2.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

_SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
_FIXED: Final = 16
# The longest line of version 1, with its CRLF.
_MAX_LINE: Final = 107
# The specification allows 64 KiB; balancers send some hundred bytes.
_MAX_BLOCK: Final = 4096
_LOCAL, _PROXY = 0x20, 0x21
# Address families up to Unix sockets, and protocols up to datagrams; what is above must be rejected.
_MOST_FAMILY, _MOST_PROTOCOL = 3, 2
_LINE: Final = re.compile(
    rb"PROXY (TCP4|TCP6) ([0-9A-Fa-f.:]{2,45}) ([0-9A-Fa-f.:]{2,45}) (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4})"
).fullmatch
_UNKNOWN: Final = b"PROXY UNKNOWN"
_MAX_PORT: Final = 65535


class BadHeader(Exception):  # named after what it reports
    """The connection does not begin with the header that it must begin with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What it told."""

    length: int
    """Bytes of the header; the client's own begin behind it."""
    address: str = ""
    """The client's; empty: the balancer speaks for itself (its health check), or does not know."""
    port: int = 0


def read_header(data: bytes) -> Header | None:
    """Return the header at the beginning of `data`, or None while it is not whole.

    Raises:
        BadHeader: there is none.
    """
    if data[:1] == b"P":
        return _read_line(data)
    if data[: len(_SIGNATURE)] == _SIGNATURE[: len(data)]:
        return _read_block(data)
    raise BadHeader("no PROXY header, which this address must send")


def _read_line(data: bytes) -> Header | None:
    end = data.find(b"\r\n", 0, _MAX_LINE)
    if end < 0:
        if len(data) >= _MAX_LINE or not (data.startswith(b"PROXY ") or b"PROXY ".startswith(data)):
            raise BadHeader("no line of the PROXY protocol")
        return None
    line = data[:end]
    if line == _UNKNOWN or line.startswith(_UNKNOWN + b" "):
        return Header(length=end + 2)
    found = _LINE(line)
    if found is None:
        raise BadHeader("the PROXY line is malformed")
    try:
        address, target = ip_address(found[2].decode()), ip_address(found[3].decode())
    except ValueError:
        raise BadHeader("the PROXY line's address is none") from None
    kind = IPv4Address if found[1] == b"TCP4" else IPv6Address
    ports = int(found[4]), int(found[5])
    if not isinstance(address, kind) or not isinstance(target, kind) or max(ports) > _MAX_PORT:
        raise BadHeader("the PROXY line's address or port does not fit")
    return Header(length=end + 2, address=_written(address), port=ports[0])


def _written(address: IPv4Address | IPv6Address) -> str:
    """Return it as text, an IPv4-mapped one as what it is."""
    return str((address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address)


def _read_block(data: bytes) -> Header | None:
    if len(data) < _FIXED:
        return None
    command = data[12]
    size = int.from_bytes(data[14:16], "big")
    if command not in {_LOCAL, _PROXY}:
        raise BadHeader("the PROXY header's version or command is unknown")
    if size > _MAX_BLOCK:
        raise BadHeader("the PROXY header is larger than 4 KiB")
    length = _FIXED + size
    if len(data) < length:
        return None
    return Header(length=length) if command == _LOCAL else _read_addresses(data[_FIXED:length], data[13])


def _read_addresses(block: bytes, family: int) -> Header:
    length = _FIXED + len(block)
    if family >> 4 > _MOST_FAMILY or family & 15 > _MOST_PROTOCOL:
        raise BadHeader("the PROXY header's address family or protocol is unknown")
    # Address family in the upper half, stream (1) in the lower; others tell nothing that could be used.
    width = {0x11: 4, 0x21: 16}.get(family)
    if width is None:
        return Header(length=length)
    if len(block) < 2 * width + 4:
        raise BadHeader("the PROXY header is shorter than its addresses")
    raw = block[:width]
    address = IPv4Address(raw) if width == 4 else IPv6Address(raw)  # noqa: PLR2004  # bytes of an IPv4 address
    return Header(
        length=length, address=_written(address), port=int.from_bytes(block[2 * width : 2 * width + 2], "big")
    )
