"""A request's head, read, and what is said of one that cannot be."""

from dataclasses import dataclass
from typing import NamedTuple

from authproxy.http1.lines import CRLF, value_of
from authproxy.http1.shape import RequestShape


class Malformed(NamedTuple):
    """The bytes are not a request that this proxy reads; the connection cannot go on."""

    status: int
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadLimits:
    """Sizes in bytes; precedents: Apache 8190 a line and 100 fields, Caddy 16 KiB and Envoy 60 KiB in all."""

    head: int = 32 * 1024
    line: int = 8190
    fields: int = 100


class RequestHead:
    """A request's head, read; made by `request_head`. Field values are bytes as they came, without blanks around them."""

    # What every request reads has a slot. The rest are defaults: to set what nobody reads costs, too.
    __slots__ = (
        "__dict__", "authorization", "close", "cookies", "has_body", "host", "is_usual", "method", "passed", "path", "target", "token",
    )  # fmt: skip

    content_length: int = -1
    """-1: no such field."""
    chunked: bool = False
    expect_continue: bool = False
    upgrade: bytes | None = None
    """The protocol asked for, when Connection says `upgrade` too."""
    trailers: bool = False
    """The client said `TE: trailers`."""
    http10: bool = False

    _all: list[bytes] | None = None
    _shape: RequestShape | None = None

    method: bytes
    """A token, case kept."""
    target: bytes
    """Origin-form, or `*` with OPTIONS."""
    path: bytes
    """The target without its query."""
    host: bytes
    """As sent, with the port."""
    passed: bytes
    """The end-to-end field lines that pass, as they came, each with CRLF before it; Host, Authorization and Cookie are
    not among them."""
    is_usual: bool
    """Nothing but `authorization`, `token` and `cookies` differs from the defaults, the method is a usual one, and there is nothing
    in the path to look at (`core.path.worth_a_look`) or to escape in JSON."""
    authorization: bytes | None
    cookies: bytes | None
    token: tuple[bytes, bytes, bytes] | None
    """What `core.token.assemble` takes, when the authorization is known to hold a token by its shape."""
    has_body: bool
    """The framing announces a body of at least one byte, or of unknown length."""
    close: bool

    @property
    def lines(self) -> list[bytes]:
        """The lines that pass, one by one."""
        return self.passed.split(CRLF)[1:]

    @property
    def request_id(self) -> bytes | None:
        """X-Request-Id as sent; only a trusted peer's is believed."""
        if self._all is None or self._shape is None or not self._shape.request_id:
            return None
        return value_of(self._all[self._shape.request_id])

    @property
    def forwarded(self) -> list[tuple[bytes, bytes]]:
        """(lower-case name, value) of X-Forwarded-*, X-Real-IP and Forwarded; only a trusted peer's are believed."""
        if self._all is None or self._shape is None:
            return []
        return [(name, value_of(self._all[index])) for name, index in self._shape.forwarded]

    def keep(self, lines: list[bytes], shape: RequestShape) -> None:
        """Remember all lines for `request_id` and `forwarded`."""
        self._all = lines
        self._shape = shape


def request_head(  # noqa: PLR0913, PLR0917  # on the hot path
    method: bytes, target: bytes, path: bytes, host: bytes = b"", passed: bytes = b"", is_usual: bool = False
) -> RequestHead:  # fmt: skip
    """Return a head without a credential and without a body.

    Why a function: on Python 3.11 a class with a constructor takes twice as long to make an object.
    """
    head = RequestHead()
    head.method = method
    head.target = target
    head.path = path
    head.host = host
    head.passed = passed
    head.is_usual = is_usual
    head.authorization = head.token = head.cookies = None
    head.has_body = head.close = False
    return head
