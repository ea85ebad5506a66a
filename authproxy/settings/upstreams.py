"""Section `upstreams`: the way out."""

from datetime import timedelta
from typing import Annotated, Literal

from authproxy.options import Flag, Whole, or_system
from authproxy.settings.addresses import UpstreamUrl
from authproxy.settings.section import Section, Wait, bounded
from authproxy.settings.words import Name, Pin, ServerName, Several, UrlPath, at_least_one


class UpstreamTimeouts(Section):
    """How long an upstream may take."""

    connect: Wait = timedelta(seconds=3)
    """Until a connection stands, with its TLS handshake; all URLs that are tried together."""
    response_head: Wait = timedelta(seconds=30)
    """From the end of the request until the head of the answer."""
    idle: Wait = timedelta(seconds=60)
    """Between two pieces of a body."""


class Health(Section):
    """How to find out whether a URL can serve: a GET that is answered with 2xx or 3xx.

    Two failures in a row take a URL out, two passes bring it back. Without health checks every URL counts as healthy.
    """

    FILLED = frozenset({"timeout"})

    path: UrlPath
    """What is asked for, without credentials."""
    every: Wait = timedelta(seconds=5)
    """From one check to the next."""
    timeout: Wait
    """Until the head of the answer, the connection included; at most `every`; by default 2s, or `every` when that is shorter."""
    host: ServerName | None = None
    """The Host header of the check; by default the host and port of the URL."""


class Upstream(Section):
    """A service behind the proxy."""

    urls: Annotated[tuple[UpstreamUrl, ...], Several("URL")]
    """Where it is: `https://host:port`, `unix:/path`, or `http://` on this machine; one or a list that shares the work."""
    trust: Annotated[Name | None, or_system] = None
    """The truststore that its certificate must lead to; `system`, the default, for the system's own authorities."""
    server_name: ServerName | None = None
    """The name that its certificate must hold; by default the host of the URL."""
    keystore: Name | None = None
    """The keystore presented to it, where it wants a client certificate."""
    pins: Annotated[tuple[Pin, ...], at_least_one("pin")] | None = None
    """Digests of the public keys that its own certificate may have, in addition to chain and name; by default any key."""
    timeouts: UpstreamTimeouts = UpstreamTimeouts()
    """How long it may take."""
    health: Health | None = None
    """Health checks; by default none."""
    max_connections: Annotated[Whole, bounded(1, 100_000)] | None = None
    """How many connections each URL may have at a time; as many requests wait, the others are refused. By default any."""
    host: Literal["client", "upstream"] = "client"
    """The Host header it sees: the client's, or its own."""
    reuse_after_body: Flag = True
    """Use a connection again after a request with a body; false for servers that leave unwanted bodies unread."""
    unsafe_remote_plaintext: Flag = False
    """Allow `http://` to other machines: credentials and identity cross the network readable and forgeable."""
