"""How long what waits will wait, by how fast the queue was drained of late."""

WINDOW_SECONDS = 2.0
"""Time that a rate is measured over: some dozens of steps, and shorter than users wait."""


class DrainRate:
    """Tokens a second that leave a queue while others still wait.

    Only then do the workers take all that they can; a queue that runs empty tells nothing about
    them. Before the first such window nothing is known, and nobody is kept out.
    """

    def __init__(self) -> None:
        self._rate: float | None = None
        self._began_at: float | None = None
        self._tokens = 0

    def took(self, tokens: int, now: float, *, leaves_others: bool) -> None:
        """Count tokens that have left.

        Args:
            now: a time in seconds, from the same clock each time.
            leaves_others: whether the queue still holds something.
        """
        if not leaves_others:
            self._began_at = None
        elif self._began_at is None:
            self._began_at, self._tokens = now, 0
        else:
            self._tokens += tokens
            elapsed = now - self._began_at
            if elapsed >= WINDOW_SECONDS:
                self._rate = self._tokens / elapsed
                self._began_at, self._tokens = now, 0

    def seconds(self, tokens: int) -> float:
        """How long `tokens` take to leave; 0.0 if that is not known."""
        return tokens / self._rate if self._rate else 0.0
