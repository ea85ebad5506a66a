"""Catalogs outlive reloads that leave them as they are, and are read again when their time has come."""

import asyncio
from datetime import timedelta

import pytest
import yaml
from typing_extensions import override

from authproxy.catalogs.interface import MISS, Reloadable, Reloaded
from authproxy.daemon.catalogs import Opened, Poller, open_catalogs, reload_one
from authproxy.errors import ConfigError, MaterialError
from authproxy.options import Options


@pytest.fixture
def composed(site):
    """Two files, one catalog over both."""
    site.put("more.yaml", "[]\n")
    site.config["catalogs"] |= {
        "more": {"kind": "file", "file": "more.yaml"},
        "all": {"kind": "composite", "of": ["users", "more"]},
    }
    site.config["zones"]["api"]["catalog"] = "all"
    site.save()
    return site


def test_what_is_unchanged_is_taken_over(composed):
    """The same objects, with their rows."""
    first = open_catalogs(composed.load(), {})
    second = open_catalogs(composed.load(), first)

    assert {name: opened.catalog for name, opened in first.items()} == {
        name: opened.catalog for name, opened in second.items()
    }


def test_a_changed_one_is_opened_anew_and_so_is_what_builds_on_it(composed):
    """The other member stays."""
    first = open_catalogs(composed.load(), {})
    composed.config["catalogs"]["more"]["poll"] = "9s"
    composed.save()
    second = open_catalogs(composed.load(), first)

    assert second["users"].catalog is first["users"].catalog
    assert second["more"].catalog is not first["more"].catalog
    assert second["all"].catalog is not first["all"].catalog


def test_a_removed_one_is_gone(composed):
    """Nothing of it is in the next set."""
    first = open_catalogs(composed.load(), {})
    del composed.config["catalogs"]["all"]
    composed.config["zones"]["api"]["catalog"] = "users"
    composed.save()

    assert set(open_catalogs(composed.load(), first)) == {"users", "more"}


def test_what_the_composite_needs_is_known(composed):
    """So that it is opened anew with its members."""
    opened = open_catalogs(composed.load(), {})

    assert opened["all"].needs == {"users", "more"}
    assert opened["users"].needs == frozenset()


def test_a_catalog_may_not_build_on_itself(composed):
    """It is refused, wherever it is found out."""
    composed.config["catalogs"]["all"]["of"] = ["users", "all"]
    composed.save()

    with pytest.raises(ConfigError, match=r"itself|all"):
        open_catalogs(composed.load(), {})


def test_a_file_that_is_missing_names_the_place_in_the_configuration(site):
    """File, line, column and key, then the cause."""
    (site.directory / "tokens.yaml").unlink()

    with pytest.raises(ConfigError, match=r"authproxy\.yaml:\d+:\d+: catalogs\.users: .*tokens\.yaml"):
        open_catalogs(site.load(), {})


class Source:
    """A catalog that is read again, as told."""

    def __init__(self, poll=None, error=None):
        self.poll = poll
        self.error = error
        self.reads = 0

    def peek(self, _zone, _user_id):
        return MISS

    async def look_up(self, _zone, _user_id):
        return None

    async def aclose(self):
        pass

    def reload(self):
        self.reads += 1
        if self.error is not None:
            raise self.error
        return Reloaded(changed=True, records=self.reads)


def opened(**sources):
    return {name: Opened(options=Options(), catalog=source, needs=frozenset()) for name, source in sources.items()}


def test_a_source_that_fails_is_an_outcome():
    """The error is told in one line, and nobody else is disturbed."""
    outcome = reload_one("users", Source(error=MaterialError("tokens.yaml", "is garbled")))

    assert outcome.reloaded is None
    assert outcome.error == "tokens.yaml: is garbled"


async def test_all_are_read_when_told():
    """With and without a time of their own, each once."""
    sources = {"a": Source(), "b": Source(poll=timedelta(hours=1))}
    outcomes = await Poller().reload_all(opened(**sources))

    assert [(outcome.name, outcome.error) for outcome in outcomes] == [("a", ""), ("b", "")]
    assert [source.reads for source in sources.values()] == [1, 1]


@pytest.mark.parametrize(("now", "reads"), [(9.999, 0), (10.0, 1), (19.999, 1), (25.0, 1)])
async def test_a_poll_comes_when_its_time_has_come(now, reads):
    """Not a moment earlier; and once, however late."""
    poller, source = Poller(), Source(poll=timedelta(seconds=10))
    await poller.reload_due(opened(a=source), 0.0)
    await poller.reload_due(opened(a=source), now)

    assert source.reads == reads


async def test_a_poll_comes_again_and_again():
    """Each time the period has passed."""
    poller, source = Poller(), Source(poll=timedelta(seconds=10))
    for now in range(61):
        await poller.reload_due(opened(a=source), float(now))

    assert source.reads == 6


@pytest.mark.parametrize("poll", [None, timedelta(0)])
async def test_without_a_time_there_is_no_poll(poll):
    """Only a reload reads it."""
    poller, source = Poller(), Source(poll=poll)
    for now in range(100):
        await poller.reload_due(opened(a=source), float(now))

    assert source.reads == 0


@pytest.mark.parametrize("error", [RuntimeError("plug-in"), OSError("disk"), ValueError()])
async def test_a_source_that_crashes_stops_neither_the_others_nor_the_polling(error):
    """It counts as failed, by its name."""
    bad, good = Source(error=error), Source()
    outcomes = await Poller().reload_all(opened(bad=bad, good=good))

    assert [outcome.name for outcome in outcomes] == ["bad", "good"]
    assert outcomes[0].reloaded is None
    assert outcomes[0].error
    assert outcomes[1].reloaded is not None


async def test_a_catalog_is_never_read_twice_at_once():
    """A poll that meets a reload waits."""

    class Slow(Source):
        at_work = 0
        most = 0

        @override
        def reload(self):
            self.at_work += 1
            self.most = max(self.most, self.at_work)
            result = super().reload()
            self.at_work -= 1
            return result

    source, poller = Slow(), Poller()
    await asyncio.gather(*(poller.reload_all(opened(a=source)) for _ in range(20)))

    assert source.most == 1
    assert source.reads == 20


def test_rows_are_the_file_s(site):
    """What was opened answers with them, and a reload brings the next ones."""
    first, second = site.row(), site.row()
    site.put("tokens.yaml", yaml.safe_dump([first]))
    catalog = open_catalogs(site.load(), {})["users"].catalog
    site.put("tokens.yaml", yaml.safe_dump([first, second]))
    assert isinstance(catalog, Reloadable)
    outcome = reload_one("users", catalog)

    assert outcome.reloaded is not None
    assert outcome.reloaded.records == 2
