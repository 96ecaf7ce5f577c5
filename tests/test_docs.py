"""What the README says is there, is there."""

import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

import dragoman
from service.metrics import EngineMetrics, RequestMetrics, ServiceMetrics
from service.options_body import OptionsBody
from service.settings import PREFIX, Settings, describe_range

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _rows(first_cell: str) -> dict[str, list[str]]:
    """Rows of the tables whose first cell is code that begins so, by that code."""
    rows = {}
    for line in README.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| `" + first_cell):
            rows[cells[0].strip("` ")] = cells
    return rows


def test_every_setting_is_documented_with_its_range_and_meaning() -> None:
    documented = _rows(PREFIX)

    assert documented.keys() == {PREFIX + name.upper() for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        cells = documented[PREFIX + name.upper()]
        assert cells[2:] == [describe_range(field), field.description]
        if field.default_factory is None and name != "bundle":
            assert cells[1] == f"`{field.default}`"


def test_every_decoding_option_is_documented_with_its_meaning() -> None:
    section = README.split("### Options")[1].split("###")[0]
    documented = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", section, flags=re.MULTILINE))

    assert documented == {
        name: field.description for name, field in OptionsBody.model_fields.items()
    }


def test_every_metric_is_documented_with_its_kind_and_meaning() -> None:
    registry = CollectorRegistry()
    for metrics in (ServiceMetrics, RequestMetrics, EngineMetrics):
        metrics(registry)
    documented = _rows("dragoman_")
    declared = {
        family.name + ("_total" if family.type == "counter" else ""): family
        for family in registry.collect()
        if family.name.startswith("dragoman_")
    }

    assert documented.keys() == declared.keys()
    for name, family in declared.items():
        assert [documented[name][1], documented[name][3]] == [family.type, family.documentation]


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"`((?:model|export|service|deploy)/[\w/.-]+)`", README)))
)
def test_every_file_that_is_named_exists(path: str) -> None:
    assert (ROOT / path).exists()


def test_every_component_of_the_table_is_where_it_says() -> None:
    rows = re.findall(r"^\| \d \| [^|]+ \| ([^|]+) \|", README, flags=re.MULTILINE)

    assert len(rows) == 9
    for cell in rows:
        for path, names in re.findall(r"`(model/\w+\.py)`((?: `\w+`,?)+)", cell):
            source = (ROOT / path).read_text(encoding="utf-8")
            for name in re.findall(r"`(\w+)`", names):
                assert re.search(rf"^(?:class|def) {name}\b", source, flags=re.MULTILINE), name


def test_every_command_that_is_shown_exists() -> None:
    shown = set(re.findall(r"^\$ dragoman ([\w-]+)", README, flags=re.MULTILINE))

    assert shown == dragoman.COMMANDS.keys()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)h][^)]*)\)", README))))
def test_every_link_into_the_project_leads_somewhere(target: str) -> None:
    assert (ROOT / target).exists()
