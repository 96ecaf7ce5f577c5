"""One layer of the encoder, one of the decoder, and what both are made of.

Source: Vaswani et al. 2017, sections 3.1 and 3.3.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from model.attention import CrossAttention, Heads, SelfAttention
from model.config import ModelConfig


class LayerNorm(nn.Module):
    """Shift and scale each position to mean 0 and variance 1, then by learnt gain and bias.

    Source: Ba et al. 2016, "Layer Normalization", section 3.1.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(config.d_model))
        self.bias = nn.Parameter(torch.zeros(config.d_model))
        self.epsilon = 1e-5

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        # The fused kernel sums in float32, whatever it reads. Autocast would have it write float32
        # too, for the next product to cast back: twice the bytes for nothing.
        gain, bias = self.gain.to(x.dtype), self.bias.to(x.dtype)
        with torch.autocast(x.device.type, enabled=False):
            return nn.functional.layer_norm(x, x.shape[-1:], gain, bias, self.epsilon)


class AddNorm(nn.Module):
    """The frame around every sub-layer: x + sublayer(x), normalised before or after.

    `before` and `after` bracket the sub-layer: y = add_norm.after(x, sublayer(add_norm.before(x))).

    Source: Vaswani et al. 2017, section 3.1 (post-norm); Xiong et al. 2020 (pre-norm).
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.is_pre = config.norm == "pre"
        self.norm = LayerNorm(config)
        self.dropout = nn.Dropout(config.dropout)

    def before(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        """What the sub-layer reads."""
        normalised: Tensor = self.norm(x) if self.is_pre else x
        return normalised

    def after(
        self, x: Float[Tensor, "*batch d_model"], update: Float[Tensor, "*batch d_model"]
    ) -> Float[Tensor, "*batch d_model"]:
        """The residual sum of `x` and what the sub-layer wrote."""
        total = x + self.dropout(update)
        summed: Tensor = total if self.is_pre else self.norm(total)
        return summed


class FeedForward(nn.Module):
    """The same two linear maps with a ReLU between them, at every position.

    Source: Vaswani et al. 2017, section 3.3, equation 2.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.widen = nn.Linear(config.d_model, config.d_ff)
        self.narrow = nn.Linear(config.d_ff, config.d_model)

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        narrowed: Tensor = self.narrow(torch.relu(self.widen(x)))
        return narrowed


class EncoderLayer(nn.Module):
    """Self-attention, then the feed-forward network, each in its residual frame.

    Source: Vaswani et al. 2017, section 3.1.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.self_attention = SelfAttention(config)
        self.self_attention_frame = AddNorm(config)
        self.feed_forward = FeedForward(config)
        self.feed_forward_frame = AddNorm(config)

    def forward(
        self, x: Float[Tensor, "batch source d_model"], mask: Bool[Tensor, "batch 1 1 source"]
    ) -> Float[Tensor, "batch source d_model"]:
        frame = self.self_attention_frame
        x = frame.after(x, self.self_attention(frame.before(x), mask))
        frame = self.feed_forward_frame
        return frame.after(x, self.feed_forward(frame.before(x)))


class LayerCache(NamedTuple):
    """What one decoder layer remembers: its own past, and the source, once projected.

    `self_*` are (batch, heads, past, head_dim); `cross_*` are (batch, heads, source, head_dim).
    """

    self_key: Heads
    self_value: Heads
    cross_key: Heads
    cross_value: Heads


class DecoderLayer(nn.Module):
    """Masked self-attention, cross-attention, feed-forward, each in its residual frame.

    Source: Vaswani et al. 2017, section 3.1.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.self_attention = SelfAttention(config)
        self.self_attention_frame = AddNorm(config)
        self.cross_attention = CrossAttention(config)
        self.cross_attention_frame = AddNorm(config)
        self.feed_forward = FeedForward(config)
        self.feed_forward_frame = AddNorm(config)

    def forward(
        self,
        x: Float[Tensor, "batch target d_model"],
        memory: Float[Tensor, "batch source d_model"],
        self_mask: Bool[Tensor, "#batch 1 target target"],
        cross_mask: Bool[Tensor, "batch 1 1 source"],
    ) -> Float[Tensor, "batch target d_model"]:
        frame = self.self_attention_frame
        x = frame.after(x, self.self_attention(frame.before(x), self_mask))
        frame = self.cross_attention_frame
        x = frame.after(x, self.cross_attention(frame.before(x), memory, cross_mask))
        frame = self.feed_forward_frame
        return frame.after(x, self.feed_forward(frame.before(x)))

    def step(
        self,
        x: Float[Tensor, "batch 1 d_model"],
        cache: LayerCache,
        cross_mask: Bool[Tensor, "batch 1 1 source"],
    ) -> tuple[Float[Tensor, "batch 1 d_model"], LayerCache]:
        """One more position, reading the past from `cache`; also return the cache extended."""
        frame = self.self_attention_frame
        read, key, value = self.self_attention.step(
            frame.before(x), cache.self_key, cache.self_value
        )
        x = frame.after(x, read)
        frame = self.cross_attention_frame
        read = self.cross_attention.attend(
            frame.before(x), cache.cross_key, cache.cross_value, cross_mask
        )
        x = frame.after(x, read)
        frame = self.feed_forward_frame
        x = frame.after(x, self.feed_forward(frame.before(x)))
        return x, LayerCache(key, value, cache.cross_key, cache.cross_value)
