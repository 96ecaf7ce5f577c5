import pytest
import torch
from torch import Tensor, nn

from model.attention import (
    CrossAttention,
    MultiHeadAttention,
    SelfAttention,
    scaled_dot_product_attention,
)
from model.masks import causal_mask
from tests.model.conftest import MakeConfig
from tests.model.torch_twins import copy_attention, scramble

# Sums in another order: a few units in the last place of each dtype.
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}

KERNELS = pytest.mark.parametrize("kernel", ["fused", "plain"])
DTYPES = pytest.mark.parametrize("dtype", list(TOLERANCE))


def torch_attention_with_weights_of(ours: MultiHeadAttention) -> nn.MultiheadAttention:
    """Scramble `ours`, and build its twin."""
    d_model, dtype = ours.to_query.in_features, ours.to_query.weight.dtype
    theirs = nn.MultiheadAttention(d_model, ours.num_heads, batch_first=True, dtype=dtype)
    scramble(ours)
    copy_attention(ours, theirs)
    return theirs


def source_mask() -> Tensor:
    return torch.tensor([[True] * 5, [True] * 3 + [False] * 2])  # (batch, source)


@KERNELS
@DTYPES
def test_self_attention_equals_pytorchs(
    make_config: MakeConfig, kernel: str, dtype: torch.dtype
) -> None:
    ours = SelfAttention(make_config(attention=kernel)).to(dtype)
    theirs = torch_attention_with_weights_of(ours)
    x = torch.randn(2, 5, 16, dtype=dtype)
    mask = source_mask()

    expected, _ = theirs(x, x, x, key_padding_mask=~mask, need_weights=False)

    torch.testing.assert_close(
        ours(x, mask[:, None, None, :]), expected, rtol=0, atol=TOLERANCE[dtype]
    )


@KERNELS
@DTYPES
def test_self_attention_under_the_look_ahead_mask_equals_pytorchs(
    make_config: MakeConfig, kernel: str, dtype: torch.dtype
) -> None:
    ours = SelfAttention(make_config(attention=kernel)).to(dtype)
    theirs = torch_attention_with_weights_of(ours)
    x = torch.randn(2, 5, 16, dtype=dtype)

    expected, _ = theirs(x, x, x, attn_mask=~causal_mask(5), need_weights=False)

    torch.testing.assert_close(
        ours(x, causal_mask(5)[None, None]), expected, rtol=0, atol=TOLERANCE[dtype]
    )


@KERNELS
@DTYPES
def test_cross_attention_equals_pytorchs(
    make_config: MakeConfig, kernel: str, dtype: torch.dtype
) -> None:
    ours = CrossAttention(make_config(attention=kernel)).to(dtype)
    theirs = torch_attention_with_weights_of(ours)
    x = torch.randn(2, 4, 16, dtype=dtype)
    memory = torch.randn(2, 5, 16, dtype=dtype)
    mask = source_mask()

    expected, _ = theirs(x, memory, memory, key_padding_mask=~mask, need_weights=False)

    torch.testing.assert_close(
        ours(x, memory, mask[:, None, None, :]), expected, rtol=0, atol=TOLERANCE[dtype]
    )


@KERNELS
def test_attention_step_by_step_equals_attention_under_the_look_ahead_mask(
    make_config: MakeConfig, kernel: str
) -> None:
    attention = SelfAttention(make_config(attention=kernel)).double()
    x = torch.randn(2, 5, 16, dtype=torch.float64)
    at_once = attention(x, causal_mask(5)[None, None])

    key, value = attention.key_value(x[:, :0])
    for position in range(5):
        read, key, value = attention.step(x[:, position : position + 1], key, value)
        torch.testing.assert_close(read[:, 0], at_once[:, position], rtol=0, atol=1e-10)


def test_attention_is_a_mean_of_the_values_that_the_mask_lets_through() -> None:
    query = torch.zeros(1, 1, 1, 2)  # no preference: equal weights
    key = torch.randn(1, 1, 3, 2)
    value = torch.tensor([[[[1.0, 0.0], [3.0, 0.0], [100.0, 100.0]]]])
    mask = torch.tensor([[[[True, True, False]]]])

    context = scaled_dot_product_attention(query, key, value, mask)

    torch.testing.assert_close(context, torch.tensor([[[[2.0, 0.0]]]]))


def test_a_query_that_may_attend_nothing_gets_the_mean_of_all_values() -> None:
    value = torch.randn(1, 1, 3, 2)
    nothing = torch.zeros(1, 1, 1, 3, dtype=torch.bool)

    context = scaled_dot_product_attention(torch.randn(1, 1, 1, 2), value, value, nothing)

    torch.testing.assert_close(context[0, 0, 0], value[0, 0].mean(dim=0))


def test_a_mask_of_the_wrong_length_is_an_error_under_the_import_hook(
    make_config: MakeConfig,
) -> None:
    """Else the checks of shapes in all of these tests would be silent."""
    attention = SelfAttention(make_config())

    with pytest.raises(Exception, match="mask"):
        attention(torch.randn(2, 5, 16), torch.ones(2, 1, 1, 1, dtype=torch.bool))
