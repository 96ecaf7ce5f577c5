import pytest
import torch
from torch import nn

from model.layers import AddNorm, DecoderLayer, EncoderLayer, FeedForward, LayerNorm
from model.masks import causal_mask
from tests.model.conftest import MakeConfig
from tests.model.torch_twins import copy_decoder_layer, copy_encoder_layer

# Sums in another order: a few units in the last place of each dtype.
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}

DTYPES = pytest.mark.parametrize("dtype", list(TOLERANCE))
NORMS = pytest.mark.parametrize("norm", ["pre", "post"])
KERNELS = pytest.mark.parametrize("kernel", ["fused", "plain"])

SRC_MASK = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])  # (batch, source)


@DTYPES
def test_layer_norm_equals_its_definition(make_config: MakeConfig, dtype: torch.dtype) -> None:
    norm = LayerNorm(make_config()).to(dtype)
    nn.init.normal_(norm.gain)
    nn.init.normal_(norm.bias)
    x = torch.randn(3, 16, dtype=dtype)

    centred = x - x.mean(dim=-1, keepdim=True)
    variance = (centred * centred).mean(dim=-1, keepdim=True)
    expected = centred / torch.sqrt(variance + 1e-5) * norm.gain + norm.bias

    torch.testing.assert_close(norm(x), expected, rtol=0, atol=TOLERANCE[dtype])


def test_feed_forward_equals_its_definition(make_config: MakeConfig) -> None:
    feed_forward = FeedForward(make_config()).double()
    x = torch.randn(2, 3, 16, dtype=torch.float64)
    widen, narrow = feed_forward.widen, feed_forward.narrow

    hidden = (x @ widen.weight.T + widen.bias).clamp(min=0)

    torch.testing.assert_close(feed_forward(x), hidden @ narrow.weight.T + narrow.bias)


def test_pre_norm_normalises_what_the_sublayer_reads(make_config: MakeConfig) -> None:
    frame = AddNorm(make_config(norm="pre"))
    x, update = torch.randn(2, 16), torch.randn(2, 16)

    torch.testing.assert_close(frame.before(x), frame.norm(x))
    torch.testing.assert_close(frame.after(x, update), x + update)


def test_post_norm_normalises_the_sum(make_config: MakeConfig) -> None:
    frame = AddNorm(make_config(norm="post"))
    x, update = torch.randn(2, 16), torch.randn(2, 16)

    torch.testing.assert_close(frame.before(x), x)
    torch.testing.assert_close(frame.after(x, update), frame.norm(x + update))


def test_dropout_falls_on_the_update_and_not_on_the_residual(make_config: MakeConfig) -> None:
    frame = AddNorm(make_config(norm="pre", dropout=0.5)).train()
    x, update = torch.full((50, 16), 10.0), torch.ones(50, 16)

    added = frame.after(x, update) - x

    assert set(added.unique().tolist()) == {0.0, 2.0}


@NORMS
@KERNELS
@DTYPES
def test_the_encoder_layer_equals_pytorchs(
    make_config: MakeConfig, norm: str, kernel: str, dtype: torch.dtype
) -> None:
    ours = EncoderLayer(make_config(norm=norm, attention=kernel)).to(dtype)
    theirs = copy_encoder_layer(ours)
    x = torch.randn(2, 5, 16, dtype=dtype)

    expected = theirs(x, src_key_padding_mask=~SRC_MASK)

    torch.testing.assert_close(
        ours(x, SRC_MASK[:, None, None, :])[SRC_MASK],
        expected[SRC_MASK],
        rtol=0,
        atol=TOLERANCE[dtype],
    )


@NORMS
@KERNELS
@DTYPES
def test_the_decoder_layer_equals_pytorchs(
    make_config: MakeConfig, norm: str, kernel: str, dtype: torch.dtype
) -> None:
    ours = DecoderLayer(make_config(norm=norm, attention=kernel)).to(dtype)
    theirs = copy_decoder_layer(ours)
    x = torch.randn(2, 4, 16, dtype=dtype)
    memory = torch.randn(2, 5, 16, dtype=dtype)

    expected = theirs(x, memory, tgt_mask=~causal_mask(4), memory_key_padding_mask=~SRC_MASK)

    torch.testing.assert_close(
        ours(x, memory, causal_mask(4)[None, None], SRC_MASK[:, None, None, :]),
        expected,
        rtol=0,
        atol=TOLERANCE[dtype],
    )
