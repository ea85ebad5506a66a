"""Nobody waits long for a connection whose bytes take long to handle: it reads less at a time."""

import asyncio
import time

import pytest
from typing_extensions import override

from tests.wire.ends import Recorder, plain_ends

MUCH = bytes(2_000_000)


class Slow(Recorder):
    """Takes as long for a byte, whatever else comes with it."""

    def __init__(self, seconds_a_byte: float) -> None:
        super().__init__()
        self.seconds_a_byte = seconds_a_byte

    @override
    def data_received(self, data: bytes) -> None:
        until = time.monotonic() + len(data) * self.seconds_a_byte
        while time.monotonic() < until:
            pass
        super().data_received(data)


@pytest.mark.parametrize(
    ("seconds_a_byte", "least", "most"),
    [(1e-6, 1, 8 * 1024), (0.0, 16 * 1024, 64 * 1024)],
    ids=["64 ms for a full read", "nothing"],
)
def test_what_takes_long_is_read_in_smaller_pieces(run, seconds_a_byte, least, most):
    """And what does not, in pieces as large as they come; nothing is lost either way."""

    async def scene():
        protocol = Slow(seconds_a_byte)
        ends = plain_ends(protocol=protocol)
        sending = asyncio.ensure_future(ends.peer.send(MUCH))
        while sum(map(len, protocol.pieces)) < len(MUCH):
            await asyncio.sleep(0)
        await sending
        # The second half, when it has settled: the largest piece of it.
        seen, half = 0, []
        for piece in protocol.pieces:
            seen += len(piece)
            if seen > len(MUCH) // 2:
                half.append(len(piece))
        ends.transport.abort()
        ends.peer.close()

        assert least <= max(half) <= most

    run(scene())
