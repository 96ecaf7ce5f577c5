"""The encoder, the decoder, and the model they make.

Source: Vaswani et al. 2017, "Attention Is All You Need", section 3.
"""

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from model.config import ModelConfig
from model.embeddings import Embedding, OutputProjection
from model.layers import DecoderLayer, EncoderLayer, LayerCache, LayerNorm
from model.masks import causal_mask, padding_mask


class Encoder(nn.Module):
    """A stack of encoder layers; a pre-norm stack ends in one more norm.

    Source: Vaswani et al. 2017, section 3.1.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.num_encoder_layers))
        self.norm = LayerNorm(config) if config.norm == "pre" else nn.Identity()

    def forward(
        self, x: Float[Tensor, "batch source d_model"], src_mask: Bool[Tensor, "batch source"]
    ) -> Float[Tensor, "batch source d_model"]:
        mask = src_mask[:, None, None, :]  # (batch, 1, 1, source)
        for layer in self.layers:
            x = layer(x, mask)
        normalised: Tensor = self.norm(x)
        return normalised


class Decoder(nn.Module):
    """A stack of decoder layers; a pre-norm stack ends in one more norm.

    Source: Vaswani et al. 2017, section 3.1.
    """

    layers: "nn.ModuleList"

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.num_decoder_layers))
        self.norm = LayerNorm(config) if config.norm == "pre" else nn.Identity()

    def forward(
        self,
        x: Float[Tensor, "batch target d_model"],
        memory: Float[Tensor, "batch source d_model"],
        src_mask: Bool[Tensor, "batch source"],
    ) -> Float[Tensor, "batch target d_model"]:
        self_mask = causal_mask(x.size(1), x.device)[None, None]  # (1, 1, target, target)
        cross_mask = src_mask[:, None, None, :]  # (batch, 1, 1, source)
        for layer in self.layers:
            x = layer(x, memory, self_mask, cross_mask)
        normalised: Tensor = self.norm(x)
        return normalised

    def start(self, memory: Float[Tensor, "batch source d_model"]) -> list[LayerCache]:
        """A cache with an empty past, and the source projected once for every step to come."""
        caches = []
        for layer in self.layers:
            assert isinstance(layer, DecoderLayer)
            key, value = layer.cross_attention.key_value(memory)
            caches.append(LayerCache(key[:, :, :0], value[:, :, :0], key, value))
        return caches

    def step(
        self,
        x: Float[Tensor, "batch 1 d_model"],
        caches: list[LayerCache],
        src_mask: Bool[Tensor, "batch source"],
    ) -> tuple[Float[Tensor, "batch 1 d_model"], list[LayerCache]]:
        """One more target position; also return the caches extended by it."""
        cross_mask = src_mask[:, None, None, :]  # (batch, 1, 1, source)
        extended = []
        for layer, cache in zip(self.layers, caches, strict=True):
            assert isinstance(layer, DecoderLayer)
            x, longer = layer.step(x, cache, cross_mask)
            extended.append(longer)
        return self.norm(x), extended


class Transformer(nn.Module):
    """The whole model: source and target token ids in, scores of the next token out."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = Embedding(config)
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.output = OutputProjection(config, self.embedding)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def encode(
        self, src_ids: Int[Tensor, "batch source"], src_mask: Bool[Tensor, "batch source"]
    ) -> Float[Tensor, "batch source d_model"]:
        """Source tokens to memory. `src_mask` is True where there is a token."""
        encoded: Tensor = self.encoder(self.embedding(src_ids), src_mask)
        return encoded

    def decode(
        self,
        tgt_ids: Int[Tensor, "batch target"],
        memory: Float[Tensor, "batch source d_model"],
        src_mask: Bool[Tensor, "batch source"],
    ) -> Float[Tensor, "batch target vocab"]:
        """Teacher forcing: row i of the answer scores the token that follows `tgt_ids[:, i]`.

        Target padding stands at the end, where the look-ahead mask hides it from real tokens.
        """
        decoded = self.decoder(self.embedding(tgt_ids), memory, src_mask)
        logits: Tensor = self.output(decoded)
        return logits

    def decode_step(
        self,
        token_ids: Int[Tensor, " batch"],
        position: int,
        caches: list[LayerCache],
        src_mask: Bool[Tensor, "batch source"],
    ) -> tuple[Float[Tensor, "batch vocab"], list[LayerCache]]:
        """Score what follows one more token at `position`, reading the past from `caches`."""
        x = self.embedding(token_ids[:, None], first_position=position)  # (batch, 1, d_model)
        x, caches = self.decoder.step(x, caches, src_mask)
        return self.output(x[:, 0]), caches

    def forward(
        self, src_ids: Int[Tensor, "batch source"], tgt_ids: Int[Tensor, "batch target"]
    ) -> Float[Tensor, "batch target vocab"]:
        """Encode, then decode under teacher forcing."""
        logits: Tensor = self.output(self.target_states(src_ids, tgt_ids))
        return logits

    def target_states(
        self, src_ids: Int[Tensor, "batch source"], tgt_ids: Int[Tensor, "batch target"]
    ) -> Float[Tensor, "batch target d_model"]:
        """The decoder's last layer under teacher forcing, not yet projected on the vocabulary."""
        src_mask = padding_mask(src_ids, self.config.pad_id)
        memory = self.encode(src_ids, src_mask)
        states: Tensor = self.decoder(self.embedding(tgt_ids), memory, src_mask)
        return states
