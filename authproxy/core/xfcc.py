"""The client certificate as upstreams are told of it: one element of Envoy's `X-Forwarded-Client-Cert`.

    By=spiffe://example.org/door;Hash=468ed33b...;Subject="CN=job,O=Example";URI=spiffe://example.org/job;DNS=job.internal

An element never holds a double quote within a value, so that readers who know of no escapes read the same as those who do.

Source: Envoy, HTTP connection manager, headers, x-forwarded-client-cert.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from authproxy.core.certificate import CertificateNames

# Between its quotes a value may hold these, elsewhere they divide.
_DIVIDERS: Final = frozenset(",;=")
_UNSAFE: Final = frozenset('"\\')
# Half of the line that most servers take; a certificate may hold thousands of names.
_MAX_BYTES: Final = 4096
_MAX_SUBJECT: Final = 1024


def element(names: CertificateNames, by: Iterable[str] = ()) -> bytes:
    r"""Return the element for a certificate; `by` are the URIs in the proxy's own.

    All of it is visible ASCII and blanks. Bytes that are not stand as `%0A` in URIs and hosts, and as `\0A` in the subject
    (RFC 4514, 2.4). A subject that is too long is left out whole, since half of one is another's; so are the names for
    which there is no more room.
    """
    text, room = "", _MAX_BYTES
    for part in _parts(names, by):
        room -= len(part) + 1
        if room < 0:
            break
        text += f";{part}" if text else part
    return text.encode("ascii")


def _parts(names: CertificateNames, by: Iterable[str]) -> Iterator[str]:
    yield from (f"By={_value(uri)}" for uri in by)
    yield f"Hash={names.fingerprint}"
    subject = _subject(names.subject)
    if len(subject) <= _MAX_SUBJECT:
        yield f'Subject="{subject}"'
    yield from (f"URI={_value(uri)}" for uri in names.uris)
    yield from (f"DNS={_value(host)}" for host in names.dns)


def _subject(text: str) -> str:
    return "".join(
        char if " " <= char <= "~" and char != '"' else "".join(f"\\{byte:02X}" for byte in char.encode())
        for char in text.replace('\\"', '"')
    )


def _value(text: str) -> str:
    safe = "".join(
        char if "!" <= char <= "~" and char not in _UNSAFE else "".join(f"%{byte:02X}" for byte in _bytes(char))
        for char in text
    )
    return safe if _DIVIDERS.isdisjoint(safe) else f'"{safe}"'


def _bytes(char: str) -> bytes:
    return char.encode("utf-8", "surrogatepass")
