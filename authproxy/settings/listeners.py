"""Sections `keystores`, `truststores` and `listeners`: the door."""

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import Field, create_model

from authproxy.options import Duration, Flag, LocalPath, SecretRef, Whole
from authproxy.settings.addresses import Bind, Cidr, Target
from authproxy.settings.peers import ClientCertificates
from authproxy.settings.section import Section, Wait, bounded
from authproxy.settings.words import Alias, EnvName, Host, Name, Several, UrlPath, at_least_one, later

TlsVersion: TypeAlias = Literal["1.2", "1.3"]
ListenerMode: TypeAlias = Literal["http", "tcp", "redirect"]


class Keystore(Section):
    """A private key with its certificate chain: what a listener shows, or an upstream connection presents."""

    file: LocalPath | None = None
    """Key and chain in one file: PEM, a keys file, PKCS#12 or JKS; told by content."""
    alias: Alias | None = None
    """Which private key of a PKCS#12 or JKS file is meant; needed where there are several."""
    certificate: LocalPath | None = None
    """The certificate chain in PEM, leaf first; with `key`."""
    key: LocalPath | None = None
    """The private key in PEM; with `certificate`."""
    env: EnvName | None = None
    """The environment variable that holds the text of a keys file."""
    password: SecretRef | None = None
    """What the private key, or the PKCS#12 or JKS file, is encrypted with."""
    key_password: SecretRef | None = None
    """What the private keys of a JKS file are encrypted with, where that is not `password`."""


class Truststore(Section):
    """Who is believed."""

    file: LocalPath
    """The certificates of the authorities: PEM, or a trust store in PKCS#12 or JKS; told by content."""
    password: SecretRef | None = None
    """What opens a PKCS#12 or JKS trust store."""
    crls: Annotated[tuple[LocalPath, ...], Several("file")] = ()
    """Their revocation lists, PEM or DER; whoever's issuer has none, or one out of date, is refused. By default none are asked for."""
    deny: LocalPath | None = None
    """Who is refused all the same: SHA-256 of certificates, or of keys as `spki:` or `sha256/BASE64`, one to a line."""


class Tls(Section):
    """The protocol below HTTP."""

    FILLED = frozenset({"minimum"})

    minimum: TlsVersion
    """The oldest version that is spoken, in quotes; by default "1.2", and "1.3" with mode tcp and where client certificates are required."""
    session_tickets: Annotated[Whole, bounded(0, 16)] | None = None
    """How many tickets a handshake brings with which TLS 1.3 is resumed; by default 1, and 0 where client certificates are asked for."""


class _ProxyProtocol(Section):
    """Which peers begin a connection with the PROXY protocol's header."""

    @property
    def senders(self) -> tuple[Cidr, ...]:
        """The networks in `from`, which is no name that Python takes for a field."""
        networks: tuple[Cidr, ...] = getattr(self, "from")
        return networks


if TYPE_CHECKING:
    ProxyProtocol = _ProxyProtocol
else:
    _SENDERS = "Balancers that must send the header, version 1 or 2, as networks; others must not."
    _FROM = (Annotated[tuple[Cidr, ...], at_least_one("network")], Field(description=_SENDERS))
    ProxyProtocol = create_model(
        "ProxyProtocol", __base__=_ProxyProtocol, __doc__=_ProxyProtocol.__doc__, **{"from": _FROM}
    )


class Redirect(Section):
    """Where a listener of mode redirect sends clients."""

    to: Name | None = None
    """The listener of mode http that they are sent to; by default the only one."""
    port: Annotated[Whole, bounded(1, 65535)] | None = None
    """The port that clients know it by, where that is not the port of its first `bind`, as behind a port mapping."""


class TunnelTimeouts(Section):
    """How long the connections of a listener of mode tcp may take and last."""

    connect: Wait = timedelta(seconds=3)
    """Until the connection to the target stands."""
    idle: Wait | None = None
    """How long nothing may pass either way; by default `timeouts.tunnel_idle`."""
    half_close: Wait = timedelta(seconds=60)
    """How long nothing may pass once one side has ended and the other has not."""
    life: Wait | None = None
    """How long a connection may last at all; by default as long as it likes."""


class Listener(Section):
    """One address, or several, where clients knock."""

    LATER = frozenset({"callers"})

    bind: Annotated[tuple[Bind, ...], Several("address")]
    """Where to listen: `host:port`, `[v6]:port`, `unix:/path`, or a list of these."""
    mode: Annotated[ListenerMode, later("authz", now="http, tcp or redirect")] = "http"
    """`http`: HTTP/1.1 over TLS; `tcp`: any bytes over TLS, carried to `target`; `redirect`: plain HTTP, sent to https."""
    redirect: Redirect | None = None
    """Where mode redirect leads; by default to the only listener of mode http."""
    keystore: Name | None = None
    """The keystore shown to clients; by default the only one; none with mode redirect."""
    sni: Mapping[Host, Name] = {}
    """Other keystores by the host that a client asks for: exact, or `*.suffix`; the rest gets `keystore`."""
    tls: Tls | None = None
    """The protocol below HTTP; none with mode redirect."""
    client_certificates: ClientCertificates = ClientCertificates()
    """Whether clients show certificates (mutual TLS)."""
    proxy_protocol: ProxyProtocol | None = None
    """Whose word about the client's address is taken, told by the PROXY protocol before the TLS handshake."""
    health: UrlPath | None = None
    """A path that is answered here without credentials, 200 or 503 and no details; off by default."""
    drop_unusual_names: Flag = False
    """Drop every request header whose name has `_` or `.`; those that imitate a reserved name always go."""
    hsts: Duration | None = None
    """How long browsers shall insist on https: sent with answers that lack the header; off by default."""
    target: Target | None = None
    """Where mode tcp carries bytes to, in plaintext: `host:port` of this machine, or `unix:/path`."""
    send_proxy: Literal["none", "address", "tls", "certificate"] = "none"
    """What a PROXY header, version 2, tells the target first: the addresses, with `tls` the session too, or all with the certificate."""
    timeouts: TunnelTimeouts = TunnelTimeouts()
    """How long connections of mode tcp may take and last."""
    unsafe_remote_plaintext: Flag = False
    """Allow a `target` on another machine: everything crosses the network readable and forgeable."""
