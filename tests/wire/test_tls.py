"""A TLS connection: records however they are cut, ends that are told for what they are, and half-close both ways."""

import asyncio
import contextlib
import os
import socket
import ssl

import pytest
from typing_extensions import override

from authproxy.wire import tls
from authproxy.wire.handshake import Unnamed
from authproxy.wire.shake import shake_hands
from authproxy.wire.tls import TlsTransport
from tests.wire.ends import PATIENCE, Recorder, connected, make_material, reset, tls_ends, tls_peer
from tests.wire.key_updates import SUITE, KeyUpdates

MUCH = os.urandom(600_000)
# What peers do with bytes that still come is no business of these tests.
GONE = (ConnectionResetError, BrokenPipeError)

pytestmark = pytest.mark.parametrize("version", ["1.2", "1.3"])


@pytest.fixture(params=[True, False], ids=["server", "client"])
def server(request):
    """Which end the transport is."""
    return request.param


def test_bytes_go_both_ways(run, material, version, server):
    """And the session is known to whoever asks."""

    async def scene():
        ends = await tls_ends(material, version, server=server)
        ends.transport.write(b"hello ")
        ends.transport.write(b"")
        ends.transport.write(memoryview(b"there"))
        assert ends.transport.get_write_buffer_size() > 11
        assert await ends.peer.exactly(11) == b"hello there"
        await ends.peer.send(b"thanks")
        await ends.protocol.heard_of("data")

        assert ends.protocol.data == b"thanks"
        session = ends.transport.get_extra_info("ssl_object")
        assert isinstance(session, ssl.SSLObject)
        assert session.version() == f"TLSv{version}"
        assert ends.transport.get_extra_info("sslcontext") is session.context
        ends.transport.close()
        assert await ends.peer.rest() == b""
        assert ends.peer.how == "clean"
        ends.peer.plain.close()
        await ends.protocol.heard_of("lost")
        assert ends.protocol.lost is None

    run(scene())


@pytest.mark.parametrize("size", [1, 16_383, 16_384, 16_385, 32_768, 65_536, 65_537])
def test_every_size_arrives_whole(run, material, version, size):
    """Around the largest record and the buffer."""

    async def scene():
        ends = await tls_ends(material, version)
        ends.transport.write(MUCH[:size])
        assert await ends.peer.exactly(size) == MUCH[:size]
        await ends.peer.send(MUCH[:size])
        await ends.protocol.until(lambda: len(ends.protocol.data) >= size)

        assert ends.protocol.data == MUCH[:size]
        ends.transport.abort()
        ends.peer.plain.close()
        await ends.protocol.heard_of("lost")

    run(scene())


def test_records_may_be_cut_at_every_byte(run, material, version):
    """Two records and close_notify, in two pieces."""

    async def scene():
        length = None
        cut = 1
        while length is None or cut < length:
            ends = await tls_ends(material, version)
            data = ends.peer.records(b"first") + ends.peer.records(b"second") + ends.peer.goodbye()
            length = len(data)
            await ends.peer.plain.send(data[:cut])
            # So that both pieces are read by themselves.
            for _ in range(3):
                await asyncio.sleep(0)
            await ends.peer.plain.send(data[cut:])
            await ends.protocol.heard_of("lost")

            assert ends.protocol.data == b"firstsecond", cut
            assert ends.protocol.heard[-2:] == ["eof", "lost"], cut
            assert ends.protocol.lost is None
            ends.peer.plain.close()
            cut += 3

    run(scene())


def test_records_may_come_byte_by_byte(run, material, version):
    """Each in a segment of its own."""

    async def scene():
        ends = await tls_ends(material, version)
        for byte in ends.peer.records(b"hello") + ends.peer.goodbye():
            await ends.peer.plain.send(bytes([byte]))
            await asyncio.sleep(0)
        await ends.protocol.heard_of("lost")

        assert ends.protocol.data == b"hello"
        assert ends.protocol.lost is None
        ends.peer.plain.close()

    run(scene())


def test_many_records_at_once_are_one_piece(run, material, version):
    """A thousand small ones, read together."""

    async def scene():
        ends = await tls_ends(material, version)
        ends.transport.pause_reading()
        records = b"".join(ends.peer.records(b"%03d" % number) for number in range(1000))
        await ends.peer.plain.send(records)
        ends.transport.resume_reading()
        await ends.protocol.until(lambda: len(ends.protocol.data) >= 3000)

        assert ends.protocol.data == b"".join(b"%03d" % number for number in range(1000))
        assert len(ends.protocol.pieces) < 10
        ends.transport.abort()
        ends.peer.plain.close()
        await ends.protocol.heard_of("lost")

    run(scene())


def test_back_pressure(run, material, version):
    """Pause above the mark, resume below it, and all of it arrives with a clean end."""

    async def scene():
        ends = await tls_ends(material, version, small=True)
        for at in range(0, len(MUCH), 50_000):
            ends.transport.write(MUCH[at : at + 50_000])
        await ends.protocol.heard_of("pause")
        ends.transport.close()

        assert await ends.peer.rest() == MUCH
        assert ends.peer.how == "clean"
        ends.peer.plain.close()
        await ends.protocol.heard_of("lost")
        assert ends.protocol.heard == ["made", "pause", "resume", "lost"]
        assert ends.protocol.lost is None

    run(scene())


def test_abort_is_a_truncation(run, material, version, server):
    """The peer sees no close_notify."""

    async def scene():
        ends = await tls_ends(material, version, server=server)
        ends.transport.write(b"half an answer")
        ends.transport.flush()
        assert await ends.peer.exactly(14) == b"half an answer"
        ends.transport.write(b"never sent")
        ends.transport.abort()
        try:
            assert await ends.peer.rest() == b""
            assert ends.peer.how == "cut"
        except ConnectionResetError:
            # Session tickets that were not read yet make the kernel cut harder.
            assert not server
        await ends.protocol.heard_of("lost")
        assert ends.protocol.lost is None
        ends.peer.plain.close()

    run(scene())


@pytest.mark.parametrize("half", [False, True], ids=["between records", "within a record"])
def test_an_end_without_close_notify_is_never_clean(run, material, version, server, half):
    """`eof_received` is not called; what came before is delivered."""

    async def scene():
        ends = await tls_ends(material, version, server=server)
        await ends.peer.send(b"half an answer")
        if half:
            await ends.peer.plain.send(ends.peer.records(b"more")[:-1])
        ends.peer.plain.finish()
        await ends.protocol.heard_of("lost")

        assert ends.protocol.data == b"half an answer"
        assert "eof" not in ends.protocol.heard
        assert isinstance(ends.protocol.lost, ConnectionResetError)
        ends.peer.plain.close()

    run(scene())


def test_a_reset_is_seen(run, material, version, server):
    """And reported as what it is."""

    async def scene():
        ends = await tls_ends(material, version, server=server)
        ends.peer.plain.reset()
        await ends.protocol.heard_of("lost")

        assert isinstance(ends.protocol.lost, ConnectionResetError)
        assert "eof" not in ends.protocol.heard

    run(scene())


@pytest.mark.parametrize("together", [False, True], ids=["after", "with its last bytes"])
def test_a_peer_that_has_ended_is_answered_whole(run, material, version, server, together):
    """600 000 bytes after the peer's close_notify."""

    async def scene():
        ends = await tls_ends(material, version, server=server, small=True, protocol=Recorder(keeps=True))
        if together:
            await ends.peer.plain.send(ends.peer.records(b"question") + ends.peer.goodbye())
        else:
            await ends.peer.send(b"question")
            await ends.protocol.heard_of("data")
            await ends.peer.plain.send(ends.peer.goodbye())
        await ends.protocol.heard_of("eof")
        assert ends.protocol.data == b"question"
        ends.transport.write(MUCH)
        ends.transport.close()

        # OpenSSL's own object would not read on after its goodbye in some versions: what counts is what came.
        assert await ends.peer.rest() == MUCH
        assert ends.peer.how == "clean"
        await ends.protocol.heard_of("lost")
        assert ends.protocol.heard.count("eof") == 1
        assert ends.protocol.lost is None
        ends.peer.plain.close()

    run(scene())


def test_half_close_of_ours_leaves_the_other_direction_open(run, material, version, server):
    """The peer reads our end, answers 600 000 bytes, and its end is clean though ours came first."""

    async def scene():
        ends = await tls_ends(material, version, server=server, small=True)
        ends.transport.write(b"question")
        ends.transport.write_eof()
        ends.transport.write_eof()
        assert await ends.peer.rest() == b"question"
        assert ends.peer.how == "clean"
        await ends.peer.send(MUCH)
        await ends.peer.plain.send(ends.peer.records(b"last") + ends.peer.goodbye())
        await ends.protocol.heard_of("lost")

        assert ends.protocol.data == MUCH + b"last"
        assert "eof" in ends.protocol.heard
        assert ends.protocol.lost is None
        ends.peer.plain.close()

    run(scene())


def test_nothing_is_written_after_write_eof(run, material, version):
    """A protocol that tries has lost count; after a close it is forgotten."""

    async def scene():
        ends = await tls_ends(material, version)
        ends.transport.write_eof()
        with pytest.raises(RuntimeError, match="write_eof"):
            ends.transport.write(b"more")
        ends.transport.close()
        ends.transport.write(b"more")
        assert await ends.peer.rest() == b""
        assert ends.peer.how == "clean"
        ends.peer.plain.close()
        await ends.protocol.heard_of("lost")

    run(scene())


def test_a_paused_reader_is_told_of_the_end_when_it_resumes(run, material, version, server):
    """It paused over the last bytes, and close_notify and FIN stood right behind them."""

    class Slow(Recorder):
        @override
        def data_received(self, data):
            super().data_received(data)
            self.transport.pause_reading()

    async def scene():
        ends = await tls_ends(material, version, server=server, protocol=Slow())
        await ends.peer.plain.send(ends.peer.records(b"one") + ends.peer.records(b"two") + ends.peer.goodbye())
        ends.peer.plain.finish()
        await ends.protocol.heard_of("data")
        for _ in range(10):
            await asyncio.sleep(0)
        assert ends.protocol.heard == ["made", "data"]
        ends.transport.resume_reading()
        ends.transport.resume_reading()
        await ends.protocol.heard_of("lost")

        assert ends.protocol.data == b"onetwo"
        assert ends.protocol.heard == ["made", "data", "eof", "lost"]
        assert ends.protocol.lost is None
        ends.peer.plain.close()

    run(scene())


async def asked_at_once(material, version, protocol, *, ends=False):
    """Our transport and its peer, whose last flight of the handshake has its request behind it, and its end."""
    ours, theirs = connected()
    loop = asyncio.get_running_loop()
    transport = TlsTransport(loop, ours, material.server_side(version), lambda made, _: made.begin(protocol))
    transport.shake()
    peer = tls_peer(theirs, material.client_side(version), server=False)
    last = await peer.shake(sends_last=False)
    await peer.plain.send(last + peer.records(b"request") + (peer.goodbye() if ends else b""))
    await protocol.heard_of("made")
    return transport, peer


def test_a_paused_reader_gets_what_came_with_the_handshake(run, material, version):
    """A client's last flight with its request and its end, to a protocol that is not ready yet."""

    class Slow(Recorder):
        @override
        def connection_made(self, transport):
            super().connection_made(transport)
            self.transport.pause_reading()

    async def scene():
        protocol = Slow()
        transport, peer = await asked_at_once(material, version, protocol, ends=True)
        for _ in range(5):
            await asyncio.sleep(0)
        assert protocol.heard == ["made"]
        transport.resume_reading()
        await protocol.heard_of("lost")

        assert protocol.data == b"request"
        assert protocol.heard == ["made", "data", "eof", "lost"]
        assert protocol.lost is None
        peer.plain.close()

    run(scene())


def test_our_end_takes_nothing_from_what_waits_to_be_read(run, material, version):
    """It came with the handshake, to a protocol that says goodbye before it reads on."""

    class Brief(Recorder):
        @override
        def connection_made(self, transport):
            super().connection_made(transport)
            self.transport.pause_reading()
            self.transport.write_eof()

    async def scene():
        protocol = Brief()
        transport, peer = await asked_at_once(material, version, protocol)
        transport.resume_reading()
        await protocol.heard_of("data")
        assert await peer.rest() == b""
        assert peer.how == "clean"
        await peer.plain.send(peer.goodbye())
        await protocol.heard_of("lost")

        assert protocol.data == b"request"
        assert protocol.heard == ["made", "data", "eof", "lost"]
        assert protocol.lost is None
        peer.plain.close()

    run(scene())


def test_bytes_before_a_bad_record_are_delivered(run, material, version):
    """Then the connection ends with what was wrong, never cleanly, and the peer is told by an alert."""

    async def scene():
        ends = await tls_ends(material, version)
        bad = bytearray(ends.peer.records(b"bad"))
        good = b""
        bad[-1] ^= 1
        await ends.peer.plain.send(good + bytes(bad))
        await ends.protocol.heard_of("lost")

        assert ends.protocol.data == b""
        assert "eof" not in ends.protocol.heard
        assert isinstance(ends.protocol.lost, ssl.SSLError)
        with pytest.raises((ssl.SSLError, *GONE)):
            await ends.peer.rest()
        ends.peer.plain.close()

    run(scene())


def test_an_alert_behind_bytes_is_no_clean_end(run, material, version):
    """Bytes, then a broken record, in one piece."""

    async def scene():
        ends = await tls_ends(material, version)
        good = ends.peer.records(b"good")
        bad = bytearray(ends.peer.records(b"bad"))
        bad[-1] ^= 1
        await ends.peer.plain.send(good + bytes(bad))
        await ends.protocol.heard_of("lost")

        assert ends.protocol.data == b"good"
        assert "eof" not in ends.protocol.heard
        assert isinstance(ends.protocol.lost, ssl.SSLError)
        ends.peer.plain.close()

    run(scene())


def test_garbage_after_close_notify_is_nothing(run, material, version):
    """The end is told once."""

    async def scene():
        ends = await tls_ends(material, version, protocol=Recorder(keeps=True))
        await ends.peer.plain.send(ends.peer.goodbye() + b"garbage" * 10)
        await ends.protocol.heard_of("eof")
        ends.transport.pause_reading()
        ends.transport.resume_reading()
        for _ in range(5):
            await asyncio.sleep(0)

        assert ends.protocol.heard == ["made", "eof"]
        ends.transport.close()
        await ends.protocol.heard_of("lost")
        assert ends.protocol.lost is None
        ends.peer.plain.close()

    run(scene())


def test_an_uploading_client_is_not_reset_by_a_close(run, material, version):
    """RFC 9112, 9.6: it reads the refusal after it has written all, and a clean end."""

    async def scene():
        ends = await tls_ends(material, version, small=True)
        await ends.peer.send(b"x")
        await ends.protocol.heard_of("data")
        ends.transport.pause_reading()
        ends.transport.write(b"refused")
        ends.transport.close()
        for _ in range(30):
            await ends.peer.send(bytes(30_000))

        assert await ends.peer.rest() == b"refused"
        assert ends.peer.how == "clean"
        assert ends.protocol.heard.count("data") == 1
        ends.peer.plain.close()
        await ends.protocol.heard_of("lost")
        assert ends.protocol.lost is None

    run(scene())


def test_bytes_that_nobody_asked_for_are_not_delivered(run, material, version):
    """A server that speaks before its client has a protocol: what it says answers nothing."""

    async def scene():
        ours, theirs = connected()
        loop = asyncio.get_running_loop()
        peer = tls_peer(theirs, material.server_side(version), server=True)
        ready = loop.create_future()
        transport = TlsTransport(
            loop, ours, material.client_side(), lambda _, error: ready.set_result(error), server_name="localhost"
        )
        transport.shake()
        last = await peer.shake(sends_last=False)
        await peer.plain.send(last + peer.records(b"HTTP/1.1 200 OK\r\n\r\n"))
        async with asyncio.timeout(PATIENCE):
            assert await ready is None
        gone = loop.create_future()
        transport.on_gone = lambda: gone.set_result(None)
        async with asyncio.timeout(PATIENCE):
            await gone
        protocol = Recorder()
        transport.begin(protocol)
        await protocol.heard_of("lost")

        assert protocol.heard == ["made", "lost"]
        peer.plain.close()

    run(scene())


def test_a_server_that_ends_before_the_protocol_begins_is_lost(run, material, version):
    """Nobody waits for an answer on such a connection."""

    async def scene():
        ours, theirs = connected()
        loop = asyncio.get_running_loop()
        peer = tls_peer(theirs, material.server_side(version), server=True)
        shaking = loop.create_task(shake_hands(loop, ours, material.client_side(version), "localhost"))
        last = await peer.shake(sends_last=False)
        await peer.plain.send(last + peer.goodbye())
        transport = await shaking
        protocol = Recorder()
        transport.begin(protocol)
        await protocol.heard_of("lost")

        assert "data" not in protocol.heard
        peer.plain.close()

    run(scene())


# ---------------------------------------------------------------- handshakes


async def _shaken_by(context, peer_does, *, server_name=None):
    """What a handshake came to that the peer made fail: (error of ours, what the peer saw)."""
    ours, theirs = connected()
    loop = asyncio.get_running_loop()
    ended, gone = loop.create_future(), loop.create_future()
    transport = TlsTransport(loop, ours, context, lambda _, error: ended.set_result(error), server_name=server_name)
    transport.on_gone = lambda: gone.set_result(None)
    transport.shake()
    seen = None
    try:
        seen = await peer_does(theirs)
    except (ssl.SSLError, ConnectionError) as problem:
        seen = problem
    async with asyncio.timeout(PATIENCE):
        error = await ended
        await gone
    theirs.close()
    return error, seen


def test_a_reset_in_the_handshake_is_told_at_once(run, material, version, server):
    """Not when the deadline has come."""

    async def cut(sock):
        reset(sock)

    context = material.server_side(version) if server else material.client_side(version)
    error, _ = run(_shaken_by(context, cut, server_name=None if server else "localhost"))

    assert isinstance(error, ConnectionError)


def test_an_end_in_the_handshake_is_told_at_once(run, material, version, server):
    """FIN instead of a hello."""

    async def finish(sock):
        sock.shutdown(socket.SHUT_WR)

    context = material.server_side(version) if server else material.client_side(version)
    error, _ = run(_shaken_by(context, finish, server_name=None if server else "localhost"))

    assert isinstance(error, ConnectionResetError)


def test_a_peer_that_does_not_read_its_server_hello_is_told_at_once(run, material, version):
    """The send fails, not the read."""

    async def scene():
        ours, theirs = connected()
        loop = asyncio.get_running_loop()
        ended = loop.create_future()
        peer = tls_peer(theirs, material.client_side(version), server=False)
        with pytest.raises(ssl.SSLWantReadError):
            peer.session.do_handshake()
        hello = peer.outgoing.read()
        transport = TlsTransport(loop, ours, material.server_side(version), lambda _, error: ended.set_result(error))
        reset(theirs)
        while True:
            # The kernel has to see the reset first.
            try:
                ours.send(b"")
                if ours.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    break
            except OSError:
                break
            await asyncio.sleep(0)
        transport.shake(hello)
        async with asyncio.timeout(PATIENCE):
            assert isinstance(await ended, OSError)

    run(scene())


def test_a_certificate_that_is_not_believed_is_told_by_an_alert(run, material, version, tmp_path):
    """The server reads `unknown ca`."""

    async def serve(sock):
        peer = tls_peer(sock, make_material(tmp_path, "nobody").server_side(version), server=True)
        await peer.shake()
        return await peer.rest()

    error, seen = run(_shaken_by(material.client_side(version), serve, server_name="localhost"))

    assert isinstance(error, ssl.SSLCertVerificationError)
    assert getattr(seen, "reason", None) == "TLSV1_ALERT_UNKNOWN_CA"


def test_another_name_is_refused(run, material, version):
    """The certificate names localhost."""

    async def serve(sock):
        peer = tls_peer(sock, material.server_side(version), server=True)
        await peer.shake()
        return await peer.rest()

    error, seen = run(_shaken_by(material.client_side(version), serve, server_name="elsewhere.test"))

    assert isinstance(error, ssl.SSLCertVerificationError)
    assert isinstance(seen, ssl.SSLError)


@pytest.mark.parametrize("name", ["", None])
def test_a_client_side_must_name_whom_it_wants(run, material, version, name):
    """Without a name, or with a context that does not look at names, there is no connection."""

    async def scene():
        ours, theirs = connected()
        context = material.client_side(version)
        if name is None:
            context.check_hostname = False
        loop = asyncio.get_running_loop()
        with pytest.raises(ssl.SSLError, match="no server name"):
            TlsTransport(loop, ours, context, lambda *_: None, server_name=name or "")
        ours.close()
        theirs.close()

    run(scene())


@pytest.mark.parametrize("name", ["", "nobody.test"])
def test_a_client_side_may_say_that_names_do_not_count(run, material, version, name):
    """Then the chain alone is verified, and the name is asked for all the same."""

    async def scene():
        ours, theirs = connected()
        loop, asked = asyncio.get_running_loop(), []
        server = material.server_side(version)
        server.sni_callback = lambda _, name, __: asked.append(name)
        context = material.client_side(version)
        context.check_hostname = False
        TlsTransport(loop, theirs, server, lambda made, _: made.abort()).shake()
        transport = await shake_hands(loop, ours, context, Unnamed(name))
        transport.abort()

        assert asked == [name or None]

    run(scene())


def test_a_context_that_looks_at_names_goes_on_looking(run, material, version):
    """Whoever says that names do not count does not overrule it."""

    async def scene():
        ours, theirs = connected()
        loop = asyncio.get_running_loop()
        TlsTransport(loop, theirs, material.server_side(version), lambda *_: None).shake()
        with pytest.raises(ssl.SSLCertVerificationError):
            await shake_hands(loop, ours, material.client_side(version), Unnamed("nobody.test"))

    run(scene())


@pytest.mark.parametrize("shows", ["nothing", "stranger"])
def test_a_refused_client_side_hears_why(run, material, version, shows):
    """In TLS 1.3 after its own handshake: the protocol has begun, and is lost with the alert's name."""

    async def scene():
        ours, theirs = connected()
        loop = asyncio.get_running_loop()
        context = material.client_side(version, shows=None if shows == "nothing" else material.stranger)
        shaking = loop.create_task(shake_hands(loop, ours, context, "localhost"))
        peer = tls_peer(theirs, material.server_side(version, wants_client=True), server=True)
        with pytest.raises(ssl.SSLError):
            await peer.shake()
        await peer.plain.send(peer.outgoing.read())
        protocol = Recorder()
        try:
            (await shaking).begin(protocol)
            await protocol.heard_of("lost")
        except ssl.SSLError as error:
            return error
        finally:
            peer.plain.close()
        return protocol.lost

    failure = run(scene())

    expected = {
        ("1.3", "nothing"): "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        ("1.2", "nothing"): "SSLV3_ALERT_HANDSHAKE_FAILURE",
    }.get((version, shows), "TLSV1_ALERT_UNKNOWN_CA")
    assert getattr(failure, "reason", None) == expected


def test_a_handshake_that_is_given_up_closes_its_socket(run, material, version):
    """Cancelled while the server says nothing."""

    async def scene():
        ours, theirs = connected()
        loop = asyncio.get_running_loop()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await shake_hands(loop, ours, material.client_side(version), "localhost")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert ours.fileno() == -1
        theirs.close()

    run(scene())


def test_a_close_in_the_handshake_gives_it_up(run, material, version):
    """There is nobody to say goodbye to yet."""

    async def scene():
        ours, theirs = connected()
        loop = asyncio.get_running_loop()
        told = []
        transport = TlsTransport(loop, ours, material.server_side(version), lambda _, error: told.append(error))
        transport.shake()
        transport.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

        assert [type(error) for error in told] == [ConnectionAbortedError]
        assert ours.fileno() == -1
        theirs.close()

    run(scene())


def test_a_handshake_may_come_byte_by_byte(run, material, version):
    """Each in a segment of its own."""

    async def scene():
        ours, theirs = connected()
        loop = asyncio.get_running_loop()
        protocol = Recorder()
        transport = TlsTransport(loop, ours, material.server_side(version), lambda made, _: made.begin(protocol))
        transport.shake()
        peer = tls_peer(theirs, material.client_side(version), server=False)
        send = peer.plain.send

        async def one_by_one(data):
            for byte in data:
                await send(bytes([byte]))
                await asyncio.sleep(0)

        peer.plain.send = one_by_one  # type: ignore[method-assign]
        await peer.shake()
        await peer.send(b"hello")
        await protocol.heard_of("data")

        assert protocol.data == b"hello"
        transport.abort()
        theirs.close()
        await protocol.heard_of("lost")

    run(scene())


def test_a_protocol_that_fails_ends_its_own_connection_only(run, material, version, complaints):
    """The peer sees a truncation."""

    class Bad(Recorder):
        @override
        def data_received(self, data):
            raise ZeroDivisionError

    async def scene():
        ends = await tls_ends(material, version, protocol=Bad())
        neighbour = await tls_ends(material, version)
        await ends.peer.send(b"x")
        await neighbour.peer.send(b"y")
        await neighbour.protocol.heard_of("data")
        neighbour.transport.write(b"fine")
        await ends.protocol.heard_of("lost")

        assert isinstance(ends.protocol.lost, ZeroDivisionError)
        assert await ends.peer.rest() == b""
        assert ends.peer.how == "cut"
        assert await neighbour.peer.exactly(4) == b"fine"
        neighbour.transport.abort()
        neighbour.peer.plain.close()
        ends.peer.plain.close()
        await neighbour.protocol.heard_of("lost")

    run(scene())

    assert len(complaints) == 1
    complaints.clear()


def test_keys_may_be_renewed(run, material, version, tool):
    """A peer that updates its keys and wants ours updated (RFC 8446, 4.6.3) goes on both ways."""
    if version == "1.2":
        pytest.skip("TLS 1.2 has no key update")
    openssl = tool("openssl")

    async def scene():
        loop = asyncio.get_running_loop()
        protocol = Recorder()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            address = f"127.0.0.1:{listener.getsockname()[1]}"
            pipe = asyncio.subprocess.PIPE
            client = await asyncio.create_subprocess_exec(
                openssl, "s_client", "-connect", address, "-CAfile", str(material.authority),
                stdin=pipe, stdout=pipe, stderr=pipe,
            )  # fmt: skip
            sock, _ = await loop.sock_accept(listener)
        assert client.stdin is not None
        assert client.stdout is not None
        assert client.stderr is not None
        sock.setblocking(False)
        transport = TlsTransport(loop, sock, material.server_side(version), lambda made, _: made.begin(protocol))
        transport.shake()
        async with asyncio.timeout(PATIENCE):
            client.stdin.write(b"before\n")
            await protocol.heard_of("data")
            client.stdin.write(b"K\n")
            await client.stderr.readuntil(b"KEYUPDATE")
            client.stdin.write(b"after\n")
            await protocol.until(lambda: protocol.data == b"before\nafter\n")
            transport.write(b"and back\n")
            await client.stdout.readuntil(b"and back\n")
            transport.close()
            client.stdin.close()
            await client.wait()
        await protocol.heard_of("lost")

        assert protocol.lost is None

    run(scene())


@pytest.mark.parametrize("between", [b"", b"x"], ids=["alone", "among data"])
@pytest.mark.parametrize("takes", [True, False], ids=["takes", "takes none"])
def test_key_updates_without_end_fill_no_memory(  # noqa: PLR0917
    run, material, version, takes, between, tmp_path, monkeypatch
):
    """The answers are sent, also where nobody writes anything; a peer that takes none of them is given up."""
    if version == "1.2":
        pytest.skip("TLS 1.2 has no key update")
    monkeypatch.setitem(os.environ, "SSLKEYLOGFILE", str(tmp_path / "keys"))
    monkeypatch.setattr(tls, "_WAITING", 500)
    monkeypatch.setattr(tls, "_UNTAKEN", 20_000)

    async def scene():
        ends = await tls_ends(material, version, small=True)
        assert (ends.peer.session.cipher() or ())[:1] == (SUITE,)
        made, most, taken = KeyUpdates(tmp_path / "keys"), 0, 0
        with contextlib.suppress(*GONE):
            for _ in range(200):
                if ends.protocol.lost is not None:
                    break
                some = b"".join(made.update() + (between and made.record(23, between)) for _ in range(50))
                await ends.peer.plain.send(some)
                await asyncio.sleep(0)
                most = max(most, ends.transport.get_write_buffer_size())
                with contextlib.suppress(BlockingIOError):
                    taken += len(ends.peer.plain.sock.recv(65536)) if takes else 0
        if takes:
            assert ends.protocol.lost is None
            # All but the last ones: 27 bytes for each of ten thousand.
            assert taken > 200_000
            assert most < 20_000
            ends.transport.abort()
        await ends.protocol.heard_of("lost")
        ends.peer.plain.close()

        assert most < 60_000
        if not takes:
            assert isinstance(ends.protocol.lost, ssl.SSLError)
            assert "takes none" in str(ends.protocol.lost)

    run(scene())


@pytest.mark.parametrize("too_much", [False, True])
def test_a_peer_is_given_up_beyond_its_measure_and_not_before(run, material, version, too_much, monkeypatch):
    """Whoever is slow to take much may speak all the same; of whoever is given up not a byte is heard any more."""

    class Strict(Recorder):
        @override
        def data_received(self, data):
            assert not self.transport.is_closing()
            super().data_received(data)

    async def scene():
        ends = await tls_ends(material, version, small=True, protocol=Strict())
        ends.transport.write(MUCH)
        ends.transport.flush()
        ends.transport.write(MUCH[: 2 * tls._WAITING])
        waiting = ends.transport._outgoing.pending
        assert waiting > tls._WAITING
        monkeypatch.setattr(tls, "_UNTAKEN", waiting - too_much)
        await ends.peer.send(b"hello")
        await ends.protocol.heard_of("lost" if too_much else "data")
        if too_much:
            assert ends.protocol.data == b""
            assert "takes none" in str(ends.protocol.lost)
        else:
            assert await ends.peer.exactly(len(MUCH) + 2 * tls._WAITING) == MUCH + MUCH[: 2 * tls._WAITING]
            ends.transport.abort()
            await ends.protocol.heard_of("lost")
        ends.peer.plain.close()

    run(scene())


def test_a_few_key_updates_disturb_nobody(run, material, version, tmp_path, monkeypatch):
    """Also of a peer that is slow to take what it is sent: all arrives, and the connection goes on."""
    if version == "1.2":
        pytest.skip("TLS 1.2 has no key update")
    monkeypatch.setitem(os.environ, "SSLKEYLOGFILE", str(tmp_path / "keys"))

    async def scene():
        ends = await tls_ends(material, version, small=True)
        made = KeyUpdates(tmp_path / "keys")
        ends.transport.write(MUCH)
        for _ in range(50):
            await ends.peer.plain.send(made.update() + made.record(23, b"x"))
        await ends.protocol.until(lambda: ends.protocol.data == b"x" * 50)
        assert ends.transport.get_write_buffer_size() > 100_000

        assert await ends.peer.exactly(len(MUCH)) == MUCH
        ends.transport.write(b"and on")
        assert await ends.peer.exactly(6) == b"and on"
        ends.transport.abort()
        ends.peer.plain.close()
        await ends.protocol.heard_of("lost")

    run(scene())


def has_ticket(ends):
    """Whether the client could resume."""
    kept = ends.peer.session.session
    return kept is not None and kept.has_ticket


def test_the_session_ticket_goes_with_the_first_answer(run, material, version):
    """In TLS 1.3: nobody waits for it by itself, and it wakes the client once less. In 1.2 it belongs to the handshake."""

    async def scene():
        ends = await tls_ends(material, version)
        assert has_ticket(ends) is (version == "1.2")
        assert ends.transport.get_write_buffer_size() == 0
        before = len(ends.peer.raw)
        ends.transport.write(b"answer")
        assert await ends.peer.receive() == b"answer"

        assert has_ticket(ends)
        # One piece from the kernel: an answer of six bytes alone is far shorter.
        assert (len(ends.peer.raw) - before > 100) is (version == "1.3")
        ends.transport.abort()
        ends.peer.plain.close()
        await ends.protocol.heard_of("lost")

    run(scene())


def test_a_connection_that_says_nothing_says_its_ticket_at_the_end(run, material, version):
    """Before close_notify: a client that only looked may come back."""

    async def scene():
        ends = await tls_ends(material, version)
        ends.transport.close()
        assert await ends.peer.rest() == b""

        assert ends.peer.how == "clean"
        assert has_ticket(ends)
        ends.peer.plain.close()
        await ends.protocol.heard_of("lost")

    run(scene())
