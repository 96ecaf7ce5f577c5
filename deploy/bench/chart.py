"""Ratios as bars with their spread: an SVG file, drawn by hand."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from deploy.bench.summary import Ratio

LABEL_WIDTH, PLOT_WIDTH, ROW_HEIGHT, TOP = 330, 420, 22, 56
EDGE = 16
INK, BAR, MUTED = "#222222", "#3b6ea5", "#b9b9b9"


class Bar(NamedTuple):
    """One ratio and what it compares."""

    label: str
    ratio: Ratio


def draw(title: str, bars: Sequence[Bar]) -> str:
    """The chart; a bar right of the line at 1 means that ours is faster.

    Raises:
        ValueError: if there is nothing to draw.
    """
    if not bars:
        raise ValueError("a chart of no bars")
    largest = max(1.0, *(bar.ratio.high for bar in bars), *(bar.ratio.middle for bar in bars))
    scale = PLOT_WIDTH / (1.1 * largest)
    width, height = LABEL_WIDTH + PLOT_WIDTH + 90, TOP + ROW_HEIGHT * len(bars) + EDGE
    one = LABEL_WIDTH + scale
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12" fill="{INK}">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="{EDGE}" y="24" font-size="15">{escape(title)}</text>',
        f'<text x="{one:.1f}" y="46" text-anchor="middle">1</text>',
        *(_row(bar, TOP + ROW_HEIGHT * number, scale) for number, bar in enumerate(bars)),
        f'<line x1="{one:.1f}" x2="{one:.1f}" y1="50" y2="{height - EDGE}" stroke="{INK}" '
        'stroke-dasharray="3 3"/>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _row(bar: Bar, top: float, scale: float) -> str:
    """A label, a bar from 0 to the median, a whisker over the middle half, and the figure."""
    ratio, middle = bar.ratio, top + ROW_HEIGHT / 2
    low, high = LABEL_WIDTH + scale * ratio.low, LABEL_WIDTH + scale * ratio.high
    color = BAR if ratio.middle >= 1 else MUTED
    return (
        f'<text x="{LABEL_WIDTH - 8}" y="{middle + 4}" text-anchor="end">{escape(bar.label)}</text>'
        f'<rect x="{LABEL_WIDTH}" y="{top + 3}" width="{scale * ratio.middle:.1f}" '
        f'height="{ROW_HEIGHT - 6}" fill="{color}"/>'
        f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}" stroke="{INK}" '
        'stroke-width="2"/>'
        f'<text x="{max(high, LABEL_WIDTH + scale * ratio.middle) + 6:.1f}" y="{middle + 4}">'
        f"{ratio.middle:.2f}</text>"
    )
