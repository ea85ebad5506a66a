"""Would others take these keys? Asked of OpenSSL where it can be asked, and of nREPL's rules."""

import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from authproxy.errors import MaterialError
from authproxy.keystore.blocks import Block
from authproxy.keystore.context import load_keystore
from authproxy.keystore.generate import Algorithm, Validity, alternative_name, new_authority, new_server
from authproxy.keystore.lineage import is_self_signed
from authproxy.keystore.model import Keystore, subject
from authproxy.keystore.parts import certificates
from authproxy.keystore.selftest import shake
from authproxy.keystore.trust import Truststore

# X509_V_FLAG_NO_CHECK_TIME: dates have a line of their own.
_NO_CHECK_TIME: Final = 0x200000
# What stands around the reason in Python's message.
_REASON: Final = re.compile(r"certificate verify failed: (.*?)(?: \(_ssl|$)")

_MANGLED: Final = re.compile(rb"^[ \t]+-----BEGIN|\\n|\A\xef\xbb\xbf", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether somebody would take it, and why not."""

    good: bool
    says: str


def chain_verdict(keystore: Keystore) -> Verdict:
    """Say where the chain ends."""
    last = keystore.chain[-1]
    if keystore.root is not None:
        return Verdict(good=True, says=f"complete, up to the root {subject(keystore.root)}")
    if is_self_signed(last):
        return Verdict(good=True, says="self-signed: peers must trust this very certificate")
    issuer = last.issuer.rfc4514_string()
    return Verdict(good=True, says=f"peers must know {issuer!r}, which issued {subject(last)} and is not in the file")


def strict_verdict(keystore: Keystore, role: str, now: datetime) -> Verdict:
    """Ask OpenSSL with its strict rules, which Python 3.13 applies by default; dates are not looked at."""
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    is_client = role == "client"
    judge, shows = (server, client) if is_client else (client, server)
    try:
        load_keystore(shows, keystore)
        if is_client:
            other = _throwaway(now)
            load_keystore(server, other)
            _believe(client, other)
        _believe(judge, keystore)
        judge.verify_mode = ssl.CERT_REQUIRED
        judge.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VerifyFlags(_NO_CHECK_TIME)
        up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
        shake(client.wrap_bio(down, up), server.wrap_bio(up, down, server_side=True))
    except ssl.SSLError as error:
        found = _REASON.search(str(error))
        return Verdict(good=False, says=found.group(1) if found else (error.reason or "the handshake failed"))
    except MaterialError as error:
        return Verdict(good=False, says=error.problem)
    return Verdict(good=True, says="accepted")


def nrepl_verdict(data: bytes, blocks: Sequence[Block], keystore: Keystore) -> Verdict:
    """Say whether nREPL's own reader takes this file: by position, PKCS#8 only, and nothing else in a key's place."""
    found = certificates(blocks, keystore.source)
    labels = {block.label for block in blocks if block.is_private_key}
    if keystore.root is None:
        return _no("it needs the root that issued the own certificate in the same file")
    if found[:2] != (keystore.root, keystore.leaf):
        return _no("it takes the first certificate for the root and the second for the own, which is not their order")
    if labels != {"PRIVATE KEY"}:
        return _no(f"it reads unencrypted PKCS#8 keys only, not {' or '.join(sorted(labels))}")
    if _MANGLED.search(data) or b"\n" not in data:
        return _no("it reads PEM in plain lines only: no indentation, no byte order mark, no \\n in place of newlines")
    if not isinstance(keystore.key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        return Verdict(good=True, says="from nREPL 1.8 on, with Java 15 or later")
    return Verdict(good=True, says="accepted")


def _no(why: str) -> Verdict:
    return Verdict(good=False, says=why)


def _believe(context: ssl.SSLContext, keystore: Keystore) -> None:
    anchor = Truststore(name="", certificates=(keystore.root or keystore.chain[-1],), source=keystore.source)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=anchor.der())


def _throwaway(now: datetime) -> Keystore:
    """Return a server's keystore for a handshake in which the client is judged."""
    validity = Validity.of_days(now, 1)
    authority = new_authority("nobody", validity, Algorithm.EC_P256)
    made = new_server(authority, [alternative_name("localhost")], validity, Algorithm.EC_P256)
    return Keystore(name="", chain=(made.certificate,), key=made.key, source="")
