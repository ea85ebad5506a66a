"""A plain connection: what is written comes whole and in order, and every end is told for what it is."""

import asyncio
import contextlib
import os
import socket
from functools import partial

import pytest
from typing_extensions import override

from authproxy.wire.plain import SocketTransport
from tests.wire.ends import PlainPeer, Recorder, connected, plain_ends

MUCH = os.urandom(3_000_000)


def test_what_is_written_in_one_turn_goes_out_together(run):
    """In order, with the pieces joined."""

    async def scene():
        ends = plain_ends()
        for piece in (b"one ", bytearray(b"two "), memoryview(b"three"), b""):
            ends.transport.write(piece)

        assert ends.transport.get_write_buffer_size() == 13
        assert await ends.peer.receive() == b"one two three"
        assert ends.transport.get_write_buffer_size() == 0
        ends.transport.abort()
        await ends.protocol.heard_of("lost")
        ends.peer.close()

    run(scene())


def test_what_the_kernel_does_not_take_is_sent_later(run):
    """The protocol is asked to pause above the upper mark and to go on below the lower one; nothing is lost."""

    async def scene():
        ends = plain_ends(small=True)
        ends.transport.write(MUCH)
        await ends.protocol.heard_of("pause")
        assert ends.transport.get_write_buffer_size() > 64 * 1024
        ends.transport.write(b"the end")
        ends.transport.close()
        received = await ends.peer.rest()
        ends.peer.close()
        await ends.protocol.heard_of("lost")

        assert received == MUCH + b"the end"
        assert ends.protocol.heard == ["made", "pause", "resume", "lost"]
        assert ends.protocol.lost is None

    run(scene())


@pytest.mark.parametrize(("over", "asked"), [(0, False), (1, True)])
def test_the_upper_mark_has_two_sides(run, over, asked):
    """64 KiB beside what the kernel has taken may wait without a word."""

    async def scene():
        ends = plain_ends(small=True)
        filled = 0
        while not ends.transport.get_write_buffer_size():
            ends.transport.write(bytes(1000))
            ends.transport.flush()
            filled += 1000
        assert "pause" not in ends.protocol.heard
        ends.transport.write(bytes(64 * 1024 - ends.transport.get_write_buffer_size() + over))

        assert ("pause" in ends.protocol.heard) is asked
        ends.transport.abort()
        ends.peer.close()
        await ends.protocol.heard_of("lost")

    run(scene())


def test_a_writer_that_is_woken_may_write_and_close(run):
    """From within `resume_writing`: nothing is lost, and the end is told once."""

    class Writer(Recorder):
        @override
        def resume_writing(self):
            super().resume_writing()
            self.transport.write(b"the rest")
            self.transport.close()

    async def scene():
        ends = plain_ends(small=True, protocol=Writer())
        ends.transport.write(MUCH[:300_000])

        assert await ends.peer.rest() == MUCH[:300_000] + b"the rest"
        ends.peer.close()
        await ends.protocol.heard_of("lost")
        assert ends.protocol.heard.count("lost") == 1
        assert ends.protocol.lost is None

    run(scene())


def test_half_close_is_said_after_what_was_written(run):
    """Even when the kernel does not take it all at once; reading goes on."""

    async def scene():
        ends = plain_ends(small=True, protocol=Recorder(keeps=True))
        ends.transport.write(MUCH)
        ends.transport.write_eof()
        assert await ends.peer.rest() == MUCH
        await ends.peer.send(b"thanks")
        ends.peer.finish()
        await ends.protocol.heard_of("eof")

        assert ends.protocol.data == b"thanks"
        assert not ends.transport.is_closing()
        ends.transport.close()
        await ends.protocol.heard_of("lost")
        assert ends.protocol.lost is None
        ends.peer.close()

    run(scene())


def test_nothing_is_written_after_write_eof(run):
    """A protocol that tries has lost count, and should know."""

    async def scene():
        ends = plain_ends()
        ends.transport.write_eof()
        with pytest.raises(RuntimeError, match="write_eof"):
            ends.transport.write(b"more")
        ends.transport.close()
        ends.transport.write(b"more")
        ends.transport.write_eof()

        assert await ends.peer.rest() == b""
        ends.peer.close()
        await ends.protocol.heard_of("lost")

    run(scene())


def test_the_peer_may_end_first_and_is_answered(run):
    """600 000 bytes after its end arrive whole."""

    async def scene():
        ends = plain_ends(small=True, protocol=Recorder(keeps=True))
        await ends.peer.send(b"question")
        ends.peer.finish()
        await ends.protocol.heard_of("eof")
        ends.transport.write(MUCH[:600_000])
        ends.transport.close()

        assert await ends.peer.rest() == MUCH[:600_000]
        await ends.protocol.heard_of("lost")
        assert ends.protocol.data == b"question"
        assert ends.protocol.lost is None
        ends.peer.close()

    run(scene())


def test_a_peer_that_ends_ends_a_protocol_that_does_not_keep_on(run):
    """`eof_received` says nothing: close."""

    async def scene():
        ends = plain_ends()
        ends.peer.finish()
        await ends.protocol.heard_of("lost")

        assert ends.protocol.heard == ["made", "eof", "lost"]
        assert ends.protocol.lost is None
        assert await ends.peer.rest() == b""
        ends.peer.close()

    run(scene())


def test_an_uploading_peer_is_not_reset_by_a_close(run):
    """RFC 9112, 9.6: the answer arrives whole although the peer still sends, and reads only later."""

    async def scene():
        ends = plain_ends(small=True)
        await ends.peer.send(b"x" * 1000)
        await ends.protocol.heard_of("data")
        ends.transport.write(b"refused")
        ends.transport.close()
        for _ in range(50):
            await ends.peer.send(bytes(20_000))

        assert await ends.peer.rest() == b"refused"
        assert "lost" not in ends.protocol.heard
        ends.peer.close()
        await ends.protocol.heard_of("lost")
        assert ends.protocol.lost is None
        assert ends.protocol.heard.count("data") == 1

    run(scene())


def test_an_uploading_peer_takes_a_long_answer_after_its_upload(run):
    """It writes all before it reads: neither side waits for the other, though the answer fills the kernel."""

    async def scene():
        ends = plain_ends(small=True)
        ends.transport.pause_reading()
        ends.transport.write(MUCH)
        ends.transport.close()
        for _ in range(50):
            await ends.peer.send(bytes(20_000))
        ends.peer.finish()

        assert await ends.peer.rest() == MUCH
        await ends.protocol.heard_of("lost")
        assert ends.protocol.lost is None
        assert "data" not in ends.protocol.heard
        ends.peer.close()

    run(scene())


def test_abort_sends_no_more(run):
    """What waits is forgotten, and the protocol is told once."""

    async def scene():
        ends = plain_ends(small=True)
        ends.transport.write(MUCH)
        await ends.protocol.heard_of("pause")
        ends.transport.abort()
        ends.transport.abort()
        ends.transport.write(b"more")
        await ends.protocol.heard_of("lost")

        assert ends.protocol.heard.count("lost") == 1
        assert ends.transport.get_write_buffer_size() == 0
        with contextlib.suppress(ConnectionResetError):
            assert len(await ends.peer.rest()) < len(MUCH)
        ends.peer.close()

    run(scene())


@pytest.mark.parametrize("what", ["reading", "writing", "paused and writing"])
def test_a_reset_is_seen(run, what):
    """As the error that it is, by whoever reads or writes."""

    async def scene():
        ends = plain_ends(small=True)
        if what != "reading":
            ends.transport.write(MUCH)
            await ends.protocol.heard_of("pause")
        if what == "paused and writing":
            ends.transport.pause_reading()
        ends.peer.reset()
        await ends.protocol.heard_of("lost")

        assert isinstance(ends.protocol.lost, ConnectionResetError | BrokenPipeError)

    run(scene())


def test_a_paused_reader_gets_nothing_until_it_resumes(run):
    """Then all of it, in order."""

    async def scene():
        ends = plain_ends()
        ends.transport.pause_reading()
        assert not ends.transport.is_reading()
        await ends.peer.send(b"later")
        for _ in range(5):
            await asyncio.sleep(0)
        assert ends.protocol.data == b""
        ends.transport.resume_reading()
        ends.transport.resume_reading()
        await ends.protocol.heard_of("data")

        assert ends.protocol.data == b"later"
        ends.peer.close()
        await ends.protocol.heard_of("lost")

    run(scene())


@pytest.mark.parametrize("pauses", [False, True])
def test_what_was_read_before_comes_first(run, pauses):
    """Bytes that came with a header of the balancer's are the client's, even if its protocol pauses at once."""

    class Slow(Recorder):
        @override
        def connection_made(self, transport):
            super().connection_made(transport)
            if pauses:
                self.transport.pause_reading()

    async def scene():
        ours, theirs = connected()
        peer, protocol = PlainPeer(theirs), Slow()
        transport = SocketTransport(asyncio.get_running_loop(), ours, lingering=True, first=b"one ")
        await peer.send(b"two")
        transport.begin(protocol)
        if pauses:
            for _ in range(5):
                await asyncio.sleep(0)
            assert protocol.data == b""
            transport.resume_reading()
        await protocol.until(lambda: protocol.data == b"one two")
        peer.close()
        await protocol.heard_of("lost")

    run(scene())


@pytest.mark.parametrize(
    "method", ["connection_made", "data_received", "eof_received", "pause_writing", "resume_writing"]
)
def test_a_protocol_that_fails_ends_its_own_connection_only(run, complaints, method):
    """It is told why, the loop is told too, and a neighbour of the same turn is served."""

    def fail(*_):
        raise ZeroDivisionError(method)

    async def scene():
        bad = Recorder()
        setattr(bad, method, fail)
        ends, neighbour = plain_ends(small=True, protocol=bad), plain_ends()
        ends.transport.write(MUCH if method in {"pause_writing", "resume_writing"} else b"x")
        neighbour.transport.write(b"hello")
        if method == "data_received":
            await ends.peer.send(b"x")
        elif method == "eof_received":
            ends.peer.finish()
        elif method == "resume_writing":
            await ends.peer.exactly(len(MUCH))

        await bad.heard_of("lost")
        assert isinstance(bad.lost, ZeroDivisionError)
        assert await neighbour.peer.receive() == b"hello"
        neighbour.peer.close()
        ends.peer.close()
        await neighbour.protocol.heard_of("lost")

    run(scene())

    assert [str(one["exception"]) for one in complaints] == [method]
    complaints.clear()


def test_a_client_side_leaves_at_once(run):
    """Who does not linger closes when all is sent, whatever the peer does."""

    async def scene():
        ends = plain_ends(lingering=False)
        ends.transport.write(b"bye")
        ends.transport.close()
        await ends.protocol.heard_of("lost")

        assert await ends.peer.rest() == b"bye"
        assert ends.socket.fileno() == -1
        ends.peer.close()

    run(scene())


def _note_number(numbers, sock):
    numbers.append(sock.fileno())


def test_whoever_waits_is_told_of_the_end_once_the_socket_is_closed(run):
    """`on_gone`, exactly once, for every kind of end."""

    async def scene():
        for end in ("close", "abort", "reset"):
            ends = plain_ends()
            gone: list[int] = []
            ends.transport.on_gone = partial(_note_number, gone, ends.socket)
            if end == "reset":
                ends.peer.reset()
            else:
                getattr(ends.transport, end)()
                ends.peer.close()
            await ends.protocol.heard_of("lost")
            await asyncio.sleep(0)

            assert gone == [-1], end

    run(scene())


def test_a_protocol_of_a_connection_that_is_gone_is_told_so(run):
    """It ended between its making and its beginning."""

    async def scene():
        ours, theirs = connected()
        transport = SocketTransport(asyncio.get_running_loop(), ours, lingering=False)
        transport.abort()
        await asyncio.sleep(0)
        protocol = Recorder()
        transport.begin(protocol)
        await protocol.heard_of("lost")

        assert protocol.heard == ["made", "lost"]
        theirs.close()

    run(scene())


def test_addresses_are_known(run):
    """Those of the socket, or what somebody who is believed has told."""

    async def scene():
        ends = plain_ends()
        peername = ends.transport.get_extra_info("peername")
        assert peername == ends.peer.sock.getsockname()
        assert ends.transport.get_extra_info("sockname") == ends.peer.sock.getpeername()
        assert ends.transport.get_extra_info("nothing", 7) == 7
        ends.transport.set_peer("192.0.2.1", 4711)
        assert ends.transport.get_extra_info("peername") == ("192.0.2.1", 4711)
        ends.peer.close()
        await ends.protocol.heard_of("lost")

    run(scene())


def test_nothing_that_is_sent_waits_for_more(run):
    """What we connect ourselves is tuned here (of what is accepted, the listening socket was)."""

    async def scene():
        ends = plain_ends()
        assert ends.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        ends.transport.abort()
        ends.peer.close()
        await ends.protocol.heard_of("lost")

    run(scene())


def test_a_unix_socket_is_carried_too(run):
    """It has no TCP to tune."""

    async def scene():
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        protocol, peer = Recorder(), PlainPeer(theirs)
        transport = SocketTransport(asyncio.get_running_loop(), ours, lingering=True)
        transport.begin(protocol)
        await peer.send(b"ping")
        await protocol.heard_of("data")
        transport.write(b"pong")
        transport.close()

        assert await peer.rest() == b"pong"
        peer.close()
        await protocol.heard_of("lost")

    run(scene())
