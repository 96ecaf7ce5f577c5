"""What a job's options make of the scores of its hypotheses, before a token is chosen.

Pure, and row by row: what one job asks changes nothing for another.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from service.engine.options import DecodingOptions

Floats = npt.NDArray[np.float32]


class Rules:
    """The rules of one job, applied in this order.

    1. `repetition_penalty` makes another distribution: it lowers the logits of the tokens that a
       hypothesis has already, and all are normalised anew.
    2. Control tokens, `eos` before `min_target_tokens`, what would repeat an n-gram, and what would
       complete a suppressed sequence cannot be chosen. The others keep their log probabilities, so
       that a hypothesis pays for what it was kept from saying.
    3. Where nothing is left, `eos` is.

    A forced prefix is above all rules; it is part of the history that they look at.
    """

    def __init__(self, options: DecodingOptions, eos_id: int) -> None:
        self._options = options
        self._eos_id = eos_id
        self._silent = frozenset(options.silent_ids)
        self._are_asked_for = (
            options.repetition_penalty != 1.0
            or options.min_target_tokens > 0
            or options.no_repeat_ngram_size > 0
            or bool(options.suppressed_sequences)
        )

    @property
    def only_silence(self) -> bool:
        """Whether they keep control tokens from being chosen, and change nothing else."""
        return not self._are_asked_for

    def leave(self, token_id: int) -> bool:
        """Whether a token's place among the model's best is sure to stay."""
        return not self._are_asked_for and token_id not in self._silent

    def apply(self, logits: Floats, log_normaliser: float, history: Sequence[int]) -> float:
        """Change the logits of the next token, to -inf where it cannot be chosen.

        Args:
            logits: (vocab) float32, changed in place; one of them at least stays finite.
            log_normaliser: `logits` minus this are the model's log probabilities.
            history: tokens of the hypothesis so far, without `bos`.
        Returns:
            What to subtract from the changed logits to get log probabilities.
        """
        if history and self._options.repetition_penalty != 1.0:
            penalise(logits, history, self._options.repetition_penalty)
            log_normaliser = log_sum_exp(logits)
        end = logits[self._eos_id]
        logits[list(self._options.silent_ids)] = -np.inf
        if self._are_asked_for:
            logits[list(self._banned(history))] = -np.inf
        if logits.max() == -np.inf:
            logits[self._eos_id] = end
        return log_normaliser

    def _banned(self, history: Sequence[int]) -> Iterable[int]:
        options = self._options
        if len(history) < options.min_target_tokens:
            yield self._eos_id
        if options.no_repeat_ngram_size:
            yield from repeating(history, options.no_repeat_ngram_size)
        yield from completing(history, options.suppressed_sequences)


def penalise(logits: Floats, history: Sequence[int], penalty: float) -> None:
    """Divide the logits of tokens in `history` by `penalty`; negative ones are multiplied.

    Source: Keskar et al. 2019 ("CTRL"), section 4.1, for negative logits as in Hugging Face's
    and CTranslate2's repetition penalty, so that more than 1 always makes a token less likely.
    """
    token_ids = list(set(history))
    chosen = logits[token_ids]
    logits[token_ids] = np.where(chosen > 0, chosen / penalty, chosen * penalty)


def log_sum_exp(logits: Floats) -> float:
    """What logits minus this are log probabilities."""
    exact = logits.astype(np.float64)
    largest = exact.max()
    return float(largest + np.log(np.exp(exact - largest).sum()))


def repeating(history: Sequence[int], size: int) -> set[int]:
    """Tokens after which an n-gram of `size` tokens would be in `history` twice.

    Source: Paulus et al. 2018, section 2.5, for trigrams.
    """
    newest = tuple(history[len(history) - size + 1 :])
    return {
        history[end]
        for end in range(size - 1, len(history))
        if tuple(history[end - size + 1 : end]) == newest
    }


def completing(history: Sequence[int], sequences: Sequence[Sequence[int]]) -> set[int]:
    """Tokens after which `history` would end with one of `sequences`."""
    return {
        last
        for *first, last in sequences
        if len(first) <= len(history) and list(history[len(history) - len(first) :]) == first
    }
