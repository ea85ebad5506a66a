"""The process at work, in this one: what goes wrong in a reload or a poll is told, and the work goes on."""

import asyncio
import io
import json
import socket
from datetime import UTC, datetime
from time import monotonic

import pytest

from authproxy.daemon import log
from authproxy.daemon.main import note_exception
from authproxy.daemon.proxy import Proxy
from authproxy.daemon.status import Stage
from authproxy.errors import ConfigError
from tests.ports import free_port


@pytest.fixture
def said():
    """`said(event)` returns what was logged under that name."""
    stream = io.StringIO()
    log.configure("debug", stream)

    def find(event):
        return [line for line in map(json.loads, stream.getvalue().splitlines()) if line["event"] == event]

    return find


@pytest.fixture
def port():
    return free_port()


class Loader:
    """Loads the site's configuration, or raises what it is told to."""

    def __init__(self, site):
        self.site = site
        self.error = None

    def __call__(self):
        if self.error is not None:
            raise self.error
        return self.site.load()


@pytest.fixture
async def proxy(site, port, said):
    site.config["listeners"]["public"]["bind"] = f"127.0.0.1:{port}"
    site.config["logging"] = {"access": "off"}
    site.config["timeouts"] = {"drain": "0s"}
    site.save()
    made = Proxy(Loader(site), {}, lambda: datetime.now(UTC))
    await made.start()
    yield made
    await made.drain(asyncio.Event())
    await made.aclose()


async def test_a_start_ends_with_serving(proxy, port, said):
    """The listener is open, all parts are good, one line says so."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()

    assert proxy.status.stage is Stage.SERVING
    assert {name for name, part in proxy.status.parts.items() if part.success} == {"config", "trust", "catalog:users"}
    assert len(said("proxy.started")) == 1


async def test_a_failed_start_leaves_nothing_open(site, port, said):
    """A port that is taken by its second listener frees the first again."""
    taken = free_port()
    site.config["listeners"]["public"]["bind"] = [f"127.0.0.1:{port}"]
    site.config["listeners"]["second"] = {"bind": f"127.0.0.1:{taken}", "keystore": "main"}
    site.config["logging"] = {"access": "off"}
    site.save()
    proxy = Proxy(Loader(site), {}, lambda: datetime.now(UTC))
    with socket.create_server(("127.0.0.1", taken)), pytest.raises(ConfigError, match=r"listeners\.second"):
        await proxy.start()

    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


@pytest.mark.parametrize("error", [OSError("disk"), RuntimeError("plug-in"), RecursionError()])
async def test_a_crash_during_a_reload_is_a_rejection(proxy, said, error):
    """Whatever goes wrong while preparing: it is told, and what is at work goes on."""
    runtime = proxy.services.current.runtime
    proxy._load.error = error
    await proxy.reload()

    assert not proxy.status.parts["config"].success
    assert proxy.status.stage is Stage.SERVING
    assert proxy.services.current.runtime.upstreams == runtime.upstreams
    assert [line["part"] for line in said("reload.rejected")] == ["config"]


async def test_faults_of_the_program_are_counted(proxy, said):
    """By what they ended; a peer's or its network's are none."""
    proxy.report_crash(ValueError("a task's"))
    proxy.services.on_crash("id", ValueError("a request's"))
    loop = asyncio.get_running_loop()
    for error in (ValueError("nobody's"), ConnectionResetError("a peer's")):
        note_exception(proxy.stats, loop, {"message": "x", "exception": error})

    assert proxy.stats.crashes == {"request": 1, "connection": 0, "task": 1, "loop": 1}
    assert [len(said(f"{part}.crashed")) for part in ("request", "task", "loop")] == [1, 1, 1]


async def test_a_late_timer_is_told(proxy):
    """By as much as it was late."""
    before = sum(proxy.stats.lag.counts)
    proxy._sweeper.cancel()
    proxy._sweep(monotonic() - 3.0)

    assert sum(proxy.stats.lag.counts) == before + 1
    assert 3.0 <= proxy.stats.lag.total < 4.0


async def test_a_reload_after_a_crash_works(proxy, site):
    """Nothing of it is left behind."""
    proxy._load.error = ConfigError("a.yaml:1:1: x: is bad")
    await proxy.reload()
    proxy._load.error = None
    site.config["routes"][0]["name"] = "renamed"
    site.save()
    await proxy.reload()

    assert proxy.status.parts["config"].success
    assert [route.name for route in proxy.prepared.loaded.settings.routes] == ["renamed"]


async def test_reloads_take_turns(proxy):
    """Two at once are two in a row, and the generation counts both."""
    await asyncio.gather(proxy.reload(), proxy.reload(), proxy.reload())

    assert proxy.status.generation == 4
    assert proxy.status.reloads["config", "ok"] == 4


async def test_a_reload_while_ending_does_nothing(proxy):
    """The doors stay shut."""
    proxy.status.stage = Stage.DRAINING
    await proxy.reload()

    assert proxy.status.generation == 1


async def test_a_rejected_row_is_told_once_for_each_reload(proxy, site, said):
    """With file, line and key."""
    site.put("tokens.yaml", "- {user_id: 550e8400-e29b-41d4-a716-446655440000, rotation_version: 1, hash: 12}\n")
    await proxy.reload()
    [line] = said("catalog.row_rejected")

    assert line["catalog"] == "users"
    assert "tokens.yaml:1" in line["error"]
    assert proxy.status.rejected["users"] == 1


async def test_a_failed_reload_of_trust_says_nothing_of_the_configuration(proxy, site, said):
    """One line, for the part that failed."""
    site.put("ca.pem", b"", 0o644)
    await proxy.reload()

    assert [line["part"] for line in said("reload.rejected")] == ["trust"]
    assert proxy.status.parts["config"].success


async def test_a_stream_of_signals_keeps_what_is_unchanged(proxy):
    """Catalogs and upstreams are the same objects after many reloads: nothing piles up."""
    catalog = proxy.prepared.catalogs["users"].catalog
    upstream = proxy.services.current.runtime.upstreams["legacy"]
    for _ in range(5):
        await proxy.reload()

    assert proxy.prepared.catalogs["users"].catalog is catalog
    assert proxy.services.current.runtime.upstreams["legacy"] is upstream
