"""Stages with known figures."""

from deploy.loadtest.scrape import ServerFigures
from deploy.loadtest.stage import Stage
from deploy.loadtest.users import Reply


def replies(count: int, seconds: float, outcome: str = "200", ended_at: float = 5.0) -> list[Reply]:
    """`count` users who all got the same."""
    begun = ended_at - seconds
    return [Reply(wanted_at=begun, sent_at=begun, ended_at=ended_at, outcome=outcome)] * count


def a_stage(
    share: float | None, *groups: list[Reply], server: ServerFigures | None = None
) -> Stage:
    """Ten seconds long, and good answers come within one."""
    return Stage(
        label=f"{share} x",
        share=share,
        seconds=10.0,
        good_seconds=1.0,
        replies=[reply for group in groups for reply in group],
        server=server,
    )
