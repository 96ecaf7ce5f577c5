"""A model without a model: scores that follow from the source and all tokens so far.

It reads both out of the slot table as the graphs do, so that a slot that is moved, reordered or
overwritten wrongly changes every score after it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from service.bundle import Sizes
from service.engine.job import Hypothesis, Job
from service.engine.limits import EngineLimits
from service.engine.options import DecodingOptions
from service.engine.report import StepReport
from service.engine.runner import Runner
from service.engine.scores import Candidates, Floats, StepScores
from service.engine.slots import SlotTable
from service.engine.stepper import Stepper

VOCAB_SIZE = 20
NUM_CANDIDATES = 10  # enough for a beam of 5 if none of them is silent
BOS_ID, EOS_ID = 2, 3
SILENT_IDS = (0, 1, BOS_ID)
SIZES = Sizes(vocab_size=VOCAB_SIZE, d_model=2, num_heads=1, num_decoder_layers=1)
LIMITS = EngineLimits(
    num_workers=1,
    max_cache_tokens=8_192,
    max_slots=16,
    max_source_tokens=100,
    max_target_tokens=300,
    max_queue_tokens=10_000,
    max_beam_size=8,
)
ENDLESS = 19  # a source that begins with this never ends by itself
_LOGITS = np.random.default_rng(1).normal(size=(9_973, VOCAB_SIZE)).astype(np.float32)
_LOGITS[:, EOS_ID] += 0.5


def toy_logits(source: Sequence[int], history: Sequence[int]) -> Floats:
    """Scores of the next token; `history` begins with bos."""
    logits = _LOGITS[hash((tuple(source), tuple(history))) % len(_LOGITS)].copy()
    if source[0] == ENDLESS:
        logits[EOS_ID] = -100.0
    return logits


def toy_query(history: Sequence[int]) -> float:
    """What is asked of the source: its largest token, or its least."""
    return 1.0 if hash(tuple(history)) % 2 else -1.0


def score(rows: Sequence[Floats], asked: Sequence[int] = ()) -> StepScores:
    """What a decoder step says about hypotheses with these logits."""
    logits = np.stack(rows)
    normalisers = np.log(np.exp(logits.astype(np.float64)).sum(axis=1)).astype(np.float32)
    best = rank(logits, asked, NUM_CANDIDATES)
    return StepScores(logits, normalisers, logits.argmax(axis=1), best)


def rank(logits: Floats, asked: Sequence[int], count: int) -> Candidates:
    """The best `count` tokens of the rows that are asked for."""
    rows = logits[list(asked)]
    token_ids = np.argsort(-rows, axis=1, kind="stable")[:, :count]
    return Candidates(asked, token_ids, np.take_along_axis(rows, token_ids, axis=1))


class ToyRunner(Runner):
    """Keeps a source in its keys, and the tokens of a hypothesis in the values of its cache.

    Attributes:
        poison: encoding a source that holds this token fails.
        on_decode: called before each decoder step; may raise.
        encoded: the sources of each call of `encode`.
    """

    def __init__(self) -> None:
        self.sizes = SIZES
        self.bos_id, self.eos_id = BOS_ID, EOS_ID
        self.poison = -1
        self.on_decode: Callable[[], None] = lambda: None
        self.encoded: list[list[Sequence[int]]] = []

    def encode(self, sources: Sequence[Sequence[int]]) -> Floats:
        self.encoded.append(list(sources))
        longest = max(map(len, sources))
        cross = np.full((2, len(sources), 1, longest, 2), -1.0, dtype=np.float32)
        for index, source in enumerate(sources):
            if self.poison in source:
                raise RuntimeError("poison")
            cross[0, index, 0, : len(source), 0] = source
        return cross

    def slot_table(self, max_slots: int, max_tokens: int) -> SlotTable:
        return SlotTable(SIZES, max_slots, max_tokens)

    def stepper(self, slots: SlotTable) -> Stepper:
        return ToyStepper(self, slots)


class ToyStepper(Stepper):
    def __init__(self, runner: ToyRunner, slots: SlotTable) -> None:
        self._runner = runner
        self._slots = slots
        self._cross_query = np.zeros((slots.max_slots, 1, 1, 2), dtype=np.float32)

    def step(
        self, candidate_rows: Sequence[int] = (), _logit_rows: Sequence[int] = ()
    ) -> StepScores:
        self._runner.on_decode()
        slots, rows = self._slots, []
        slots.fit_target()
        for slot in range(slots.num_busy):
            length, source_length = int(slots.lengths[slot]), int(slots.source_lengths[slot])
            slots.cache[1, slot, 0, length] = slots.ids[slot]
            history = slots.cache[1, slot, 0, : length + 1, 1].astype(int).tolist()
            source = slots.cross[0, slot, 0, :source_length, 0].astype(int).tolist()
            rows.append(toy_logits(source, history))
            self._cross_query[slot, 0, 0, 0] = toy_query(history)
        return score(rows, candidate_rows)


def make_job(
    source: Sequence[int] = (5, 6, 7), *, deadline: float = float("inf"), **options: Any
) -> Job:
    """A job; `options` are those of decoding."""
    return Job(
        source_ids=tuple(source),
        options=DecodingOptions(**{"max_target_tokens": 30, **options}),
        deadline=deadline,
    )


def greedy(source: Sequence[int], max_tokens: int, length_penalty: float = 1.0) -> Hypothesis:
    """Translate greedily, without an engine."""
    history, log_probs = [BOS_ID], []
    while len(history) <= max_tokens and (len(history) == 1 or history[-1] != EOS_ID):
        token_id, log_prob = score([toy_logits(source, history)]).of([0]).best(0)
        history.append(token_id)
        log_probs.append(log_prob)
    chosen = history[1:]
    return Hypothesis(
        token_ids=tuple(token_id for token_id in chosen if token_id != EOS_ID),
        token_log_probs=tuple(log_probs),
        score=sum(log_probs) / len(chosen) ** length_penalty,
        finish_reason="stop" if chosen[-1] == EOS_ID else "length",
    )


def ignore(_report: StepReport) -> None:
    """Take no notice of a step."""
