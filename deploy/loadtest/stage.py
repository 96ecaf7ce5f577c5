"""One load, and what came of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from deploy.bench.summary import percentile
from deploy.loadtest.scrape import ServerFigures
from deploy.loadtest.users import Reply

PERCENTILES = (50, 95, 99)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One load and its replies.

    Attributes:
        label: of the load, in words.
        share: of capacity that was offered; None where users wait for their answers.
        seconds: as long as users came; rates are of this time, without the answers after it.
        good_seconds: an answer within this time is a good one.
        replies: of all users.
        server: its own figures; None if it shows none.
    """

    label: str
    share: float | None
    seconds: float
    good_seconds: float
    replies: Sequence[Reply]
    server: ServerFigures | None

    @property
    def offered(self) -> float:
        """Requests a second."""
        return len(self.replies) / self.seconds

    @property
    def answered(self) -> float:
        """Translations a second."""
        return self._rate([reply for reply in self.replies if reply.is_ok])

    @property
    def goodput(self) -> float:
        """Translations a second that came soon enough."""
        return self._rate([one for one in self.replies if one.is_ok and self._is_soon(one)])

    def _is_soon(self, reply: Reply) -> bool:
        return reply.seconds <= self.good_seconds

    def _rate(self, replies: Sequence[Reply]) -> float:
        return sum(reply.ended_at <= self.seconds for reply in replies) / self.seconds

    @property
    def latencies(self) -> dict[int, float] | None:
        """Seconds of a translation by percentile; None if there was none."""
        seconds = [reply.seconds for reply in self.replies if reply.is_ok]
        return {one: percentile(seconds, one) for one in PERCENTILES} if seconds else None

    @property
    def refusal_p95(self) -> float | None:
        """Seconds within which 95 % of those that were refused knew it; None if nobody was."""
        seconds = [reply.seconds for reply in self.replies if reply.is_refusal]
        return percentile(seconds, 95) if seconds else None

    @property
    def unanswered(self) -> Mapping[str, int]:
        """Users without a translation, by what they got instead."""
        return Counter(reply.outcome for reply in self.replies if not reply.is_ok)

    @property
    def num_errors(self) -> int:
        """Replies that nobody should get, whatever the load."""
        return sum(reply.is_error for reply in self.replies)

    @property
    def lag_p95(self) -> float:
        """Seconds by which requests were sent late: the load generator's own, in every latency."""
        return percentile([reply.sent_at - reply.wanted_at for reply in self.replies] or [0.0], 95)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "load": self.label,
            "share_of_capacity": self.share,
            "seconds": self.seconds,
            "offered_per_second": self.offered,
            "answered_per_second": self.answered,
            "goodput_per_second": self.goodput,
            "latency_seconds": self.latencies,
            "refusal_p95_seconds": self.refusal_p95,
            "unanswered": dict(self.unanswered),
            "errors": self.num_errors,
            "sent_late_p95_seconds": self.lag_p95,
            "server": asdict(self.server) if self.server else None,
        }
