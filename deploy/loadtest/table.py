"""Stages as a table, in the terminal and in Markdown."""

from collections.abc import Mapping, Sequence

from deploy.loadtest.stage import Stage

COLUMNS = (
    *("load", "offered/s", "answered/s", "goodput/s", "p50 s", "p95 s", "p99 s"),
    *("refused p95 ms", "not translated", "queue peak", "rows/step", "wasted tokens"),
)
NONE = "-"


def cells(stage: Stage) -> tuple[str, ...]:
    """The figures of one stage, in the order of `COLUMNS`."""
    latencies, refusal, server = stage.latencies, stage.refusal_p95, stage.server
    seconds = [f"{value:.2f}" for value in latencies.values()] if latencies else [NONE] * 3
    own = [NONE] * 3
    if server:
        chosen = server.target_tokens + server.wasted_tokens
        wasted = server.wasted_tokens / chosen if chosen else 0.0
        own = [f"{server.queue_peak:.0f}", f"{server.rows_per_step:.1f}", f"{wasted:.1%}"]
    return (
        stage.label,
        *(f"{rate:.1f}" for rate in (stage.offered, stage.answered, stage.goodput)),
        *seconds,
        f"{1000 * refusal:.0f}" if refusal is not None else NONE,
        _unanswered(stage),
        *own,
    )


def _unanswered(stage: Stage) -> str:
    """What users got instead, and what the server says it refused for."""
    parts = [_counts(stage.unanswered)] if stage.unanswered else []
    if stage.server and stage.server.refused:
        parts.append(f"({_counts(stage.server.refused)})")
    return " ".join(parts) or NONE


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in sorted(counts.items()))


def markdown(stages: Sequence[Stage]) -> str:
    """The table, padded so that it reads well as plain text, too."""
    rows = [COLUMNS, *map(cells, stages)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return "\n".join(lines)
