"""What is shipped for Prometheus and Grafana, against a real proxy and a real Prometheus: nothing asks for what is not there."""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests import metrics_page
from tests.deploy import promql
from tests.deploy.prometheus import SHIPPED, Prometheus, Street, configure, far_house, tls_files
from tests.promises.conftest import Pki, Service, server_side, until

pytestmark = pytest.mark.timeout(300)
DASHBOARD = json.loads((SHIPPED / "authproxy.json").read_text())
# What shows only when something breaks that is not broken here; and the annotations.
MAY_BE_EMPTY = {"Failures of the store", "Not decided", "Alerts", "Reloads"}
SILENT_METRICS = {"authproxy_session_store_failures_total"}


def queries() -> Iterator[tuple[str, str]]:
    """The queries of all panels and annotations, with their titles, as Grafana sends them for All."""
    found = [(panel["title"], target["expr"]) for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]
    found += [(one["name"], one["expr"]) for one in DASHBOARD["annotations"]["list"]]
    for title, query in found:
        sent = query.replace("$__rate_interval", "1m")
        yield title, re.sub(r"\$(instance|zone|route)\b", ".*", sent)


@pytest.fixture(scope="module")
def street(tmp_path_factory):
    """A proxy to which everything happens, and has happened twice before anybody looks."""
    pki = Pki()
    service = Service(server_side(pki.server(), tmp_path_factory.mktemp("service")))
    made = Street(tmp_path_factory.mktemp("near"), pki, service)
    made.start()
    with made.websocket():
        made.go()
        yield made
    made.house.aclose()
    made.target.listening.close()
    service.aclose()


@pytest.fixture(scope="module")
def far(street, tmp_path_factory):
    """Another one, which answers nobody but Prometheus."""
    service = Service(None)
    house = far_house(tmp_path_factory.mktemp("far"), street.pki, service)
    running = house.spawn()
    running.told("proxy.started")
    yield house
    house.aclose()
    service.aclose()


@pytest.fixture(scope="module")
def prometheus(street, far, tool, tmp_path_factory):
    """It has asked both, a few times, while things happened."""
    directory = tmp_path_factory.mktemp("prometheus")
    configure(directory, street.house.ops_port, far.ops_port)
    tls_files(directory / "tls", street.pki)
    made = Prometheus(tool("prometheus"), directory)
    yield made
    made.close()


def test_the_page_of_metrics_is_what_a_scrape_shows(street):
    """Names, types and labels, both ways; so it is true of the running program what the page says."""
    body = street.running.ops("/metrics").body.decode()
    shown = {metrics_page.queried(one): one for one in text_string_to_metric_families(body)}
    promised = metrics_page.rows()

    assert shown.keys() == promised.keys()
    seen = {name: (one.type, metrics_page.labels(one.samples)) for name, one in shown.items()}
    for name in SILENT_METRICS:
        seen[name] = (seen[name][0], promised[name][1])
    assert seen == promised


def test_no_client_makes_a_series(street):
    """Whatever it sends: paths, hosts, methods, names of users."""
    street.go()
    before = series(street)
    with street.house.client() as client:
        for number in range(20):
            client.ask(f"/x{number}", street.house.new_user(), User_Agent=f"agent {number}")
            client.ask(f"/public/{number}", Host=f"{number}.test")
            client.ask("/x", method=f"M{number}", **{"X-Request-Id": f"id{number}"})

    assert series(street) == before


def series(street) -> set[str]:
    """Everything but the values."""
    body = street.running.ops("/metrics").body.decode()
    return {line.rpartition(" ")[0] for line in body.splitlines() if not line.startswith("#")}


def missing(prometheus: Prometheus) -> list[str]:
    """The panels that show nothing, or no number."""
    return sorted({title for title, query in queries() if not any(is_number(one) for one in prometheus.query(query))})


def is_number(one: dict[str, Any]) -> bool:
    """Whether a series says something."""
    return math.isfinite(float(one["value"][1]))


def test_every_panel_shows_something(street, prometheus):
    """Prometheus reads every query, and where things happened there is something to see."""

    def empty() -> list[str]:
        street.go()
        return [title for title in missing(prometheus) if title not in MAY_BE_EMPTY]

    last: list[str] = []

    def is_full() -> bool:
        last[:] = empty()
        return not last

    try:
        until(is_full, 150)
    except AssertionError:
        pytest.fail(f"panels that stay empty: {last}")


def test_both_ways_to_scrape_work(prometheus):
    """On the same machine, and from another one with certificates on both sides."""
    until(lambda: len(prometheus.query('up{job=~"authproxy.*"} == 1')) == 2, what="both targets to be up")

    assert {one["metric"]["job"] for one in prometheus.query("authproxy_ready == 1")} == {
        "authproxy",
        "authproxy-remote",
    }


def test_every_rule_is_evaluated(prometheus):
    """Without an error, and what alerts say can be said."""

    def rules() -> list[dict[str, Any]]:
        return [rule for group in prometheus.ask("/api/v1/rules")["groups"] for rule in group["rules"]]

    def alerts() -> list[dict[str, Any]]:
        return [alert for rule in rules() for alert in rule.get("alerts", ())]

    until(lambda: all(rule["health"] == "ok" for rule in rules()), what="rules to be evaluated")
    # There is an endpoint where nobody listens, and a certificate with less than 30 days.
    about = {"AuthproxyEndpointAway", "AuthproxyCertificateEnds"}
    until(lambda: about <= {alert["labels"]["alertname"] for alert in alerts()}, what=f"the alerts {about}")
    texts = [text for alert in alerts() for text in alert["annotations"].values()]
    assert [text for text in texts if "<error" in text or "<no value>" in text] == []


def test_examples_can_be_asked(prometheus):
    """Prometheus reads each, whether or not it answers something now."""
    for query in metrics_page.examples().values():
        prometheus.query(query)


def test_queries_name_what_the_scrape_has(street):
    """Each metric and each label of every panel, in the very scrape; recorded series are the rules' test's."""
    body = street.running.ops("/metrics").body.decode()
    found: dict[str, set[str]] = {}
    for one in text_string_to_metric_families(body):
        found[metrics_page.queried(one)] = set(metrics_page.labels(one.samples))
    for name in SILENT_METRICS:
        found[name] = set(metrics_page.rows()[name][1])
    names = frozenset(found)

    for title, query in queries():
        asked = [(promql.family(name, names), labels) for name, labels in promql.selectors(query) if ":" not in name]
        assert asked or ":" in query or "ALERTS" in query, title
        for name, labels in asked:
            assert name in names, (title, name)
            assert labels <= found[name] | {"instance", "job"}, (title, name)
        known = {"le", "instance"}.union(*(found[name] for name, _ in asked))
        if asked:
            assert promql.groupings(query) <= known, title
