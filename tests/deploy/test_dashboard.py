"""The Grafana dashboard: whole, importable, and for whatever data source, instances, zones and routes there are."""

import json
import re
from pathlib import Path

import pytest

DASHBOARD = json.loads((Path(__file__).parents[2] / "deploy/prometheus/authproxy.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
VARIABLES = {one["name"]: one for one in DASHBOARD["templating"]["list"]}
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24


def test_it_can_be_imported():
    """Grafana gives it an id of its own; its uid is what links to it name."""
    assert DASHBOARD["id"] is None
    assert re.fullmatch(r"[a-z-]{1,40}", DASHBOARD["uid"])
    assert DASHBOARD["title"]
    assert DASHBOARD["schemaVersion"] >= 36
    assert "__inputs" not in DASHBOARD


def test_the_rows_are_there():
    """In the order in which one looks."""
    rows = [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"]

    assert rows == [
        "Now", "Traffic", "Refusals", "Latency", "Upstreams", "TLS and certificates", "Reloads and catalogs", "Sessions",
        "Connections", "Process",
    ]  # fmt: skip


def test_every_query_goes_to_the_chosen_data_source():
    """None names one of the house where it was made."""
    asked = [
        *PANELS,
        *(target for panel in PANELS for target in panel["targets"]),
        *(one for name, one in VARIABLES.items() if name != "datasource"),
        *DASHBOARD["annotations"]["list"],
    ]

    assert [one for one in asked if one["datasource"] != SOURCE] == []
    assert VARIABLES["datasource"] | {"query": "prometheus", "type": "datasource"} == VARIABLES["datasource"]


def test_variables_are_those_that_queries_use():
    """No choice without effect, and no query with a variable that nobody sets."""
    texts = [target["expr"] for panel in PANELS for target in panel["targets"]]
    texts += [one["expr"] for one in DASHBOARD["annotations"]["list"]]
    used = {name for text in texts for name in re.findall(r"\$\{?(\w+)", text)} - {"__rate_interval"}

    assert used | {"datasource"} == set(VARIABLES)
    assert list(VARIABLES) == ["datasource", "instance", "zone", "route"]


@pytest.mark.parametrize("name", ["instance", "zone", "route"])
def test_all_means_all(name):
    """Also what has no name: public routes have no zone, and what was refused early no route."""
    chosen = VARIABLES[name]

    assert (chosen["multi"], chosen["includeAll"], chosen["allValue"]) == (True, True, ".*")
    assert chosen["query"]["query"].startswith("label_values(authproxy_")


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_every_panel_is_whole(panel):
    """It says what it shows and in which unit, each of its queries has a name, and it heeds the choice of instances."""
    names = [target["refId"] for target in panel["targets"]]

    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert names
    assert len(names) == len(set(names))
    for target in panel["targets"]:
        selectors = re.findall(
            r"(?:authproxy|process)_\w+(\{[^}]*\})?", re.sub(r"\w+:(\w+):\w+", r"\1", target["expr"])
        )
        assert selectors
        assert all("$instance" in matchers or "$route" in matchers for matchers in selectors), target["expr"]


def test_no_two_panels_are_in_the_same_place():
    """And none hangs over the edge; ids are of one panel each."""
    taken: dict[tuple[int, int], str] = {}
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert 0 <= place["x"] <= WIDTH - place["w"], panel["title"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]
    identities = [panel["id"] for panel in DASHBOARD["panels"]]

    assert len(identities) == len(set(identities))


def test_rates_fit_any_scrape_interval():
    """Grafana's own interval in every range but those of annotations."""
    ranges = {
        found for panel in PANELS for target in panel["targets"] for found in re.findall(r"\[([^]]+)\]", target["expr"])
    }

    assert ranges == {"$__rate_interval"}
