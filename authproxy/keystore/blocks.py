"""PEM text becomes blocks (RFC 7468), forgiving about white space and strict about everything else.

White space inside a block never counts, so CRLF, indentation, tabs, and spaces in place of newlines all read the
same; text around the blocks is ignored, as `openssl x509 -text` and `openssl pkcs12` write some.
A damaged block is refused, never skipped: a skipped intermediate would surface as a handshake that fails far away.
"""

import base64
import binascii
import re
from dataclasses import dataclass, field

from authproxy.errors import MaterialError

_BOUNDARY = re.compile(r"-----(BEGIN|END) ([A-Z0-9][A-Z0-9 ]{0,60})-----")
# What shells, JSON and `docker run -e` make of a newline.
_ESCAPED_NEWLINE = re.compile(r"\\+[rn]")
# RFC 1421 headers, the only ones that OpenSSL ever wrote into a key.
_ENCRYPTION_HEADERS = re.compile(r"\s*Proc-Type:\s*4,ENCRYPTED\s+DEK-Info:\s*([A-Z0-9-]+,[0-9A-Fa-f]+)\s", re.ASCII)
_LINE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One PEM block whose body is proper base64."""

    label: str
    """As in `BEGIN <label>`."""
    number: int
    """Its place in the text, from 1; for messages."""
    der: bytes = field(repr=False)
    """May be a private key, hence never printed."""
    dek_info: str | None = None
    """Cipher and IV of a key encrypted in OpenSSL's traditional way; None: not encrypted that way."""

    @property
    def is_private_key(self) -> bool:
        """Whether the label says that a private key follows."""
        return self.label.endswith("PRIVATE KEY")

    def pem(self) -> bytes:
        """Return the block in canonical form."""
        body = base64.b64encode(self.der).decode("ascii")
        lines = [f"-----BEGIN {self.label}-----"]
        if self.dek_info:
            lines += ["Proc-Type: 4,ENCRYPTED", f"DEK-Info: {self.dek_info}", ""]
        lines += [body[at : at + _LINE] for at in range(0, len(body), _LINE)]
        return "\n".join([*lines, f"-----END {self.label}-----", ""]).encode("ascii")


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """The blocks of one text, in order, and what had to be put right to see them."""

    blocks: tuple[Block, ...]
    notes: tuple[str, ...] = ()


def read_blocks(text: str, source: str) -> Text:
    """Return the PEM blocks of `text`; an empty tuple when it holds none.

    Raises:
        MaterialError: a block has no end or a damaged body.
    """
    notes: tuple[str, ...] = ()
    if _ESCAPED_NEWLINE.search(text):
        text = _ESCAPED_NEWLINE.sub("\n", text)
        notes = (f"{source}: holds the two characters \\n in place of newlines; read as newlines",)
    blocks: list[Block] = []
    begin: re.Match[str] | None = None
    for boundary in _BOUNDARY.finditer(text):
        kind, label = boundary.groups()
        if kind == "BEGIN":
            if begin is not None:
                raise MaterialError(source, _unfinished(begin))
            begin = boundary
        elif begin is None or begin.group(2) != label:
            raise MaterialError(source, f"END {label} without its BEGIN, the text is damaged")
        else:
            body = text[begin.end() : boundary.start()]
            blocks.append(_block(label, len(blocks) + 1, body, source))
            begin = None
    if begin is not None:
        raise MaterialError(source, _unfinished(begin))
    return Text(blocks=tuple(blocks), notes=notes)


def unwrap_base64(text: str) -> str | None:
    """Return the text inside when `text` is a whole PEM file in base64 (as `base64 -w0` makes it); None: it is not."""
    try:
        inner = binascii.a2b_base64("".join(text.split()).encode("ascii"), strict_mode=True)
    except ValueError:
        return None
    return decode(inner) if b"-----BEGIN " in inner else None


def decode(data: bytes) -> str:
    """Return the bytes as text, without a byte order mark.

    Only ASCII matters in PEM; Latin-1 never fails, so a comment in any encoding around the blocks does no harm.
    """
    return data.removeprefix(b"\xef\xbb\xbf").decode("latin-1")


def _block(label: str, number: int, body: str, source: str) -> Block:
    dek_info = None
    if headers := _ENCRYPTION_HEADERS.match(body):
        dek_info = headers.group(1)
        body = body[headers.end() :]
    try:
        der = binascii.a2b_base64("".join(body.split()).encode("ascii"), strict_mode=True)
    except ValueError:
        # Without its cause: a UnicodeEncodeError carries the whole body, which may be a private key.
        raise MaterialError(source, f"block {number} ({label}) is damaged: its body is not base64") from None
    if not der:
        raise MaterialError(source, f"block {number} ({label}) is empty")
    return Block(label=label, number=number, der=der, dek_info=dek_info)


def _unfinished(begin: re.Match[str]) -> str:
    label = begin.group(2)
    return f"BEGIN {label} without its END {label}, the text is cut off"
