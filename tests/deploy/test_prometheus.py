"""Rules of Prometheus: they name what exists, and fire when they should (by promtool)."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import generate_latest

from service.metrics import SEGMENT_OUTCOMES, TOKEN_KINDS
from service.middleware import OUTCOMES
from service.problems import REFUSALS
from tests.deploy.exposition import SCRAPED, asked_for, exposed_labels, fill_registry

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "prometheus"
FETCHED = ROOT / "build" / "promtool" / "usr" / "bin" / "promtool"
PROMTOOL = shutil.which("promtool") or (str(FETCHED) if FETCHED.exists() else None)
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None,
    reason="promtool is neither on the PATH nor in build/: `make promtool`, or Debian's prometheus",
)


def rules(file: str) -> list[dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / file).read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


RECORDED = {rule["record"] for rule in rules("recording_rules.yaml")}
ALERTS = rules("alert_rules.yaml")
TESTS = yaml.safe_load((FOLDER / "rules_test.yaml").read_text(encoding="utf-8"))["tests"]


@pytest.mark.parametrize(
    "rule",
    rules("recording_rules.yaml") + ALERTS,
    ids=lambda rule: rule.get("record") or f"{rule['alert']}-{rule['labels']['severity']}",
)
def test_a_rule_names_only_what_exists(rule: dict[str, Any]) -> None:
    exposed = exposed_labels()

    asked = asked_for(rule["expr"])

    assert asked
    for name, matchers in asked:
        assert name == "up" or name in RECORDED or name in exposed
        assert matchers.keys() <= exposed.get(name, set()) | SCRAPED


def test_values_that_rules_ask_for_exist() -> None:
    known = {"outcome": {*OUTCOMES, *SEGMENT_OUTCOMES}, "reason": REFUSALS, "kind": TOKEN_KINDS}
    for rule in rules("recording_rules.yaml") + ALERTS:
        for _, matchers in asked_for(rule["expr"]):
            for label in known.keys() & matchers.keys():
                assert set(matchers[label].split("|")) <= set(known[label])


def test_every_alert_says_how_urgent_it_is_and_what_to_do() -> None:
    for alert in ALERTS:
        assert alert["labels"]["severity"] in {"page", "ticket"}
        assert alert["annotations"]["summary"]
        assert re.fullmatch(r"[A-Z].*\.", alert["annotations"]["action"])


def test_every_alert_is_tested_to_fire_and_to_be_silent() -> None:
    checks = [check for test in TESTS for check in test.get("alert_rule_test", ())]
    fired = {
        (check["alertname"], alert["exp_labels"]["severity"])
        for check in checks
        for alert in check["exp_alerts"]
    }
    silent = {check["alertname"] for check in checks if not check["exp_alerts"]}

    assert fired == {(alert["alert"], alert["labels"]["severity"]) for alert in ALERTS}
    assert silent >= {alert["alert"] for alert in ALERTS}


@needs_promtool
def test_prometheus_reads_its_configuration_and_rules() -> None:
    run = promtool("check", "config", "prometheus.yaml")

    assert run.returncode == 0, run.stdout + run.stderr


@needs_promtool
def test_alerts_fire_when_they_should_and_else_do_not() -> None:
    run = promtool("test", "rules", "rules_test.yaml")

    assert run.returncode == 0, run.stdout + run.stderr


@needs_promtool
def test_names_and_meanings_are_as_prometheus_wants_them() -> None:
    run = promtool("check", "metrics", text=generate_latest(fill_registry()).decode())

    assert (run.returncode, run.stdout + run.stderr) == (0, "")


def promtool(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    assert PROMTOOL
    return subprocess.run(
        [PROMTOOL, *arguments], cwd=FOLDER, input=text, capture_output=True, text=True, check=False
    )
