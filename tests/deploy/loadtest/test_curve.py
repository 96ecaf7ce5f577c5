"""The curve is well-formed, inside its frame, and has a point for every load."""

from xml.etree import ElementTree

import pytest

from deploy.loadtest.curve import draw, ticks
from tests.deploy.loadtest.stages import a_stage, replies

SVG = "{http://www.w3.org/2000/svg}"
STAGES = [
    a_stage(None, replies(999, 9.0)),
    a_stage(1.0, replies(100, 0.5)),
    a_stage(0.5, replies(50, 0.25)),
    a_stage(2.0, replies(20, 0.5), replies(180, 0.02, outcome="429")),
]


def test_every_line_has_a_point_for_each_open_load_from_left_to_right() -> None:
    root = ElementTree.fromstring(draw("a < b", STAGES, capacity=10.0))

    lines = [line.attrib["points"].split() for line in root.findall(f"{SVG}polyline")]
    assert len(lines) == 5
    for line in lines:
        across = [float(point.partition(",")[0]) for point in line]
        assert len(across) == 3
        assert across[1] > across[0]
        assert across[2] - across[1] == pytest.approx(2 * (across[1] - across[0]), abs=0.2)


def test_everything_is_inside() -> None:
    root = ElementTree.fromstring(draw("t", STAGES, capacity=10.0))

    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for circle in root.findall(f"{SVG}circle"):
        assert 0 < float(circle.attrib["cx"]) < width
        assert 0 < float(circle.attrib["cy"]) < height


def test_a_load_without_translations_has_rates_but_no_latency() -> None:
    root = ElementTree.fromstring(draw("t", [a_stage(1.0, replies(9, 0.1, "429"))], 5.0))

    lines = root.findall(f"{SVG}polyline")
    assert [bool(line.attrib["points"]) for line in lines] == [False, False, False, True, True]


def test_nothing_cannot_be_drawn() -> None:
    with pytest.raises(ValueError, match="no loads"):
        draw("t", STAGES[:1], capacity=1.0)


@pytest.mark.parametrize("highest", [0.003, 0.9, 1.0, 7.0, 44.0, 99.9, 100.0, 5_000.0])
def test_ticks_are_few_and_within(highest: float) -> None:
    found = ticks(highest)

    assert 4 <= len(found) <= 9
    assert found[0] == 0.0
    assert highest / 2 < found[-1] <= highest
