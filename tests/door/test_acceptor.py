"""The door with real sockets: who comes in, who is told why not, and that nothing stays counted."""

import asyncio
import errno
import gc
import socket
import ssl
import weakref
from datetime import UTC, datetime
from ipaddress import ip_network

import pytest

from authproxy.core.peer import Peer
from authproxy.core.place import Place
from authproxy.core.stats import ListenerStats
from authproxy.door.acceptor import Acceptor
from authproxy.door.arrival import Arrival
from authproxy.door.caps import Caps
from authproxy.door.contexts import Contexts
from authproxy.door.peer import peer_of
from authproxy.door.sockets import listen
from tests.door.test_sockets import has_address
from tests.wire.ends import PATIENCE, PlainPeer, Recorder, reset, tls_peer

NOW = datetime(2026, 11, 1, tzinfo=UTC)
LOOPBACK = (ip_network("127.0.0.0/8"),)
LINE = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n"
BLOCK = (
    b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0f" + bytes([192, 0, 2, 7, 198, 51, 100, 1]) + b"\x12\x67\x01\xbb"
    + b"\x04\x00\x00"
)  # fmt: skip
LOCAL = b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"


class House:
    """One listener and all that came of it."""

    def __init__(self, contexts):
        self.caps, self.stats = Caps(), ListenerStats()
        self.reports: list[tuple[str, str, str]] = []
        self.protocols: list[tuple[Recorder, bool]] = []
        self.fails = False
        self._changed = asyncio.Event()
        self.acceptor = Acceptor(
            self.make, contexts, caps=self.caps, stats=self.stats, report=self.report, now=lambda: NOW
        )
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        self.address = self.listener.getsockname()
        self.acceptor.add(self.listener)

    def make(self, overloaded):
        if self.fails:
            raise ZeroDivisionError
        made = Recorder()
        self.protocols.append((made, overloaded))
        self._changed.set()
        return made

    def report(self, address, reason, detail):
        self.reports.append((address, reason, detail))
        self._changed.set()

    async def until(self, holds):
        """Return once it holds."""
        async with asyncio.timeout(PATIENCE):
            while not holds():
                await asyncio.sleep(0.001)

    async def call(self):
        """A client that has connected and said nothing."""
        sock = socket.socket()
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, self.address)
        return sock

    @property
    def reasons(self):
        return [reason for _, reason, _ in self.reports]

    async def empty(self):
        """Return once nothing is counted any more."""
        await self.until(lambda: not (self.caps.open or self.caps._sources or self.caps._unfinished))
        self.acceptor.close()


def contexts_of(material, *, names=()):
    """With a context of its own for every name."""
    return Contexts(default=material.server_side(), names={name: material.server_side() for name in names})


@pytest.fixture(params=[(), ("other.test",)], ids=["no names", "names"])
def contexts(request, material):
    """Without and with a look at the hello before the handshake."""
    return contexts_of(material, names=request.param)


async def shaken(sock, material):
    """A client through its handshake."""
    peer = tls_peer(sock, material.client_side(), server=False)
    await peer.shake()
    return peer


def test_a_client_comes_in_and_leaves_nothing(run, material, contexts):
    """Counted while it is there."""

    async def scene():
        house = House(contexts)
        peer = await shaken(await house.call(), material)
        await peer.send(b"hello")
        await house.until(lambda: house.protocols)
        protocol, overloaded = house.protocols[0]
        await protocol.heard_of("data")

        assert (protocol.data, overloaded) == (b"hello", False)
        told = protocol.transport.get_extra_info
        assert (told("peername"), told("sockname")) == (peer.plain.sock.getsockname(), house.address)
        assert told("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert (house.stats.accepted, house.stats.handshakes, house.caps.open) == (1, 1, 1)
        assert house.stats.sessions == {("TLSv1.3", "full"): 1}
        assert sum(house.stats.shaking.counts) == 1
        assert 0 < house.stats.shaking.total < PATIENCE
        peer.plain.close()
        await house.empty()
        assert house.reports == []

    run(scene())


@pytest.mark.parametrize(
    ("bind", "goes_to"),
    [
        (Place(host=bind), to)
        for bind, to in (("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.2"), ("::1", "::1"), ("::", "::1"))
        if has_address(to)
    ],
    ids=str,
)
def test_a_connection_tells_its_own_two_addresses(run, bind, goes_to):
    """Also of a listener that has many: upstreams and tunnels are told which one the client came to."""

    async def scene():
        house = House(None)
        listening = listen(bind)
        house.acceptor.add(listening)
        with socket.create_connection((goes_to, listening.getsockname()[1]), PATIENCE) as client:
            await house.until(lambda: house.protocols)
            transport = house.protocols[0][0].transport
            told = transport.get_extra_info

            assert (told("peername"), told("sockname")) == (client.getsockname(), client.getpeername())
            assert told("socket").family == client.family
            (address, port), own = client.getsockname()[:2], client.getpeername()[1]
            assert peer_of(transport) == Peer(address, port, own)
        await house.empty()

    run(scene())


def test_a_client_of_a_unix_socket_has_no_address(run, tmp_path):
    """Nor is any made up, and it is counted under none."""
    listening = listen(Place(unix=str(tmp_path / "s")))

    async def scene():
        house = House(None)
        house.acceptor.announcers = LOOPBACK
        house.acceptor.add(listening)
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(tmp_path / "s"))
        await house.until(lambda: house.protocols)
        transport = house.protocols[0][0].transport
        told = transport.get_extra_info

        assert (told("peername"), told("sockname")) == ("", str(tmp_path / "s"))
        assert told("socket").family == socket.AF_UNIX
        assert peer_of(transport) == Peer("", 0, 0)
        assert (house.caps.open, house.caps._sources) == (1, {})
        client.close()
        await house.empty()

    run(scene())


def test_whoever_waits_on_a_socket_that_is_replaced_comes_in(run, tmp_path):
    """More than are accepted at a time; and so does whoever comes to the new one."""
    old, new = listen(Place(unix=str(tmp_path / "old"))), listen(Place(unix=str(tmp_path / "new")))

    async def scene():
        house = House(None)
        house.acceptor.add(old)
        clients = [socket.socket(socket.AF_UNIX) for _ in range(201)]
        for client in clients[1:]:
            client.connect(str(tmp_path / "old"))
        house.acceptor.replace(old, new)
        clients[0].connect(str(tmp_path / "new"))
        await house.until(lambda: len(house.protocols) == 201)

        assert (old.fileno(), house.stats.accepted) == (-1, 201)
        for client in clients:
            client.close()
        await house.empty()

    run(scene())


@pytest.mark.parametrize("says", ["nothing", "half a hello", "half a header"])
def test_a_silent_client_expires(run, contexts, says):
    """Nothing of it is left, and the others come in meanwhile."""

    async def scene():
        house = House(contexts)
        house.acceptor.handshake = 0.05
        if says == "half a header":
            house.acceptor.announcers = LOOPBACK
        peer = PlainPeer(await house.call())
        await peer.send({"nothing": b"", "half a hello": b"\x16\x03\x01\x02", "half a header": LINE[:-1]}[says])

        assert await peer.rest() == b""
        assert house.reports == [("127.0.0.1", "timeout", "")]
        assert house.stats.handshake_failures == {"timeout": 1}
        peer.close()
        await house.empty()

    run(scene())


@pytest.mark.parametrize("how", ["ends", "resets"])
@pytest.mark.parametrize("says", [b"", b"\x16\x03\x01\x02\x00\x01"])
def test_a_client_that_goes_before_its_handshake_is_forgotten(run, contexts, how, says):
    """At once, with a reason that is no timeout."""

    async def scene():
        house = House(contexts)
        sock = await house.call()
        await PlainPeer(sock).send(says)
        await house.until(lambda: house.caps.open)
        reset(sock) if how == "resets" else sock.close()
        await house.until(lambda: house.reports)

        assert house.reasons == ["disconnected"]
        await house.empty()

    run(scene())


def test_whoever_gets_the_descriptor_of_one_that_was_given_up_is_heard(run, material):
    """Before a handshake too, where a header or a name is waited for."""

    async def scene():
        house = House(contexts_of(material, names=("other.test",)))
        numbers = set()
        for begun in (b"", b"\x16\x03\x01\x02", b"\x16\x03\x01\x02\x00"):
            silent = PlainPeer(await house.call())
            await silent.send(begun)
            await house.until(lambda: house.caps._unfinished)
            (arrival,) = house.caps._unfinished
            assert isinstance(arrival, Arrival)
            await house.until(lambda heard=arrival, all_of=begun: heard._first == all_of)
            numbers.add(arrival.wire.fileno())
            arrival.give_up("timeout")
            house.caps.settle(arrival)
            assert await silent.rest() == b""
            silent.close()
        peer = await shaken(await house.call(), material)
        await house.until(lambda: house.protocols)

        assert house.protocols[0][0].transport.get_extra_info("socket").fileno() in numbers
        peer.plain.close()
        await house.empty()

    run(scene())


def test_a_plain_listener_resets_nobody_who_is_still_sending(run):
    """RFC 9112, 9.6: it reads the answer after it has written all."""

    async def scene():
        house = House(None)
        peer = PlainPeer(await house.call())
        await house.until(lambda: house.protocols)
        transport = house.protocols[0][0].transport
        transport.write(b"refused")
        transport.close()
        for _ in range(30):
            await peer.send(bytes(30_000))

        assert await peer.rest() == b"refused"
        peer.close()
        await house.empty()

    run(scene())


@pytest.mark.parametrize("method", [b"GET", b"POST", b"HEAD", b"PUT"])
def test_plain_http_is_told_that_this_is_tls(run, contexts, method):
    """By a whole answer, whether OpenSSL finds out or we do."""

    async def scene():
        house = House(contexts)
        peer = PlainPeer(await house.call())
        await peer.send(method + b" / HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = await peer.rest()

        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert f"Content-Length: {len(body)}\r\n".encode() in head
        assert b"https://" in body
        assert house.reasons == ["not-tls"]
        peer.close()
        await house.empty()

    run(scene())


@pytest.mark.parametrize("cut", [1, 3, 4, 6])
def test_plain_http_may_come_in_pieces(run, contexts, cut):
    """As everything may."""

    async def scene():
        house = House(contexts)
        peer = PlainPeer(await house.call())
        request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        await peer.send(request[:cut])
        await house.until(lambda: house.caps.open)
        for _ in range(5):
            await asyncio.sleep(0)
        await peer.send(request[cut:])

        assert (await peer.receive()).startswith(b"HTTP/1.1 400 ")
        peer.close()
        await house.empty()

    run(scene())


@pytest.mark.parametrize(
    "data", [b"\x80\x2e\x01\x03\x01" + bytes(60), b"SSH-2.0-x\r\n", bytes(50), b"\x15\x03\x01\x00\x02\x02\x28"]
)
def test_what_is_neither_gets_no_text(run, contexts, data):
    """SSL 2, SSH, noise, an alert."""

    async def scene():
        house = House(contexts)
        peer = PlainPeer(await house.call())
        await peer.send(data)
        answer = await peer.rest()

        assert b"HTTP" not in answer
        assert len(house.reports) == 1
        assert house.reasons[0] in {"not-tls", "tls-error"}
        peer.close()
        await house.empty()

    run(scene())


@pytest.mark.parametrize(
    ("header", "told"),
    [(LINE, ("192.0.2.7", 4711)), (BLOCK, ("192.0.2.7", 4711)), (LOCAL, None), (b"PROXY UNKNOWN\r\n", None),
     (LINE.replace(b"4711", b"0"), ("192.0.2.7", 0))],
    ids=["line", "block", "local", "unknown", "port 0"],
)  # fmt: skip
@pytest.mark.parametrize("pieces", [False, True], ids=["whole", "in pieces"])
def test_a_header_tells_who_is_there(run, material, contexts, *, header, told, pieces):
    """Then the handshake, from the very next byte; with nothing told it is the balancer itself."""

    async def scene():
        house = House(contexts)
        house.acceptor.announcers = LOOPBACK
        peer = tls_peer(await house.call(), material.client_side(), server=False)
        with pytest.raises(ssl.SSLWantReadError):
            peer.session.do_handshake()
        first = header + peer.outgoing.read()
        if pieces:
            for byte in first[:80]:
                await peer.plain.send(bytes([byte]))
                await asyncio.sleep(0)
            first = first[80:]
        await peer.plain.send(first)
        await peer._feed()
        await peer.shake()
        await house.until(lambda: house.protocols)
        protocol, _ = house.protocols[0]

        assert protocol.transport.get_extra_info("peername") == (told or peer.plain.sock.getsockname())
        assert list(house.caps._sources) == [told[0] if told else "127.0.0.1"]
        peer.plain.close()
        await house.empty()

    run(scene())


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00", b"PROXY TCP4 x\r\n", LINE[:-2] + b"\n" * 80]
)
def test_a_balancer_must_send_its_header(run, contexts, data):
    """Nothing else begins a connection from it."""

    async def scene():
        house = House(contexts)
        house.acceptor.announcers = LOOPBACK
        peer = PlainPeer(await house.call())
        await peer.send(data)

        assert await peer.rest() == b""
        assert house.reasons == ["proxy-protocol"]
        peer.close()
        await house.empty()

    run(scene())


def test_a_header_of_anybody_else_is_none(run, contexts):
    """It is taken for what it is on a TLS port: noise."""

    async def scene():
        house = House(contexts)
        house.acceptor.announcers = (ip_network("192.0.2.0/24"),)
        peer = PlainPeer(await house.call())
        await peer.send(LINE)
        await house.until(lambda: house.reports)

        assert house.reports[0][:2] == ("127.0.0.1", "not-tls")
        assert not house.protocols
        peer.close()
        await house.empty()

    run(scene())


@pytest.mark.parametrize("announced", [False, True])
def test_a_plain_listener_loses_no_byte_behind_a_header(run, announced):
    """They came in one segment; without announcers the header is the client's own bytes."""

    async def scene():
        house = House(None)
        if announced:
            house.acceptor.announcers = LOOPBACK
        peer = PlainPeer(await house.call())
        await peer.send(LINE + b"hello")
        await house.until(lambda: house.protocols)
        protocol, _ = house.protocols[0]
        await protocol.heard_of("data")

        assert protocol.data == (b"hello" if announced else LINE + b"hello")
        peer.close()
        await house.empty()

    run(scene())


def test_a_source_behind_a_balancer_has_its_own_limit(run, material, contexts):
    """The next connection that gets the number of a refused one's descriptor is heard."""

    async def scene():
        house = House(contexts)
        house.acceptor.announcers = LOOPBACK
        house.caps.per_source = 1
        first = await house.call()
        await PlainPeer(first).send(LINE)
        await house.until(lambda: "192.0.2.7" in house.caps._sources)
        for _ in range(3):
            refused = PlainPeer(await house.call())
            await refused.send(LINE)
            assert await refused.rest() == b""
            refused.close()
        assert house.reports == [("192.0.2.7", "too-many-connections-of-source", "")] * 3
        assert house.caps.unfinished == 1
        assert house.stats.refused == {"too-many-connections-of-source": 3}
        others = []
        for number in range(3):
            other = tls_peer(await house.call(), material.client_side(), server=False)
            await other.plain.send(LINE.replace(b"192.0.2.7", b"192.0.2.%d" % (20 + number)))
            await other.shake()
            others.append(other)
        await house.until(lambda: len(house.protocols) == 3)

        first.close()
        for other in others:
            other.plain.close()
        await house.empty()

    run(scene())


def test_one_source_too_many_is_closed_at_the_door(run, contexts):
    """Without a word."""

    async def scene():
        house = House(contexts)
        house.caps.per_source = 1
        first = await house.call()
        await house.until(lambda: house.caps.open)
        refused = PlainPeer(await house.call())

        assert await refused.rest() == b""
        assert house.reports == [("127.0.0.1", "too-many-connections-of-source", "")]
        assert house.caps.open == 1
        first.close()
        refused.close()
        await house.empty()

    run(scene())


def test_too_many_in_all_are_told_then_refused(run):
    """Beyond the limit a few get a protocol that says so."""

    async def scene():
        house = House(None)
        house.caps.connections = 8
        peers = [PlainPeer(await house.call()) for _ in range(17)]
        await house.until(lambda: house.reports)

        assert [overloaded for _, overloaded in house.protocols] == [False] * 8 + [True] * 8
        assert house.reasons == ["too-many-connections"]
        for peer in peers:
            peer.close()
        await house.empty()

    run(scene())


def test_the_oldest_handshake_gives_way(run, material, contexts):
    """To somebody who shakes hands."""

    async def scene():
        house = House(contexts)
        house.caps.handshakes = 1
        silent = PlainPeer(await house.call())
        await house.until(lambda: house.caps.open == 1)
        peer = await shaken(await house.call(), material)

        assert await silent.rest() == b""
        assert house.reasons == ["too-many-handshakes"]
        silent.close()
        peer.plain.close()
        await house.empty()

    run(scene())


def test_a_name_chooses_its_context(run, material):
    """The client asks for localhost, which has one of its own; so has whoever asks for nothing known."""

    async def scene():
        house = House(contexts_of(material, names=("localhost",)))
        peer = await shaken(await house.call(), material)
        await house.until(lambda: house.protocols)
        chosen = house.protocols[0][0].transport.get_extra_info("sslcontext")

        assert house.acceptor.contexts is not None
        assert chosen is house.acceptor.contexts.names["localhost"]
        peer.plain.close()
        await house.empty()

    run(scene())


def test_a_factory_that_fails_ends_the_connection(run, material, contexts, complaints):
    """Nobody else would."""

    async def scene():
        house = House(contexts)
        house.fails = True
        peer = await shaken(await house.call(), material)
        assert await peer.rest() == b""
        assert peer.how == "cut"
        peer.plain.close()
        await house.empty()

    run(scene())

    assert [type(one["exception"]) for one in complaints] == [ZeroDivisionError]
    complaints.clear()


class Exhausted(socket.socket):
    """Has no descriptors left, once."""

    times = 1

    def _accept(self):
        if self.times:
            self.times -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return super()._accept()  # type: ignore[misc]


def test_without_descriptors_the_others_wait(run):
    """In the kernel's queue, for a moment; it is told."""

    async def scene():
        house = House(None)
        house.acceptor.close()
        house.listener = Exhausted()
        house.listener.bind(("127.0.0.1", 0))
        house.listener.listen()
        house.listener.setblocking(False)
        house.address = house.listener.getsockname()
        house.acceptor.add(house.listener)
        sock = await house.call()
        await house.until(lambda: house.protocols)

        assert house.reports == [("", "exhausted", "Too many open files")]
        sock.close()
        await house.empty()

    run(scene())


def test_a_connection_that_has_ended_is_freed_at_once(run, material, contexts):
    """Without the collector, which may not come for hours: ten thousand of them are hundreds of megabytes."""

    async def scene():
        house = House(contexts)
        peer = await shaken(await house.call(), material)
        await peer.send(b"hello")
        await house.until(lambda: house.protocols)
        protocol, _ = house.protocols.pop()
        await protocol.heard_of("data")
        left = weakref.ref(protocol.transport.get_extra_info("ssl_object"))
        gc.collect()
        gc.disable()
        try:
            peer.plain.close()
            await house.empty()
            # What it was told holds the frames in which it went wrong.
            del protocol.transport, protocol.lost
            await house.until(lambda: left() is None)
        finally:
            gc.enable()

    run(scene())
