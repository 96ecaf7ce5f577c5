"""Padding and look-ahead masks: boolean, True = may be attended.

Source: Vaswani et al. 2017, section 3.2.3. The only place where polarity is made.
"""

import torch
from jaxtyping import Bool, Int
from torch import Tensor


def padding_mask(
    token_ids: Int[Tensor, "batch length"], pad_id: int
) -> Bool[Tensor, "batch length"]:
    """True where a position holds a token, False where it is padding."""
    return token_ids != pad_id


def causal_mask(length: int, device: torch.device | None = None) -> Bool[Tensor, "length length"]:
    """The look-ahead mask: row i is True up to column i, so no position sees a later one."""
    return torch.ones(length, length, dtype=torch.bool, device=device).tril()
