"""What a run has to keep, or it fails."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from deploy.loadtest.stage import Stage

QUIET_SHARE = 0.5  # of capacity, up to which latency is promised


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """Bounds; seconds are of 95 % of the requests.

    Attributes:
        quiet_p95_seconds: of a translation, up to half of capacity.
        refusal_p95_seconds: of a refusal, at any load.
        goodput_share: of the goodput at the first load from capacity on, at every load above it.
        max_errors: answers that are neither a translation, a refusal nor a deadline.
    """

    quiet_p95_seconds: float = 2.5
    refusal_p95_seconds: float = 0.05
    goodput_share: float = 0.8
    max_errors: int = 0

    def missed(self, stages: Sequence[Stage]) -> list[str]:
        """What was not kept, in words, load by load."""
        return [
            f"{stage.label}: {complaint}"
            for stage in stages
            for complaint in (*self._of_one(stage), *self._of_goodput(stage, stages))
        ]

    def _of_one(self, stage: Stage) -> Iterator[str]:
        if stage.num_errors > self.max_errors:
            yield f"{stage.num_errors} errors, over {self.max_errors}"
        refusal = stage.refusal_p95
        if refusal is not None and refusal > self.refusal_p95_seconds:
            yield f"refused after {refusal:.3f} s at p95, over {self.refusal_p95_seconds:g} s"
        if stage.share is not None and stage.share <= QUIET_SHARE:
            yield from self._of_latency(stage)

    def _of_latency(self, stage: Stage) -> Iterator[str]:
        latencies = stage.latencies
        if latencies is None:
            yield "nothing was translated"
        elif latencies[95] > self.quiet_p95_seconds:
            yield f"p95 {latencies[95]:.3f} s, over {self.quiet_p95_seconds:g} s"

    def _of_goodput(self, stage: Stage, stages: Sequence[Stage]) -> Iterator[str]:
        full = [one for one in stages if one.share is not None and one.share >= 1.0]
        if stage not in full:
            return
        wanted = self.goodput_share * full[0].goodput
        if stage.goodput < wanted or stage.goodput == 0.0:
            yield f"goodput {stage.goodput:.1f}/s, under {wanted:.1f}/s"
