"""The rename table leads to metrics that exist."""

import re

from tests.deploy.exposition import exposed_labels
from tests.deploy.test_prometheus import ROOT

TEXT = (ROOT / "deploy" / "METRICS.md").read_text(encoding="utf-8")
ROWS = re.findall(
    r"^\| `((?:tgi_|vllm:|nv_)[^`]+)` \| `([^`]+)` \| (.+) \|$", TEXT, flags=re.MULTILINE
)


def test_every_row_is_read() -> None:
    rows = [line for line in TEXT.splitlines() if line.startswith("| `")]

    assert len(rows) == len(ROWS)
    assert len({theirs for theirs, _, _ in ROWS}) == len(ROWS)


def test_every_name_of_ours_exists() -> None:
    exposed = {re.sub("_(sum|count|bucket)$", "", name) for name in exposed_labels()}

    named = set(re.findall(r"\bdragoman_\w+", TEXT))

    assert {ours for _, ours, _ in ROWS} <= named <= exposed


def test_labels_that_are_named_exist() -> None:
    exposed = exposed_labels()

    for theirs, ours, difference in ROWS:
        for label in re.findall(r'\{(\w+)="', difference):
            named = re.findall(r"`(dragoman_\w+)\{", difference) or [ours]
            assert label in exposed[named[0]], theirs
