"""Scaled dot-product attention, in many heads, over oneself and over the source.

Source: Vaswani et al. 2017, section 3.2. Masks are boolean, True = may be attended.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from model.config import ModelConfig

Heads = Float[Tensor, "batch heads length head_dim"]


def scaled_dot_product_attention(
    query: Float[Tensor, "batch heads query head_dim"],
    key: Float[Tensor, "batch heads key head_dim"],
    value: Float[Tensor, "batch heads key head_dim"],
    mask: Bool[Tensor, "#batch #heads #query key"] | None,
) -> Float[Tensor, "batch heads query head_dim"]:
    """softmax(Q K^T / sqrt(head_dim)) V, spelled out.

    A query that may attend nothing gets the mean of all values, not NaN; only padding
    positions, which nobody reads, are in that place.

    Source: Vaswani et al. 2017, section 3.2.1, equation 1.
    """
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.size(-1))  # (batch, heads, query, key)
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return torch.softmax(scores, dim=-1) @ value


class MultiHeadAttention(nn.Module):
    """Attend in `num_heads` subspaces of size `head_dim` at once, and mix what was read.

    Source: Vaswani et al. 2017, section 3.2.2.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.kernel = config.attention
        self.to_query = nn.Linear(config.d_model, config.d_model)
        self.to_key_value = nn.Linear(config.d_model, 2 * config.d_model)
        self.to_output = nn.Linear(config.d_model, config.d_model)

    def split_heads(self, x: Float[Tensor, "batch length d_model"]) -> Heads:
        """Cut the last axis into heads, and put the heads before the positions."""
        return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)

    def key_value(self, x: Float[Tensor, "batch length d_model"]) -> tuple[Heads, Heads]:
        """The keys and values that `x` offers to be read."""
        key, value = self.to_key_value(x).chunk(2, dim=-1)
        return self.split_heads(key), self.split_heads(value)

    def attend(
        self,
        x: Float[Tensor, "batch query d_model"],
        key: Float[Tensor, "batch heads key head_dim"],
        value: Float[Tensor, "batch heads key head_dim"],
        mask: Bool[Tensor, "#batch #heads #query key"] | None,
    ) -> Float[Tensor, "batch query d_model"]:
        """Let every position of `x` read the values whose keys answer its query."""
        query = self.split_heads(self.to_query(x))  # (batch, heads, query, head_dim)
        if self.kernel == "fused":
            context = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        else:
            context = scaled_dot_product_attention(query, key, value, mask)
        context = context.transpose(1, 2).flatten(2)  # (batch, query, d_model)
        merged: Tensor = self.to_output(context)
        return merged


class SelfAttention(MultiHeadAttention):
    """Let every position read the positions of its own sequence.

    Source: Vaswani et al. 2017, section 3.2.3, second and third use.
    """

    def forward(
        self,
        x: Float[Tensor, "batch length d_model"],
        mask: Bool[Tensor, "#batch #heads #length length"] | None,
    ) -> Float[Tensor, "batch length d_model"]:
        key, value = self.key_value(x)
        return self.attend(x, key, value, mask)

    def step(
        self,
        x: Float[Tensor, "batch 1 d_model"],
        past_key: Float[Tensor, "batch heads past head_dim"],
        past_value: Float[Tensor, "batch heads past head_dim"],
    ) -> tuple[Float[Tensor, "batch 1 d_model"], Heads, Heads]:
        """Read everything before, and oneself; also return the keys and values so extended."""
        key, value = self.key_value(x)
        key = torch.cat((past_key, key), dim=2)  # (batch, heads, past + 1, head_dim)
        value = torch.cat((past_value, value), dim=2)  # (batch, heads, past + 1, head_dim)
        return self.attend(x, key, value, mask=None), key, value


class CrossAttention(MultiHeadAttention):
    """Let every target position read the encoded source.

    Source: Vaswani et al. 2017, section 3.2.3, first use.
    """

    def forward(
        self,
        x: Float[Tensor, "batch query d_model"],
        memory: Float[Tensor, "batch key d_model"],
        mask: Bool[Tensor, "#batch #heads #query key"],
    ) -> Float[Tensor, "batch query d_model"]:
        key, value = self.key_value(memory)
        return self.attend(x, key, value, mask)
