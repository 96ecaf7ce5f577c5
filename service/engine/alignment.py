"""Which source token each target token was read from, by the attention of the decoder.

The heads of the last layer are averaged, at the step that chose the token.

Source: Garg et al. 2019, "Jointly Learning to Align and Translate with Transformer Models", average
the heads of the last layer but one, of six. Of the two layers of the bundled model the last one
aligns better.

Pure: queries and keys in, places out; no graph, no cache.
"""

from dataclasses import replace

import numpy as np

from service.engine.job import Hypothesis
from service.engine.scores import Floats


class Alignment:
    """Where the hypotheses of one segment looked, step after step.

    Args:
        places: of the source, which may be aligned to; tags and `eos` draw attention and mean none.
    """

    def __init__(self, places: range) -> None:
        self._places = places
        self._steps: list[list[int]] = []  # (step, hypothesis)

    def look(self, queries: Floats, keys: Floats) -> None:
        """Take a step, before its tokens are chosen.

        Args:
            queries: (hypothesis, heads, 1, head_dim).
            keys: (heads, source, head_dim); behind the source there may be more.
        """
        # The sum of all exponentials, `eos` and tags included, is what a head spreads.
        keys = keys[:, : self._places.stop + 1]
        scores = queries @ keys.swapaxes(1, 2) / np.sqrt(keys.shape[2])  # (hyp., heads, 1, source)
        weights = np.exp(scores - scores.max(axis=3, keepdims=True))
        weights /= weights.sum(axis=3, keepdims=True)
        read = weights.mean(axis=(1, 2))  # (hypothesis, source)
        self._steps.append(read[:, self._places.start : self._places.stop].argmax(axis=1).tolist())

    def add_to(self, hypothesis: Hypothesis) -> Hypothesis:
        """Say of each of its tokens at which of `places` it was read, counted from their start."""
        looks = zip(self._steps, hypothesis.rows, hypothesis.token_ids, strict=False)  # no `eos`
        return replace(hypothesis, alignment=tuple(step[row] for step, row, _ in looks))
