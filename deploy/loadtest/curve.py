"""Latency, throughput and goodput over offered load: an SVG file, drawn by hand."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from deploy.bench.chart import INK
from deploy.loadtest.stage import PERCENTILES, Stage

WIDTH, LEFT, RIGHT, TOP, PANEL, GAP = 720, 70, 110, 50, 220, 60
GRID = "#dddddd"
COLORS = ("#3b6ea5", "#c8553d", "#7a4fa3")
NICE = (1.0, 2.0, 2.5, 5.0, 10.0)

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One plot; all share the axis of offered load."""

    top: float
    right: float
    highest: float

    def x(self, value: float) -> float:
        """Across, in pixels."""
        return LEFT + (WIDTH - LEFT - RIGHT) * value / self.right

    def y(self, value: float) -> float:
        """Down, in pixels."""
        return self.top + PANEL * (1 - value / self.highest)


def draw(title: str, stages: Sequence[Stage], capacity: float) -> str:
    """Two plots, one above the other: latency percentiles, and requests a second.

    Args:
        stages: those that have a share of capacity are drawn.
        capacity: requests a second that users who wait can get; a dashed line.
    Raises:
        ValueError: if there is nothing to draw.
    """
    shown = sorted((one for one in stages if one.share is not None), key=lambda one: one.offered)
    if not shown:
        raise ValueError("a curve of no loads")
    right = 1.05 * max(one.offered for one in shown)
    latency = {f"p{percent}": _latencies(shown, percent) for percent in PERCENTILES}
    rates = {
        "answered": _points(shown, lambda one: one.answered),
        "goodput": _points(shown, lambda one: one.goodput),
    }
    height = TOP + 2 * PANEL + GAP + 50
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12" fill="{INK}">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="24" font-size="15">{escape(title)}</text>',
        *_panel(TOP, right, latency, "latency, s", capacity),
        *_panel(TOP + PANEL + GAP, right, rates, "requests/s", capacity),
        f'<text x="{LEFT}" y="{height - 10}">offered requests/s; dashed: capacity</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _points(stages: Sequence[Stage], value: Callable[[Stage], float]) -> Points:
    return [(stage.offered, value(stage)) for stage in stages]


def _latencies(stages: Sequence[Stage], percent: int) -> Points:
    return [(one.offered, one.latencies[percent]) for one in stages if one.latencies]


def _panel(
    top: float, right: float, lines: dict[str, Points], unit: str, capacity: float
) -> list[str]:
    highest = max((y for points in lines.values() for _, y in points), default=0.0) or 1.0
    panel = Panel(top=top, right=right, highest=1.1 * highest)
    parts = [f'<text x="{LEFT}" y="{top - 8}">{unit}</text>', *_grid(panel)]
    at = f"{panel.x(capacity):.1f}"
    if capacity <= right:
        parts.append(
            f'<line x1="{at}" x2="{at}" y1="{top}" y2="{top + PANEL}" stroke="{INK}" '
            'stroke-dasharray="3 3"/>'
        )
    for number, ((name, points), color) in enumerate(zip(lines.items(), COLORS, strict=False)):
        parts += _line(panel, points, color)
        parts.append(
            f'<text x="{WIDTH - RIGHT + 12}" y="{top + 14 + 18 * number}" fill="{color}">'
            f"{name}</text>"
        )
    return parts


def _line(panel: Panel, points: Points, color: str) -> list[str]:
    pixels = [(f"{panel.x(x):.1f}", f"{panel.y(y):.1f}") for x, y in points]
    path = " ".join(map(",".join, pixels))
    return [
        f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>',
        *(f'<circle cx="{x}" cy="{y}" r="3" fill="{color}"/>' for x, y in pixels),
    ]


def _grid(panel: Panel) -> list[str]:
    """Lines at round numbers, with their labels."""
    left, right, bottom = LEFT, WIDTH - RIGHT, panel.top + PANEL
    parts = []
    for value in ticks(panel.highest):
        y = f"{panel.y(value):.1f}"
        parts.append(f'<line x1="{left}" x2="{right}" y1="{y}" y2="{y}" stroke="{GRID}"/>')
        parts.append(f'<text x="{left - 6}" y="{y}" dy="4" text-anchor="end">{value:g}</text>')
    for value in ticks(panel.right):
        x = f"{panel.x(value):.1f}"
        parts.append(f'<text x="{x}" y="{bottom + 16}" text-anchor="middle">{value:g}</text>')
    return parts


def ticks(highest: float) -> list[float]:
    """Four to nine round numbers from 0 up to `highest`, which is above 0."""
    power = 1.0
    while power > highest:
        power /= 10.0
    while power * 10.0 <= highest:
        power *= 10.0
    step = next(one * power / 10 for one in (*NICE, 20.0) if highest / (one * power / 10) < 9)
    return [round(number * step, 10) for number in range(int(highest / step) + 1)]
