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
    """A request's head, read. Field values are bytes as they came, without the blanks around them."""

    # Reading a default of the class is slow on Python 3.11, and so is setting what nobody reads: what every request
    # reads is set in `__init__`, the rest are defaults.
    cookies: bytes | None = None
    content_length = -1
    """-1: no such field."""
    chunked = False
    expect_continue = False
    upgrade: bytes | None = None
    """The protocol asked for, when Connection says `upgrade` too."""
    trailers = False
    """The client said `TE: trailers`."""
    http10 = False

    _all: list[bytes] | None = None
    _shape: RequestShape | None = None

    def __init__(  # noqa: PLR0913, PLR0917  # on the hot path
        self, method: bytes, target: bytes, path: bytes, host: bytes = b"", passed: bytes = b"", is_usual: bool = False
    ) -> None:  # fmt: skip
        self.method = method
        """A token, case kept."""
        self.target = target
        """Origin-form, or `*` with OPTIONS."""
        self.path = path
        """The target without its query."""
        self.host = host
        """As sent, with the port."""
        self.passed = passed
        """The end-to-end field lines that pass, as they came, each with CRLF before it; Host, Authorization and Cookie
        are not among them."""
        self.is_usual = is_usual
        """Nothing but `authorization` and `token` differs from what is set here, the method is a usual one, and there is
        nothing in the path to look at (`core.path.worth_a_look`) or to escape in JSON."""
        self.authorization: bytes | None = None
        self.token: tuple[bytes, bytes, bytes] | None = None
        """What `core.token.assemble` takes, when the authorization is known to hold a token by its shape."""
        self.has_body = False
        """The framing announces a body of at least one byte, or of unknown length."""
        self.close = False

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
