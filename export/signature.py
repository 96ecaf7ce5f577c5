"""Names, dtypes and axes of every graph input and output, written once.

Axes named by a word are dynamic: `tokens` counts packed source tokens, `segments` sentences
of one encoder call, `source` the longest of them, `rows` hypotheses of one decoder step,
`capacity` the positions that a self-attention cache has room for, `asked` the rows of a step
whose candidates are wanted.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from model.config import ModelConfig

Axis = int | str

NUM_CANDIDATES = 16
"""Of a row: what a beam of 8 looks at. It is written into the graph."""


@dataclass(frozen=True)
class Port:
    """One input or output of a graph: dtype as numpy spells it, axes in order."""

    name: str
    dtype: str
    axes: tuple[Axis, ...]


@dataclass(frozen=True)
class Signature:
    """All ports of one graph."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]


def encoder_signature(config: ModelConfig, precision: str = "float32") -> Signature:
    """Packed source tokens in, the projected source of every decoder layer out.

    `padded_index[s, i]` names the packed token that stands at place i of segment s (any
    token for padding), `packed_index[t]` the place of token t in the flattened padded
    layout. `cross` holds keys at even and values at odd places of its first axis.
    """
    places = 2 * config.num_decoder_layers
    return Signature(
        inputs=(
            Port("ids", "int64", ("tokens",)),
            Port("positions", "int64", ("tokens",)),
            Port("padded_index", "int64", ("segments", "source")),
            Port("packed_index", "int64", ("tokens",)),
            Port("lengths", "int64", ("segments",)),
        ),
        outputs=(
            Port(
                "cross",
                _cache_dtype(precision),
                (places, "segments", config.num_heads, "source", config.head_dim),
            ),
        ),
    )


def _cache_dtype(precision: str) -> str:
    return "float16" if precision == "float16" else "float32"


def decoder_signature(config: ModelConfig, precision: str = "float32") -> Signature:
    """One token a row in, scores of the next token out; caches are extended in place.

    `lengths` counts the tokens that a row has cached, which is also the position of the
    token in `ids`; `total_length` is the largest of them plus one. Bind each
    `present_*` to the memory of its `past_*`: the graph writes one position a row.
    `next_ids` is the best token of a row, `log_normalisers` the logarithm of the sum of
    exp(logits), so that logits - log_normalisers are log probabilities. Of the rows in
    `candidate_rows`, and of no other, the best tokens are found: best first, of equal ones the
    one with the lowest id. `cross_query` is what the last layer asks of the
    source, to be divided by the square root of head_dim: with `cross_key_*` of that layer it
    tells where a token was read from. Graphs of float16, whose logits may stay on a device, also
    tell `best_logits`, those of `next_ids`.
    """
    is_half, dtype = precision == "float16", _cache_dtype(precision)
    cache = ("rows", config.num_heads, "capacity", config.head_dim)
    source = ("rows", config.num_heads, "source", config.head_dim)
    candidates = ("asked", min(NUM_CANDIDATES, config.vocab_size))
    return Signature(
        inputs=(
            Port("ids", "int64", ("rows",)),
            Port("lengths", "int32", ("rows",)),
            Port("total_length", "int32", (1,)),
            Port("source_lengths", "int64", ("rows",)),
            Port("candidate_rows", "int64", ("asked",)),
            *_every_layer(config, "past", dtype, cache),
            *_every_layer(config, "cross", dtype, source),
        ),
        outputs=(
            Port("logits", "float32", ("rows", config.vocab_size)),
            Port("log_normalisers", "float32", ("rows",)),
            Port("next_ids", "int64", ("rows",)),
            Port("candidate_ids", "int64", candidates),
            Port("candidate_logits", "float32", candidates),
            Port("cross_query", dtype, ("rows", config.num_heads, 1, config.head_dim)),
            *_every_layer(config, "present", dtype, cache),
            *([Port("best_logits", "float32", ("rows",))] if is_half else []),
        ),
    )


def _every_layer(
    config: ModelConfig, name: str, dtype: str, axes: tuple[Axis, ...]
) -> Iterator[Port]:
    """`name_key_0`, `name_value_0`, `name_key_1` and so on."""
    for layer in range(config.num_decoder_layers):
        for kind in ("key", "value"):
            yield Port(f"{name}_{kind}_{layer}", dtype, axes)
