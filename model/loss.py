"""Label-smoothed cross entropy."""

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


def smoothed_cross_entropy(
    logits: Float[Tensor, "batch target vocab"],
    labels: Int[Tensor, "batch target"],
    pad_id: int,
    smoothing: float,
) -> Float[Tensor, ""]:
    """Sum over all labels but padding, in nats; divide by their number for a mean.

    The target distribution gives `1 - smoothing` to the label and spreads `smoothing`
    evenly over the whole vocabulary, the label included.

    Source: Szegedy et al. 2016, section 7; Vaswani et al. 2017, section 5.4.
    """
    return F.cross_entropy(
        logits.flatten(0, 1).float(),
        labels.flatten(),
        ignore_index=pad_id,
        reduction="sum",
        label_smoothing=smoothing,
    )
