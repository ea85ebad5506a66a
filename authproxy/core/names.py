"""The one table of header names: what happens to a field, told once per spelling.

A field is classified by its *folded* name (upper case, everything but letters and digits becomes `_`), because
CGI, WSGI and their kin fold so: to such an upstream `X_Authproxy_User` and `X.Authproxy.User` are
`X-Authproxy-User`. Whoever strips by exact spelling alone lets the other spellings through.

Why by family: a proxy that strips only the names it sets itself lets a client speak with the voice of the next
product's proxy, since applications trust whole families (`Remote-*`, `X-Forwarded-*`, `X-Auth-Request-*`).
"""

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import Final

from typing_extensions import override

# What to do with a request field.
PASS: Final = 0
DROP: Final = 1
HOST: Final = 2
AUTHORIZATION: Final = 3
COOKIE: Final = 4
CONTENT_LENGTH: Final = 5
TRANSFER_ENCODING: Final = 6
CONNECTION: Final = 7
EXPECT: Final = 8
UPGRADE: Final = 9
TE: Final = 10
REQUEST_ID: Final = 11
FORWARDED: Final = 12
CONTENT_TYPE: Final = 13
BAD: Final = 14
# What to do with an answer's field, beside PASS, DROP, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, UPGRADE, BAD.
SET_COOKIE: Final = 15
HSTS: Final = 16

_TOKEN: Final = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_FOLD: Final = bytes(ord(chr(c).upper()) if chr(c).isascii() and chr(c).isalnum() else ord("_") for c in range(256))

# Learned spellings are kept, so that a client's own fields cost one look-up; a client that makes up names
# by the million must not make the table grow with them.
_MAX_LEARNED: Final = 2048
_MAX_LEARNED_NAME: Final = 64

_SPECIAL: Final[Mapping[str, int]] = {
    "Host": HOST,
    "Authorization": AUTHORIZATION,
    "Cookie": COOKIE,
    "Content-Length": CONTENT_LENGTH,
    "Transfer-Encoding": TRANSFER_ENCODING,
    "Connection": CONNECTION,
    "Expect": EXPECT,
    "Upgrade": UPGRADE,
    "TE": TE,
    "X-Request-Id": REQUEST_ID,
    "X-Forwarded-For": FORWARDED,
    "X-Forwarded-Proto": FORWARDED,
    "X-Forwarded-Host": FORWARDED,
    "X-Forwarded-Port": FORWARDED,
    "X-Real-Ip": FORWARDED,
    "Forwarded": FORWARDED,
    "Content-Type": CONTENT_TYPE,
    "Keep-Alive": DROP,
    "Trailer": DROP,
}

_COMMON: Final = (
    "User-Agent", "Accept", "Accept-Encoding", "Accept-Language", "Referer", "Origin", "Cache-Control",
    "If-None-Match", "If-Modified-Since", "Range", "Pragma", "Content-Encoding", "Traceparent", "Tracestate",
    "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest", "Sec-WebSocket-Key", "Sec-WebSocket-Version",
    "Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol",
)  # fmt: skip

# Identity and address as other products of this field write them; RFC 3875 (REMOTE_USER and kin) among them.
FAMILY_PREFIXES: Final = (
    b"X_AUTHPROXY_", b"X_FORWARDED_", b"REMOTE_", b"X_REMOTE_", b"SSL_CLIENT_", b"X_SSL_CLIENT_", b"X_AMZN_OIDC_",
    b"X_AMZN_AVA_", b"X_GOOG_", b"CF_ACCESS_", b"TAILSCALE_", b"X_POMERIUM_", b"X_AUTH_REQUEST_", b"X_AUTHENTIK_",
    b"X_VOUCH_", b"X_TOKEN_USER_", b"X_TOKEN_SUBJECT", b"TELEPORT_", b"X_CONSUMER_", b"X_CREDENTIAL_",
    b"X_ANONYMOUS_CONSUMER", b"X_AUTHENTICATED_", b"X_WEBAUTH_", b"L5D_CLIENT_", b"GAP_", b"PROXY_", b"X_ORIGINAL_", b"X_REWRITE_",
    b"X_HTTP_METHOD", b"X_METHOD_OVERRIDE", b"X_CLIENT_CERT", b"X_ENVOY_",
)  # fmt: skip
FAMILY_NAMES: Final = frozenset({
    b"PROXY", b"X_FORWARDED", b"X_CLIENT_IP", b"TRUE_CLIENT_IP", b"CF_CONNECTING_IP", b"X_CLUSTER_CLIENT_IP",
    b"CLIENT_IP", b"FASTLY_CLIENT_IP", b"X_OVERRIDE_URL", b"X_HTTP_HOST_OVERRIDE", b"X_HTTP_PATH_OVERRIDE",
    b"X_HTTP_DESTINATIONURL", b"X_SCHEME", b"X_URL_SCHEME", b"FRONT_END_HTTPS", b"CLIENT_CERT", b"CLIENT_CERT_CHAIN", b"X_REAL_IP",
})  # fmt: skip

# RFC 9110, 7.6.1: a Connection option makes a field hop-by-hop, so an option that names a field which the decision,
# the framing or the upstream relies on would take it away behind our back.
_RELIED_ON: Final = frozenset(
    {b"HOST", b"AUTHORIZATION", b"COOKIE", b"CONTENT_LENGTH", b"TRANSFER_ENCODING", b"CONTENT_TYPE", b"EXPECT",
     b"X_REQUEST_ID", b"FORWARDED", b"ORIGIN", b"SEC_FETCH_SITE"}
)  # fmt: skip


def is_token(name: bytes) -> bool:
    """Tell whether `name` is a token (RFC 9110, 5.6.2): at least one character, none outside the set."""
    return bool(name) and not name.translate(None, _TOKEN)


def fold(name: bytes) -> bytes:
    """Return the name as the loosest reader would see it: upper case, letters and digits kept, the rest `_`."""
    return name.translate(_FOLD)


class _Names(dict[bytes, int]):
    """Maps spellings to what is done with such a field; learns spellings as they come."""

    def __missing__(self, name: bytes) -> int:
        kind = self.classify(name)
        if len(name) <= _MAX_LEARNED_NAME:
            if len(self) >= _MAX_LEARNED:
                # The oldest goes, so that made-up names do not keep the real ones out for good.
                del self[next(iter(self))]
            self[name] = kind
        return kind

    @abstractmethod
    def classify(self, name: bytes) -> int:
        """Return what to do with a field of this name."""


class RequestNames(_Names):
    """Maps the spelling of a request field's name to what is done with it; learns spellings as they come.

    `identity` are the names of the identity headers that this proxy sets: every spelling of them is dropped.
    """

    def __init__(self, identity: Iterable[str] = (), *, drop_unusual: bool = False) -> None:
        super().__init__()
        self._identity = frozenset(fold(name.encode()) for name in identity)
        self._special = {fold(name.encode()): (name.encode().lower(), kind) for name, kind in _SPECIAL.items()}
        self._drop_unusual = drop_unusual
        for name in (*_SPECIAL, *_COMMON):
            for spelling in (name.encode(), name.lower().encode()):
                self[spelling] = self.classify(spelling)

    @override
    def classify(self, name: bytes) -> int:
        """Return what to do with a field of this name, from its grammar and its folded form."""
        if not is_token(name):
            return BAD
        folded = fold(name)
        if self.is_reserved(folded):
            # Our identity headers may carry a name that is otherwise special, such as X-Forwarded-User.
            special = self._special.get(folded)
            if special is None or special[0] != name.lower() or folded in self._identity:
                return DROP
            return special[1]
        special = self._special.get(folded)
        if special is not None:
            # `Content_Length` is nobody's field, yet a folding reader would take it for framing.
            return special[1] if name.lower() == special[0] else DROP
        if self._drop_unusual and (b"_" in name or b"." in name):
            return DROP
        return PASS

    def is_reserved(self, folded: bytes) -> bool:
        """Tell whether a folded name belongs to a family that only a proxy may set."""
        return folded in self._identity or folded in FAMILY_NAMES or folded.startswith(FAMILY_PREFIXES)

    def is_relied_on(self, option: bytes) -> bool:
        """Tell whether a Connection option names a field that must not be taken away."""
        folded = fold(option)
        return folded in _RELIED_ON or self.is_reserved(folded)


_ANSWER_SPECIAL: Final[Mapping[str, int]] = {
    "Connection": CONNECTION,
    "Content-Length": CONTENT_LENGTH,
    "Transfer-Encoding": TRANSFER_ENCODING,
    "Upgrade": UPGRADE,
    "Set-Cookie": SET_COOKIE,
    "Strict-Transport-Security": HSTS,
    "Keep-Alive": DROP,
    "TE": DROP,
    "Trailer": DROP,
    "X-Request-Id": DROP,
}

_ANSWER_COMMON: Final = (
    "Server", "Date", "Content-Type", "Last-Modified", "ETag", "Accept-Ranges", "Cache-Control", "Vary", "Location",
    "Content-Encoding", "Expires", "Age", "Content-Disposition",
)  # fmt: skip


class AnswerNames(_Names):
    """Maps the spelling of an answer field's name to what is done with it; learns spellings as they come."""

    def __init__(self) -> None:
        super().__init__()
        self._special = {name.lower().encode(): kind for name, kind in _ANSWER_SPECIAL.items()}
        for name in (*_ANSWER_SPECIAL, *_ANSWER_COMMON):
            for spelling in (name.encode(), name.lower().encode()):
                self[spelling] = self.classify(spelling)

    @override
    def classify(self, name: bytes) -> int:
        """Return what to do with an answer's field of this name."""
        if not is_token(name):
            return BAD
        special = self._special.get(name.lower())
        if special is not None:
            return special
        # `Proxy-*` is between neighbours, as in requests; and an upstream cannot speak with the proxy's own voice.
        return DROP if fold(name).startswith((b"PROXY_", b"X_AUTHPROXY_")) else PASS
