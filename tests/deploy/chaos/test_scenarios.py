"""Scenarios against the real service on a tiny bundle."""

import json
from pathlib import Path

import pytest

from deploy.chaos.__main__ import SCENARIOS, SOAK_SECONDS, run_all
from deploy.chaos.damage import DAMAGE
from deploy.chaos.disk import FULL_DISK
from deploy.chaos.overload import OVERLOAD
from deploy.chaos.promise import Scenario, Verdict
from deploy.chaos.server import ROOT
from deploy.chaos.soak import soak
from deploy.chaos.storm import STORM
from deploy.chaos.swap import REFUSED_SWAP
from tests.bundles import write_bundle

QUICK = (STORM, DAMAGE, REFUSED_SWAP, FULL_DISK)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("chaos") / "tiny")


@pytest.mark.parametrize(
    "scenario",
    [
        pytest.param(scenario, marks=[] if scenario in QUICK else pytest.mark.slow)
        for scenario in (*SCENARIOS, soak(5.0))
        if scenario is not OVERLOAD  # a tiny model answers more than the sender can send
    ],
    ids=lambda scenario: scenario.name,
)
def test_a_promise_is_kept(scenario: Scenario, bundle: Path) -> None:
    [(_, outcome)] = run_all([scenario], bundle)

    if outcome.verdict is Verdict.NOT_RUN:
        pytest.skip(outcome.figures)
    assert outcome.verdict is Verdict.KEPT, outcome.figures


def test_every_promise_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    for scenario in (*SCENARIOS, soak(SOAK_SECONDS)):
        assert f"\n| {scenario.name} | {scenario.promise} | " in readme


def test_a_service_that_does_not_start_has_broken_its_promise(tmp_path: Path) -> None:
    [(_, outcome)] = run_all([STORM], tmp_path)

    assert outcome.verdict is Verdict.BROKEN
    assert outcome.figures == "NotStarted: exit code 2"


def test_a_start_that_fails_for_another_reason_is_not_enough(bundle: Path, tmp_path: Path) -> None:
    for file in bundle.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    manifest["name"] = 7
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))

    [(_, outcome)] = run_all([DAMAGE], tmp_path)

    assert outcome.verdict is Verdict.BROKEN
