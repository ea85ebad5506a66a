"""The system's resolver, whose look-ups nobody can end."""

import asyncio
import socket
import threading
from time import monotonic

import pytest

from authproxy.upstream.resolver import resolve


async def test_the_system_knows_this_machine():
    """Each address once."""
    found = await resolve("localhost")

    assert "127.0.0.1" in found
    assert len(found) == len(set(found))


async def test_what_is_not_known_is_an_error():
    """The resolver's own."""
    with pytest.raises(socket.gaierror):
        await resolve("does-not-exist.invalid")
    with pytest.raises(UnicodeError):
        await resolve("a" * 64 + ".test")


async def test_a_scoped_address_keeps_its_scope(monkeypatch):
    """Without it nobody knows which network it is in."""
    found = [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1", 0, 0, 3))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)

    assert await resolve("x") == ("fe80::1%3",)


def test_a_look_up_that_hangs_keeps_neither_others_nor_the_end_waiting(monkeypatch):
    """Fifty of them hang, another is answered, and the loop ends; what comes later is nobody's."""
    gate, answer = threading.Event(), [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0))]

    def look_up(host, *_, **__):
        if host == "hangs":
            gate.wait(20)
        return answer

    monkeypatch.setattr(socket, "getaddrinfo", look_up)

    async def main():
        hanging = [asyncio.ensure_future(resolve("hangs")) for _ in range(50)]
        assert await resolve("answers") == ("192.0.2.1",)
        assert not any(task.done() for task in hanging)

    begin = monotonic()
    asyncio.run(main())
    assert monotonic() - begin < 5
    gate.set()
    for thread in threading.enumerate():
        if thread.name == "resolve hangs":
            thread.join(10)
            assert not thread.is_alive()
