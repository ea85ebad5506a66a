"""The outside of a PKCS#12 file (RFC 7292): what can be read of it without the password.

Private keys stand in bags with their names beside them, and bags in safes; safes with certificates are mostly encrypted.
"""

from dataclasses import dataclass, field
from typing import Final

from authproxy.keystore.asn1 import (
    BMP_STRING,
    EXPLICIT_0,
    OCTETS,
    OID,
    SEQUENCE,
    Element,
    Malformed,
    encode,
    only,
    sole,
)
from authproxy.keystore.cost import rounds

_PKCS7: Final = bytes.fromhex("2a864886f70d0107")
_DATA, _ENCRYPTED = _PKCS7 + b"\x01", _PKCS7 + b"\x06"
_BAGS: Final = bytes.fromhex("2a864886f70d010c0a01")
_KEY_BAG, _SHROUDED_BAG, _SAFE_BAG = _BAGS + b"\x01", _BAGS + b"\x02", _BAGS + b"\x06"
_FRIENDLY_NAME: Final = bytes.fromhex("2a864886f70d010914")
_NESTED: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Bag:
    """A private key's place in the file."""

    alias: str | None
    """Its friendlyName."""
    element: Element = field(repr=False)

    def alone(self) -> bytes:
        """Return a PKCS#12 file that holds this key and nothing else."""
        bag = encode(self.element.tag, self.element.body)
        safes = encode(SEQUENCE, _content_of(encode(SEQUENCE, bag)))
        return encode(SEQUENCE, b"\x02\x01\x03" + _content_of(safes))


@dataclass(slots=True)
class Outline:
    """What can be read without the password."""

    bags: list[Bag] = field(default_factory=list)
    rounds: int = 0
    """How often a key is derived until everything is open."""


def outline_of(data: bytes) -> Outline:
    """Return the outline of a PKCS#12 file; raises Malformed."""
    outline = Outline()
    match only(data, SEQUENCE).inside():
        case (_, info):
            pass
        case (_, info, mac):
            outline.rounds += _rounds_of_mac(mac)
        case _:
            raise Malformed("it is no PKCS#12")
    kind, value = _content(info)
    if kind != _DATA:
        raise Malformed("it is signed with a public key, which is not read here")
    for safe in only(value.octets(), SEQUENCE).inside():
        kind, value = _content(safe)
        if kind == _DATA:
            _note_bags(only(value.octets(), SEQUENCE), outline, 0)
        elif kind == _ENCRYPTED:
            outline.rounds += _rounds_of_encrypted(value)
    return outline


def _content(info: Element) -> tuple[bytes, Element]:
    """Return kind and value of a ContentInfo."""
    match info.inside():
        case (Element(tag=0x06, body=kind), Element(tag=0xA0, body=value)):
            return kind, sole(value)
        case _:
            raise Malformed("a content that is none")


def _rounds_of_mac(mac: Element) -> int:
    # MacData: DigestInfo, salt, rounds (1 when left away). PBMAC1 says it in the algorithm of the DigestInfo.
    match mac.inside():
        case (digest, _, number):
            return number.number() + rounds(digest.inside()[:1])
        case (digest, _):
            return 1 + rounds(digest.inside()[:1])
        case _:
            raise Malformed("a MAC that is none")


def _rounds_of_encrypted(value: Element) -> int:
    # EncryptedData: version and EncryptedContentInfo, which is type, algorithm and content.
    match value.inside():
        case (_, info, *_):
            return rounds(info.inside()[1:2])
        case _:
            raise Malformed("an encrypted safe that is none")


def _note_bags(contents: Element, outline: Outline, depth: int) -> None:
    if depth > _NESTED:
        raise Malformed("bags in bags without end")
    for bag in contents.inside():
        match bag.inside():
            case (Element(tag=0x06, body=kind), Element(tag=0xA0, body=value), *attributes):
                pass
            case _:
                raise Malformed("a bag that is none")
        if kind == _SAFE_BAG:
            _note_bags(only(value, SEQUENCE), outline, depth + 1)
        elif kind in {_KEY_BAG, _SHROUDED_BAG}:
            if kind == _SHROUDED_BAG:
                outline.rounds += rounds(only(value, SEQUENCE).inside()[:1])
            outline.bags.append(Bag(alias=_friendly_name(attributes), element=bag))


def _friendly_name(attributes: list[Element]) -> str | None:
    for attribute in (each for group in attributes for each in group.inside()):
        match attribute.inside():
            case (Element(tag=0x06, body=kind), Element() as values) if kind == _FRIENDLY_NAME:
                names = [each.body for each in values.inside() if each.tag == BMP_STRING]
                return names[0].decode("utf-16-be", "replace") if names else None
            case _:
                pass
    return None


def _content_of(data: bytes) -> bytes:
    return encode(SEQUENCE, encode(OID, _DATA) + encode(EXPLICIT_0, encode(OCTETS, data)))
