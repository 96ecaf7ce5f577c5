"""How much the engine takes at once, and who may come in next."""

from dataclasses import dataclass

ENCODE_TOKENS = 256
"""Source tokens encoded between two decoder steps, so that running rows wait only briefly."""
GPU_ENCODE_TOKENS = 2_048
"""The same on a GPU, which is not busy with less."""

GATHER_TOKENS = 48
"""Source tokens that are worth a run of the encoder of their own."""
GATHER_ROWS = 4
"""Rows from which on a worker lets few tokens wait for more; with fewer, one user would feel it."""
GATHER_ROW_STEPS = 8
"""For how long they wait, in steps times rows that might have been decoded meanwhile."""
SMALLEST_CAPACITY = 32


def capacity_for(num_tokens: int) -> int:
    """Tokens that a slot has memory for if it must hold `num_tokens`: a power of two from 32 on."""
    return max(SMALLEST_CAPACITY, 1 << (num_tokens - 1).bit_length())


def source_capacity_for(num_tokens: int) -> int:
    """The same for sources, which never grow: a multiple of 8 from 32 on."""
    return max(SMALLEST_CAPACITY, -(-num_tokens // 8) * 8)


@dataclass(frozen=True, kw_only=True)
class EngineLimits:
    """Bounds of the engine, fixed when it starts.

    Attributes:
        num_workers: threads, each with its own slots; one for each core.
        max_slots: rows that one worker decodes together, one hypothesis each.
        max_cache_tokens: target tokens that one worker has memory for, over all its rows.
        max_source_tokens: tokens of one segment, tag and `eos` included.
        max_target_tokens: tokens of one hypothesis, `eos` included.
        max_queue_tokens: waiting source tokens, over all clients.
        max_beam_size: live hypotheses of one segment.
        encode_tokens: source tokens encoded between two decoder steps.
    """

    num_workers: int
    max_slots: int
    max_cache_tokens: int
    max_source_tokens: int
    max_target_tokens: int
    max_queue_tokens: int
    max_beam_size: int
    encode_tokens: int = ENCODE_TOKENS

    @property
    def most_cache_tokens(self) -> int:
        """Most tokens that the caches of all workers ever have memory for, of both sides.

        Targets keep to `max_cache_tokens`, but for one segment alone. While the cache of one
        side is replaced, there are two of it: the third term.
        """
        longest = capacity_for(self.max_target_tokens)
        alone = min(self.max_beam_size, self.max_slots) * longest
        target = min(self.max_slots * longest, max(self.max_cache_tokens, alone))
        source = self.max_slots * capacity_for(self.max_source_tokens)
        return self.num_workers * (source + target + max(source, target))


@dataclass(kw_only=True)
class Admission:
    """Who may join a worker between two steps; the room left shrinks with everyone admitted.

    A worker that has nothing else to do admits anyone, so that every job gets in some time.

    Attributes:
        num_busy: rows that the worker has.
        max_slots, max_cache_tokens: see `EngineLimits`.
        longest: most target tokens of any of its rows.
        fair_rows: its part of all rows, running and waiting; the others take theirs.
        encode_tokens: source tokens that may still be encoded in this step.
        num_admitted: segments admitted so far.
    """

    num_busy: int
    max_slots: int
    max_cache_tokens: int
    longest: int
    fair_rows: int
    encode_tokens: int
    num_admitted: int = 0

    def admits(self, *, rows: int, source_tokens: int, target_tokens: int) -> bool:
        """Whether a segment of this size may come in; if so, it is counted."""
        busy, longest = self.num_busy + rows, max(self.longest, target_tokens)
        is_first = self.num_admitted == 0
        fits = (
            busy <= self.max_slots
            and self.num_busy < self.fair_rows
            and busy * capacity_for(longest) <= self.max_cache_tokens
            and (is_first or source_tokens <= self.encode_tokens)
        )
        if fits or self.num_busy == 0:
            self.num_busy, self.longest = busy, longest
            self.encode_tokens -= source_tokens
            self.num_admitted += 1
            return True
        return False


@dataclass
class Gathering:
    """Whether those who wait may come in now, or should wait for company.

    Sentences that are encoded together cost about half of what each costs alone, as a product
    over few tokens spends its time on reading weights. So a worker that has enough rows to go on
    with lets some tokens gather first, until the rows that stand idle meanwhile cost what is saved.

    Attributes:
        num_idle: rows that stood idle since somebody was let in, summed up over steps.
    """

    num_idle: int = 0

    def holds(
        self, *, num_busy: int, num_free: int, waiting_rows: int, waiting_tokens: int
    ) -> bool:
        """Whether to let nobody in before the next step.

        Args:
            num_busy, num_free: rows of the worker.
            waiting_rows, waiting_tokens: of the queue, at least one row.
        """
        if not num_free:
            return True
        coming = waiting_tokens * min(1.0, num_free / waiting_rows)  # tokens that there is room for
        if num_busy < GATHER_ROWS or coming >= GATHER_TOKENS or self.num_idle >= GATHER_ROW_STEPS:
            self.num_idle = 0
            return False
        self.num_idle += min(num_free, waiting_rows)
        return True


def fair_rows(num_running: int, num_waiting: int, num_workers: int) -> int:
    """The rows of one worker if all rows were shared out evenly, rounded up."""
    return -(-(num_running + num_waiting) // num_workers)
