"""What is counted is readable by Prometheus, under the names that operators were told."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from authproxy import events
from authproxy.core.stats import Stats
from authproxy.daemon.expiry import Ending, Kind
from authproxy.daemon.exposition import exposition
from authproxy.daemon.metrics import ProxyCollector
from authproxy.daemon.status import Stage, Status
from authproxy.door.caps import Caps
from authproxy.edge.access_log import AccessLog
from authproxy.edge.services import Services
from authproxy.runtime import Current, Runtime
from authproxy.upstream.means import Means
from authproxy.upstream.pool import Upstream, UpstreamTimes
from authproxy.upstream.side import Endpoint
from tests import metrics_page

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
DOCUMENTED = {value for name, value in vars(events).items() if name.startswith("METRIC_")}


class Shaking:
    """A handshake under way."""

    def give_up(self, reason):
        """It has all the time it wants."""


class Source:
    """A process in which something of everything has happened."""

    def __init__(self):
        self.stats = Stats()
        self.status = Status(started=NOON, stage=Stage.SERVING, generation=7)
        times = UpstreamTimes(connect=1, response_head=1, idle=1)
        legacy = Upstream(
            "legacy",
            [Endpoint(host="127.0.0.1", port=1, max_connections=8)],
            times,
            self.stats.upstream("legacy"),
            Means(spawn=print),
        )
        runtime = Runtime(generation=7, listeners={}, zones={}, upstreams={"legacy": legacy}, identity=())
        self.services = Services(
            current=Current(runtime),
            journal=AccessLog(None),
            spawn=print,
            monotonic=lambda: 0.0,
            now=lambda: NOON,
            on_crash=print,
            on_revoked=print,
            stats=self.stats,
        )
        route = self.stats.route('a "quoted"\\ route\n', "api")
        route.statuses.update({200: 3, 401: 2})
        route.reasons["no-credential"] = 2
        # 0.4 ms, 3 ms and 99 s, each in its bucket.
        for seconds in (0.0004, 0.003, 99.0):
            route.duration.add(seconds)
        route.upstream.add(0.01)
        route.authentication.add(0.2)
        route.graced, route.upgraded = 4, 2
        route.received_bytes, route.sent_bytes = 11, 22
        upstream = self.stats.upstream("legacy")
        upstream.connects, upstream.connect_failures, upstream.reused, upstream.retries = 5, 1, 4, 2
        upstream.failures["upstream-refused"] = 1
        upstream.connecting.add(0.02)
        endpoint = upstream.endpoint("127.0.0.1:1")
        endpoint.connects, endpoint.connect_failures, endpoint.faults, endpoint.ejections = 5, 1, 2, 3
        endpoint.checks, endpoint.check_failures = 9, 4
        side = legacy.sides[0]
        side.busy = 6
        side.standing.is_healthy = False
        side.standing.eject(0.0, unreachable=True)
        listener = self.stats.listener("public")
        listener.accepted, listener.handshakes = 9, 8
        listener.handshake_failures["timeout"] = 1
        listener.refused["too-many-connections"] = 3
        listener.revoked["certificate-refused"] = 1
        listener.shaking.add(0.004)
        listener.sessions["TLSv1.3", "full"], listener.sessions["TLSv1.2", "resumed"] = 6, 2
        tunnel = self.stats.tunnel("repl")
        tunnel.opened, tunnel.open, tunnel.sent, tunnel.received = 3, 1, 20, 10
        tunnel.ends["whole"] = 2
        self.stats.lag.add(0.3)
        self.stats.crashes["task"] = 1
        self.caps = Caps()
        self.caps.connections, self.caps.handshakes = 100, 10
        self.caps.arrive(Shaking(), 1.0)
        people = self.stats.sessions_of("web")
        people.logins["ok"], people.logins["token-mismatch"], people.refreshes = 3, 2, 4
        people.ended["signed-out"] = 1
        store = self.stats.store("browser")
        store.duration.add(0.003)
        store.failures["timeout"] = 7
        self.status.note("config", NOON)
        self.status.note("trust", NOON, "ca.pem: bad")
        self.status.records["users"], self.status.rejected["users"] = 3, 1
        ends = (("main", Kind.KEYSTORE, 1), ("ca", Kind.TRUSTSTORE, 2), ("ca", Kind.CRL, 3))
        self.status.endings = tuple(
            Ending(kind=kind, name=name, mark="", subject="", source="", end=NOON + timedelta(hours=hours))
            for name, kind, hours in ends
        )
        self.status.unsafe = ("one", "two")

    def lines_dropped(self):
        return 6

    def now(self):
        return NOON


@pytest.fixture
def source():
    return Source()


@pytest.fixture
def scrape(source):
    """`scrape()` returns the families as a Prometheus would read them."""
    registry = CollectorRegistry()
    registry.register(ProxyCollector(source))
    return lambda: list(text_string_to_metric_families(generate_latest(registry).decode()))


@pytest.fixture
def value(scrape):
    """`value(sample, **labels)` returns one value of a scrape, or None."""

    def find(name, **labels):
        for family in scrape():
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return sample.value
        return None

    return find


def test_every_family_is_documented_and_every_documented_one_is_there(scrape):
    """Operators rely on the names in `events`."""
    assert {family.name for family in scrape()} == DOCUMENTED


def test_the_page_tells_of_every_metric(scrape):
    """Type and labels too, and of no other; what is here has happened all, so that no label is hidden."""
    process = CollectorRegistry()
    ProcessCollector(registry=process)
    families = [*scrape(), *process.collect()]

    shown = {metrics_page.queried(one): (one.type, metrics_page.labels(one.samples)) for one in families}

    assert metrics_page.rows() == shown


def test_every_family_says_what_it_is(scrape):
    """A sentence and a type, none of them unknown."""
    for family in scrape():
        assert family.documentation.endswith("."), family.name
        assert family.type in {"counter", "gauge", "histogram"}, family.name


def test_names_follow_the_house(scrape):
    """Counters end in `_total`, and everything is ours."""
    for family in scrape():
        assert family.name.startswith("authproxy_")
        if family.type == "counter":
            assert all(sample.name.endswith(("_total", "_created")) for sample in family.samples)


def test_no_series_appears_twice(scrape):
    """A Prometheus would refuse the whole scrape."""
    seen = [(sample.name, tuple(sorted(sample.labels.items()))) for family in scrape() for sample in family.samples]

    assert len(seen) == len(set(seen))


def test_requests_are_told_by_route_and_status(value):
    """Names of routes survive whatever stands in them."""
    labels = {"route": 'a "quoted"\\ route\n', "zone": "api"}

    assert value("authproxy_requests_total", **labels, status="200") == 3
    assert value("authproxy_refusals_total", **labels, reason="no-credential") == 2
    assert value("authproxy_request_body_bytes_total", **labels) == 11
    assert value("authproxy_answer_body_bytes_total", **labels) == 22


def test_requests_without_a_route_are_counted_too(source, value):
    """Under empty names."""
    source.stats.unrouted.statuses[404] = 5
    source.stats.unrouted.reasons["no-route"] = 5

    assert value("authproxy_requests_total", route="", zone="", status="404") == 5
    assert value("authproxy_refusals_total", route="", zone="", reason="no-route") == 5


def test_histograms_are_cumulative(value):
    """What is below a bound is below all higher ones; the last bucket has everything."""
    labels = {"route": 'a "quoted"\\ route\n', "zone": "api"}
    name = "authproxy_request_duration_seconds"

    assert value(f"{name}_bucket", **labels, le="0.0005") == 1
    assert value(f"{name}_bucket", **labels, le="0.001") == 1
    assert value(f"{name}_bucket", **labels, le="0.005") == 2
    assert value(f"{name}_bucket", **labels, le="30.0") == 2
    assert value(f"{name}_bucket", **labels, le="+Inf") == 3
    assert value(f"{name}_count", **labels) == 3
    assert value(f"{name}_sum", **labels) == pytest.approx(99.0034)


def test_reloads_are_told_by_part(value):
    """How often, how it ended last, and when."""
    assert value("authproxy_reload_total", part="config", result="ok") == 1
    assert value("authproxy_reload_total", part="trust", result="failed") == 1
    assert value("authproxy_config_last_reload_success", part="config") == 1
    assert value("authproxy_config_last_reload_success", part="trust") == 0
    assert value("authproxy_config_last_reload_timestamp_seconds", part="config") == NOON.timestamp()
    assert value("authproxy_config_generation") == 7


def test_people_who_sign_in_are_told_by_zone(value):
    """How they signed in, how sessions ended, and how their store answers."""
    assert value("authproxy_logins_total", zone="web", result="ok") == 3
    assert value("authproxy_logins_total", zone="web", result="token-mismatch") == 2
    assert value("authproxy_sessions_ended_total", zone="web", reason="signed-out") == 1
    assert value("authproxy_session_refreshes_total", zone="web") == 4
    assert value("authproxy_session_store_failures_total", store="browser", reason="timeout") == 7
    assert value("authproxy_session_store_duration_seconds_bucket", store="browser", le="0.005") == 1
    assert value("authproxy_session_store_duration_seconds_count", store="browser") == 1


def test_the_rest_has_its_figures(value):
    """Upstreams, listeners, catalogs, certificates, unsafe wishes, lost lines."""
    assert value("authproxy_upstream_connects_total", upstream="legacy") == 5
    assert value("authproxy_upstream_connect_failures_total", upstream="legacy") == 1
    assert value("authproxy_upstream_reuses_total", upstream="legacy") == 4
    assert value("authproxy_upstream_retries_total", upstream="legacy") == 2
    assert value("authproxy_upstream_failures_total", upstream="legacy", reason="upstream-refused") == 1
    assert value("authproxy_upstream_idle_connections", upstream="legacy") == 0
    assert value("authproxy_connections_accepted_total", listener="public") == 9
    assert value("authproxy_handshakes_total", listener="public", result="ok") == 8
    assert value("authproxy_handshakes_total", listener="public", result="timeout") == 1
    assert value("authproxy_connections") == 0
    assert value("authproxy_catalog_records", catalog="users") == 3
    assert value("authproxy_catalog_rejected_rows", catalog="users") == 1
    assert value("authproxy_cert_expiry_seconds", keystore="main") == 3600
    assert value("authproxy_trust_expiry_seconds", truststore="ca") == 7200
    assert value("authproxy_crl_expiry_seconds", truststore="ca") == 10800
    assert value("authproxy_unsafe_settings") == 2
    assert value("authproxy_access_log_dropped_total") == 6


def test_each_endpoint_has_its_figures(value):
    """Under its upstream and the URL's host and port."""
    labels = {"upstream": "legacy", "endpoint": "127.0.0.1:1"}
    name = "authproxy_upstream_endpoint"

    assert value("authproxy_upstream_busy_connections", upstream="legacy") == 6
    assert value("authproxy_upstream_waiting_requests", upstream="legacy") == 0
    assert value(f"{name}_busy_connections", **labels) == 6
    assert value(f"{name}_idle_connections", **labels) == 0
    assert value(f"{name}_connects_total", **labels) == 5
    assert value(f"{name}_connect_failures_total", **labels) == 1
    assert value(f"{name}_faults_total", **labels) == 2
    assert value(f"{name}_ejections_total", **labels) == 3
    assert value(f"{name}_health_checks_total", **labels, result="ok") == 5
    assert value(f"{name}_health_checks_total", **labels, result="failed") == 4
    assert value(f"{name}_healthy", **labels) == 0
    assert value(f"{name}_ejected", **labels) == 1


def test_waiting_for_a_verdict_is_told_where_somebody_is_asked(source, value):
    """Nobody waits on a public route."""
    source.stats.route("public", "")
    name = "authproxy_authentication_duration_seconds_count"

    assert value(name, route='a "quoted"\\ route\n', zone="api") == 1
    assert value(name, route="public", zone="") is None
    assert value("authproxy_request_duration_seconds_count", route="public", zone="") == 0
    assert value("authproxy_grace_requests_total", route='a "quoted"\\ route\n', zone="api") == 4
    assert value("authproxy_grace_requests_total", route="public", zone="") is None
    assert value("authproxy_upgraded_connections", route='a "quoted"\\ route\n', zone="api") == 2


def test_handshakes_are_told_by_what_came_of_them(value):
    """How long, which version, and whether a session was resumed."""
    assert value("authproxy_handshake_duration_seconds_bucket", listener="public", le="0.005") == 1
    assert value("authproxy_tls_sessions_total", listener="public", version="TLSv1.3", handshake="full") == 6
    assert value("authproxy_tls_sessions_total", listener="public", version="TLSv1.2", handshake="resumed") == 2
    assert value("authproxy_connections_revoked_total", listener="public", reason="certificate-refused") == 1


def test_a_store_that_is_away_is_told(source, value):
    """By its name, as `/readyz` tells it."""
    assert value("authproxy_session_store_away", store="browser") == 0
    source.status.away["browser"] = "nobody listens"
    assert value("authproxy_session_store_away", store="browser") == 1


def test_limits_stand_beside_what_they_bound(value):
    """So that an alert can come before the limit does."""
    assert value("authproxy_connections_limit") == 100
    assert value("authproxy_handshakes_pending") == 1
    assert value("authproxy_handshakes_limit") == 10
    assert value("authproxy_upstream_connections_limit", upstream="legacy") == 8


def test_an_upstream_without_a_limit_has_none(source, value):
    """Rather than one of nought."""
    source.services.current.runtime.upstreams["legacy"].sides[0].endpoint = Endpoint(host="127.0.0.1", port=1)

    assert value("authproxy_upstream_connections_limit", upstream="legacy") is None


def test_the_process_tells_how_it_is(source, value):
    """Whether it serves, how late its timers go off, and its own faults, which are there before the first."""
    assert value("authproxy_ready") == 1
    source.status.stage = Stage.DRAINING
    assert value("authproxy_ready") == 0
    assert value("authproxy_event_loop_lag_seconds_bucket", le="0.25") == 0
    assert value("authproxy_event_loop_lag_seconds_bucket", le="0.5") == 1
    assert value("authproxy_crashes_total", part="task") == 1
    assert value("authproxy_crashes_total", part="loop") == 0


async def test_the_text_is_that_of_the_library(source):
    """Byte for byte, whatever stands in names; it is only made another way."""
    source.stats.route("ünï\\", 'q"').statuses[599] = 10**15
    source.stats.lag.add(1e-7)
    collector = ProxyCollector(source)
    registry = CollectorRegistry()
    registry.register(collector)

    assert await exposition(collector.collect()) == generate_latest(registry)


async def test_a_long_scrape_lets_others_have_their_turn(source):
    """Between any two families; and what changes meanwhile, a route that comes included, disturbs nobody."""
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            source.stats.route(f"route {turns}", "api").statuses[200] = turns
            source.stats.upstream(f"upstream {turns}").connects = turns
            await asyncio.sleep(0)

    task = asyncio.ensure_future(other())
    body = await exposition(ProxyCollector(source).collect())
    task.cancel()
    families = list(text_string_to_metric_families(body.decode()))

    assert turns >= len(families) == len(DOCUMENTED)


async def test_a_scrape_may_come_while_everything_is_counted(source, scrape):
    """New routes and reasons appear between two scrapes, without a stop."""
    before = len([sample for family in scrape() for sample in family.samples])
    source.stats.route("new", "api").statuses[200] = 1
    await asyncio.sleep(0)

    assert len([sample for family in scrape() for sample in family.samples]) > before
