"""What no client can bring about: a fault of this program must not leave a client waiting."""

import asyncio
import socket
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from typing_extensions import override

from authproxy.core.place import Place
from authproxy.core.stats import TunnelStats
from authproxy.runtime import TunnelPlan
from authproxy.tunnel import tunnel as module
from authproxy.tunnel.ended import End
from authproxy.tunnel.means import Means
from authproxy.tunnel.tunnel import Tunnel


class Transport(asyncio.Transport):
    """Remembers what is done to it."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[str] = []

    @override
    def pause_reading(self) -> None:
        self.done.append("pause")

    @override
    def abort(self) -> None:
        self.done.append("abort")


@pytest.mark.parametrize("where", ["dial", "header"])
async def test_a_fault_while_reaching_the_target_ends_the_client(monkeypatch, where):
    """It is reported, counted and told; the client is cut."""

    def fail(*_):
        raise ZeroDivisionError

    # The kernel accepts, and nobody else: a writer of asyncio that outlives the loop is a warning since Python 3.13.
    server = socket.create_server(("127.0.0.1", 0))
    plan = TunnelPlan(way=Place(host="127.0.0.1", port=server.getsockname()[1]))
    monkeypatch.setattr(module, where, fail)
    told: dict[str, list[Any]] = {"crash": [], "end": [], "work": []}
    runtime: Any = SimpleNamespace(listeners={"repl": SimpleNamespace(tunnel=plan, generation=1, demand=None)})
    current: Any = SimpleNamespace(runtime=runtime, draining=False)
    means = Means(
        current=current, connections=set(), spawn=told["work"].append, monotonic=asyncio.get_running_loop().time,
        now=lambda: datetime(2026, 1, 1, tzinfo=UTC), report=told["end"].append, on_crash=told["crash"].append,
        on_revoked=lambda *_: None,
    )  # fmt: skip
    stats, transport = TunnelStats(), Transport()
    Tunnel(means, "repl", stats, is_spare=False).protocol.connection_made(transport)
    await told["work"][0]
    server.close()

    assert [type(crash) for crash in told["crash"]] == [ZeroDivisionError]
    assert transport.done == ["pause", "abort"]
    assert [one.end for one in told["end"]] == [End.CRASHED]
    assert (stats.open, dict(stats.ends)) == (0, {"crashed": 1})
