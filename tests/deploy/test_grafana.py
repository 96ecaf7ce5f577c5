"""The dashboard: its panels ask for what exists, and lie side by side."""

import json
import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest
import yaml

from tests.deploy.exposition import SCRAPED, asked_for, exposed_labels
from tests.deploy.test_prometheus import RECORDED, ROOT

FOLDER = ROOT / "deploy" / "grafana"
DASHBOARD = json.loads((FOLDER / "dashboards" / "dragoman.json").read_text(encoding="utf-8"))
PANELS: list[dict[str, Any]] = [p for p in DASHBOARD["panels"] if p["type"] != "row"]
VARIABLES = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
BUILT_IN = {"__rate_interval", "__all"}
each_panel = pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])


def expressions() -> Iterator[str]:
    for panel in PANELS:
        for target in panel["targets"]:
            yield target["expr"]
    for variable in DASHBOARD["templating"]["list"]:
        yield variable.get("definition", "")
    for annotation in DASHBOARD["annotations"]["list"]:
        yield annotation["expr"]


@pytest.mark.parametrize("expression", sorted(set(expressions()) - {""}))
def test_an_expression_names_only_what_exists(expression: str) -> None:
    exposed = exposed_labels()
    expression = expression.replace("$__rate_interval", "5m")

    asked = asked_for(expression)

    assert asked
    for name, matchers in asked:
        assert name in RECORDED or name in exposed
        assert matchers.keys() <= exposed.get(name, set()) | SCRAPED
        assert matchers.get("job") == "$job" or expression.startswith("label_values")
    for grouping in re.findall(r"by \(([^)]*)\)", expression):
        known = SCRAPED.union(*(exposed.get(name, set()) for name, _ in asked))
        assert set(grouping.split(", ")) <= known


@each_panel
def test_a_panel_says_what_it_shows_and_in_which_unit(panel: dict[str, Any]) -> None:
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert all(target["datasource"] == panel["datasource"] for target in panel["targets"])
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


@each_panel
def test_seconds_bytes_and_ratios_have_their_unit(panel: dict[str, Any]) -> None:
    unit = panel["fieldConfig"]["defaults"]["unit"]
    for target in panel["targets"]:
        if "_seconds_bucket" in target["expr"]:
            assert unit == "s"
        if re.match(r"\w+_bytes\{", target["expr"]):
            assert unit == "bytes"
        if re.match(r"\w+_ratio\{", target["expr"]):
            assert unit == "percentunit"


def test_every_metric_of_ours_is_shown() -> None:
    asked = {family(name) for expression in expressions() for name, _ in asked_for(expression)}
    declared = {family(name) for name in exposed_labels()}

    assert {name for name in declared if name.startswith("dragoman_")} <= asked


def family(name: str) -> str:
    return re.sub("_(sum|count|bucket)$", "", name)


def test_rows_come_in_the_order_of_the_questions() -> None:
    rows = [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"]

    assert rows == ["Traffic", "Latency", "Engine", "Saturation", "Quality", "Process"]


def test_panels_do_not_overlap_and_fit_the_grid() -> None:
    boxes = [panel["gridPos"] for panel in DASHBOARD["panels"]]

    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(boxes)
    assert all(box["x"] + box["w"] <= 24 for box in boxes)
    for one, other in combinations(boxes, 2):
        assert (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )


def test_every_variable_is_known() -> None:
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD)))

    assert used <= VARIABLES | BUILT_IN


def test_provisioning_finds_the_data_source_and_the_dashboard() -> None:
    folder = FOLDER / "provisioning"
    sources = yaml.safe_load((folder / "datasources" / "prometheus.yaml").read_text())
    providers = yaml.safe_load((folder / "dashboards" / "dragoman.yaml").read_text())

    [source], [provider] = sources["datasources"], providers["providers"]
    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus:9090")
    assert source["isDefault"]
    assert provider["options"] == {"path": "/etc/grafana/dashboards"}
