"""A head that guesses the token after the next one: how many steps would it save?

A step that is fed a guess beside its token scores both positions at once. Where the guess is what
it chooses at the first, the second is what the next step would have said, and one step is saved;
where it is not, the second is thrown away. Either way the translation is the one without guesses.

Source: Stern et al. 2018, "Blockwise Parallel Decoding", section 3; Ankner et al. 2024, "Hydra",
section 3, for a guess that knows the token just chosen. As a guess is mostly a question of which
source word comes next, the head looks at the source once more.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from model.attention import Heads
from model.config import ModelConfig
from model.layers import DecoderLayer, LayerNorm
from model.masks import padding_mask
from model.transformer import Transformer

NUM_GUESSED = 2048
"""Only the first so many tokens are ever guessed: the vocabulary has the frequent ones first, and
the rare ones are hard to guess and dear to look at."""


def head_width(d_model: int) -> int:
    """Channels between the layers of a head; one for 512 fits into half a megabyte of int8."""
    return 3 * d_model // 16


class Head(nn.Module):
    """From what the decoder found and the token it then chose, to a vector for the token after it.

    It reads the keys and values that the decoder's last layer made of the source: nothing is
    computed from the source again.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        width = head_width(config.d_model)
        self.hidden = nn.Linear(2 * config.d_model, width)
        self.to_query = nn.Linear(width, config.d_model)
        self.from_source = nn.Linear(config.d_model + width, config.d_model)

    def forward(
        self,
        states: Float[Tensor, "batch target d_model"],
        chosen: Float[Tensor, "batch target d_model"],
        source: tuple[Heads, Heads],
        src_mask: Bool[Tensor, "batch source"],
    ) -> Float[Tensor, "batch target d_model"]:
        """One vector for each target position.

        Args:
            states: of the decoder's last layer; chosen: the vectors of the tokens chosen there.
            source: keys and values of the last layer's cross-attention.
        """
        hidden = torch.relu(self.hidden(torch.cat((states, chosen), dim=-1)))
        query = self.to_query(hidden).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
        read = F.scaled_dot_product_attention(
            query,  # (batch, heads, target, head_dim)
            *source,
            attn_mask=src_mask[:, None, None, :],  # (batch, 1, 1, source), True = attend
        )
        context = read.transpose(1, 2).flatten(2)  # (batch, target, d_model)
        guessed: Tensor = self.from_source(torch.cat((context, hidden), dim=-1))
        return guessed


class Decoded(NamedTuple):
    """What the frozen model makes of pairs, as far as a head reads it.

    `states` are the last layer's; `source` are keys and values of its cross-attention.
    """

    states: Float[Tensor, "batch target d_model"]
    source: tuple[Heads, Heads]
    src_mask: Bool[Tensor, "batch source"]


def decode(
    model: Transformer, src_ids: Int[Tensor, "batch source"], tgt_ids: Int[Tensor, "batch target"]
) -> Decoded:
    """Run the model over pairs under teacher forcing."""
    src_mask = padding_mask(src_ids, model.config.pad_id)
    memory = model.encode(src_ids, src_mask)
    states = model.decoder(model.embedding(tgt_ids), memory, src_mask)
    last = model.decoder.layers[-1]
    assert isinstance(last, DecoderLayer)
    return Decoded(states, last.cross_attention.key_value(memory), src_mask)


def guess(
    head: Head,
    model: Transformer,
    decoded: Decoded,
    chosen_ids: Int[Tensor, "batch target"],
) -> Float[Tensor, "batch target guessed"]:
    """Scores of what follows `chosen_ids`, each chosen from the state at its place."""
    chosen = F.embedding(chosen_ids, model.embedding.weight) * math.sqrt(model.config.d_model)
    chosen = chosen - chosen.mean(dim=-1, keepdim=True)  # as the decoder graph stores them
    x = head(decoded.states, chosen.to(decoded.states.dtype), decoded.source, decoded.src_mask)
    norm, output = model.decoder.norm, model.output
    if isinstance(norm, LayerNorm):  # the output's weights read what it has scaled
        x = x * norm.gain + norm.bias
    return F.linear(x, output.weight[:NUM_GUESSED], output.bias[:NUM_GUESSED])


def count_steps(is_right: Sequence[bool]) -> int:
    """Steps until a translation is complete.

    Args:
        is_right: whether token i + 1 is guessed right once token i is chosen.
    """
    num_tokens, chosen, steps = len(is_right) + 1, 1, 1  # nothing is guessed before the first
    while chosen < num_tokens:
        chosen += 2 if is_right[chosen - 1] else 1
        steps += 1
    return steps
