"""Models with random weights, in sizes that nothing is trained in here, which know when to end.

Two coordinates of the residual stream are kept clear, so that only positions write to them. A head
of the first decoder layer has the same eye for every source position: it reads the mean of the
first coordinate, which grows with the length of the source, and subtracts it from the second,
which grows with the position in the target. Where that changes its sign, a ramp of two hidden units
lifts the score of `eos`. All other weights are noise, so both engines do the full work of a trained
model, and end by themselves after about as many tokens as the source has.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from deploy.bench.peers import Ids
from model.batching import pad
from model.checkpoint import Checkpoint
from model.config import ModelConfig
from model.embeddings import positional_encoding
from model.layers import DecoderLayer
from model.masks import padding_mask
from model.tokenizer import Tokenizer
from model.transformer import Transformer

SEED = 1
STREAM_DEVIATION = 8.0  # of what the decoder writes: smaller, and a token repeats itself
ATTENTION_SHARPNESS = 2.0
ANGLE_PER_TOKEN = 0.025  # so that sines grow over the first 60 positions
RAMP_GAIN, RAMP_TOP, RAMP_HEIGHT = 16.0, 1.0, 24.0
EOS_WEIGHT = 6.0
NEVER = -100.0  # bias of the special ids that a model must not write
UNUSED_SCORE = -1000.0  # log probability of pieces that only fill the vocabulary up


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Sizes of a model: `S` small, `B` the paper's base, `D` deep encoder and shallow decoder."""

    d_model: int
    d_ff: int
    num_heads: int
    num_encoder_layers: int
    num_decoder_layers: int
    vocab_size: int

    def config(self) -> ModelConfig:
        """The same as the configuration of a pre-norm model."""
        return ModelConfig(**vars(self), norm="pre", dropout=0.0)


SHAPES = {
    "S": Shape(
        d_model=256,
        d_ff=1024,
        num_heads=4,
        num_encoder_layers=6,
        num_decoder_layers=3,
        vocab_size=16_000,
    ),
    "B": Shape(
        d_model=512,
        d_ff=2048,
        num_heads=8,
        num_encoder_layers=6,
        num_decoder_layers=6,
        vocab_size=32_000,
    ),
    "D": Shape(
        d_model=512,
        d_ff=2048,
        num_heads=8,
        num_encoder_layers=12,
        num_decoder_layers=1,
        vocab_size=32_000,
    ),
}


def random_checkpoint(
    name: str, config: ModelConfig, like: Checkpoint, sources: Sequence[Ids]
) -> Checkpoint:
    """A checkpoint of noise with a planted end.

    Args:
        like: gives languages and the tokenizer, whose vocabulary is filled up.
        sources: token ids of some sentences, to learn how the encoder scales lengths.
    """
    model = Transformer(config).eval()
    generator = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        _write_noise(model, generator)
        _plant_end(model, like.tokenizer, sources, generator)
    return replace(
        like,
        model=config,
        weights=model.state_dict(),
        tokenizer=Tokenizer(fill_vocabulary(like.tokenizer, config.vocab_size)),
        history={"recipe": f"random-{name}", "updates": 0, "tokens": 0, "hours": 0.0},
        extra={},
    )


def fill_vocabulary(tokenizer: Tokenizer, vocab_size: int) -> bytes:
    """The SentencePiece model with pieces appended that no text contains.

    A serialised protocol buffer may be extended by appending; pieces are its repeated field 1,
    with text (field 1) and score (field 2) inside.

    Raises:
        ValueError: if the vocabulary is larger than `vocab_size` already.
    """
    missing = vocab_size - tokenizer.vocab_size
    if missing < 0:
        raise ValueError(f"the tokenizer has {tokenizer.vocab_size} pieces; limit {vocab_size}")
    score = b"\x15" + torch.tensor([UNUSED_SCORE]).numpy().tobytes()
    appended = []
    for number in range(missing):
        text = f"\ue000{number}".encode()
        piece = b"\x0a" + bytes([len(text)]) + text + score
        appended.append(b"\x0a" + bytes([len(piece)]) + piece)
    return tokenizer.model + b"".join(appended)


def _clear_coordinates(d_model: int) -> tuple[int, int]:
    """The sines whose angle moves by `ANGLE_PER_TOKEN` a position, and the next slower ones."""
    exponent = -math.log(ANGLE_PER_TOKEN) / math.log(10_000.0)
    source = 2 * round(exponent * d_model / 2)
    return source, source + 2


def _write_noise(model: Transformer, generator: torch.Generator) -> None:
    """Random matrices; what they write to the stream has mean zero, so that norms keep it so."""
    config = model.config
    source, target = _clear_coordinates(config.d_model)
    for name, weight in model.named_parameters():
        if weight.dim() < 2:
            continue  # gains stay one, biases zero
        noise = torch.randn(weight.shape, generator=generator) * weight.size(1) ** -0.5
        is_encoder = name.startswith("encoder.")
        if name == "embedding.weight":
            noise[:, [source, target]] = 0.0
            noise -= noise.mean(dim=1, keepdim=True)
        elif name.endswith("to_query.weight"):
            noise *= ATTENTION_SHARPNESS
        elif name.endswith(("to_output.weight", "narrow.weight")):
            if name.endswith("narrow.weight") and not is_encoder:
                noise *= STREAM_DEVIATION * (config.num_decoder_layers / 2) ** -0.5
            noise[source if is_encoder else target] = 0.0
            noise -= noise.mean(dim=0)
            noise[source if is_encoder else target] = 0.0
        weight.copy_(noise)


def _plant_end(
    model: Transformer, tokenizer: Tokenizer, sources: Sequence[Ids], generator: torch.Generator
) -> None:
    """Write the head that reads lengths, the ramp, and a score of `eos` that follows it."""
    config = model.config
    source, target = _clear_coordinates(config.d_model)
    src_ids = pad(sources, tokenizer.pad_id)
    mask = padding_mask(src_ids, tokenizer.pad_id)
    memory = model.encode(src_ids, mask)
    lengths = mask.sum(dim=1)
    layer = model.decoder.layers[0]
    assert isinstance(layer, DecoderLayer)
    cross, feed = layer.cross_attention, layer.feed_forward
    means = (memory[:, :, source] * mask).sum(dim=1) / lengths
    sines = positional_encoding(lengths, config.d_model)[:, target]
    slope = torch.cov(torch.stack((means, sines)))[0, 1] / means.var()
    cross.to_query.weight[: config.head_dim] = 0.0
    cross.to_key_value.weight[config.d_model] = 0.0  # the first value, behind all keys
    cross.to_key_value.weight[config.d_model, source] = 1.0
    cross.to_output.weight[target, 0] = -slope
    model.embedding.weight[tokenizer.eos_id] = 0.0
    model.embedding.weight[tokenizer.eos_id, target] = EOS_WEIGHT
    shape = len(sources), int(lengths.max()) + 1
    noise = torch.randint(tokenizer.vocab_size, shape, generator=generator)
    seen: list[Tensor] = []
    hook = feed.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    logits = model.decode(noise, memory, mask)
    hook.remove()
    rows = torch.arange(len(sources))
    threshold = seen[0][rows, lengths, target].mean()  # of targets as long as their sources
    for unit, (start, sign) in enumerate([(0.0, 1.0), (RAMP_TOP, -1.0)]):
        feed.widen.weight[unit] = 0.0
        feed.widen.weight[unit, target] = RAMP_GAIN
        feed.widen.bias[unit] = -RAMP_GAIN * threshold - start
        feed.narrow.weight[:, unit] = 0.0
        feed.narrow.weight[target, unit] = sign * RAMP_HEIGHT
    # What every position prefers is taken out, or the same token would win everywhere.
    model.output.bias.copy_(-logits.mean(dim=(0, 1)))
    model.output.bias[tokenizer.eos_id] = 0.0
    model.output.bias[[tokenizer.pad_id, tokenizer.unk_id, tokenizer.bos_id]] = NEVER
