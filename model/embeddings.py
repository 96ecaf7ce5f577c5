"""From token ids to vectors and back: embedding, position, output projection.

Source: Vaswani et al. 2017, sections 3.4 and 3.5.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from model.config import ModelConfig


def positional_encoding(
    positions: Int[Tensor, "*batch"], d_model: int
) -> Float[Tensor, "*batch d_model"]:
    """Sines at even and cosines at odd coordinates, float32, for any position.

    PE(pos, 2i) = sin(pos / 10000^(2i / d_model)), PE(pos, 2i + 1) = cos of the same angle.

    Source: Vaswani et al. 2017, section 3.5.
    """
    # In float64, because the float32 angle of a late position is already off by 1e-4.
    even = torch.arange(0, d_model, 2, dtype=torch.float64, device=positions.device)
    frequencies = torch.exp(-math.log(10000.0) / d_model * even)  # (d_model / 2)
    angles = positions.double().unsqueeze(-1) * frequencies  # (*batch, d_model / 2)
    pairs = torch.stack((angles.sin(), angles.cos()), dim=-1)  # (*batch, d_model / 2, 2)
    return pairs.flatten(-2).float()


def follow_autocast(x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
    """Begin the residual stream in autocast's dtype: a float32 one costs a cast at every linear."""
    device = x.device.type
    return x.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else x


class Embedding(nn.Module):
    """Token vectors, scaled by sqrt(d_model), plus the encoding of their positions.

    Source and target share it, as they share the vocabulary.

    Source: Vaswani et al. 2017, sections 3.4 and 3.5.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.d_model = config.d_model
        self.weight = nn.Parameter(torch.empty(config.vocab_size, config.d_model))
        nn.init.normal_(self.weight, std=config.d_model**-0.5)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, token_ids: Int[Tensor, "batch length"], first_position: int = 0
    ) -> Float[Tensor, "batch length d_model"]:
        length = token_ids.size(1)
        positions = torch.arange(first_position, first_position + length, device=token_ids.device)
        encoded = positional_encoding(positions, self.d_model).to(self.weight.dtype)
        embedded = F.embedding(token_ids, self.weight) * math.sqrt(self.d_model)
        summed: Tensor = self.dropout(follow_autocast(embedded + encoded))
        return summed


class OutputProjection(nn.Module):
    """From vectors to one unnormalised score a token; its matrix may be the embedding's.

    Source: Vaswani et al. 2017, section 3.4.
    """

    def __init__(self, config: ModelConfig, embedding: Embedding) -> None:
        super().__init__()
        if config.tie_output:
            self.weight = embedding.weight
        else:
            self.weight = nn.Parameter(torch.empty(config.vocab_size, config.d_model))
            nn.init.normal_(self.weight, std=config.d_model**-0.5)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch vocab"]:
        return F.linear(x, self.weight, self.bias)
