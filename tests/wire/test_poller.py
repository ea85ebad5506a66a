"""One epoll for all: nobody is called for another's socket, nobody is forgotten, and nothing spins."""

import asyncio
import os
import socket
from pathlib import Path

import pytest
from typing_extensions import override

from authproxy.wire.plain import SocketTransport
from authproxy.wire.poller import Poller, poller_of
from tests.wire.ends import PATIENCE, Recorder, plain_ends, tls_ends

MUCH = os.urandom(300_000)


def test_one_handler_may_end_anothers_connection(run):
    """Both had something to read in the same batch: the one that was ended is not called any more."""

    class Killer(Recorder):
        victim: SocketTransport

        @override
        def data_received(self, data):
            super().data_received(data)
            self.victim.abort()

    async def scene():
        one, two = Killer(), Killer()
        first, second = plain_ends(protocol=one), plain_ends(protocol=two)
        one.victim, two.victim = second.transport, first.transport
        first.peer.sock.send(b"x")
        second.peer.sock.send(b"x")
        async with asyncio.timeout(PATIENCE):
            while "lost" not in one.heard + two.heard:
                await asyncio.sleep(0)

        assert sorted([one.heard, two.heard]) == [["made", "data"], ["made", "lost"]]
        for ends in (first, second):
            ends.transport.abort()
            ends.peer.close()
        await one.heard_of("lost")
        await two.heard_of("lost")

    run(scene())


def test_a_descriptor_may_be_used_again(run):
    """Of a connection that ended by itself, was aborted, or was reset."""

    async def scene():
        numbers = set()
        for end in ("close", "abort", "reset") * 4:
            ends = plain_ends()
            numbers.add(ends.socket.fileno())
            await ends.peer.send(b"ping")
            await ends.protocol.heard_of("data")
            ends.transport.write(b"pong")
            assert await ends.peer.receive() == b"pong"
            if end == "reset":
                ends.peer.reset()
            else:
                getattr(ends.transport, end)()
                ends.peer.close()
            await ends.protocol.heard_of("lost")
            await asyncio.sleep(0)

        assert len(numbers) < 12

    run(scene())


def test_a_descriptor_may_be_used_again_whose_peer_took_nothing(run):
    """What was still to be sent is not waited for in the next connection's name, and that one's is."""

    async def scene():
        numbers = set()
        for _ in range(6):
            ends = plain_ends(small=True)
            numbers.add(ends.socket.fileno())
            ends.transport.write(MUCH)
            await ends.protocol.heard_of("pause")
            ends.transport.abort()
            ends.peer.close()
            await ends.protocol.heard_of("lost")
        ends = plain_ends(small=True)
        assert ends.socket.fileno() in numbers
        ends.transport.write(MUCH)
        assert await ends.peer.exactly(len(MUCH)) == MUCH
        ends.transport.abort()
        ends.peer.close()
        await ends.protocol.heard_of("lost")

    run(scene())


def test_reading_and_writing_wait_side_by_side(run):
    """Each may begin, and end, while the other waits."""

    async def scene():
        ends = plain_ends(small=True)
        ends.transport.write(MUCH)
        await ends.protocol.heard_of("pause")
        await ends.peer.send(b"one")
        await ends.protocol.until(lambda: ends.protocol.data == b"one")
        ends.transport.pause_reading()
        await ends.peer.send(b"two")
        assert await ends.peer.exactly(1000) == MUCH[:1000]
        ends.transport.resume_reading()
        await ends.protocol.until(lambda: ends.protocol.data == b"onetwo")
        assert await ends.peer.exactly(len(MUCH) - 1000) == MUCH[1000:]
        await ends.peer.send(b"three")
        await ends.protocol.until(lambda: ends.protocol.data == b"onetwothree")
        ends.transport.abort()
        ends.peer.close()
        await ends.protocol.heard_of("lost")

    run(scene())


def test_more_connections_than_a_batch_holds_are_all_served(run):
    """300, ready at the same time."""

    async def scene():
        many = [plain_ends() for _ in range(300)]
        for ends in many:
            ends.peer.sock.send(b"x")
        for ends in many:
            await ends.protocol.heard_of("data")
        for ends in many:
            ends.transport.abort()
            ends.peer.close()
        for ends in many:
            await ends.protocol.heard_of("lost")

    run(scene())


def test_one_that_fails_to_flush_leaves_the_others_theirs(run, complaints):
    """What the others have written is sent all the same."""

    class Broken:
        def flush(self):
            raise ZeroDivisionError

    async def scene():
        ends = plain_ends()
        poller_of(asyncio.get_running_loop()).flush_later(Broken())
        ends.transport.write(b"hello")

        assert await ends.peer.receive() == b"hello"
        ends.transport.write(b"again")
        assert await ends.peer.receive() == b"again"
        ends.peer.close()
        await ends.protocol.heard_of("lost")

    run(scene())

    assert len(complaints) == 1
    complaints.clear()


@pytest.mark.parametrize(
    "state", ["ended, kept open", "gone while paused", "reset while paused", "lingering", "said goodbye, kept open"]
)
def test_nothing_spins(run, material, state):
    """A connection of which half has ended costs nothing while nothing happens."""

    async def scene():
        if state == "said goodbye, kept open":
            tls = await tls_ends(material, "1.3", protocol=Recorder(keeps=True))
            await tls.peer.plain.send(tls.peer.goodbye())
            tls.peer.plain.finish()
            await tls.protocol.heard_of("eof")
            transport, protocol, peer = tls.transport, tls.protocol, tls.peer.plain
        else:
            ends = plain_ends(protocol=Recorder(keeps=True))
            transport, protocol, peer = ends.transport, ends.protocol, ends.peer  # type: ignore[assignment]
            if state == "ended, kept open":
                peer.finish()
                await protocol.heard_of("eof")
            elif state == "lingering":
                transport.close()
                assert await peer.rest() == b""
            else:
                transport.pause_reading()
                peer.reset() if state.startswith("reset") else peer.close()
        poller = poller_of(asyncio.get_running_loop())
        polls = 0
        poll = poller._poll

        def count(*args):
            nonlocal polls
            polls += 1
            return poll(*args)

        poller._poll = count
        await asyncio.sleep(0.1)
        poller._poll = poll

        assert polls <= 3
        transport.abort()
        peer.close()
        await protocol.heard_of("lost")

    run(scene())


def test_a_loop_that_is_closed_leaves_no_descriptor_behind():
    """Whoever makes loops one after the other, as commands and tests do, does not run out of descriptors."""

    async def scene():
        ends = plain_ends()
        await ends.peer.send(b"x")
        await ends.protocol.heard_of("data")
        ends.peer.close()
        await ends.protocol.heard_of("lost")
        return len(list(Path("/proc/self/fd").iterdir()))

    counts = [asyncio.run(scene()) for _ in range(10)]

    assert max(counts[1:]) == min(counts[1:])


def test_there_is_one_poller_for_a_loop(run):
    """And another for another."""

    async def scene():
        loop = asyncio.get_running_loop()
        return poller_of(loop), poller_of(loop)

    one, same = run(scene())
    other = asyncio.run(scene())[0]

    assert one is same
    assert other is not one
    assert isinstance(other, Poller)


# ---------------------------------------------------------------- connecting


def test_it_connects(run):
    """To an address that listens."""

    async def scene():
        with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as wire:
            wire.setblocking(False)
            await poller_of(asyncio.get_running_loop()).connect(wire, listener.getsockname())

            assert wire.getpeername() == listener.getsockname()

    run(scene())


def test_a_refusal_is_told(run):
    """By the kernel's own error."""

    async def scene():
        with socket.create_server(("127.0.0.1", 0)) as listener:
            address = listener.getsockname()
        with socket.socket() as wire:
            wire.setblocking(False)
            with pytest.raises(ConnectionRefusedError):
                await poller_of(asyncio.get_running_loop()).connect(wire, address)

    run(scene())


def test_a_unix_socket_that_is_not_there_is_told(run, tmp_path):
    """At once."""

    async def scene():
        with socket.socket(socket.AF_UNIX) as wire:
            wire.setblocking(False)
            with pytest.raises(FileNotFoundError):
                await poller_of(asyncio.get_running_loop()).connect(wire, str(tmp_path / "none"))

    run(scene())


def test_giving_up_leaves_nothing_behind(run):
    """A connection under way was cancelled and closed: the next socket of its number starts afresh."""

    async def scene():
        poller = poller_of(asyncio.get_running_loop())
        with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
            waiting = []
            # A full queue leaves the next ones without an answer.
            for _ in range(4):
                wire = socket.socket()
                wire.setblocking(False)
                wire.connect_ex(listener.getsockname())
                waiting.append(wire)
            wire = socket.socket()
            wire.setblocking(False)
            number = wire.fileno()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await poller.connect(wire, listener.getsockname())
            wire.close()
            assert number not in poller._writers
            assert number not in poller._readers
            for one in waiting:
                one.close()

    run(scene())
