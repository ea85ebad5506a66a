"""The watch: what has changed is tried, once, with the configuration at work."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from authproxy.daemon.outcome import Try
from authproxy.daemon.status import Stage
from authproxy.daemon.watch import Watch
from tests.patience import PATIENCE


class Reloads:
    """Counts what is asked for; `act` is what a reload does."""

    def __init__(self):
        self.asked = []
        self.act = lambda: None

    def ask(self, *, material_only=False):
        self.asked.append(Try(material_only=material_only))
        return asyncio.get_running_loop().create_task(asyncio.to_thread(self.act))


@pytest.fixture
def scene(site, clock):
    """A watch over the files of `site`, whose reloads take over what they find."""
    site.config["reload"] = {"watch": "30s"}
    site.save()
    proxy: Any = SimpleNamespace(
        prepared=site.prepare(), status=SimpleNamespace(stage=Stage.SERVING), report_crash=lambda _: None
    )
    reloads = Reloads()
    reloads.act = lambda: setattr(proxy, "prepared", site.prepare())
    made: Any = reloads
    return SimpleNamespace(proxy=proxy, reloads=reloads, clock=clock, watch=Watch(proxy, made, {}, clock))


async def test_nothing_changed_is_nothing_done(scene):
    """Look after look."""
    for _ in range(3):
        await scene.watch.look()

    assert scene.reloads.asked == []


async def test_a_changed_certificate_is_taken_over_once(scene, site):
    """Material alone is reloaded."""
    site.put("server.pem", site.server())
    await scene.watch.look()
    await scene.watch.look()

    assert scene.reloads.asked == [Try(material_only=True)]


async def test_what_was_rejected_is_not_tried_again_until_it_changes(scene, site):
    """A broken file is one line in the log and not one for each look."""
    scene.reloads.act = lambda: None
    site.put("server.pem", b"broken")
    for _ in range(3):
        await scene.watch.look()
    assert len(scene.reloads.asked) == 1
    site.put("server.pem", b"broken otherwise")
    await scene.watch.look()

    assert len(scene.reloads.asked) == 2


async def test_what_was_rejected_is_tried_again_after_it_was_right_for_a_while(scene, site):
    """It may have been the clock. And that it is right again is told by a reload, once."""
    right = (site.directory / "server.pem").read_bytes()
    scene.reloads.act = lambda: None
    for content, asked in ((b"broken", 1), (right, 2), (right, 2), (b"broken", 3)):
        site.put("server.pem", content)
        await scene.watch.look()

        assert len(scene.reloads.asked) == asked


async def test_a_change_while_the_material_was_being_read_is_seen(scene, site):
    """What is known stems from before the reading, so the next look finds the difference."""

    def reload():
        scene.proxy.prepared = site.prepare()
        site.put("server.pem", site.server())
        scene.reloads.act = lambda: setattr(scene.proxy, "prepared", site.prepare())

    scene.reloads.act = reload
    site.put("server.pem", site.server())
    for _ in range(3):
        await scene.watch.look()

    assert len(scene.reloads.asked) == 2


async def test_it_looks_when_it_is_time(scene, site):
    """At the end of the thirty seconds, not before; and thirty seconds later again."""
    for moment, asked in ((29.9, 0), (30.0, 1), (59.9, 1), (60.0, 2)):
        site.put("server.pem", site.server())
        scene.clock.now = moment
        await scene.watch.look_if_due()

        assert len(scene.reloads.asked) == asked


async def test_zero_is_never(scene, site):
    """SIGHUP only."""
    site.config["reload"] = {"watch": "0s"}
    site.save()
    scene.proxy.prepared = await asyncio.to_thread(site.prepare)
    site.put("server.pem", site.server())
    scene.clock.now = 1e9
    await scene.watch.look_if_due()

    assert scene.reloads.asked == []


@pytest.mark.parametrize("stage", [Stage.STARTING, Stage.STOPPING, Stage.DRAINING])
async def test_only_while_serving(scene, site, stage):
    """Nothing new is opened at the end."""
    scene.proxy.status.stage = stage
    site.put("server.pem", site.server())
    await scene.watch.look()

    assert scene.reloads.asked == []


async def test_a_crash_is_not_the_end_of_the_watch(scene, monkeypatch):
    """It is reported, and the next look comes."""
    reported: list[BaseException] = []
    looked = asyncio.Event()

    async def look():
        if reported:
            looked.set()
            return
        raise RuntimeError("cannot start a thread")

    monkeypatch.setattr("authproxy.daemon.watch._TICK", 0)
    monkeypatch.setattr(scene.watch, "look_if_due", look)
    scene.proxy.report_crash = reported.append
    running = asyncio.get_running_loop().create_task(scene.watch.run())
    await asyncio.wait_for(looked.wait(), PATIENCE)
    running.cancel()

    assert [str(crash) for crash in reported] == ["cannot start a thread"]
