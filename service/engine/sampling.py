"""Drawing tokens by their probability, the same ones in any company.

A draw follows from the seed, the number of the sample and the position alone. There is no generator
whose state the neighbours of a row could advance.
"""

import struct
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from service.engine.options import Sampling
from service.engine.top import top

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

FEW = 64  # tokens that mostly hold top_p of the probability; sorting all takes long


class Candidates(NamedTuple):
    """Tokens that may be drawn.

    Attributes:
        token_ids: (candidate) int64.
        weights: (candidate) float64, in proportion to their probabilities.
    """

    token_ids: npt.NDArray[np.int64]
    weights: Doubles


def draw(logits: Floats, sampling: Sampling, sample: int, position: int) -> int:
    """Draw the token that a sample has at a position.

    Args:
        logits: (vocab) float32, unnormalised; -inf, at most for all but one, is never drawn.
        sample: number of the sample, from 0 on.
        position: tokens that the sample has already.
    """
    token_ids, weights = candidates(logits, sampling)
    heights = np.cumsum(weights)
    height = uniform(sampling.seed, sample, position) * heights[-1]
    return int(token_ids[np.searchsorted(heights, height, side="right")])


def candidates(logits: Floats, sampling: Sampling) -> Candidates:
    """What temperature, top_k and top_p, in this order, leave to be drawn.

    Of tokens that are equally likely, those with smaller ids come first.

    Source: Fan et al. 2018, section 5.1, for top_k; Holtzman et al. 2020, section 3.1, for top_p.
    """
    exact = logits.astype(np.float64)
    weights = np.exp((exact - exact.max()) / sampling.temperature)  # (vocab)
    token_ids = np.arange(weights.size)
    if sampling.top_k:
        token_ids = top(weights, sampling.top_k)
    if sampling.top_p < 1.0:
        enough = sampling.top_p * weights[token_ids].sum()
        if not sampling.top_k:
            token_ids = top(weights, FEW)
            if weights[token_ids].sum() < enough:
                token_ids = top(weights, weights.size)
        heavier = np.cumsum(weights[token_ids]) - weights[token_ids]  # what stands before each
        token_ids = token_ids[heavier < enough]
    return Candidates(token_ids, weights[token_ids])


def uniform(seed: int, sample: int, position: int) -> float:
    """A number in [0, 1) that follows from its place alone.

    Source: Salmon et al. 2011 ("Parallel random numbers: as easy as 1, 2, 3"), with BLAKE2b for the
    function of the counter.
    """
    counter = struct.pack("<QQQ", seed, sample, position)
    bits = int.from_bytes(blake2b(counter, digest_size=8).digest(), "little")
    return (bits >> 12) / 2**52  # 52 bits, so that a product with it is always rounded below 1
