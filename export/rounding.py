"""Matrices rounded to int8: as little harm as possible, and exact products on every CPU.

Without VNNI, x86 adds the products of two neighbours (rows 0 and 1, rows 2 and 3, ... of the
matrix) in 16 bits, and cuts off what does not fit. Weights are rounded so that it always fits:
the quick product is exact on every CPU, and every CPU gets the same numbers.
"""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int8]

SMALLEST = 1e-8  # what is always zero is divided by this instead of by its magnitude
LARGEST = 127  # of a weight
LARGEST_PAIR = 128  # 255 * 128 < 2 ** 15: two weights of one sign, times the largest level
# How much coarser than the finest scale a column's may be, to have fewer pairs that are too large.
STRETCHES = np.linspace(1.0, 1.6, 9)
DAMPING = 0.3  # of the mean square of a channel: what was seen on little text is half believed
BLOCK = 32  # rows that are corrected one by one; those after them are, all at once


def quantise_columns(weight: Array) -> tuple[Integers, Array]:
    """Round a matrix to int8, each column by a scale of its own: weight ~ rounded * scale."""
    scale = np.maximum(np.abs(weight).max(axis=0), SMALLEST) / LARGEST
    rounded = np.rint(weight / scale).astype(np.int8)
    return rounded, scale.astype(np.float32)


def quantise_factor(weight: Array, gram: Doubles) -> tuple[Integers, Array]:
    """Round a matrix that rows of uint8 are multiplied with: weight ~ rounded * scale.

    Two neighbours in a column that have one sign have together at most `LARGEST_PAIR`. The error
    of each row is made up for in the rows after it, as far as the channels that they multiply go
    together.

    Args:
        weight: (in, out); gram: (in, in), mean products of any two channels that are read.
    Returns:
        Integers, (in, out), and a scale for each column, (out).
    Source: Frantar et al. 2022, "GPTQ", section 3, in pairs of rows.
    """
    odd = len(weight) % 2
    wide = np.pad(weight.astype(np.float64), ((0, odd), (0, 0)))
    scale = _best_scale(wide)
    rounded = _round(wide / scale, _shares(np.pad(gram, (0, odd))))
    return rounded[: len(weight)].astype(np.int8), scale.astype(np.float32)


def _best_scale(weight: Doubles) -> Doubles:
    """The scale of each column that loses least, in squares: (out)."""
    finest = np.maximum(np.abs(weight).max(axis=0), SMALLEST) / LARGEST
    losses = [
        np.square(_rint(weight / (stretch * finest)) * (stretch * finest) - weight).sum(axis=0)
        for stretch in STRETCHES
    ]
    best: Doubles = STRETCHES[np.argmin(losses, axis=0)] * finest
    return best


def _shares(gram: Doubles) -> Doubles:
    """How much of a row's error each later row takes off: (in, in), upper triangle."""
    damping = DAMPING * np.diag(gram).mean() + SMALLEST
    inverse = np.linalg.inv(gram + damping * np.eye(len(gram)))
    upper = np.linalg.cholesky(inverse).T
    shares: Doubles = upper / np.diag(upper)[:, None]
    return shares


def _round(levels: Doubles, shares: Doubles) -> Doubles:
    """Round block after block, and correct the rows that are left."""
    rounded = np.zeros_like(levels)
    for start in range(0, len(levels), BLOCK):
        end = start + BLOCK
        rounded[start:end], errors = _round_block(levels[start:end], shares[start:end, start:end])
        levels[end:] -= shares[start:end, end:].T @ errors
    return rounded


def _round_block(levels: Doubles, shares: Doubles) -> tuple[Doubles, Doubles]:
    """Round pair after pair; also return each row's error, its corrections included."""
    rounded, errors = np.zeros_like(levels), np.zeros_like(levels)
    for first in range(0, len(levels), 2):
        second, end = first + 1, first + 2
        pair = levels[first:end].copy()
        pair[1] -= shares[first, second] * (pair[0] - np.rint(pair[0]))
        rounded[first:end] = _rint(pair)
        for row in (first, second):
            errors[row] = levels[row] - rounded[row]
            levels[row + 1 :] -= shares[row, row + 1 :, None] * errors[row]
    return rounded, errors


def _rint(levels: Doubles) -> Doubles:
    """Round, and take from both of a pair that is too large, as evenly as whole numbers allow."""
    pairs = np.clip(np.rint(levels), -LARGEST, LARGEST).reshape(-1, 2, levels.shape[1])
    magnitudes = np.abs(pairs)
    excess = np.maximum(magnitudes.sum(axis=1) - LARGEST_PAIR, 0)  # (pairs, out)
    excess[pairs[:, 0] * pairs[:, 1] <= 0] = 0  # of two signs, or one of them zero
    is_first_larger = magnitudes[:, 0] >= magnitudes[:, 1]
    from_first = np.where(is_first_larger, np.ceil(excess / 2), np.floor(excess / 2))
    taken = np.stack([from_first, excess - from_first], axis=1)
    return (np.sign(pairs) * (magnitudes - taken)).reshape(levels.shape)
