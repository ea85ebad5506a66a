"""The rules that are shipped for Prometheus: right by its own checkers, each alert seen to fire and not to fire."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests import metrics_page
from tests.deploy import promql

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "deploy/prometheus"
GROUPS = yaml.safe_load((SHIPPED / "authproxy.rules.yaml").read_text())["groups"]
RULES = [rule for group in GROUPS for rule in group["rules"]]
ALERTS = [rule for rule in RULES if "alert" in rule]
RECORDED = {rule["record"]: rule["expr"] for rule in RULES if "record" in rule}
TESTED = yaml.safe_load((SHIPPED / "authproxy.rules.test.yaml").read_text())
TESTS = TESTED["tests"]
TARGET = frozenset({"job", "instance"})


@pytest.fixture
def promtool(tool):
    """`promtool(...)` runs it and returns what it said; it must find nothing wrong."""

    def run(*args):
        done = subprocess.run([tool("promtool"), *args], cwd=SHIPPED, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_promtool_takes_the_rules(promtool):
    """All of them."""
    assert f"{len(RULES)} rules found" in promtool("check", "rules", "authproxy.rules.yaml")


def test_promtool_takes_the_scrape_configuration(promtool, tmp_path):
    """With the files beside it that it names."""
    for name in ("scrape.yaml", "authproxy.rules.yaml"):
        shutil.copy(SHIPPED / name, tmp_path)
    (tmp_path / "tls").mkdir()
    for name in ("ca.pem", "prometheus.pem", "prometheus.key"):
        (tmp_path / "tls" / name).touch()

    assert "SUCCESS" in promtool("check", "config", str(tmp_path / "scrape.yaml"))


def test_every_alert_does_what_its_tests_say(promtool):
    """`promtool test rules`."""
    assert "SUCCESS" in promtool("test", "rules", "authproxy.rules.test.yaml")


def test_the_tests_take_the_groups_in_order():
    """Promtool takes a group that its list does not name at any time, and the alerts need what is recorded first."""
    assert TESTED["group_eval_order"] == [group["name"] for group in GROUPS]


def checks(alert):
    """What the tests of an alert expect, at each time."""
    for test in TESTS:
        for check in test["promql_expr_test"]:
            if f'alertname="{alert}"' in check["expr"]:
                yield test, check["exp_samples"]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda rule: f"{rule['alert']}-{rule['labels']['severity']}")
def test_every_alert_is_seen_to_fire_and_not_to_fire(alert):
    """With its severity; and somewhere not, for an instance that is near it and, where it waits, a little earlier."""
    seen = list(checks(alert["alert"]))
    severity = f'severity="{alert["labels"]["severity"]}"'
    instances = [len(set(re.findall(r'instance="([\w-]+)"', str(test["input_series"])))) for test, _ in seen]

    assert any(severity in one["labels"] for _, samples in seen for one in samples)
    assert any(len(samples) < count for (_, samples), count in zip(seen, instances, strict=True))
    assert "for" not in alert or any(severity not in str(samples) for _, samples in seen)


def test_no_test_is_of_an_alert_that_is_not_there():
    """A renamed alert would leave a test that cannot fail."""
    named = set(re.findall(r'alertname="(\w+)"', str(TESTS)))

    assert named == {rule["alert"] for rule in ALERTS}


@pytest.mark.parametrize("alert", ALERTS, ids=lambda rule: f"{rule['alert']}-{rule['labels']['severity']}")
def test_every_alert_says_what_to_do(alert):
    """A sentence, what it means, and a section of the page of alerts."""
    page, _, anchor = alert["annotations"]["runbook"].partition("#")

    assert alert["labels"]["severity"] in {"critical", "warning", "info"}
    assert set(alert["annotations"]) == {"summary", "description", "runbook"}
    assert anchor == alert["alert"].lower()
    assert f"\n### {alert['alert']}\n" in (ROOT / page).read_text()


def test_the_page_tells_of_no_other_alert():
    """What it explains is there."""
    told = re.findall(r"^### (\w+)$", (ROOT / "docs/alerts.md").read_text(), re.MULTILINE)

    assert sorted(told) == sorted({rule["alert"] for rule in ALERTS})


def known_labels(name):
    """The labels of what a rule or a recorded series asks for; fails when there is no such metric."""
    if name in RECORDED:
        return frozenset().union(*(known_labels(one) for one, _ in promql.selectors(RECORDED[name])))
    if name == "up":
        return TARGET
    documented = metrics_page.rows()
    metric = promql.family(name, frozenset(documented))
    assert metric in documented, f"there is no metric {name}"
    return documented[metric][1] | TARGET | ({"le"} if name.endswith("_bucket") else frozenset())


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_rules_ask_for_what_there_is(rule):
    """Metrics and labels of the page of metrics, which a scrape is compared with."""
    asked = list(promql.selectors(rule["expr"]))

    assert asked
    for name, labels in asked:
        assert labels <= known_labels(name), name
    assert promql.groupings(rule["expr"]) <= frozenset().union(*(known_labels(name) for name, _ in asked))
    shown = frozenset(re.findall(r"\$labels\.(\w+)", str(rule.get("annotations"))))
    assert shown <= frozenset().union(*(known_labels(name) for name, _ in asked))


@pytest.mark.parametrize("name", metrics_page.rows())
def test_examples_ask_for_what_there_is(name):
    """Each is of its own metric, and names labels that it has."""
    query = metrics_page.examples()[name]
    asked = list(promql.selectors(query))

    assert name in {promql.family(one, frozenset(metrics_page.rows())) for one, _ in asked}
    assert all(labels <= known_labels(one) for one, labels in asked)
    assert promql.groupings(query) <= frozenset().union(*(known_labels(one) for one, _ in asked))
