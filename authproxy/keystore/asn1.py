"""Just enough ASN.1 to find one's way in PKCS#12 and PKCS#8: bounded, and never deeper than they nest.

BER, not only DER: Firefox and macOS write PKCS#12 with lengths left open (X.690, 8.1.3.6).
Why by hand: cryptography returns the first key of a PKCS#12 file and no word about the others, and it starts to
derive keys before anybody could look how many rounds the file asks for.
"""

from dataclasses import dataclass, field

SEQUENCE = 0x30
INTEGER = 0x02
OCTETS = 0x04
OID = 0x06
BMP_STRING = 0x1E
EXPLICIT_0 = 0xA0

_CONSTRUCTED = 0x20
_LONG_TAG = 0x1F
_OPEN = 0x80
_LENGTH_BYTES = 4
# An AlgorithmIdentifier in a bag in a safe in a content in a file has twelve.
_DEPTH = 24


class Malformed(ValueError):
    """The bytes are not what they should be."""


@dataclass(frozen=True, slots=True)
class Element:
    """One tag with its contents."""

    tag: int
    body: bytes = field(repr=False)

    def inside(self) -> tuple["Element", ...]:
        """Return what a constructed element holds; raises Malformed."""
        if not self.tag & _CONSTRUCTED:
            raise Malformed("a plain value where several were expected")
        return elements(self.body)

    def number(self) -> int:
        """Return a non-negative INTEGER; raises Malformed."""
        if self.tag != INTEGER or not self.body or self.body[0] & 0x80:
            raise Malformed("no number where one was expected")
        return int.from_bytes(self.body)

    def octets(self) -> bytes:
        """Return the bytes of an OCTET STRING, which BER may have cut into pieces; raises Malformed."""
        if self.tag & ~_CONSTRUCTED != OCTETS:
            raise Malformed("no bytes where some were expected")
        if not self.tag & _CONSTRUCTED:
            return self.body
        pieces = self.inside()
        if any(piece.tag != OCTETS for piece in pieces):
            raise Malformed("bytes in pieces that are none")
        return b"".join(piece.body for piece in pieces)


def elements(data: bytes) -> tuple[Element, ...]:
    """Return the elements that follow one another in `data`; raises Malformed."""
    found: list[Element] = []
    at = 0
    while at < len(data):
        element, at = _read(data, at, 0)
        found.append(element)
    return tuple(found)


def only(data: bytes, tag: int) -> Element:
    """Return the one element of that tag that `data` is; raises Malformed."""
    found = sole(data)
    if found.tag != tag:
        raise Malformed("something else where a structure was expected")
    return found


def sole(data: bytes) -> Element:
    """Return the one element that `data` is; raises Malformed."""
    found, end = _read(data, 0, 0)
    if end != len(data):
        raise Malformed("something follows the end")
    return found


def encode(tag: int, body: bytes) -> bytes:
    """Return an element in DER."""
    size = len(body)
    if size < _OPEN:
        return bytes([tag, size]) + body
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([tag, _OPEN | len(length)]) + length + body


def closed(data: bytes, depth: int = 0) -> bytes:
    """Return the same with every length told and no bytes in pieces, as cryptography wants it; raises Malformed.

    What stands inside of an OCTET STRING is left as it is, for a MAC may be over it.
    """
    if depth > _DEPTH:
        raise Malformed("nested too deep")
    found = b""
    for each in elements(data):
        if each.tag & ~_CONSTRUCTED == OCTETS:
            found += encode(OCTETS, each.octets())
        else:
            found += encode(each.tag, closed(each.body, depth + 1) if each.tag & _CONSTRUCTED else each.body)
    return found


def _read(data: bytes, at: int, depth: int) -> tuple[Element, int]:
    if at + 2 > len(data):
        raise Malformed("it is cut off")
    tag, length = data[at], data[at + 1]
    at += 2
    if tag & _LONG_TAG == _LONG_TAG:
        raise Malformed("an unknown kind of value")
    if length == _OPEN:
        end = _end(data, at, depth, tag)
        return Element(tag, data[at:end]), end + 2
    if length & _OPEN:
        count = length & ~_OPEN
        if count > _LENGTH_BYTES or at + count > len(data):
            raise Malformed("a length that cannot be")
        length, at = int.from_bytes(data[at : at + count]), at + count
    if at + length > len(data):
        raise Malformed("it is cut off")
    return Element(tag, data[at : at + length]), at + length


def _end(data: bytes, at: int, depth: int, tag: int) -> int:
    """Return where the two zeroes stand that end an element of open length."""
    if depth >= _DEPTH or not tag & _CONSTRUCTED:
        raise Malformed("nested too deep")
    while data[at : at + 2] != b"\0\0":
        _, at = _read(data, at, depth + 1)
    return at
