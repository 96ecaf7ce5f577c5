"""A job between its first slot and its result."""

from dataclasses import dataclass

from service.engine.alignment import Alignment
from service.engine.job import Job, JobResult
from service.engine.search import Search


@dataclass(eq=False)
class Running:
    """A job that holds slots."""

    job: Job
    search: Search
    slots: list[int]
    admitted_at: float
    alignment: Alignment | None = None
    first_token_at: float = 0.0
    num_steps: int = 0
    num_tokens: int = 0  # decoded in these steps, over all hypotheses
    num_settled: int = 0

    def tell(self) -> None:
        """Tell who listens about tokens that are settled now."""
        if self.job.on_tokens and len(settled := self.search.settled_ids()) > self.num_settled:
            self.num_settled = len(settled)
            self.job.on_tokens(settled)

    def result(self, now: float) -> JobResult:
        """What is answered once the search has ended."""
        hypotheses = self.search.hypotheses()
        if self.alignment:
            hypotheses = tuple(map(self.alignment.add_to, hypotheses))
        return JobResult(
            hypotheses=hypotheses,
            queue_seconds=self.admitted_at - self.job.submitted_at,
            first_token_seconds=self.first_token_at - self.job.submitted_at,
            decode_seconds=now - self.admitted_at,
            num_steps=self.num_steps,
        )
