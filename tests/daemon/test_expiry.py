"""What ends is told in time, each time once; at every scrape it is told again."""

import asyncio
import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from authproxy.daemon import log
from authproxy.daemon import proxy as daemon
from authproxy.daemon.expiry import Ending, Kind, Warner, endings_of, first_ends
from authproxy.daemon.material import Material
from authproxy.daemon.ops import describe
from authproxy.daemon.proxy import Proxy
from authproxy.keystore import Refusals, load_truststore, with_refusals
from authproxy.keystore.generate import Algorithm, Validity, alternative_name, keys_file, new_authority, new_server
from tests.keystore.conftest import put, root
from tests.keystore.revocation import crl_of, pem
from tests.patience import PATIENCE
from tests.ports import free_port

__all__ = ["put", "root"]

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
EC = Algorithm.EC_P256


@pytest.fixture
def said():
    """`said()` returns the lines since it was last asked, each as its event and its days."""
    stream = io.StringIO()
    log.configure("debug", stream)
    seen = 0

    def find():
        nonlocal seen
        lines = [json.loads(line) for line in stream.getvalue().splitlines()]
        news, seen = lines[seen:], len(lines)
        return [line for line in news if line["event"].startswith(("certificate.", "crl."))]

    return find


def ending(end, name="main", mark="a", kind=Kind.KEYSTORE):
    return Ending(kind=kind, name=name, mark=mark, subject="CN=x", source="x.pem", end=end)


@pytest.mark.parametrize("days", [30, 7, 1])
def test_warning_comes_once_at_each_bound(days, said):
    """Nothing a second before, one line at the very instant, none afterwards."""
    warner, end = Warner(), NOON
    warner.look([ending(end)], end - days * DAY - SECOND)
    before = said()

    warner.look([ending(end)], end - days * DAY)
    (line,) = said()
    warner.look([ending(end)], end - days * DAY + SECOND)

    assert said() == []
    assert len(before) == (days < 30)
    assert (line["event"], line["level"], line["keystore"], line["days"]) == (
        "certificate.expiring",
        "warning",
        "main",
        days,
    )
    assert (line["file"], line["subject"], line["not_after"]) == ("x.pem", "CN=x", end.isoformat())


def test_end_itself_is_told_once(said):
    """As an error for what clients are shown, as a warning for an authority in a bundle."""
    warner = Warner()
    both = [ending(NOON), ending(NOON, "ca", kind=Kind.TRUSTSTORE)]
    warner.look(both, NOON - SECOND)
    said()

    warner.look(both, NOON)
    own, trusted = said()
    warner.look(both, NOON + DAY)

    assert said() == []
    assert (own["event"], own["level"], own["keystore"]) == ("certificate.expired", "error", "main")
    assert (trusted["event"], trusted["level"], trusted["truststore"]) == ("certificate.expired", "warning", "ca")


def test_late_start_tells_the_nearest_bound_only(said):
    """Three days before the end there is one line, not two."""
    Warner().look([ending(NOON)], NOON - 3 * DAY)

    (line,) = said()
    assert line["days"] == 3


def test_another_certificate_is_told_anew(said):
    """One that was replaced by another that ends soon, too; the same one again is not."""
    warner = Warner()
    warner.look([ending(NOON, mark="a")], NOON - 5 * DAY)
    warner.look([ending(NOON, mark="b")], NOON - 5 * DAY)

    assert len(said()) == 2
    warner.look([ending(NOON, mark="b")], NOON - 5 * DAY)
    assert said() == []


def crl_ending(put, root, begin, end):
    """The ending of a revocation list that lives so long."""
    anchors = load_truststore("ca", put("ca.pem", root.cert_pem, 0o644))
    refusals = Refusals(crls=(put("ca.crl", pem(crl_of(root, begin=begin, end=end, now=NOON)), 0o644),))
    trust = with_refusals(anchors, refusals, NOON)
    (found,) = [one for one in endings_of(Material(truststores={"ca": trust})) if one.kind is Kind.CRL]
    return found


@pytest.mark.parametrize(
    ("days", "hours"), [(30, [168, 24, 6, 1, 0]), (7, [24, 6, 1, 0]), (1, [6, 1, 0]), (1 / 12, [1, 0])]
)
def test_a_revocation_list_is_told_as_befits_its_life(put, root, said, days, hours):
    """Once at each bound that is at most half of its life away from its end; never while it is fresh."""
    crl = crl_ending(put, root, timedelta(), days * DAY)
    warner, told = Warner(), []
    moment = NOON
    while moment <= crl.end:
        warner.look([crl], moment)
        told += [(line["event"], line["hours"], line["truststore"]) for line in said()]
        moment += timedelta(minutes=30)

    assert told == [("crl.expired" if left == 0 else "crl.expiring", left, "ca") for left in hours]


def test_a_list_that_is_out_of_date_is_the_one_that_counts(put, root):
    """Nobody of its authority comes in, whatever others say."""
    crl = crl_ending(put, root, -DAY, DAY)

    assert first_ends([crl, replace(crl, end=NOON + 9 * DAY)], Kind.CRL, NOON + 2 * DAY) == {"ca": NOON + DAY}


def test_first_of_each_name_counts():
    """One that has ended counts only where nothing else is left."""
    ends = [
        ending(NOON - 9 * DAY, "ca", "a", Kind.TRUSTSTORE),
        ending(NOON + 2 * DAY, "ca", "b", Kind.TRUSTSTORE),
        ending(NOON + 1 * DAY, "ca", "c", Kind.TRUSTSTORE),
        ending(NOON - 2 * DAY, "dead", "a", Kind.TRUSTSTORE),
        ending(NOON - 1 * DAY, "dead", "b", Kind.TRUSTSTORE),
        ending(NOON, "main"),
    ]

    assert first_ends(ends, Kind.TRUSTSTORE, NOON) == {"ca": NOON + DAY, "dead": NOON - DAY}
    assert first_ends(ends, Kind.KEYSTORE, NOON) == {"main": NOON}


def test_first_certificate_of_a_keystore_and_every_authority_count(site):
    """A root in a keys file that ends first is the end of the keystore."""
    short = new_authority("short", Validity.of_days(site.now, 3), EC)
    own = new_server(short, [alternative_name("localhost")], Validity.of_days(site.now, 9), EC)
    site.put("server.pem", keys_file(short, own))
    site.put("ca.pem", site.root.certificate_pem() + site.other.certificate_pem(), 0o644)

    ends = endings_of(site.prepare().material)

    assert [(each.kind, each.name, each.subject) for each in ends] == [
        (Kind.KEYSTORE, "main", "CN=short"), (Kind.TRUSTSTORE, "ca", "CN=root"), (Kind.TRUSTSTORE, "ca", "CN=other"),
    ]  # fmt: skip
    assert ends[0].end == short.certificate.not_valid_after_utc


async def test_running_process_looks_again(site, said, monkeypatch):
    """Nobody has to reload for a warning, and `/status` shows both ends."""
    site.config["listeners"]["public"]["bind"] = f"127.0.0.1:{free_port()}"
    site.config["logging"] = {"access": "off"}
    site.config["timeouts"] = {"drain": "0s"}
    site.save()
    for name in ("_POLL", "_CALENDAR"):
        monkeypatch.setattr(daemon, name, 0.0)
    moment = site.now
    made = Proxy(site.load, {}, lambda: moment)
    await made.start()
    at_start = said()
    moment = site.now + 15 * DAY
    later: list[dict[str, object]] = []
    async with asyncio.timeout(PATIENCE):
        while len(later) < 2:
            await asyncio.sleep(0)
            later += said()
    status = describe(made)
    await made.drain(asyncio.Event())
    await made.aclose()

    for lines, days in ((at_start, {19, 20}), (later, {4, 5})):
        assert [(line["event"], line.get("keystore"), line.get("truststore")) for line in lines] == [
            ("certificate.expiring", "main", None), ("certificate.expiring", None, "ca"),
        ]  # fmt: skip
        assert {line["days"] for line in lines} <= days
    ends = made.status.endings
    assert status["certificates"] == {"main": ends[0].end.isoformat()}
    assert status["trust"] == {"ca": ends[1].end.isoformat()}
