"""The chart is well-formed, and its bars are as long as their figures say."""

from xml.etree import ElementTree

import pytest

from deploy.bench.chart import Bar, draw
from deploy.bench.summary import Ratio

SVG = "{http://www.w3.org/2000/svg}"


def a_ratio(middle: float) -> Ratio:
    return Ratio(middle=middle, low=0.9 * middle, high=1.1 * middle, rounds=3)


def test_lengths_are_in_proportion() -> None:
    root = ElementTree.fromstring(
        draw("t", [Bar("one", a_ratio(1.0)), Bar("two", a_ratio(2.0)), Bar("half", a_ratio(0.5))])
    )

    one, two, half = (float(bar.attrib["width"]) for bar in root.findall(f"{SVG}rect")[1:])
    assert two == pytest.approx(2 * one, rel=1e-3)
    assert half == pytest.approx(one / 2, rel=1e-3)


def test_everything_is_inside() -> None:
    root = ElementTree.fromstring(draw("t", [Bar("one", a_ratio(7.0))]))

    width = float(root.attrib["width"])
    for line in root.findall(f"{SVG}line"):
        assert 0 < float(line.attrib["x1"]) <= float(line.attrib["x2"]) < width


def test_labels_are_escaped() -> None:
    root = ElementTree.fromstring(draw("a < b", [Bar("<&>", a_ratio(1.0))]))

    texts = [text.text for text in root.findall(f"{SVG}text")]
    assert "a < b" in texts
    assert "<&>" in texts


def test_nothing_cannot_be_drawn() -> None:
    with pytest.raises(ValueError, match="no bars"):
        draw("t", [])
