"""Two ends of a real TCP connection on one loop: the transport under test, and a peer that does exactly what it is told.

The peer is no transport: it encrypts in memory and hands its records out, so that a test cuts them wherever it likes.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from typing_extensions import override

from authproxy.wire.plain import SocketTransport
from authproxy.wire.tls import TlsTransport

PATIENCE = 25.0
"""Seconds after which a test gives up; no test waits so long when all is well."""
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


# ---------------------------------------------------------------- certificates


@dataclass(frozen=True)
class Material:
    """One authority, a server named localhost and a client, as PEM files with their keys."""

    authority: Path
    server: Path
    client: Path
    stranger: Path
    """Another authority's client."""

    def server_side(self, version: str = "1.3", *, wants_client: bool = False) -> ssl.SSLContext:
        """What a server shows; `wants_client`: whoever has no certificate is refused."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = context.maximum_version = VERSIONS[version]
        context.load_cert_chain(self.server)
        if wants_client:
            context.load_verify_locations(self.authority)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def client_side(self, version: str | None = None, *, shows: Path | None = None) -> ssl.SSLContext:
        """Whom a client believes, and what it shows."""
        context = ssl.create_default_context(cafile=str(self.authority))
        if version is not None:
            context.minimum_version = context.maximum_version = VERSIONS[version]
        if shows is not None:
            context.load_cert_chain(shows)
        return context


def make_material(folder: Path, authority: str = "root") -> Material:
    """Write the certificates into `folder`; `authority`: its name."""
    root, other = _authority(authority), _authority("other root")
    (folder / "root.pem").write_bytes(root[0].public_bytes(serialization.Encoding.PEM))
    name = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.DNSName("other.test")])
    return Material(
        authority=folder / "root.pem",
        server=_person(folder, "server", root, ExtendedKeyUsageOID.SERVER_AUTH, name),
        client=_person(folder, "client", root, ExtendedKeyUsageOID.CLIENT_AUTH),
        stranger=_person(folder, "stranger", other, ExtendedKeyUsageOID.CLIENT_AUTH),
    )


Pair = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def _builder(name: str, issuer: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2049, 1, 1, tzinfo=UTC))
    )


def _authority(name: str) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    # As strict a reader as Python 3.13's wants them.
    usage = x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    builder = _builder(name, name, key).add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(usage, critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    return builder.sign(key, hashes.SHA256()), key


def _person(folder: Path, name: str, issuer: Pair, usage: x509.ObjectIdentifier, *more: x509.ExtensionType) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(name, issuer[0].subject.rfc4514_string().removeprefix("CN="), key)
    issued = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer[1].public_key())
    for extension in (x509.ExtendedKeyUsage([usage]), issued, *more):
        builder = builder.add_extension(extension, critical=False)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / f"{name}.pem"
    path.write_bytes(secret + builder.sign(issuer[1], hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return path


# ---------------------------------------------------------------- sockets


def connected(*, small: bool = False) -> tuple[socket.socket, socket.socket]:
    """Two connected TCP sockets that do not block; `small`: the kernel keeps few bytes between them."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        if small:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        ours = socket.socket()
        if small:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        ours.connect(listener.getsockname())
        theirs, _ = listener.accept()
    ours.setblocking(False)
    theirs.setblocking(False)
    return ours, theirs


def reset(sock: socket.socket) -> None:
    """Close with a TCP reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.close()


class Recorder(asyncio.Protocol):
    """Writes down what it is told; `keeps`: it goes on after the peer's end."""

    def __init__(self, *, keeps: bool = False) -> None:
        self.keeps = keeps
        self.transport: asyncio.Transport = asyncio.Transport()
        self.heard: list[str] = []
        self.pieces: list[bytes] = []
        self.lost: BaseException | None = None
        self._changed = asyncio.Event()

    @property
    def data(self) -> bytes:
        """All that came."""
        return b"".join(self.pieces)

    def note(self, word: str) -> None:
        """Add to `heard`."""
        self.heard.append(word)
        self._changed.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Return once it holds; it is asked after everything that is heard."""
        async with asyncio.timeout(PATIENCE):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    async def heard_of(self, word: str) -> None:
        """Return once this has been heard."""
        await self.until(lambda: word in self.heard)

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.note("made")

    @override
    def data_received(self, data: bytes) -> None:
        self.pieces.append(data)
        self.note("data")

    @override
    def eof_received(self) -> bool:
        self.note("eof")
        return self.keeps

    @override
    def pause_writing(self) -> None:
        self.note("pause")

    @override
    def resume_writing(self) -> None:
        self.note("resume")

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = exc
        self.note("lost")


class PlainPeer:
    """The other end, without TLS."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.loop = asyncio.get_running_loop()

    async def send(self, data: bytes) -> None:
        """Send exactly these bytes."""
        async with asyncio.timeout(PATIENCE):
            await self.loop.sock_sendall(self.sock, data)

    async def receive(self, size: int = 65536) -> bytes:
        """What comes next; empty at the end."""
        async with asyncio.timeout(PATIENCE):
            return await self.loop.sock_recv(self.sock, size)

    async def exactly(self, size: int) -> bytes:
        """So many bytes, or fewer at the end."""
        data = b""
        while len(data) < size and (piece := await self.receive(size - len(data))):
            data += piece
        return data

    async def rest(self) -> bytes:
        """All until the end."""
        pieces = []
        while piece := await self.receive():
            pieces.append(piece)
        return b"".join(pieces)

    def finish(self) -> None:
        """Say that no more comes."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Close with a TCP reset."""
        reset(self.sock)

    def close(self) -> None:
        """Close."""
        self.sock.close()


@dataclass
class TlsPeer:
    """The other end, with TLS in memory."""

    plain: PlainPeer
    session: ssl.SSLObject
    incoming: ssl.MemoryBIO
    outgoing: ssl.MemoryBIO
    how: str = ""
    """How the transport's side ended: `clean` or `cut`."""
    raw: bytearray = field(default_factory=bytearray)
    """All that came, encrypted."""

    async def shake(self, *, sends_last: bool = True) -> bytes:
        """Shake hands; return the last flight when it is not to be sent."""
        while True:
            try:
                self.session.do_handshake()
                break
            except ssl.SSLWantReadError:
                await self.plain.send(self.outgoing.read())
                await self._feed()
        last = self.outgoing.read()
        if sends_last:
            await self.plain.send(last)
            return b""
        return last

    def records(self, data: bytes) -> bytes:
        """These bytes as records."""
        view = memoryview(data)
        while view:
            view = view[self.session.write(view[:16384]) :]
        return self.outgoing.read()

    def goodbye(self) -> bytes:
        """close_notify."""
        hidden = self.incoming.read()
        with contextlib.suppress(ssl.SSLError):
            self.session.unwrap()
        self.incoming.write(hidden)
        return self.outgoing.read()

    async def send(self, data: bytes) -> None:
        """Send these bytes as records."""
        await self.plain.send(self.records(data))

    async def receive(self) -> bytes:
        """What comes next; empty at the end, and `how` tells which."""
        while True:
            try:
                data = self.session.read(65536)
            except ssl.SSLWantReadError:
                if not await self._feed():
                    self.how = "cut"
                    return b""
                continue
            except ssl.SSLZeroReturnError:
                data = b""
            if not data:
                self.how = "clean"
            return data

    async def exactly(self, size: int) -> bytes:
        """So many bytes or more, or fewer at the end."""
        data = b""
        while len(data) < size and (piece := await self.receive()):
            data += piece
        return data

    async def rest(self) -> bytes:
        """All until the end."""
        pieces = []
        while piece := await self.receive():
            pieces.append(piece)
        return b"".join(pieces)

    async def _feed(self) -> bool:
        data = await self.plain.receive()
        self.raw += data
        self.incoming.write(data)
        return bool(data)


def tls_peer(sock: socket.socket, context: ssl.SSLContext, *, server: bool) -> TlsPeer:
    """A peer that has not shaken hands yet."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    name = None if server else "localhost"
    session = context.wrap_bio(incoming, outgoing, server_side=server, server_hostname=name)
    return TlsPeer(PlainPeer(sock), session, incoming, outgoing)


@dataclass(frozen=True)
class PlainEnds:
    """A plain transport, its protocol and its peer."""

    transport: SocketTransport
    protocol: Recorder
    peer: PlainPeer
    socket: socket.socket
    """The transport's."""


@dataclass(frozen=True)
class TlsEnds:
    """A TLS transport that has shaken hands, its protocol and its peer."""

    transport: TlsTransport
    protocol: Recorder
    peer: TlsPeer


def plain_ends(*, lingering: bool = True, small: bool = False, protocol: Recorder | None = None) -> PlainEnds:
    """Both ends of a plain connection."""
    ours, theirs = connected(small=small)
    transport = SocketTransport(asyncio.get_running_loop(), ours, lingering=lingering)
    protocol = protocol or Recorder()
    transport.begin(protocol)
    return PlainEnds(transport, protocol, PlainPeer(theirs), ours)


async def tls_ends(
    material: Material, version: str, *, server: bool = True, small: bool = False, protocol: Recorder | None = None
) -> TlsEnds:
    """Both ends of a TLS connection; `server`: the transport is the server's end."""
    ours, theirs = connected(small=small)
    loop = asyncio.get_running_loop()
    shaken: asyncio.Future[None] = loop.create_future()
    protocol = protocol or Recorder()

    def tell(made: TlsTransport, error: Exception | None) -> None:
        if error is None:
            made.begin(protocol)
            shaken.set_result(None)
        else:
            shaken.set_exception(error)

    our_side = material.server_side(version) if server else material.client_side(version)
    their_side = material.client_side(version) if server else material.server_side(version)
    transport = TlsTransport(loop, ours, our_side, tell, server_name=None if server else "localhost")
    transport.shake()
    peer = tls_peer(theirs, their_side, server=not server)
    await peer.shake()
    async with asyncio.timeout(PATIENCE):
        await shaken
    return TlsEnds(transport, protocol, peer)
